"""Codex (`codex exec --json`), judged by `turn.completed` and `turn.failed`.

Source: Codex docs, "Non-interactive mode" and "Configuration"; the shapes are those of 0.169.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.jsonl import json_object
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
from runner.harnesses import Files, Harness, Launch, Package, Reader, Sessions, Task
from runner.harnesses._fields import count, mapping, mappings, text, unknown_event
from runner.harnesses._json_reader import JsonReader
from runner.harnesses.model_apis import OPENAI_RESPONSES


class CodexOptions(Model):
    """Codex, OpenAI's agent: the `codex` program in the sandbox."""

    reasoning_effort: Maybe[Literal["minimal", "low", "medium", "high", "xhigh"]] = Field(
        default=None, description="How long it thinks; default: the model's own"
    )
    append_system_prompt: Maybe[Text] = Field(default=None, description="Text after its own instructions")


def _moved(files: Files, workspace: str) -> Files:
    return {path: b"\n".join(_lines(content, workspace)) for path, content in files.items()}


def _lines(content: bytes, workspace: str) -> Iterator[bytes]:
    """A session says where it works, and who provides its model: from now on whoever is configured there."""
    for line in content.split(b"\n"):
        data = (json_object(line) or {}) if _SETTINGS.search(line[:_HEAD]) else {}
        about = {key: value for key, value in mapping(data, "payload").items() if key != "model_provider"}
        if data.get("type") == "session_meta":
            yield json.dumps({**data, "payload": {**about, "cwd": workspace}}).encode()
        elif text(about, "type") != "thread_settings_applied":
            yield line


def _command(session: str, model: str | None) -> tuple[str, ...]:
    """With another model it would begin by summing the conversation up."""
    return (Codex.program, "resume", *(("-m", model) if model else ()), session)


_SETTINGS = re.compile(rb'"(session_meta|thread_settings_applied)"')
_HEAD = 300  # bytes of a line in which its type is told

CONFIGURATION = ".codex/config.toml"
_TOKEN = "SKILLRUNNER_MODEL_TOKEN"  # noqa: S105 - a variable's name
_STATUS = re.compile(r"\bstatus(?: code)?:? (\d{3})\b")
_INCOMPLETE = re.compile(r"Incomplete response returned, reason: (\w+)")
_NETWORK = re.compile(r"network|connection|disconnected|timed? ?out|overloaded|high demand", re.IGNORECASE)
_PACKAGE = Package(
    name="@openai/codex",
    version="0.169.0",
    release="{version}-linux-{machine}",
    program="vendor/{arch}-unknown-linux-musl/bin/codex",
    needs="vendor/{arch}-unknown-linux-musl",
    sha512={
        "x64": "o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww==",
        "arm64": "NZ/DaQUpcQmxmqee7Z9uC1rzw3GhSbooawcaTe1LN5Yk+WlinUKGdTXJgClRT/9ogQEEM9TWxYzvxPfj5G/xFg==",
    },
)


class Codex(Harness):
    name = "codex"
    options = CodexOptions
    program = "codex"
    package = _PACKAGE
    model = OPENAI_RESPONSES
    mcp = "any"
    resumes = True
    sessions = Sessions(folder=".codex/sessions", command=_command, moved=_moved)

    def launch(self, task: Task) -> Launch:
        """Its configuration is a file of the home: `ps` shows flags, and the gateway's address holds a token.

        `-` reads the prompt from standard input.
        """
        bypass = "--dangerously-bypass-approvals-and-sandbox"  # our sandbox is the limit
        verb = ("exec", "resume") if task.resume else ("exec",)
        fixed = (*verb, "--json", "--skip-git-repo-check", bypass)
        settings = "".join(f"{key} = {value}\n" for key, value in _settings(task))
        model = ("-m", task.spec.model) if task.spec.model else ()
        return Launch(
            argv=(
                task.program or self.program,
                *fixed,
                *model,
                *((task.resume,) if task.resume else ()),
                "-",
            ),
            stdin=task.prompt.encode(),
            variables={
                "CODEX_HOME": f"{task.places.home}/.codex",
                **({_TOKEN: task.model_token} if task.model_url else {}),
            },
            home={CONFIGURATION: settings.encode()},
        )

    def reader(self) -> Reader:
        return CodexReader()


def _settings(task: Task) -> Iterator[tuple[str, str]]:
    """Keys of its configuration, with values in TOML."""
    options = task.spec.options
    yield "check_for_update_on_startup", "false"
    yield "analytics.enabled", "false"
    if "web_search" not in task.provider:  # else every request offers it, and the gateway lets none through
        yield "web_search", '"disabled"'
    if effort := options.get("reasoning_effort"):
        yield "model_reasoning_effort", _toml(effort)
    if instructions := options.get("append_system_prompt"):
        yield "developer_instructions", _toml(instructions)
    if task.model_url:
        yield "model_provider", '"skillrunner"'
        yield "model_providers.skillrunner", _provider(task.model_url)
    for server in task.mcp:
        yield f"mcp_servers.{server.name}", _server(server, task.variables)


