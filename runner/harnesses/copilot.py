"""GitHub Copilot CLI (`copilot --output-format json`) on a model of one's own, judged by its `result` line.

So it needs no GitHub account, and asks GitHub for nothing. It masks the placeholder for the key wherever it
prints it. Source: `copilot help` and `copilot help environment`; the shapes are those of 1.0.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.jsonl import json_object
from runner.core.model import (
    FileEdit,
    Finish,
    Message,
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
from runner.harnesses import Harness, Launch, Package, Reader, Task
from runner.harnesses._fields import count, mapping, mappings, status, text, unknown_event
from runner.harnesses._json_reader import JsonReader
from runner.harnesses._mcp import servers
from runner.harnesses.model_apis import OPENAI

INSTRUCTIONS = ".copilot/copilot-instructions.md"
SERVERS = "mcp.json"


class CopilotOptions(Model):
    """GitHub Copilot CLI, on any model that speaks OpenAI's APIs: the `copilot` program in the sandbox."""

    wire_api: Maybe[Literal["completions", "responses"]] = Field(
        default=None, description="How it speaks to the model; GPT-5 needs responses; default: completions"
    )
    append_system_prompt: Maybe[Text] = Field(
        default=None, description="Instructions beside those of the repository's AGENTS.md"
    )


_DEFAULT_MODEL = "gpt-4.1"  # it chooses none for a provider that it does not know
_PACKAGE = Package(
    name="@github/copilot-linux-{machine}",
    version="1.0.102",
    program="copilot",
    sha512={
        "x64": "eGHPbsP0p2QgfVZCjtbGBFZPBOJQ0DN7xIbBRAo7oG8b1zfLirQIdfI4h8Iy68Dv2cKJGJZg2/EO7W7KpIMJOw==",
        "arm64": "5rO0B2/AduCekrE+aUzipySKZxZY2b/tVRZ8Suy8ymPFNC0Q7HQiQ8DZhxj+3RhHR8rU2Z8KOJVAbtMlROX6+A==",
    },
)


class Copilot(Harness):
    name = "copilot"
    options = CopilotOptions
    program = "copilot"
    package = _PACKAGE
    model = OPENAI
    mcp = "any"

    def launch(self, task: Task) -> Launch:
        """Its own tools may do anything: the sandbox is the limit. What needs GitHub is switched off."""
        system = task.spec.options.get("append_system_prompt")
        fixed = ("--output-format", "json", "--allow-all", "--no-ask-user")
        told = ("--additional-mcp-config", f"@{task.places.exchange}/{SERVERS}") if task.mcp else ()
        return Launch(
            argv=(task.program or self.program, *fixed, "--no-auto-update", "--disable-builtin-mcps", *told),
            stdin=task.prompt.encode(),
            variables={
                "COPILOT_MODEL": task.spec.model or _DEFAULT_MODEL,
                "COPILOT_OFFLINE": "true",
                **(_access(task) if task.model_url else {}),
            },
            files={SERVERS: _servers(task)} if task.mcp else {},
            home={INSTRUCTIONS: system.encode()} if system else {},
        )

    def reader(self) -> Reader:
        return CopilotReader()


def _servers(task: Task) -> bytes:
    """Each with the names of those of its tools that may be called: all."""
    named = servers(task.mcp, {"type": "http"})
    return json.dumps({"mcpServers": {name: {**one, "tools": ["*"]} for name, one in named.items()}}).encode()


def _access(task: Task) -> dict[str, str]:
    return {
        "COPILOT_PROVIDER_BASE_URL": task.model_url,
        "COPILOT_PROVIDER_API_KEY": task.model_token,
        "COPILOT_PROVIDER_WIRE_API": task.spec.options.get("wire_api") or "completions",
    }


class CopilotReader(JsonReader):
    """Lines of `--output-format json` to events. They tell no cost, and tokens only with GitHub's models."""

    program = Copilot.program

    def __init__(self) -> None:
        super().__init__()
        self._model: str | None = None
        self._said = ""  # the last message: there is no other summary
        self._refused: Problem | None = None  # the last call of the model that failed

    def _events(self, line: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        kind, data = text(line, "type"), mapping(line, "data")
        self._model = text(data, "model") or self._model
        match kind:
            case "assistant.message":
                own = not text(data, "parentToolCallId")
                self._said = (text(data, "content") if own else "") or self._said
                yield from _message(data)
            case "assistant.reasoning":
                yield Reasoning(text=text(data, "content"))
            case "tool.execution_start":
                call, tool = text(data, "toolCallId"), text(data, "toolName")
                parent = text(data, "parentToolCallId")
                yield ToolCall(call_id=call, tool=tool, arguments=data.get("arguments"), parent=parent)
            case "tool.execution_complete":
                yield from _completed(data)
            case "model.call_failure":
                self._refused = _refusal(data)
                yield self._refused
            case "session.error" | "abort":
                yield self._error(data)
            case "assistant.usage":
                yield UsageReport(usage=_usage(data), model=text(data, "model"))
            case "result":
                yield SessionStart(session_id=text(line, "sessionId"), model=self._model)
                yield Finish(ok=line.get("exitCode") == 0, text=self._said)
            case _ if not kind.startswith(_STATES):
                yield Unknown(text=unknown_event(line))

    def _error(self, data: Mapping[str, Any]) -> Problem:
        """The end of a session. The provider's words tell more than its advice for people at a terminal."""
        if self._refused is not None:
            return replace(self._refused, fatal=True)
        code, words = status(data, "statusCode"), text(data, "message") or text(data, "reason")
        return Problem(message=words or "it was aborted", status=code, provider=code is not None, fatal=True)


_STATES = ("session.", "assistant.", "model.", "tool.", "user.")  # what its screen shows besides


def _message(data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    parent = text(data, "parentToolCallId")
    if thought := text(data, "reasoningText"):
        yield Reasoning(text=thought, parent=parent)
    if said := text(data, "content"):
        yield Message(text=said, parent=parent)


def _completed(data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    result, shell = mapping(data, "result"), mapping(data, "shellExecution")
    yield ToolResult(
        call_id=text(data, "toolCallId"),
        ok=data.get("success") is True,
        output=text(result, "content") or text(mapping(data, "error"), "message"),
        parent=text(data, "parentToolCallId"),
        exit_code=count(shell, "exitCode") if isinstance(shell.get("exitCode"), int) else None,
    )
    for edit in mappings(data, "fileEdits"):
        yield FileEdit(path=text(edit, "path"), kind="add" if text(edit, "kind") == "create" else "update")


def _usage(data: Mapping[str, Any]) -> Usage:
    """Of one call; those from a cache are among the input's."""
    return Usage(
        tokens_in=count(data, "inputTokens"),
        tokens_out=count(data, "outputTokens"),
        tokens_cached=count(data, "cacheReadTokens"),
    )


def _refusal(data: Mapping[str, Any]) -> Problem:
    """The provider's own words are JSON in the message."""
    told = text(data, "errorMessage")
    words = text(json_object(told.encode()) or {}, "message") or told
    return Problem(message=words, status=status(data, "statusCode"), provider=True)


PLUGINS = (Copilot,)
