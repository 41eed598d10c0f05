"""OpenCode (`opencode run --format json`), judged by its last `step_finish`: its stream has no end marker.

Source: OpenCode docs, "CLI" and "Config"; the shapes are those of 1.18.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.model import (
    FileEdit,
    Finish,
    McpServer,
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
from runner.harnesses._fields import count, mapping, status, text, unknown_event
from runner.harnesses._json_reader import JsonReader
from runner.harnesses.model_apis import OPENAI_CHAT

INSTRUCTIONS = "opencode-instructions.md"


class OpencodeOptions(Model):
    """OpenCode, on any model that speaks Chat Completions: the `opencode` program in the sandbox."""

    append_system_prompt: Maybe[Text] = Field(
        default=None, description="Instructions beside those of the repository's AGENTS.md"
    )


_DEFAULT_MODEL = "gpt-5.5"
_KEY = "SKILLRUNNER_MODEL_TOKEN"
_CALL = 60_000  # milliseconds that a server may take for an answer
_PACKAGE = Package(
    name="opencode-linux-{machine}",
    version="1.18.33",
    program="bin/opencode",
    sha512={
        "x64": "q/t/3p2CTxOT9y2kvjesb/LZab2+1eqlhhWA02Be6mjTtmYtNBcBsrI5yDo4Fw7ZSPBW2oyMIGMNRqiKQjiAWw==",
    },
)


class Opencode(Harness):
    name = "opencode"
    options = OpencodeOptions
    program = "opencode"
    package = _PACKAGE
    model = OPENAI_CHAT
    mcp = "any"
    resumes = True

    def launch(self, task: Task) -> Launch:
        """The configuration is one variable, which comes before the files of the repository and the home."""
        config = json.dumps(_config(task))
        system = task.spec.options.get("append_system_prompt")
        bypass = "--auto"  # our sandbox is the limit
        titled = () if task.resume else ("--title", "skillrunner")  # or it asks the model for one
        going_on = ("--session", task.resume) if task.resume else ()
        return Launch(
            argv=(task.program or self.program, "run", "--format", "json", bypass, *titled, *going_on),
            stdin=task.prompt.encode(),
            variables={
                "OPENCODE_CONFIG_CONTENT": config,
                "OPENCODE_DISABLE_AUTOUPDATE": "1",
                "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
                "OPENCODE_DISABLE_MODELS_FETCH": "1",
                **({_KEY: task.model_token} if task.model_url else {}),
            },
            files={INSTRUCTIONS: system.encode()} if system else {},
        )

    def reader(self) -> Reader:
        return OpencodeReader()


def _config(task: Task) -> dict[str, Any]:
    config: dict[str, Any] = {"autoupdate": False, "share": "disabled"}
    if task.spec.options.get("append_system_prompt"):
        config["instructions"] = [f"{task.places.exchange}/{INSTRUCTIONS}"]
    if task.mcp:
        config["mcp"] = {server.name: _server(server) for server in task.mcp}
    if task.model_url:
        model = task.spec.model or _DEFAULT_MODEL
        name = f"skillrunner/{model}"
        config |= {"model": name, "small_model": name, "provider": {"skillrunner": _provider(task, model)}}
    elif task.spec.model:
        config["model"] = task.spec.model
    return config


def _server(server: McpServer) -> dict[str, Any]:
    if server.url:
        return {"type": "remote", "url": server.url, "oauth": False, "timeout": _CALL}
    return {"type": "local", "command": list(server.command), "timeout": _CALL}


def _provider(task: Task, model: str) -> dict[str, Any]:
    return {
        "npm": "@ai-sdk/openai-compatible",  # it is built in
        "name": "skillrunner",
        "options": {"baseURL": task.model_url, "apiKey": f"{{env:{_KEY}}}"},
        "models": {model: {"name": model}},
    }


_ENDS: Mapping[str, str] = {
    "length": "it was cut at its token limit",
    "content-filter": "the provider's content filter stopped it",
    "error": "with an error",
}
"""Why the last answer is not whole, by the reason with which its step ended."""


class OpencodeReader(JsonReader):
    """Lines of `--format json` to events."""

    program = Opencode.program

    def __init__(self) -> None:
        super().__init__()
        self._begun = False
        self._said = ""  # the last message: there is no other summary

    def _events(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        session, part = text(data, "sessionID"), mapping(data, "part")
        if session and not self._begun:
            self._begun = True
            yield SessionStart(session_id=session)
        match data.get("type"):
            case "step_start":
                pass
            case "text":
                self._said = text(part, "text")
                yield Message(text=self._said)
            case "reasoning":
                yield Reasoning(text=text(part, "text"))
            case "tool_use":
                yield from _tool(part, mapping(part, "state"))
            case "step_finish":
                yield UsageReport(usage=_usage(part))
                yield from self._step(text(part, "reason"))
            case "error":
                yield from _error(mapping(data, "error"))
            case _:
                yield Unknown(text=unknown_event(data))

    def _step(self, reason: str) -> Iterator[TranscriptEvent]:
        """A step that did not end for tools was the last one. OpenCode says so too where the stream broke off
        without a reason, and where the reason is new to it: whether the answer is whole is then unknown.
        """
        if reason == "stop":
            yield Finish(ok=True, text=self._said)
        elif reason != "tool-calls":
            why = _ENDS.get(reason, "whether it is whole is unknown")
            message = f"the model's answer ended early: {reason or 'no reason'} ({why})"
            yield Problem(message=message, refusal=reason == "content-filter", fatal=True)
            yield Finish(ok=False, text=message)


_PATCHED = re.compile(r"^\*\*\* (Add|Update|Delete) File: (.+)$", re.MULTILINE)
_KINDS: Mapping[str, Literal["add", "update", "delete"]] = {
    "Add": "add",
    "Update": "update",
    "Delete": "delete",
}


def _tool(part: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    """A call is told once, when it has ended."""
    call, tool = text(part, "callID"), text(part, "tool")
    ok, given, metadata = (
        text(state, "status") == "completed",
        mapping(state, "input"),
        mapping(state, "metadata"),
    )
    yield ToolCall(call_id=call, tool=tool, arguments=state.get("input"))
    yield ToolResult(
        call_id=call,
        ok=ok,
        output=text(state, "output") or text(state, "error"),
        exit_code=count(metadata, "exit") if isinstance(metadata.get("exit"), int) else None,
    )
    if ok and tool == "apply_patch":
        for verb, path in _PATCHED.findall(text(given, "patchText")):
            yield FileEdit(path=path.strip(), kind=_KINDS[verb])
    if ok and tool in ("write", "edit"):
        yield FileEdit(
            path=text(given, "filePath"), kind="add" if metadata.get("exists") is False else "update"
        )


def _usage(part: Mapping[str, Any]) -> Usage:
    """Tokens of one step. Its cost is not told: OpenCode has no price for a model behind a gateway."""
    tokens = mapping(part, "tokens")
    cache = mapping(tokens, "cache")
    cached = count(cache, "read")
    return Usage(
        tokens_in=count(tokens, "input") + count(cache, "write") + cached,
        tokens_out=count(tokens, "output") + count(tokens, "reasoning"),
        tokens_cached=cached,
    )


def _error(error: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
    data = mapping(error, "data")
    words = text(data, "message") or text(error, "message") or text(error, "name")
    provider = text(error, "name") == "APIError"
    yield Problem(message=words, status=status(data, "statusCode"), provider=provider, fatal=True)
    yield Finish(ok=False, text=words)


PLUGINS = (Opencode,)
