"""Checks a skill file's tools and MCP servers together with its harness and network."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from runner.config.documents import Document
from runner.config.network import network_rules
from runner.harnesses import HARNESSES
from runner.skills.models import SkillFile


def check_servers(document: Document, options: SkillFile) -> None:
    """Add a fault for each server that could not be reached, and where the harness can use none."""
    environment = options.environment
    hosts = network_rules(environment.network.allow).hosts
    for name, server in environment.mcp.items():
        host = urlsplit(server.url or "").hostname
        if host and host not in hosts:
            place = document.value(("environment", "mcp", name, "url"))
            hint = f"add {host} to `environment.network.allow`"
            document.fault(place, f"the sandbox does not reach {host}", server.url, hint)
    for key, message in refusals(options.harness.kind, bool(environment.mcp), bool(options.tools)):
        path = ("environment", "mcp") if key == "environment.mcp" else (key,)
        document.fault(document.key(path), message, None, "leave it out, or choose another harness")


def refusals(kind: str, servers: bool, tools: bool) -> Iterator[tuple[str, str]]:
    """(key, reason) for each server or tool of a skill that a harness of this kind cannot use."""
    can = HARNESSES.get(kind).mcp
    if servers and can != "any":
        yield "environment.mcp", f"the harness {kind} cannot be told of MCP servers"
    if tools and not can:
        yield "tools", f"the harness {kind} cannot be given tools"
