"""Servers of the Model Context Protocol in the form that several agents read them in.

Source: the agents' own docs on `mcpServers`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from runner.core.model import McpServer


def servers(
    named: Iterable[McpServer],
    url: Mapping[str, Any],
    at: str = "url",
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """By name. One with an address has it under the key `at`, and `url` besides; a program gets `env`."""
    return {one.name: _program(one, env or {}) if one.command else {**url, at: one.url} for one in named}


def _program(server: McpServer, env: Mapping[str, str]) -> dict[str, Any]:
    program, *arguments = server.command
    return {"command": program, "args": arguments, "env": dict(env)}
