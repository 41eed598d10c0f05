"""Oz, Warp's agent (`oz agent run --output-format json`), judged by its exit code and its last line.

Its model is Warp's: there is no address that the gateway could stand in for, so the skill asks for
WARP_API_KEY by `environment.secrets`, and the sandbox must reach Warp's servers. It tells neither tokens nor
cost, and has no end marker: it has finished when it exits with 0 and the last that it printed was a message.

Source: Warp docs, "Oz CLI reference", and Warp's public code (`warp_cli`, `agent_sdk/driver/output.rs`).
Not verified with the real program, which needs an account: that it leaves standard input alone, what it
prints when the key is refused, and with which codes it exits.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.model import (
    Exit,
    FileEdit,
    Finish,
    Message,
    Outcome,
    Reasoning,
    SessionStart,
    ToolCall,
    ToolResult,
    TranscriptEvent,
    Unknown,
)
from runner.core.units import Maybe
from runner.harnesses import Harness, Launch, Reader, Task
from runner.harnesses._fields import count, text, unknown_event
from runner.harnesses._json_reader import JsonReader

PROMPT = "oz-prompt.md"


class OzOptions(Model):
    """Oz, Warp's agent: the `oz` program in the sandbox. The skill needs the secret WARP_API_KEY."""

    profile: Maybe[Text] = Field(
        default=None, description="The id of an agent profile; default: everything is allowed"
    )


class Oz(Harness):
    name = "oz"
    options = OzOptions
    program = "oz"

    def launch(self, task: Task) -> Launch:
        """It takes a prompt on its command line alone, where `ps` shows it: so that names a file."""
        prompt = f"Do what the file {task.places.exchange}/{PROMPT} says."
        profile = task.spec.options.get("profile")
        model = ("--model", task.spec.model) if task.spec.model else ()
        allowed = ("--profile", profile) if profile else ("--sandboxed",)
        fixed = ("agent", "run", "--output-format", "json", "--prompt", prompt)
        return Launch(
            argv=(task.program or self.program, *fixed, *allowed, *model),
            stdin=task.prompt.encode(),
            files={PROMPT: task.prompt.encode()},
        )

    def reader(self) -> Reader:
        return OzReader()


class OzReader(JsonReader):
    """JSON lines to events. Calls have no ids: results come in the order of their calls."""

    program = Oz.program

    def __init__(self) -> None:
        super().__init__()
        self._calls: deque[ToolCall] = deque()  # without a result until now
        self._last = ""  # what kind of line came last
        self._said = ""

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        if ended.code == 0 and self._last == "agent":
            self._tally.count([Finish(ok=True, text=self._said)])
        return super().outcome(ended, changed)

    def _events(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        self._last = text(data, "type")
        match self._last:
            case "system" if text(data, "event_type") == "conversation_started":
                yield SessionStart(session_id=text(data, "conversation_id"))
            case "agent":
                self._said = text(data, "text")
                yield Message(text=self._said)
            case "agent_reasoning":
                yield Reasoning(text=text(data, "text"))
            case "tool_call":
                yield self._call(data)
            case "tool_result" if text(data, "status") != "running":
                yield from self._result(data)
            case "tool_error" | "tool_canceled":
                call = self._calls.popleft() if self._calls else None
                words = text(data, "error") or "canceled"
                yield ToolResult(call_id=call.call_id if call else "", ok=False, output=words)
            case _:
                yield Unknown(text=unknown_event(data))

    def _call(self, data: Mapping[str, Any]) -> ToolCall:
        arguments = {name: value for name, value in data.items() if name not in ("type", "tool")}
        call = ToolCall(call_id=str(self._tally.calls + 1), tool=text(data, "tool"), arguments=arguments)
        self._calls.append(call)
        return call

    def _result(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        call = self._calls.popleft() if self._calls else None
        code = count(data, "exit_code") if isinstance(data.get("exit_code"), int) else None
        output = text(data, "output") or text(data, "diff")
        yield ToolResult(call_id=call.call_id if call else "", ok=not code, output=output, exit_code=code)
        if call is not None and call.tool == "edit_files":
            paths = call.arguments.get("file_paths")
            yield from (FileEdit(path=str(path)) for path in (paths if isinstance(paths, list) else []))


PLUGINS = (Oz,)
