"""A model whose answers a test writes down: Anthropic Messages and OpenAI Responses over HTTP, plain and SSE.

A script is a list of turns, a turn a list of steps:

    {"say": "text"}                                     the model speaks
    {"write": {"path": "docs/a.md", "content": "x"}}    it calls whatever tool the client has for that
    {"shell": "make docs"}                              likewise
    {"error": 429, "message": "...", "retry_after": 1, "times": 2}   an HTTP error; `times`: only so often
    {"delay": 30}                                       seconds before anything is sent

The script is the first part of the request's path, so one server serves many tests. The turn is the number of
the model's turns that the request's history holds: nothing is remembered between requests but `times`.
"""

import json
import shlex
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any

import pytest

Step = Mapping[str, Any]
Script = Sequence[Sequence[Step]]

TOKENS_IN, TOKENS_OUT = 1200, 34  # of every answer
CALLS = {
    "write": ("Write", "write_file", "apply_patch"),
    "shell": ("Bash", "exec_command", "shell_command", "shell"),
}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: Any


@dataclass(slots=True)
class ModelServer:
    """Where it listens, and what it was asked."""

    address: str
    requests: list[Request] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str, script: Script) -> str:
        """The base URL under which `script` is played."""
        self.scripts[name] = script
        return f"{self.address}/{name}"

    def asked(self, name: str) -> list[Request]:
        """The model calls of one script."""
        return [one for one in self.requests if one.path.startswith(f"/{name}/") and one.method == "POST"]


# The two protocols: the model's turns so far, the tools, and the answer as one object and as events.


def messages_turn(body: Any) -> int:
    return sum(message["role"] == "assistant" for message in body["messages"])


def responses_turn(body: Any) -> int:
    """Runs of items that the model made."""
    made = [_is_models(item) for item in body["input"]] if isinstance(body["input"], list) else []
    return sum(one and not before for before, one in zip([False, *made], made, strict=False))


def _is_models(item: Mapping[str, Any]) -> bool:
    kind = item.get("type", "message")
    return kind in ("function_call", "custom_tool_call", "reasoning") or (
        kind == "message" and item.get("role") == "assistant"
    )


def pick(tools: Sequence[Mapping[str, Any]], call: str) -> Mapping[str, Any] | None:
    names = {tool.get("name"): tool for tool in tools}
    return next((names[name] for name in CALLS[call] if name in names), None)


def arguments(schema: Mapping[str, Any], call: str, value: Any) -> dict[str, Any]:
    """What the tool's schema wants, filled with what the step says."""
    known = {"file_path", "path", "content"} if call == "write" else {"command", "cmd"}
    filled = {}
    for name, rule in schema.get("properties", {}).items():
        if name in known:
            filled[name] = _filled(name, rule, value)
        elif name in schema.get("required", ()):
            filled[name] = _default(rule)
    return filled


def _filled(name: str, rule: Mapping[str, Any], value: Any) -> Any:
    if not isinstance(value, str):
        return value["content" if name == "content" else "path"]
    return ["sh", "-c", value] if rule.get("type") == "array" else value


def _default(rule: Mapping[str, Any]) -> Any:
    if "enum" in rule:
        return rule["enum"][0]
    return {"number": 0, "integer": 0, "boolean": False, "array": [], "object": {}}.get(
        rule.get("type", ""), "x"
    )


def as_shell(call: str, value: Any) -> str:
    """The command that does what the step says, for a client that has no tool for it."""
    if call == "shell":
        return str(value)
    folder = shlex.quote(str(PurePosixPath(value["path"]).parent))
    return f"mkdir -p {folder} && printf %s {shlex.quote(value['content'])} > {shlex.quote(value['path'])}"


def chosen(body: Any, step: Step) -> Iterator[tuple[Mapping[str, Any], str, Any]]:
    """(tool, call, value) for what a step calls."""
    for call in CALLS.keys() & step.keys():
        if tool := pick(body.get("tools", ()), call):
            yield tool, call, step[call]
        elif tool := pick(body.get("tools", ()), "shell"):
            yield tool, "shell", as_shell(call, step[call])


def messages_content(body: Any, turn: Sequence[Step], serial: int) -> Iterator[dict[str, Any]]:
    for index, step in enumerate(turn):
        for tool, call, value in chosen(body, step):
            filled = arguments(tool["input_schema"], call, value)
            yield {"type": "tool_use", "id": f"toolu_{serial}_{index}", "name": tool["name"], "input": filled}
        if "say" in step:
            yield {"type": "text", "text": step["say"]}


