"""Claude Code (`claude -p --output-format stream-json`), judged by its `result` line.

Source: Claude Code docs, "Run Claude Code programmatically" and "CLI reference"; the shapes are those of 2.1.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.core.model import (
    Exit,
    FileEdit,
    Finish,
    Outcome,
    Problem,
    Reason,
    SessionStart,
    TranscriptEvent,
    Unknown,
    Usage,
    UsageReport,
)
from runner.core.units import Maybe
from runner.harnesses import Harness, Launch, Package, Reader, Sessions, Speaker, Task
from runner.harnesses._claude_input import UserLines
from runner.harnesses._content import content_block, tool_result
from runner.harnesses._fields import count, mapping, mappings, maybe_number, status, text, unknown_event
from runner.harnesses._json_reader import JsonReader
from runner.harnesses._mcp import servers
from runner.harnesses._session_paths import project_files
from runner.harnesses.model_apis import ANTHROPIC

SYSTEM_PROMPT = "system-prompt.md"
SERVERS = "mcp.json"
_EXIT_CODE = re.compile(r"\AExit code (\d{1,3})\b")  # how the result of a shell command that failed begins


class ClaudeCodeOptions(Model):
    """Claude Code, Anthropic's agent: the `claude` program in the sandbox."""

    max_turns: Maybe[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        default=None, description="Model turns before it is stopped; default: no limit but time and cost"
    )
    allowed_tools: Many[Text] = Field(
        default=(),
        description="The only tools it may use; default: all, because the sandbox is the limit",
        examples=[["Read", "Edit", "Bash(make docs)"]],
    )
    append_system_prompt: Maybe[Text] = Field(default=None, description="Text after its own system prompt")


def _command(session: str, model: str | None) -> tuple[str, ...]:
    return (ClaudeCode.program, *(("--model", model) if model else ()), "--resume", session)


_PROJECTS = ".claude/projects"

_VARIABLES = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    # It retries ten times, also after a refused key: minutes before the first word about it.
    "CLAUDE_CODE_MAX_RETRIES": "4",
}


_LONGEST_ANSWER = "CLAUDE_CODE_MAX_OUTPUT_TOKENS"
_STREAMS = ("--input-format", "stream-json", "--output-format", "stream-json")
_PACKAGE = Package(
    name="@anthropic-ai/claude-code-linux-{machine}",
    version="2.1.329",
    program="claude",
    sha512={
        "x64": "+n4lu1ubYAp02Y0X/MAUnxw9yY6SHHZ77F+IoW+V0wVoFuiI9opdH6gofjf14gXJCEYMTNpks7Gn1i8XZTKAWA==",
        "arm64": "IiG5umFToSCVWqB1lEsxxwIxKgxPXyZ3DRU915v8J4Bz5Q3JpslM0ew1m5yaT+lFXBPvYxmsEgi0XI68XHND0A==",
    },
)


class ClaudeCode(Harness):
    name = "claude-code"
    options = ClaudeCodeOptions
    program = "claude"
    package = _PACKAGE
    model = ANTHROPIC
    mcp = "any"
    sessions = Sessions(folder=_PROJECTS, command=_command, moved=project_files(_PROJECTS))

    def launch(self, task: Task) -> Launch:
        """The prompt goes to standard input: it may be longer than a command line, and `ps` shows those.

        Standard input stays open as long as somebody may have more to say: until the end of a turn.
        """
        access = {"ANTHROPIC_BASE_URL": task.model_url, "ANTHROPIC_API_KEY": task.model_token}
        system = task.spec.options.get("append_system_prompt")
        return Launch(
            argv=(task.program or self.program, "-p", *_STREAMS, "--verbose", *_flags(task)),
            variables=_VARIABLES | (access if task.model_url else {}) | _answers(task),
            files={
                **({SYSTEM_PROMPT: system.encode()} if system else {}),
                **({SERVERS: _servers(task)} if task.mcp else {}),
            },
        )

    def reader(self) -> Reader:
        return ClaudeCodeReader()


def _answers(task: Task) -> dict[str, str]:
    """How long an answer may be. What a call may cost at most is held until it ends, and Claude Code asks for
    so long answers that a small limit would let it make none."""
    limit = task.limits.cost_usd
    if limit is None or _LONGEST_ANSWER in task.variables:
        return {}
    return {_LONGEST_ANSWER: str(max(4_000, min(32_000, int(8_000 * limit))))}


def _servers(task: Task) -> bytes:
    return json.dumps({"mcpServers": servers(task.mcp, {"type": "http"})}).encode()


def _flags(task: Task) -> Iterator[str]:
    options = task.spec.options
    if task.mcp:
        yield from ("--strict-mcp-config", "--mcp-config", f"{task.places.exchange}/{SERVERS}")
    if task.spec.model:
        yield from ("--model", task.spec.model)
    if turns := options.get("max_turns"):
        yield from ("--max-turns", str(turns))
    if options.get("append_system_prompt"):
        yield from ("--append-system-prompt-file", f"{task.places.exchange}/{SYSTEM_PROMPT}")
    if task.resume:
        yield from ("--resume", task.resume)
    if allowed := options.get("allowed_tools"):
        named = (f"mcp__{server.name}" for server in task.mcp)
        yield from ("--permission-mode", "dontAsk", "--allowed-tools", *allowed, *named)
    else:
        yield "--dangerously-skip-permissions"


