"""Qwen Code (`qwen --output-format stream-json`), judged by its `result` line.

Source: Qwen Code docs, "Headless mode" and "Configuration"; the shapes are those of 0.24.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.model import (
    FileEdit,
    Finish,
    Problem,
    SessionStart,
    TranscriptEvent,
    Unknown,
    Usage,
    UsageReport,
)
from runner.core.units import Maybe
from runner.harnesses import Harness, Launch, Package, Reader, Sessions, Task
from runner.harnesses._content import content_block, tool_result
from runner.harnesses._fields import count, mapping, mappings, text, unknown_event
from runner.harnesses._json_reader import JsonReader
from runner.harnesses._mcp import servers
from runner.harnesses._session_paths import project_files
from runner.harnesses.model_apis import OPENAI_CHAT

SETTINGS = "qwen-settings.json"
_EXIT_CODE = re.compile(r"^Exit Code: (\d{1,3})$", re.MULTILINE)  # in the result of a failed shell command
_API_ERROR = re.compile(r"\[API Error: (?:(\d{3}) )?(.*)\]", re.DOTALL)


class QwenOptions(Model):
    """Qwen Code, on any model that speaks Chat Completions: the `qwen` program in the sandbox."""

    max_turns: Maybe[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        default=None, description="Model turns before it is stopped; default: no limit but time"
    )
    append_system_prompt: Maybe[Text] = Field(default=None, description="Text after its own system prompt")


def _command(session: str, model: str | None) -> tuple[str, ...]:
    return (Qwen.program, *(("--model", model) if model else ()), "--resume", session)


_PROJECTS = ".qwen/projects"

_SYSTEM_SETTINGS = {
    "general": {"enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    # Beside this it tries seven times, for about 80 seconds in all, and nothing can shorten that.
    "model": {"generationConfig": {"maxRetries": 0}},
}
_PACKAGE = Package(
    name="@qwen-code/qwen-code",
    version="0.24.4",
    program="cli-entry.js",
    node=True,
    sha512=dict.fromkeys(
        ("x64", "arm64"),
        "pmexy/Nj+BKd3Un1ogqGQE8V4GJn5B6N9PQOrU1GH+lMR29kn6Bgf6YdbZa8hNIoTmAKT1LTPK+P8TibZRPPVg==",
    ),
)


class Qwen(Harness):
    name = "qwen"
    options = QwenOptions
    program = "qwen"
    package = _PACKAGE
    model = OPENAI_CHAT
    mcp = "any"
    sessions = Sessions(folder=_PROJECTS, command=_command, moved=project_files(_PROJECTS))

    def launch(self, task: Task) -> Launch:
        """Its system settings come before those of the repository and of the home."""
        access = {"OPENAI_BASE_URL": task.model_url, "OPENAI_API_KEY": task.model_token}
        return Launch(
            argv=(task.program or self.program, "--output-format", "stream-json", "--yolo", *_flags(task)),
            stdin=task.prompt.encode(),
            variables={
                "QWEN_CODE_SUPPRESS_YOLO_WARNING": "1",  # our sandbox is the limit
                "QWEN_CODE_SYSTEM_SETTINGS_PATH": f"{task.places.exchange}/{SETTINGS}",
                **(access if task.model_url else {}),
            },
            files={SETTINGS: json.dumps(_settings(task)).encode()},
        )

    def reader(self) -> Reader:
        return QwenReader()


def _settings(task: Task) -> dict[str, Any]:
    return _SYSTEM_SETTINGS | ({"mcpServers": servers(task.mcp, {}, "httpUrl")} if task.mcp else {})


def _flags(task: Task) -> Iterator[str]:
    options = task.spec.options
    if task.model_url:
        yield from ("--auth-type", "openai")
    if task.spec.model:
        yield from ("--model", task.spec.model)
    if task.resume:
        yield from ("--resume", task.resume)
    if turns := options.get("max_turns"):
        yield from ("--max-session-turns", str(turns))
    if system := options.get("append_system_prompt"):
        yield from ("--append-system-prompt", system)


class QwenReader(JsonReader):
    """Lines of `stream-json` to events."""

    program = Qwen.program

    def __init__(self) -> None:
        super().__init__()
        self._edits: dict[str, str] = {}  # calls that edit a file -> its path

    def _events(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        match data.get("type"):
            case "system":
                yield from _system(data)
            case "assistant":
                yield from self._assistant(mapping(data, "message"), text(data, "parent_tool_use_id"))
            case "user":
                yield from self._results(mapping(data, "message"), text(data, "parent_tool_use_id"))
            case "result":
                yield from _result(data)
            case "stream_event":
                pass  # the state of its screen
            case _:
                yield Unknown(text=unknown_event(data))

    def _assistant(self, message: Mapping[str, Any], parent: str) -> Iterator[TranscriptEvent]:
        for part in mappings(message, "content"):
            if text(part, "name") in _EDITORS:
                self._edits[text(part, "id")] = text(mapping(part, "input"), "file_path")
            yield from content_block(part, parent)
        if (usage := _usage(mapping(message, "usage"))) != Usage():
            yield UsageReport(usage=usage, model=text(message, "model"))

    def _results(self, message: Mapping[str, Any], parent: str) -> Iterator[TranscriptEvent]:
        for part in mappings(message, "content"):
            result = tool_result(part, _EXIT_CODE, parent)
            yield result
            if result.ok and (path := self._edits.get(result.call_id)):
                yield FileEdit(path=path)


_EDITORS = ("write_file", "edit")


def _system(data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    match text(data, "subtype"):
        case "init":
            yield SessionStart(
                session_id=text(data, "session_id"),
                model=text(data, "model") or None,
                version=text(data, "qwen_code_version") or None,
            )
        case "retry":
            yield Problem(message="the model is asked again", provider=True)
        case _:
            yield Unknown(text=unknown_event(data))


def _result(data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    yield UsageReport(usage=_usage(mapping(data, "usage")), total=True)
    words = text(data, "result") or text(mapping(data, "error"), "message") or text(data, "subtype")
    refused = _API_ERROR.match(words)
    ok = data.get("is_error") is False and text(data, "subtype") == "success" and refused is None
    if not ok:
        status = int(refused[1]) if refused and refused[1] else None
        said = refused[2] if refused else words
        yield Problem(message=said, status=status, provider=refused is not None, fatal=True)
    yield Finish(ok=ok, text=words)


def _usage(usage: Mapping[str, Any]) -> Usage:
    """Qwen Code tells tokens, but no cost; those from a cache are among the input's."""
    return Usage(
        tokens_in=count(usage, "input_tokens"),
        tokens_out=count(usage, "output_tokens"),
        tokens_cached=count(usage, "cache_read_input_tokens"),
    )


PLUGINS = (Qwen,)
