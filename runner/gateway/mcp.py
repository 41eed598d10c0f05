"""Offers the run's own tools to the agent, as a server of the Model Context Protocol over HTTP.

It holds no sessions: each message is a POST, and its answer is JSON. It speaks the revisions that begin with
a handshake (`initialize`) and the one in which every request stands for itself (`server/discover`).

Source: modelcontextprotocol.io, "Specification", revisions 2025-03-26 to 2026-07-28: "Transports",
"Versioning" and "Tools"; and JSON-RPC 2.0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from runner import __version__
from runner.core.payload import parse_json
from runner.gateway.server import GatewayRequest

PATH = "mcp"
"""The part of the path that follows the token and selects this handler."""

_LARGEST = 2 * 1024**2  # bytes of a request
_HANDSHAKE = ("2025-03-26", "2025-06-18", "2025-11-25")
_STATELESS = ("2026-07-28",)
_VERSION, _SERVER = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/serverInfo"
_INFO = {"name": "skillrunner", "version": __version__}
_TOOLS: Mapping[str, Any] = {"tools": {}}  # the capabilities that the server offers

_PARSE, _INVALID, _NO_METHOD, _BAD_PARAMS = -32700, -32600, -32601, -32602
_MISMATCH, _UNSUPPORTED = -32020, -32022

Method = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ToolError(Exception):
    """A tool failed; the agent gets the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that an agent may call. Several threads may call it at once."""

    name: str
    description: str  # that the agent reads
    arguments: type[BaseModel]
    call: Callable[[Any], str]  # gets `arguments`; returns the result's text, or raises ToolError
    begin: Callable[[], None] = lambda: None  # called before each call; may raise ToolError as well


class ProtocolError(Exception):
    """A message that gets a JSON-RPC error as its answer."""

    def __init__(
        self, code: int, message: str, status: int = 400, data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"code": code, "message": message, **({"data": data} if data else {})}


@dataclass(frozen=True, slots=True)
class ToolHandler:
    """Answers the MCP requests of one run."""

    tools: Sequence[Tool]
    token: str

    def serve(self, request: GatewayRequest) -> None:
        if (refusal := self._refusal(request)) is not None:
            (request.refuse if request.has_body else request.send_error_answer)(*refusal)
        elif request.command == "DELETE":
            request.send_json(200, {})  # there is no session to end
        else:
            self._post(request, request.read_body())

    def _refusal(self, request: GatewayRequest) -> tuple[int, str, Mapping[str, str]] | None:
        """The status and message that refuse a request; None: it is read."""
        _, path, _ = request.target
        if not request.has_token(self.token):
            return 403, "this address belongs to another run", {}
        if path != f"/{PATH}":
            return 404, f"tools are at /{PATH}", {}
        if request.command not in ("POST", "DELETE"):
            return 405, "messages come by POST, and none are sent from here", {"Allow": "POST, DELETE"}
        unreadable = request.body_refusal(_LARGEST)
        return unreadable and (*unreadable, {})

    def _post(self, request: GatewayRequest, body: bytes) -> None:
        number: Any = None
        try:
            message = _message(body)
            number = message.get("id")
            stateless = _is_stateless(message, request.headers["MCP-Protocol-Version"])
            if (
                number is None or "method" not in message
            ):  # a notification, or an answer, which needs no reply
                request.send_content(202, "application/json", b"")
                return
            result = self._result(message, stateless)
            request.send_json(200, {"jsonrpc": "2.0", "id": number, "result": result})
        except ProtocolError as refused:
            request.send_json(refused.status, {"jsonrpc": "2.0", "id": number, "error": refused.error})

    def _result(self, message: Mapping[str, Any], stateless: bool) -> Mapping[str, Any]:
        """The result of a request. Raises ProtocolError, with an HTTP status in the newer revision."""
        methods = self._stateless if stateless else self._handshake
        method, params = methods.get(message["method"]), message.get("params", {})
        if method is None:
            raise ProtocolError(_NO_METHOD, "this server has no such method", 404 if stateless else 200)
        if not isinstance(params, dict):
            raise ProtocolError(_BAD_PARAMS, "`params` should be an object", 400 if stateless else 200)
        found = method(params)
        return {"resultType": "complete", **found} if stateless else found

    @property
    def _handshake(self) -> Mapping[str, Method]:
        return {
            "initialize": _initialized,
            "ping": lambda _: {},
            "tools/list": lambda _: {"tools": self._listed()},
            "tools/call": self._called,
        }

    @property
    def _stateless(self) -> Mapping[str, Method]:
        fresh = {"ttlMs": 0, "cacheScope": "private"}
        found = {"supportedVersions": list(_STATELESS), "capabilities": _TOOLS, "_meta": {_SERVER: _INFO}}
        return {
            "server/discover": lambda _: {**found, **fresh},
            "tools/list": lambda _: {"tools": self._listed(), **fresh},
            "tools/call": self._called,
        }

    def _listed(self) -> list[Mapping[str, Any]]:
        return [
            {"name": tool.name, "description": tool.description, "inputSchema": _schema(tool.arguments)}
            for tool in self.tools
        ]

    def _called(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of a tool's call. A tool's failure is a result too, so that the agent reads it."""
        tool = next((one for one in self.tools if one.name == params.get("name")), None)
        if tool is None:
            raise ProtocolError(_BAD_PARAMS, "there is no such tool", 200)
        try:
            tool.begin()
            told, failed = tool.call(tool.arguments.model_validate(params.get("arguments") or {})), False
        except ValidationError as error:
            told, failed = argument_faults(error), True
        except ToolError as error:
            told, failed = str(error), True
        return {"content": [{"type": "text", "text": told}], "isError": failed}


