"""Any agent that speaks the Agent Client Protocol on its standard input and output.

Source: agentclientprotocol.com, protocol version 1; what agents add to it was seen with Gemini CLI 0.61,
OpenCode 1.18 and claude-agent-acp 0.100.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.core.jsonl import json_object
from runner.core.model import (
    Exit,
    FileEdit,
    Finish,
    Message,
    Outcome,
    Problem,
    Reasoning,
    SessionStart,
    ToolCall,
    ToolResult,
    TranscriptEvent,
    Unknown,
    Usage,
    UsageReport,
)
from runner.core.units import Maybe
from runner.harnesses import Harness, Launch, Reader, Speaker, Task
from runner.harnesses._acp import Conversation
from runner.harnesses._fields import count, mapping, mappings, maybe_number, status, text, unknown_event
from runner.harnesses._json_reader import JsonReader
from runner.harnesses.model_apis import MODELS, model_variables
from runner.harnesses.outcome import judge


class AcpOptions(Model):
    """Any agent that speaks the Agent Client Protocol: the skill names its program."""

    command: Annotated[Many[Text], Field(min_length=1)] = Field(
        description="The program that speaks the protocol, and its arguments",
        examples=[["gemini", "--acp", "--skip-trust"], ["opencode", "acp"]],
    )
    api: Maybe[Literal["anthropic", "openai", "gemini"]] = Field(
        default=None,
        description="How it speaks to its model, which the gateway then offers by the usual variables;"
        " default: it reaches no model through the gateway",
    )


_SILENT = frozenset(  # updates that tell nothing of the work
    {
        "user_message_chunk",
        "available_commands_update",
        "current_mode_update",
        "config_option_update",
        "session_info_update",
    }
)
_STOPS = {
    "max_tokens": "the model's answer was cut at its token limit, or its context window is full",
    "max_turn_requests": "it reached its limit of requests, or found itself in a loop",
    "refusal": "the model will not do what was asked",
    "cancelled": "its turn was cancelled",
}
"""What `stopReason` means where it is no good end."""
_MARKS = {"completed": "x", "in_progress": "~"}


class Acp(Harness):
    name = "acp"
    options = AcpOptions
    models = MODELS
    mcp = "any"

    def launch(self, task: Task) -> Launch:
        """The prompt is part of the conversation."""
        variables = {"GEMINI_CLI_NO_RELAUNCH": "true"}  # or a child of Gemini CLI outlives a signal
        if task.model_url and (api := task.spec.options.get("api")):
            variables |= model_variables(api, task.model_url, task.model_token, task.spec.model)
        return Launch(argv=tuple(task.spec.options["command"]), variables=variables)

    def reader(self) -> Reader:
        return AcpReader()


@dataclass(slots=True)
class _Call:
    """A tool call, of which the agent tells piece by piece."""

    title: str = ""
    kind: str = ""
    arguments: Any = None
    places: tuple[Mapping[str, Any], ...] = ()  # the files that it is about
    told: bool = False
    ended: bool = False


class AcpReader(JsonReader):
    """Messages of the protocol to events; and what is answered to them."""

    def __init__(self) -> None:
        super().__init__()
        self._talk = Conversation()
        self._version: str | None = None
        self._calls: dict[str, _Call] = {}
        self._words: type[Message] | type[Reasoning] = Message
        self._said = ""  # of these words, what is not told yet
        self._last = ""  # the last message: there is no other summary
        self._cost: float | None = None  # of the whole session
        self._spent = 0.0  # of it, what is told already

    def speaker(self) -> Speaker:
        return self._talk

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        return judge(self._tally, self._talk.agent, ended, changed)

    def _events(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        params = mapping(data, "params")
        match data.get("method"):
            case "session/update":
                yield from self._update(mapping(params, "update"))
            case None:
                yield from self._answer(data)
            case method:
                self._talk.answer_request(data)
                if method == "session/request_permission":
                    yield from self._call(mapping(params, "toolCall"))

    def _answer(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        asked, result = self._talk.method_of_answer(data), mapping(data, "result")
        if not asked:
            yield Unknown(text=unknown_event(data))
        elif "error" in data and asked not in ("session/set_config_option", "session/set_mode"):
            yield from self._refused(asked, mapping(data, "error"))
        elif asked == "initialize":
            self._version = _version(mapping(result, "agentInfo"))
            for name in self._talk.start_session(mapping(result, "agentCapabilities")):
                yield Problem(
                    message=f"{self._talk.agent} does not reach MCP servers by HTTP, such as {name}"
                )
        elif asked == "session/new":
            known = self._talk.note_session(result)
            yield SessionStart(session_id=self._talk.session, version=self._version)
            if not known:
                yield Problem(message=f"{self._talk.agent} does not offer the model that the skill names")
        elif asked == "session/prompt":
            yield from self._turn_ended(result)

    def _refused(self, asked: str, error: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        yield from self._flush()
        self._talk.over = True
        problem = _problem(asked, error)
        yield problem
        yield Finish(ok=False, text=problem.message)

    def _turn_ended(self, result: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        yield from self._flush()
        told = mappings(mapping(mapping(result, "_meta"), "quota"), "model_usage")
        models = dict.fromkeys(text(one, "model") for one in told)
        yield UsageReport(usage=self._usage(result), model=", ".join(filter(None, models)))
        reason = text(result, "stopReason")
        self._talk.next_turn()
        if self._talk.over:
            problem = self._given_up(reason)
            if problem is not None:
                yield problem
            words = self._last.strip()
            yield Finish(ok=problem is None, text=words if problem is None else problem.message)

    def _given_up(self, reason: str) -> Problem | None:
        """Why the last turn is no good end. Gemini CLI calls a blocked, cut or empty one good."""
        if reason != "end_turn":
            why = _STOPS.get(reason, "it stopped for a reason that the protocol does not know")
            message = f"{why} ({reason})" if reason else "it does not say why it stopped"
            return Problem(message=message, refusal=reason == "refusal", fatal=True)
        if not self._last.strip() and (self._version or "").startswith("gemini"):
            message = "its last answer was empty, cut or blocked: it does not say which"
            return Problem(message=message, fatal=True)
        return None

    def _usage(self, result: Mapping[str, Any]) -> Usage:
        """Of one turn. Gemini CLI tells it in a place of its own."""
        usage = mapping(result, "usage")
        quota = mapping(mapping(mapping(result, "_meta"), "quota"), "token_count")
        cached = count(usage, "cachedReadTokens")
        cost = None if self._cost is None else max(0.0, self._cost - self._spent)
        self._spent += cost or 0
        return Usage(
            tokens_in=count(usage, "inputTokens") or count(quota, "input_tokens"),
            tokens_out=count(usage, "outputTokens") or count(quota, "output_tokens"),
            tokens_cached=cached,
            cost_usd=cost,
        )

    def _update(self, update: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        match text(update, "sessionUpdate"):
            case "agent_message_chunk":
                yield from self._spoken(Message, update)
            case "agent_thought_chunk":
                yield from self._spoken(Reasoning, update)
            case "tool_call" | "tool_call_update":
                yield from self._flush()
                yield from self._call(update)
            case "plan":
                yield from self._flush()
                yield Reasoning(text=_plan(update))
            case "usage_update":
                cost = mapping(update, "cost")
                self._cost = maybe_number(cost, "amount") if text(cost, "currency") == "USD" else self._cost
            case kind if kind not in _SILENT:
                yield Unknown(text=unknown_event(update))

    def _spoken(
        self, words: type[Message] | type[Reasoning], update: Mapping[str, Any]
    ) -> Iterator[TranscriptEvent]:
        """Pieces become events line by line."""
        if words is not self._words:
            yield from self._flush()
        self._words = words
        piece = text(mapping(update, "content"), "text")
        self._last += piece if words is Message else ""
        lines, _, self._said = (self._said + piece).rpartition("\n")
        if lines.strip():
            yield words(text=lines.strip())

    def _flush(self) -> Iterator[TranscriptEvent]:
        if words := self._said.strip():
            yield self._words(text=words)
        self._said = ""

    def _call(self, update: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        yield from self._flush()
        known, self._last = text(update, "toolCallId"), ""
        call = self._calls.setdefault(known, _Call())
        call.title = text(update, "title") or call.title
        call.kind = text(update, "kind") or call.kind
        call.arguments = update.get("rawInput") or call.arguments
        call.places = tuple(mappings(update, "locations")) or call.places
        status = text(update, "status")
        ended = status in ("completed", "failed")
        if not call.told and (ended or status == "in_progress"):  # before that its arguments grow
            call.told = True
            yield ToolCall(call_id=known, tool=call.title or call.kind, arguments=call.arguments)
        if ended and not call.ended:
            call.ended = True
            yield from _result(known, call, update)


def _version(agent: Mapping[str, Any]) -> str | None:
    return f"{text(agent, 'name')} {text(agent, 'version')}".strip() or None


def _plan(update: Mapping[str, Any]) -> str:
    entries = mappings(update, "entries")
    lines = (f"- [{_MARKS.get(text(one, 'status'), ' ')}] {text(one, 'content')}" for one in entries)
    return "\n".join(("Plan:", *lines))


def _result(known: str, call: _Call, update: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    ok, content = text(update, "status") == "completed", mappings(update, "content")
    said = (text(mapping(one, "content"), "text") for one in content)
    output = "\n".join(filter(None, said)) or _raw(update.get("rawOutput"))
    yield ToolResult(call_id=known, ok=ok, output=output)
    if not ok:
        return
    edits = [one for one in content if text(one, "type") == "diff"]
    for edit in edits:
        yield FileEdit(path=text(edit, "path"), kind="update" if edit.get("oldText") else "add")
    for place in call.places if call.kind in ("edit", "delete") and not edits else ():
        yield FileEdit(path=text(place, "path"), kind="delete" if call.kind == "delete" else "update")


def _raw(output: object) -> str:
    return output if isinstance(output, str) else "" if output is None else json.dumps(output)


def _problem(asked: str, error: Mapping[str, Any]) -> Problem:
    """Agents tell what the model's provider said in the code, in the data, or in words."""
    details = mapping(error, "data")
    said = text(details, "details") or text(details, "message")
    message = text(error, "message")
    own = mapping(json_object(message.encode()) or {}, "error")
    message = text(own, "message") or ": ".join(filter(None, (asked, message, said)))
    code = status(error, "code") or status(details, "status") or status(details, "statusCode")
    return Problem(message=message, status=code, provider=code is not None, fatal=True)


PLUGINS = (Acp,)