_CUT: Mapping[str, str] = {
    "max_tokens": "the model's answer was cut at its token limit",
    "model_context_window_exceeded": "the model's context window is full",
    "refusal": "the model will not do what was asked",
}
"""Why an answer is not whole, by its `stop_reason`; another one, known or not, says nothing against it."""


class ClaudeCodeReader(JsonReader):
    """Lines of `stream-json` to events."""

    program = ClaudeCode.program

    def __init__(self) -> None:
        super().__init__()
        self._metered: set[str] = set()  # messages whose tokens are counted: one message spans many lines
        self._subtype = ""
        self._talk = UserLines()

    def speaker(self) -> Speaker:
        return self._talk

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        outcome = super().outcome(ended, changed)
        if outcome.reason is Reason.HARNESS_FAILED and self._subtype == "error_max_budget_usd":
            return replace(outcome, reason=Reason.COST_LIMIT)
        return outcome

    def _events(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        match data.get("type"):
            case "system":
                yield from _system(data)
            case "assistant":
                yield from self._assistant(mapping(data, "message"), text(data, "parent_tool_use_id"))
            case "user":
                yield from _results(data)
            case "result":
                yield from self._turn_ended(data)
            case "control_response":
                pass
            case _:
                yield Unknown(text=unknown_event(data))

    def _turn_ended(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        """The result of a turn that we interrupted says that it failed: only the last one's counts."""
        self._talk.next_turn()
        if self._talk.over:
            self._subtype = text(data, "subtype")
            yield from _result(data)

    def _assistant(self, message: Mapping[str, Any], parent: str) -> Iterator[TranscriptEvent]:
        for part in mappings(message, "content"):
            yield from content_block(part, parent)
        known = text(message, "id")
        if known not in self._metered and (usage := _usage(mapping(message, "usage"))) != Usage():
            self._metered.add(known)
            yield UsageReport(usage=usage, model=text(message, "model"))


def _system(data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    match text(data, "subtype"):
        case "init":
            yield SessionStart(
                session_id=text(data, "session_id"),
                model=text(data, "model") or None,
                version=text(data, "claude_code_version") or None,
            )
        case "api_retry":
            retry = f"{text(data, 'error')}: retry {count(data, 'attempt')} of {count(data, 'max_retries')}"
            yield Problem(message=retry, status=status(data, "error_status"), provider=True)
        case "permission_denied":
            pass  # the result line lists them all
        case _:
            yield Unknown(text=unknown_event(data))


def _results(data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    for part in mappings(mapping(data, "message"), "content"):
        if part.get("type") == "tool_result":
            yield tool_result(part, _EXIT_CODE, text(data, "parent_tool_use_id"))
    edit = mapping(data, "tool_use_result")
    if path := text(edit, "filePath"):
        yield FileEdit(path=path, kind="add" if text(edit, "type") == "create" else "update")


def _result(data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    """The last line. Its `subtype` says "success" after a provider's error too: `is_error` decides."""
    models = mapping(data, "modelUsage")
    cost = maybe_number(data, "total_cost_usd")
    told = _total(models, cost) if models else _usage(mapping(data, "usage"), cost)
    if told != Usage():
        yield UsageReport(usage=told, total=True, model=", ".join(models))
    for denied in mappings(data, "permission_denials"):
        yield Problem(message=f"the tool {text(denied, 'tool_name')} was denied")
    words = text(data, "result") or _errors(data) or text(data, "subtype")
    problem = _failed(data, words) or _given_up(data)
    if problem is not None:
        yield problem
    yield Finish(ok=problem is None, text=words)


def _failed(data: Mapping[str, Any], words: str) -> Problem | None:
    if data.get("is_error") is False and text(data, "subtype") == "success":
        return None
    code = status(data, "api_error_status")
    provider = code is not None or text(data, "terminal_reason") == "api_error"
    refusal = text(data, "stop_reason") == "refusal"
    return Problem(message=words, status=code, provider=provider, refusal=refusal, fatal=True)


def _given_up(data: Mapping[str, Any]) -> Problem | None:
    """An end that is called a success, and is none: the turn or the last answer was cut."""
    ended, stopped = text(data, "terminal_reason"), text(data, "stop_reason")
    if stopped in _CUT:
        return Problem(message=_CUT[stopped], refusal=stopped == "refusal", fatal=True)
    if ended not in ("", "completed"):
        return Problem(message=f"it did not complete its work, and ended for the reason {ended}", fatal=True)
    return None


def _errors(data: Mapping[str, Any]) -> str:
    errors = data.get("errors")
    return "; ".join(map(str, errors)) if isinstance(errors, list) else ""


def _usage(usage: Mapping[str, Any], cost: float | None = None) -> Usage:
    cached = count(usage, "cache_read_input_tokens")
    return Usage(
        tokens_in=count(usage, "input_tokens") + count(usage, "cache_creation_input_tokens") + cached,
        tokens_out=count(usage, "output_tokens"),
        tokens_cached=cached,
        cost_usd=cost,
    )


def _total(models: Mapping[str, Any], cost: float | None) -> Usage:
    """Over all models: `usage` beside it leaves out what helper models used."""
    each = [mapping(models, name) for name in models]
    cached = sum(count(one, "cacheReadInputTokens") for one in each)
    created = sum(count(one, "cacheCreationInputTokens") for one in each)
    return Usage(
        tokens_in=sum(count(one, "inputTokens") for one in each) + created + cached,
        tokens_out=sum(count(one, "outputTokens") for one in each),
        tokens_cached=cached,
        cost_usd=cost,
    )


PLUGINS = (ClaudeCode,)