def messages_answer(body: Any, turn: Sequence[Step], serial: int) -> dict[str, Any]:
    content = list(messages_content(body, turn, serial))
    stop = "tool_use" if any(part["type"] == "tool_use" for part in content) else "end_turn"
    return {
        "id": f"msg_{serial}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT},
    }


def messages_events(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": TOKENS_IN, "output_tokens": 1}
    yield {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None, "usage": usage}}
    for index, part in enumerate(answer["content"]):
        if part["type"] == "text":
            start, delta = {**part, "text": ""}, {"type": "text_delta", "text": part["text"]}
        else:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(part["input"])}
            start = {**part, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    end = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": TOKENS_OUT}}
    yield {"type": "message_stop"}


def responses_output(body: Any, turn: Sequence[Step], serial: int) -> Iterator[dict[str, Any]]:
    for index, step in enumerate(turn):
        for tool, call, value in chosen(body, step):
            yield _responses_call(tool, call, value, f"{serial}_{index}")
        if "say" in step:
            text = {"type": "output_text", "text": step["say"], "annotations": []}
            yield {"type": "message", "id": f"msg_{serial}_{index}", "role": "assistant", "content": [text]}


def _responses_call(tool: Mapping[str, Any], call: str, value: Any, key: str) -> dict[str, Any]:
    common = {"id": f"fc_{key}", "call_id": f"call_{key}", "name": tool["name"], "status": "completed"}
    if tool["type"] == "custom":
        lines = "".join(f"+{line}\n" for line in value["content"].splitlines())
        patch = f"*** Begin Patch\n*** Add File: {value['path']}\n{lines}*** End Patch\n"
        return {"type": "custom_tool_call", "input": patch, **common}
    filled = arguments(tool["parameters"], call, value)
    return {"type": "function_call", "arguments": json.dumps(filled), **common}


def responses_answer(body: Any, turn: Sequence[Step], serial: int) -> dict[str, Any]:
    usage = {
        "input_tokens": TOKENS_IN,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": TOKENS_OUT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": TOKENS_IN + TOKENS_OUT,
    }
    output = list(responses_output(body, turn, serial))
    return {
        "id": f"resp_{serial}",
        "object": "response",
        "status": "completed",
        "model": body["model"],
        "output": output,
        "usage": usage,
    }


def responses_events(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": {**answer, "status": "in_progress", "output": []}}
    for index, item in enumerate(answer["output"]):
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": answer}


PROTOCOLS = {
    "messages": (messages_turn, messages_answer, messages_events),
    "responses": (responses_turn, responses_answer, responses_events),
}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed, or that have read enough, are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: ModelServer

    def do_HEAD(self) -> None:
        self.model.requests.append(Request("HEAD", self.path, self._headers(), None))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815 - the name is the protocol's

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.model.requests.append(Request("POST", self.path, self._headers(), body))
        name, _, rest = self.path.lstrip("/").partition("/")
        protocol = PROTOCOLS.get(rest.partition("?")[0].rpartition("/")[2])
        if protocol is None or name not in self.model.scripts:
            return self._json(
                404, {"error": {"type": "not_found_error", "message": f"no such place: {self.path}"}}
            )
        turn_of, answer_of, events_of = protocol
        script, index = self.model.scripts[name], turn_of(body)
        turn = script[index] if index < len(script) else [{"say": "The script is over."}]
        if (error := self._obstacle(name, index, turn)) is not None:
            return self._error(error)
        answer = answer_of(body, turn, len(self.model.requests))
        return self._events(events_of(answer)) if body.get("stream") else self._json(200, answer)

    def _obstacle(self, name: str, index: int, turn: Sequence[Step]) -> Step | None:
        """The error that this turn begins with, if it does; a delay is waited for here."""
        for step in turn:
            self.model.stopping.wait(step.get("delay", 0))
            key = f"{name}/{index}"
            if "error" in step and self.model.failures[key] < step.get("times", 1_000_000):
                self.model.failures[key] += 1
                return step
        return None

    def _error(self, step: Step) -> None:
        message = step.get("message", "scripted error")
        after = {"retry-after": str(step["retry_after"])} if "retry_after" in step else {}
        self._json(step["error"], {"type": "error", "error": {"type": "scripted", "message": message}}, after)

    def _json(self, status: int, data: Any, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _events(self, events: Iterator[Mapping[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            chunk = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
        pass


@contextmanager
def serving() -> Iterator[ModelServer]:
    """On this machine's loopback: what runs in a sandbox reaches it through the gateway alone."""
    server = Server(("127.0.0.1", 0), Handler)
    model = ModelServer(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (Handler,), {"model": model})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    with serving() as model:
        yield model
