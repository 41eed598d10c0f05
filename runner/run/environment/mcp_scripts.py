"""Start scripts in the sandbox for the MCP servers that a harness starts.

Agents pass variables to these servers in different ways: some replace `$NAME` anywhere in their settings,
some pass only named ones. A script sets the variables in the same way for all agents.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from runner.core.model import McpServer
from runner.sandboxes import Sandbox


def with_launch_scripts(
    box: Sandbox, servers: Iterable[McpServer], variables: Mapping[str, str]
) -> tuple[McpServer, ...]:
    """The servers; each one that is a program gets a script with `variables` and its own ones."""
    return tuple(
        _with_script(box, one, {**variables, **one.variables}) if one.command else one for one in servers
    )


def _with_script(box: Sandbox, server: McpServer, variables: Mapping[str, str]) -> McpServer:
    path = box.put(f"mcp-{server.name}.sh", launch_script(server.command, variables).encode())
    return replace(server, command=("sh", path), variables={})


def launch_script(command: Iterable[str], variables: Mapping[str, str]) -> str:
    """The script for a POSIX shell."""
    exports = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return "".join((*exports, f"exec {shlex.join(command)}\n"))