def _message(body: bytes) -> Mapping[str, Any]:
    """The request's JSON-RPC message. Raises ProtocolError when it is not exactly one."""
    try:
        message = parse_json(body)
    except ValueError:
        raise ProtocolError(_PARSE, "the body is not JSON") from None
    if isinstance(message, list):
        raise ProtocolError(_INVALID, "send each message by itself: there are no batches")
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise ProtocolError(_INVALID, "the body is not a message of JSON-RPC 2.0")
    bad = not isinstance(message.get("method", ""), str) or type(message.get("id", 0)) not in (int, str)
    if bad or not message.keys() & {"method", "result", "error"}:
        raise ProtocolError(_INVALID, "the message has no proper `id` and `method`")
    return message


def _is_stateless(message: Mapping[str, Any], header: str | None) -> bool:
    """Whether the message belongs to a revision without a handshake. Raises ProtocolError."""
    meta = message.get("params", {}).get("_meta") if isinstance(message.get("params"), dict) else None
    inside = meta.get(_VERSION) if isinstance(meta, dict) else None
    asked = header if inside is None else inside
    if asked is not None and asked not in (*_HANDSHAKE, *_STATELESS):
        known = {"supported": [*_STATELESS, *_HANDSHAKE], "requested": str(asked)[:40]}
        raise ProtocolError(_UNSUPPORTED, "this server does not speak that revision", data=known)
    if inside is not None and header is not None and inside != header:
        raise ProtocolError(_MISMATCH, "the header MCP-Protocol-Version and the message do not agree")
    return asked in _STATELESS


def _initialized(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer to `initialize`: the client's revision if we speak it, else our newest with a handshake."""
    asked = params.get("protocolVersion")
    version = asked if asked in _HANDSHAKE else _HANDSHAKE[-1]
    return {"protocolVersion": version, "capabilities": _TOOLS, "serverInfo": _INFO}


def _schema(arguments: type[BaseModel]) -> Mapping[str, Any]:
    """The model's JSON schema without its title and docstring, which are for readers of our code."""
    made = arguments.model_json_schema()
    return {key: value for key, value in made.items() if key not in ("title", "description")}


def argument_faults(error: ValidationError) -> str:
    """The faults in a call's arguments, as text for the agent."""
    told = (f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors()[:10])
    return "; ".join(told)
