"""What a step of a script calls: whatever tool the client declares for it, with what its schema wants."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

Step = Mapping[str, Any]
Steps = Sequence[Step]
Script = Sequence[Steps]

TOKENS_IN, TOKENS_OUT = 1200, 34  # of every answer
CALLS = {
    "write": ("Write", "write_file", "write", "create", "apply_patch"),
    "shell": ("Bash", "exec_command", "shell_command", "shell", "run_shell_command", "bash"),
}
_FILE = {"file_path", "filePath", "path", "content", "file_text"}
_COMMAND = {"command", "cmd"}
_CONTENT = {"content", "file_text"}
_WORKSPACE = "/workspace"  # where a container has it


def frame(data: Mapping[str, Any]) -> bytes:
    """One server-sent event; Anthropic's and OpenAI's newer APIs name it by its type as well."""
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n".encode()


def runs(made: Sequence[bool]) -> int:
    """How many runs of true values: one turn of a model may be several items."""
    return sum(one and not before for before, one in zip([False, *made], made, strict=False))


def chosen(tools: Sequence[Mapping[str, Any]], step: Step) -> Iterator[tuple[Mapping[str, Any], str, Any]]:
    """(tool, call, value) for what a step calls; `tools` have names."""
    if "tool" in step:
        yield _own(tools, step["tool"]), "tool", step.get("with", {})
    for call in CALLS.keys() & step.keys():
        if tool := _pick(tools, call):
            yield tool, call, step[call]
        elif tool := _pick(tools, "shell"):
            yield tool, "shell", _as_shell(call, step[call])


def _pick(tools: Sequence[Mapping[str, Any]], call: str) -> Mapping[str, Any] | None:
    names = {tool.get("name"): tool for tool in tools}
    return next((names[name] for name in CALLS[call] if name in names), None)


def _own(tools: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """A tool "server/tool", which clients name in their own ways, or hold back until it is called."""
    server, _, tool = name.partition("/")
    blind = {"name": f"mcp__{server}__{tool}", "type": "function", "parameters": {}, "input_schema": {}}
    named = (one for one in tools if str(one.get("name", "")).endswith(tool))
    return {**next(named, blind), "namespace": f"mcp__{server}"}


def arguments(schema: Mapping[str, Any], call: str, value: Any) -> dict[str, Any]:
    """What the tool's schema wants, filled with what the step says."""
    if call == "tool":
        return dict(value)
    known = _FILE | {"patchText"} if call == "write" else _COMMAND
    filled = {}
    for name, rule in schema.get("properties", {}).items():
        if name in known:
            filled[name] = _filled(name, rule, value)
        elif name in schema.get("required", ()):
            filled[name] = _default(rule)
    return filled


def _filled(name: str, rule: Mapping[str, Any], value: Any) -> Any:
    if not isinstance(value, str):
        if name in _CONTENT:
            return value["content"]
        if name == "patchText":
            return patch(value)
        absolute = "absolute" in rule.get("description", "").lower()
        return f"{_WORKSPACE}/{value['path']}" if absolute else value["path"]
    return ["sh", "-c", value] if rule.get("type") == "array" else value


def patch(value: Mapping[str, str]) -> str:
    """What adds a file, in the language that OpenAI's models are taught."""
    lines = "".join(f"+{line}\n" for line in value["content"].splitlines())
    return f"*** Begin Patch\n*** Add File: {value['path']}\n{lines}*** End Patch\n"


def _default(rule: Mapping[str, Any]) -> Any:
    if "enum" in rule:
        return rule["enum"][0]
    return {"number": 0, "integer": 0, "boolean": False, "array": [], "object": {}}.get(
        rule.get("type", ""), "x"
    )


def _as_shell(call: str, value: Any) -> str:
    """The command that does what the step says, for a client that has no tool for it."""
    if call == "shell":
        return str(value)
    folder = shlex.quote(str(PurePosixPath(value["path"]).parent))
    return f"mkdir -p {folder} && printf %s {shlex.quote(value['content'])} > {shlex.quote(value['path'])}"
