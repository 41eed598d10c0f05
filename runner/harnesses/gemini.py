"""Gemini CLI (`gemini --output-format stream-json`), judged by its `result` line.

Source: Gemini CLI docs, "Headless mode" and "Configuration"; the shapes are those of 0.61.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.jsonl import json_object
from runner.core.model import (
    FileEdit,
    Finish,
    Message,
    Problem,
    SessionStart,
    ToolCall,
    ToolResult,
    TranscriptEvent,
    Unknown,
    Usage,
    UsageReport,
)
from runner.core.units import Maybe
from runner.harnesses import Files, Harness, Launch, Package, Reader, Sessions, Task
from runner.harnesses._fields import count, mapping, text, unknown_event
from runner.harnesses._fields import status as told_status
from runner.harnesses._json_reader import JsonReader
from runner.harnesses._mcp import servers
from runner.harnesses.model_apis import GEMINI

SETTINGS = ".gemini/settings.json"
INSTRUCTIONS = ".gemini/GEMINI.md"
_REFUSED = re.compile(rb"^Attempt \d+ failed with status (\d{3})\b")  # on standard error
_STOPPED = re.compile(
    r"loop detected|stopping execution|max(imum)? session turns|execution (stopped|blocked)", re.I
)
_API_ERROR = re.compile(r"\[API Error: (.*)\]", re.DOTALL)


class GeminiOptions(Model):
    """Gemini CLI, Google's agent: the `gemini` program in the sandbox."""

    max_turns: Maybe[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        default=None, description="Model turns before it is stopped; default: no limit but time"
    )
    append_system_prompt: Maybe[Text] = Field(
        default=None, description="Instructions beside those of the repository's GEMINI.md"
    )


def _command(session: str, model: str | None) -> tuple[str, ...]:
    return (Gemini.program, *(("--model", model) if model else ()), "--resume", session)


def _moved(files: Files, workspace: str) -> Files:
    """A file beside the sessions says which folder holds those of a workspace, and one in it the reverse."""
    name = next((path.split("/")[2] for path in files if path.endswith(_ROOT)), "workspace")
    known = {"projects": {workspace: name}}
    root = {f"{_TMP}/{name}/{_ROOT}": workspace.encode()}
    return {**files, **root, ".gemini/projects.json": json.dumps(known).encode()}


_TMP, _ROOT = ".gemini/tmp", ".project_root"
_PACKAGE = Package(
    name="@google/gemini-cli",
    version="0.61.0",
    program="bundle/gemini.js",
    node=True,
    sha512=dict.fromkeys(
        ("x64", "arm64"),
        "dbQ9A0qBtFJNi6XBkHvfZ6Azpn6PNgH/P8h2MZ67RLlX8hSAVjup39CRWqdRxZv7YXIuhrFaytr8y0jKnkoxnQ==",
    ),
)


class Gemini(Harness):
    name = "gemini"
    options = GeminiOptions
    program = "gemini"
    package = _PACKAGE
    model = GEMINI
    mcp = "any"
    resumes = True
    sessions = Sessions(folder=_TMP, command=_command, moved=_moved)

    def launch(self, task: Task) -> Launch:
        """Its settings have to lie in the home: it takes none from a file that anybody but root may write."""
        access = {"GOOGLE_GEMINI_BASE_URL": task.model_url, "GEMINI_API_KEY": task.model_token}
        model = ("--model", task.spec.model) if task.spec.model else ()
        bypass = ("--yolo", "--skip-trust")  # our sandbox is the limit
        going_on = ("--resume", task.resume) if task.resume else ()
        files = {SETTINGS: json.dumps(_settings(task)).encode()}
        if system := task.spec.options.get("append_system_prompt"):
            files[INSTRUCTIONS] = system.encode()
        return Launch(
            argv=(task.program or self.program, "--output-format", "stream-json", *bypass, *model, *going_on),
            stdin=task.prompt.encode(),
            variables={
                "GEMINI_CLI_NO_RELAUNCH": "true",  # or a child of it outlives a signal
                **(access if task.model_url else {}),
            },
            home=files,
        )

    def reader(self) -> Reader:
        return GeminiReader()


def _settings(task: Task) -> dict[str, Any]:
    options = task.spec.options
    settings: dict[str, Any] = {
        # It tries ten times: minutes before the first word about it.
        "general": {"enableAutoUpdate": False, "maxAttempts": 3},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "security": {"folderTrust": {"enabled": False}},
    }
    if task.mcp:
        # It keeps from a program what looks like a secret by its name, unless that is named here.
        named = {name: f"${name}" for name in task.variables}
        settings["mcpServers"] = servers(task.mcp, {}, "httpUrl", named)
    if task.model_url:
        settings["security"]["auth"] = {"selectedType": "gemini-api-key"}
    if turns := options.get("max_turns"):
        settings["model"] = {"maxSessionTurns": turns}
    return settings


