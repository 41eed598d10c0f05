"""The door to tools, as the official Python SDK of the protocol sees it, in both kinds of revisions."""

import asyncio
import socket

import pytest
from mcp.client.client import Client
from pydantic import Field

from runner.config.documents import Model, Text
from runner.config.network import NetworkRules
from runner.gateway.factory import ModelRouteOptions, open_gateway
from runner.gateway.mcp import Tool, ToolError


class Word(Model):
    word: Text = Field(description="What to shout")


def shout(given: Word) -> str:
    if given.word == "no":
        raise ToolError("it is not polite")
    return given.word.upper()


async def talk(url: str, mode: str) -> tuple[str, list[str], list[tuple[str, bool]]]:
    """The revision that was agreed on, the tools, and what came of three calls."""
    async with Client(url, mode=mode, read_timeout_seconds=60) as client:
        listed = await client.list_tools()
        came = []
        for word in ("hey", "no", ""):
            result = await client.call_tool("shout", {"word": word})
            (content,) = result.content
            assert content.type == "text"
            came.append((content.text, bool(result.is_error)))
        return str(client.session.protocol_version), [tool.name for tool in listed.tools], came


@pytest.mark.parametrize(
    ("mode", "version"), [("auto", "2026-07-28"), ("2026-07-28", "2026-07-28"), ("legacy", "2025-11-25")]
)
def test_the_official_client_calls_a_tool(mode: str, version: str) -> None:
    tool = Tool(name="shout", description="Say it loudly", arguments=Word, call=shout)
    listener = socket.create_server(("127.0.0.1", 0))
    with open_gateway(listener, ModelRouteOptions(), NetworkRules(), lambda _: None, [tool]) as gateway:
        agreed, names, came = asyncio.run(talk(gateway.mcp, mode))
    assert (agreed, names) == (version, ["shout"])
    assert came[:2] == [("HEY", False), ("it is not polite", True)]
    assert came[2][1]
    assert came[2][0].startswith("word: ")
