"""MCP servers that a harness starts, as scripts in the sandbox.

Agents put variables into what they start in ways of their own: some replace `$NAME` wherever it stands in
their settings, some pass on only what is named. A script says it once for all of them.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from runner.core.model import McpServer
from runner.sandboxes import Sandbox


def with_launch_scripts(
    box: Sandbox, servers: Iterable[McpServer], variables: Mapping[str, str]
) -> tuple[McpServer, ...]:
    """The servers, those that are programs started by scripts, with `variables` and their own."""
    return tuple(
        _scripted(box, one, {**variables, **one.variables}) if one.command else one for one in servers
    )


def _scripted(box: Sandbox, server: McpServer, variables: Mapping[str, str]) -> McpServer:
    path = box.put(f"mcp-{server.name}.sh", launch_script(server.command, variables).encode())
    return replace(server, command=("sh", path), variables={})


def launch_script(command: Iterable[str], variables: Mapping[str, str]) -> str:
    """What a POSIX shell reads."""
    exports = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return "".join((*exports, f"exec {shlex.join(command)}\n"))