class GeminiReader(JsonReader):
    """Lines of `stream-json` to events."""

    program = Gemini.program

    def __init__(self) -> None:
        super().__init__()
        self._said = ""  # the message that is being told, piece by piece
        self._told = 0  # how much of it became events
        self._edits: dict[str, str] = {}  # calls that edit a file -> its path
        self._warned = ""  # its last warning, if it did nothing since
        self._stopped = ""  # its warning that it stops its work
        self._status: int | None = None  # with which the model refused last

    def _complaint(self, line: bytes) -> Iterator[TranscriptEvent]:
        yield from super()._complaint(line)
        if refused := _REFUSED.search(line):
            self._status = int(refused[1])
            message = f"the model's provider answered {self._status}: it is asked again"
            yield Problem(message=message, status=self._status, provider=True)

    def _events(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        kind = data.get("type")
        if kind in ("tool_use", "tool_result") or text(data, "role") == "assistant":
            self._warned = ""
        if kind == "message":
            yield from self._message(data)
            return
        yield from self._spoken(len(self._said))
        match kind:
            case "init":
                self._warned = self._stopped = ""
                yield SessionStart(session_id=text(data, "session_id"), model=text(data, "model") or None)
            case "tool_use":
                self._said, self._told = "", 0
                yield self._call(data)
            case "tool_result":
                yield from self._tool_result(data)
            case "error":
                yield self._warning(text(data, "message"))
            case "result":
                yield from self._result(data)
            case _:
                yield Unknown(text=unknown_event(data))

    def _message(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        """Pieces of a message become events line by line; the prompt, which it repeats, does not."""
        if text(data, "role") == "assistant":
            self._said += text(data, "content")
            yield from self._spoken(self._said.rfind("\n") + 1)

    def _spoken(self, end: int) -> Iterator[TranscriptEvent]:
        if words := self._said[self._told : end].strip():
            yield Message(text=words)
        self._told = max(self._told, end)

    def _warning(self, message: str) -> Problem:
        self._warned = message
        self._stopped = message if _STOPPED.search(message) else self._stopped
        return Problem(message=message)

    def _call(self, data: Mapping[str, Any]) -> ToolCall:
        call, tool = text(data, "tool_id"), text(data, "tool_name")
        if tool in _EDITORS:
            self._edits[call] = text(mapping(data, "parameters"), "file_path")
        return ToolCall(call_id=call, tool=tool, arguments=data.get("parameters"))

    def _tool_result(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        call, ok = text(data, "tool_id"), text(data, "status") == "success"
        output = text(data, "output") or text(mapping(data, "error"), "message")
        yield ToolResult(call_id=call, ok=ok, output=output)
        if ok and (path := self._edits.get(call)):
            yield FileEdit(path=path)

    def _result(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        """It calls it a success too when it stopped after a warning: in a loop, or blocked, or at a limit."""
        given_up, words = self._stopped or self._warned, self._said.strip()
        ok = text(data, "status") == "success" and not given_up
        stats = mapping(data, "stats")
        yield UsageReport(usage=_usage(stats), total=True, model=", ".join(mapping(stats, "models")))
        if not ok:
            problem = _problem(text(mapping(data, "error"), "message") or given_up, self._status)
            yield problem
            words = problem.message
        yield Finish(ok=ok, text=words)


_EDITORS = ("write_file", "replace")


def _usage(stats: Mapping[str, Any]) -> Usage:
    """Gemini CLI tells tokens, but no cost. What the model thought is in their total only."""
    tokens_in = count(stats, "input_tokens")
    return Usage(
        tokens_in=tokens_in,
        tokens_out=max(count(stats, "output_tokens"), count(stats, "total_tokens") - tokens_in),
        tokens_cached=count(stats, "cached"),
    )


def _problem(message: str, status: int | None) -> Problem:
    """The provider's answer is told as JSON, as its message alone, or as what the network said."""
    refused = _API_ERROR.match(message)
    if refused is None:
        return Problem(message=message, provider="empty response" in message, fatal=True)
    answer = mapping(json_object(refused[1].encode()) or {}, "error")
    said = text(answer, "message") or refused[1]
    return Problem(message=said, status=told_status(answer, "code") or status, provider=True, fatal=True)


PLUGINS = (Gemini,)
