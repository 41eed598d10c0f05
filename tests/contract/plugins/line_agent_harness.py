"""An agent that prints a JSON object a line, and calls its model through the gateway: a template."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.model import (
    Exit,
    Finish,
    Message,
    Outcome,
    Problem,
    Stream,
    ToolCall,
    ToolResult,
    TranscriptEvent,
    Unknown,
    Usage,
    UsageReport,
)
from runner.harnesses import Harness, Launch, Reader, Task
from runner.harnesses.model_apis import OPENAI_CHAT, model_variables
from runner.harnesses.outcome import Tally, judge


class LineAgentOptions(Model):
    """An agent that prints JSON lines. Its model is one of OpenAI's or speaks their Chat Completions."""

    style: Text = Field(default="brief", description="How the agent works")


class LineAgentReader(Reader):
    """Lines to events. The tally counts them, and `judge` makes them a verdict with the program's exit."""

    def __init__(self) -> None:
        self._tally = Tally()

    def read(self, stream: Stream, line: bytes) -> Iterable[TranscriptEvent]:
        return self._tally.count(self._events(stream, line))

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        return judge(self._tally, "line-agent", ended, changed)

    def _events(self, stream: Stream, line: bytes) -> Iterator[TranscriptEvent]:
        text = line.decode(errors="replace").strip()
        if stream == "stderr":
            yield Message(role="system", text=text)  # what a bad exit is explained with
            return
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, dict):
            yield from _event(told, text)
        elif text:
            yield Unknown(text=text)


def _event(told: dict[str, Any], text: str) -> Iterator[TranscriptEvent]:
    """Any field may be missing, or of another type."""
    words, known = str(told.get("text", "")), str(told.get("id", ""))
    match told.get("type"):
        case "says":
            yield Message(text=words)
        case "calls":
            yield ToolCall(call_id=known, tool=str(told.get("tool", "")), arguments=told.get("arguments"))
        case "result":
            yield ToolResult(call_id=known, ok=told.get("ok") is True, output=words)
        case "usage":
            yield UsageReport(usage=Usage(tokens_in=_count(told, "in"), tokens_out=_count(told, "out")))
        case "provider_error":
            yield Problem(message=words, status=_count(told, "status") or None, provider=True, fatal=True)
        case "end":
            yield Finish(ok=told.get("ok") is True, text=words)  # exit 0 alone is no success
        case _:
            yield Unknown(text=text)


def _count(told: dict[str, Any], key: str) -> int:
    value = told.get(key)
    return value if type(value) is int and 0 <= value < 10**12 else 0


class LineAgent(Harness):
    name = "line-agent"
    options = LineAgentOptions
    program = "line-agent"
    model = OPENAI_CHAT  # the host's OPENAI_API_KEY stays outside: the gateway puts it in

    def launch(self, task: Task) -> Launch:
        argv = (task.program or "line-agent", "--style", task.spec.options["style"])
        access = model_variables("openai", task.model_url, task.model_token, task.spec.model)
        return Launch(argv=argv, stdin=task.prompt.encode(), variables=access)

    def reader(self) -> Reader:
        return LineAgentReader()


PLUGINS = (LineAgent,)