def _provider(url: str) -> str:
    values = {"name": "skillrunner", "base_url": url, "env_key": _TOKEN, "wire_api": "responses"}
    # It gives up at once after 429, and after a few tries otherwise: the run's own attempts come on top.
    retries = "request_max_retries=4,stream_max_retries=4"
    return "{" + ",".join(f"{key}={_toml(value)}" for key, value in values.items()) + f",{retries}}}"


def _server(server: McpServer, inherited: Iterable[str]) -> str:
    """A program gets no variables but those that are named."""
    if server.url:
        return f"{{url={_toml(server.url)}}}"
    program, *arguments = server.command
    what = f"command={_toml(program)},args={_toml(arguments)}"
    return f"{{{what},env_vars={_toml(list(inherited))}}}"


def _toml(value: object) -> str:
    """Texts and lists of them are written as in JSON, but for what TOML has no escapes or other ones for."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


class CodexReader(JsonReader):
    """Lines of `--json` to events."""

    program = Codex.program

    def __init__(self) -> None:
        super().__init__()
        self._said = ""  # the last message: there is no other summary

    def _events(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        match data.get("type"):
            case "thread.started":
                yield SessionStart(session_id=text(data, "thread_id"))
            case "turn.started":
                pass
            case "item.started" | "item.updated" | "item.completed" as stage:
                yield from self._item(mapping(data, "item"), stage)
            case "turn.completed":
                yield UsageReport(usage=_usage(mapping(data, "usage")), total=True)
                yield Finish(ok=True, text=self._said)
            case "turn.failed":
                problem = _problem(text(mapping(data, "error"), "message"), fatal=True)
                yield problem
                yield Finish(ok=False, text=problem.message)
            case "error":
                yield _problem(text(data, "message"))
            case _:
                yield Unknown(text=unknown_event(data))

    def _item(self, item: Mapping[str, Any], stage: str) -> Iterator[TranscriptEvent]:
        kind = text(item, "type")
        if kind in _TOOLS:
            yield from _tool(kind, item, stage)
        elif stage != "item.completed":
            return
        elif kind == "agent_message":
            self._said = text(item, "text")
            yield Message(text=self._said)
        elif kind == "reasoning":
            yield Reasoning(text=text(item, "text"))
        elif kind == "error":
            yield Problem(message=text(item, "message"))
        else:
            yield Unknown(text=unknown_event(item))


_TOOLS = {
    "command_execution": "command",
    "file_change": "changes",
    "mcp_tool_call": "arguments",
    "web_search": "query",
}
_EDITS: Mapping[str, Literal["add", "update", "delete"]] = {"add": "add", "delete": "delete"}


def _tool(kind: str, item: Mapping[str, Any], stage: str) -> Iterator[TranscriptEvent]:
    call = text(item, "id")
    if stage == "item.started":
        name = f"{text(item, 'server')}/{text(item, 'tool')}" if kind == "mcp_tool_call" else kind
        yield ToolCall(call_id=call, tool=name, arguments=item.get(_TOOLS[kind]))
    elif stage == "item.completed":
        code = item.get("exit_code")
        yield ToolResult(
            call_id=call,
            ok=text(item, "status") in ("completed", ""),
            output=text(item, "aggregated_output") or _told(mapping(item, "result")),
            exit_code=code if isinstance(code, int) and code >= 0 else None,
        )
        for change in mappings(item, "changes"):
            yield FileEdit(path=text(change, "path"), kind=_EDITS.get(text(change, "kind"), "update"))


def _told(result: Mapping[str, Any]) -> str:
    """By a tool of an MCP server."""
    return "\n".join(text(one, "text") for one in mappings(result, "content"))


def _usage(usage: Mapping[str, Any]) -> Usage:
    """Codex tells tokens, but no cost."""
    return Usage(
        tokens_in=count(usage, "input_tokens"),
        tokens_out=count(usage, "output_tokens"),
        tokens_cached=count(usage, "cached_input_tokens"),
    )


def _problem(message: str, fatal: bool = False) -> Problem:
    """Codex tells a refused request by the provider's own JSON answer, everything else in words."""
    refused = json_object(message.encode())
    if refused is not None:
        said = text(mapping(refused, "error"), "message") or message
        return Problem(message=said, status=400, provider=True, fatal=fatal)
    if (cut := _INCOMPLETE.search(message)) is not None:
        refusal = cut[1] == "content_filter"
        return Problem(message=f"the model's answer is not whole: {cut[1]}", refusal=refusal, fatal=fatal)
    found = _STATUS.search(message)
    status = int(found[1]) if found else None
    provider = status is not None or _NETWORK.search(message) is not None
    return Problem(message=message, status=status, provider=provider, fatal=fatal)


PLUGINS = (Codex,)
