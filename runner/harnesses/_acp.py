"""Who says what, and when, in the Agent Client Protocol: we are the client, the agent is the program.

Source: agentclientprotocol.com, protocol version 1: JSON-RPC 2.0, one message a line. A turn of the agent is
one `session/prompt`, and there is never more than one; `session/cancel` ends it early.
"""

from collections.abc import Collection, Mapping
from itertools import count
from typing import Any

from runner.core.model import McpServer
from runner.harnesses import Task
from runner.harnesses._fields import mapping, mappings, text
from runner.harnesses._turns import Turns

VERSION = 1
_FREE_MODES = ("full-access", "agent-full-access", "bypassPermissions", "yolo")
_BOUND_MODES = ("read-only", "plan", "ask", "auto", "agent")  # some bring a sandbox that ours has no room for
_UNKNOWN_METHOD = -32601  # JSON-RPC 2.0, "Error object"


class Conversation(Turns):
    """Begins a session, sends prompts until nobody has any more, and answers what the agent asks."""

    def __init__(self) -> None:
        super().__init__()
        self.agent = "the agent"  # what it is called where something is said of it
        self.session = ""
        self._folder = self._model = ""
        self._servers: tuple[McpServer, ...] = ()
        self._variables: Mapping[str, str] = {}
        self._in_turn = self._cancelling = False
        self._ids = count(1)
        self._asked: dict[int, str] = {}  # our requests that are not answered: id -> method

    def begin(self, task: Task) -> None:
        self.agent = task.spec.options["command"][0]
        self._prompts, self._folder, self._model = [task.prompt], task.places.workspace, task.spec.model or ""
        self._servers, self._variables = task.mcp, task.variables
        nothing = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        client = {"name": "skillrunner", "version": "1"}
        self._ask(
            "initialize", {"protocolVersion": VERSION, "clientCapabilities": nothing, "clientInfo": client}
        )

    def interrupt(self) -> None:
        self._stopping = True
        if self._in_turn:
            self._cancel()
        else:
            self.over = True

    def method_of_answer(self, message: Mapping[str, Any]) -> str:
        """The method that this answers; empty: none of ours."""
        number = message.get("id")
        return self._asked.pop(number, "") if isinstance(number, int) else ""

    def start_session(self, agent: Mapping[str, Any]) -> list[str]:
        """Begin a session; returns the names of the servers that an agent of such capabilities cannot use."""
        by_http = mapping(agent, "mcpCapabilities").get("http") is True
        usable = [server for server in self._servers if server.command or by_http]
        self._ask("session/new", {"cwd": self._folder, "mcpServers": [self._server(one) for one in usable]})
        return [server.name for server in self._servers if server not in usable]

    def note_session(self, result: Mapping[str, Any]) -> bool:
        """There is a session; whether the agent's list of models, if it has one, holds ours."""
        self.session = text(result, "sessionId")
        known = True
        for option in mappings(result, "configOptions"):
            if self._model and text(option, "category") == "model":
                known = self._model in _values(option)
                chosen = {"sessionId": self.session, "configId": text(option, "id"), "value": self._model}
                if known and option.get("currentValue") != self._model:
                    self._ask("session/set_config_option", chosen)
        self._leave_bounds(result)
        self.next_turn()
        return known

    def _leave_bounds(self, result: Mapping[str, Any]) -> None:
        """An agent that begins in a mode in which it may do little gets one in which it may do everything."""
        modes = mapping(result, "modes")
        offered = [text(one, "id") for one in mappings(modes, "availableModes")]
        if (mode := _free(text(modes, "currentModeId"), offered)) is not None:
            self._ask("session/set_mode", {"sessionId": self.session, "modeId": mode})
            return
        for option in mappings(result, "configOptions"):
            mode = _free(str(option.get("currentValue")), _values(option))
            if text(option, "category") == "mode" and mode is not None:
                chosen = {"sessionId": self.session, "configId": text(option, "id"), "value": mode}
                self._ask("session/set_config_option", chosen)

    def next_turn(self) -> None:
        """Begin the next turn, or end it all where there is nothing more to say."""
        self._in_turn = self._cancelling = False
        if prompt := self._next():
            self._in_turn = True
            self._ask("session/prompt", {"sessionId": self.session, "prompt": prompt})

    def answer_request(self, message: Mapping[str, Any]) -> None:
        """The agent asks something. It may do everything: the sandbox is the limit."""
        if "id" not in message:
            return
        if text(message, "method") == "session/request_permission":
            outcome = _allowed(mappings(mapping(message, "params"), "options"))
            self._send({"id": message["id"], "result": {"outcome": outcome}})
        else:
            error = {"code": _UNKNOWN_METHOD, "message": "this client does not offer that"}
            self._send({"id": message["id"], "error": error})

    def _server(self, server: McpServer) -> dict[str, Any]:
        if server.url:
            return {"type": "http", "name": server.name, "url": server.url, "headers": []}
        program, *arguments = server.command
        variables = [{"name": name, "value": value} for name, value in self._variables.items()]
        return {"name": server.name, "command": program, "args": arguments, "env": variables}

    def _cancel(self) -> None:
        if self._in_turn and not self._cancelling:
            self._cancelling = True
            self._send({"method": "session/cancel", "params": {"sessionId": self.session}})

    def _ask(self, method: str, params: Mapping[str, Any]) -> None:
        number = next(self._ids)
        self._asked[number] = method
        self._send({"id": number, "method": method, "params": params})

    def _send(self, message: Mapping[str, Any]) -> None:
        super()._send({"jsonrpc": "2.0", **message})


def _allowed(options: list[Mapping[str, Any]]) -> Mapping[str, str]:
    """Once and not always, for which some agents would leave a note in the repository."""
    for wanted in ("allow_once", "allow_always"):
        for option in options:
            if text(option, "kind") == wanted:
                return {"outcome": "selected", "optionId": text(option, "optionId")}
    return {"outcome": "cancelled"}


def _free(current: str, offered: Collection[str]) -> str | None:
    """The mode to change to; None: none."""
    return next((one for one in _FREE_MODES if one in offered and current in _BOUND_MODES), None)


def _values(option: Mapping[str, Any]) -> set[str]:
    """What can be chosen, in groups or not."""
    choices = mappings(option, "options")
    return {text(one, "value") for group in choices for one in (group, *mappings(group, "options"))}
