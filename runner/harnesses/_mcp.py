"""Servers of the Model Context Protocol in the form that several agents read them in.

Source: the agents' own docs on `mcpServers`. A program is started by the agent, with its variables besides.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from runner.model import McpServer


def servers(named: Iterable[McpServer], url: Mapping[str, Any], at: str = "url") -> dict[str, Any]:
    """By name. A server with an address has it under the key `at`, and `url` besides."""
    return {one.name: _program(one) if one.command else {**url, at: one.url} for one in named}


def _program(server: McpServer) -> dict[str, Any]:
    program, *arguments = server.command
    return {"command": program, "args": arguments, "env": dict(server.variables)}
