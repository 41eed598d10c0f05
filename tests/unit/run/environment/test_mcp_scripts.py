"""MCP servers of a skill: what a skill file may say, and how each harness is told."""

import json
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runner.core.model import McpServer, Problem
from runner.harnesses import Harness, Launch, Task
from runner.harnesses.acp import AcpReader
from runner.harnesses.claude_code import ClaudeCode
from runner.harnesses.codex import Codex
from runner.harnesses.command import Command
from runner.harnesses.copilot import Copilot
from runner.harnesses.gemini import Gemini
from runner.harnesses.opencode import Opencode
from runner.harnesses.oz import Oz
from runner.harnesses.qwen import Qwen
from runner.run.environment.mcp_scripts import launch_script
from tests.parts.recordings import lines, read, task
from tests.parts.skills import YAML, loaded

URL = "http://127.0.0.1:4000/a-token/mcp"
SERVERS = (
    McpServer(name="skillrunner", url=URL),
    McpServer(name="words", command=("sh", "/exchange/mcp-words.sh")),
)
PROGRAM = {"command": "sh", "args": ["/exchange/mcp-words.sh"]}
VARIABLES = {"A_SECRET": "xyz-123", "https_proxy": "http://p"}


def told(kind: str, **options: Any) -> Task:
    return replace(task(kind, **options), mcp=SERVERS, variables=VARIABLES)


def in_json(content: bytes) -> Any:
    return json.loads(content)


TOLD: list[tuple[Harness, str, Callable[[Launch], Any], dict[str, Any]]] = [
    (
        ClaudeCode(),
        "claude-code",
        lambda launch: in_json(launch.files["mcp.json"])["mcpServers"],
        {"skillrunner": {"type": "http", "url": URL}, "words": {**PROGRAM, "env": {}}},
    ),
    (
        Codex(),
        "codex",
        lambda launch: tomllib.loads(launch.home[".codex/config.toml"].decode())["mcp_servers"],
        {"skillrunner": {"url": URL}, "words": {**PROGRAM, "env_vars": ["A_SECRET", "https_proxy"]}},
    ),
    (
        Gemini(),
        "gemini",
        lambda launch: in_json(launch.home[".gemini/settings.json"])["mcpServers"],
        {
            "skillrunner": {"httpUrl": URL},
            "words": {**PROGRAM, "env": {"A_SECRET": "$A_SECRET", "https_proxy": "$https_proxy"}},
        },
    ),
    (
        Qwen(),
        "qwen",
        lambda launch: in_json(launch.files["qwen-settings.json"])["mcpServers"],
        {"skillrunner": {"httpUrl": URL}, "words": {**PROGRAM, "env": {}}},
    ),
    (
        Copilot(),
        "copilot",
        lambda launch: in_json(launch.files["mcp.json"])["mcpServers"],
        {
            "skillrunner": {"type": "http", "url": URL, "tools": ["*"]},
            "words": {**PROGRAM, "env": {}, "tools": ["*"]},
        },
    ),
    (
        Opencode(),
        "opencode",
        lambda launch: in_json(launch.variables["OPENCODE_CONFIG_CONTENT"].encode())["mcp"],
        {
            "skillrunner": {"type": "remote", "url": URL, "oauth": False, "timeout": 60_000},
            "words": {"type": "local", "command": ["sh", "/exchange/mcp-words.sh"], "timeout": 60_000},
        },
    ),
]


@pytest.mark.parametrize(("harness", "kind", "said", "expected"), TOLD, ids=[one[1] for one in TOLD])
def test_each_is_told_in_its_own_way(
    harness: Harness, kind: str, said: Callable[[Launch], Any], expected: dict[str, Any]
) -> None:
    launch = harness.launch(told(kind))
    assert said(launch) == expected
    assert harness.mcp == "any"
    shown = " ".join(launch.argv)
    assert "a-token" not in shown
    assert "xyz-123" not in repr((shown, launch.files, launch.home))


@pytest.mark.parametrize(("harness", "kind"), [one[:2] for one in TOLD], ids=[one[1] for one in TOLD])
def test_without_servers_nothing_is_said(harness: Harness, kind: str) -> None:
    assert "mcp" not in repr(harness.launch(task(kind))).lower().replace("--disable-builtin-mcps", "")


def test_claude_may_use_them_where_its_tools_are_named() -> None:
    argv = ClaudeCode().launch(told("claude-code", allowed_tools=["Read"])).argv
    assert argv[-3:] == ("Read", "mcp__skillrunner", "mcp__words")
    assert "--strict-mcp-config" in argv


def test_a_program_is_given_the_address_of_the_runs_own() -> None:
    launch = Command().launch(told("command", command=["x"]))
    assert launch.variables == {"SKILLRUNNER_MCP": URL}
    assert Command().launch(task("command", command=["x"])).variables == {}
    assert Oz().mcp == ""


@pytest.mark.parametrize("by_http", [True, False])
def test_an_acp_agent_is_told_what_it_can_use(by_http: bool) -> None:
    reader = AcpReader()
    speaker = reader.speaker()
    speaker.begin(told("acp", command=("agent",)))
    assert speaker.say()
    capabilities = {"mcpCapabilities": {"http": by_http}}
    events = read(reader, lines({"jsonrpc": "2.0", "id": 1, "result": {"agentCapabilities": capabilities}}))
    asked = json.loads(speaker.say() or b"")
    servers = asked["params"]["mcpServers"]
    variables = [{"name": name, "value": value} for name, value in VARIABLES.items()]
    assert servers[-1] == {"name": "words", **PROGRAM, "env": variables}
    ours = {"type": "http", "name": "skillrunner", "url": URL, "headers": []}
    assert servers[:-1] == ([ours] if by_http else [])
    missing = [Problem(message="agent does not reach MCP servers by HTTP, such as skillrunner")]
    assert events == ([] if by_http else missing)


def test_a_script_keeps_every_character() -> None:
    odd = "plain $HOME `x` 'y' \"z\"\n\\ ${A} %s"
    text = launch_script(("sh", "-c", 'printf %s "$ODD|$1"', "sh", odd), {"ODD": odd})
    done = subprocess.run(["sh"], input=text.encode(), capture_output=True, check=True)
    assert done.stdout.decode() == f"{odd}|{odd}"


def changed(old: str, new: str) -> str:
    assert old in YAML
    return YAML.replace(old, new)


def test_servers_are_read() -> None:
    found = loaded().skills["docs"].options.environment.mcp
    assert found["issues"].url == "https://api.example.com/mcp"
    assert found["words"].command == ("words", "--stdio")
    assert found["words"].variables == {"LANG": "en"}


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            "https://api.example.com/mcp",
            "https://other.example.com/mcp",
            19,
            "does not reach other.example.com",
        ),
        ("https://api.example.com/mcp", "http://api.example.com/mcp", 19, "should be an https address"),
        ("https://api.example.com/mcp", "https://u:p@api.example.com/mcp", 19, "should be an https address"),
        ("issues: {url", "skillrunner: {url", 19, "and not `skillrunner`"),
        ("issues: {url", "Issues: {url", 19, "a-z"),
        ('{url: "https://api.example.com/mcp"}', "{}", 19, "either `command` or `url`"),
        ("{command: [words, --stdio], ", '{url: "https://api.example.com/", ', 20, "only a `command`"),
        ("[words, --stdio]", "[]", 20, "should not be empty"),
        ("kind: claude-code, model: sonnet", "kind: oz", 18, "oz cannot be told of MCP servers"),
        ("kind: claude-code, model: sonnet", "kind: command, command: [x]", 18, "command cannot be told"),
        ("[declare_output, note]", "[declare_outputs]", 23, "should be"),
    ],
)
def test_what_cannot_work_is_told_with_its_line(old: str, new: str, line: int, message: str) -> None:
    faults = loaded(changed(old, new)).faults
    assert (faults[0].file, faults[0].line) == ("skills/docs/skill.yaml", line)
    assert message in faults[0].message


def test_a_harness_without_tools_is_told() -> None:
    yaml = changed("kind: claude-code, model: sonnet", "kind: oz")
    messages = [fault.message for fault in loaded(yaml).faults]
    assert messages == [
        "the harness oz cannot be told of MCP servers",
        "the harness oz cannot be given tools",
    ]


def test_an_ecosystems_host_may_be_named() -> None:
    assert loaded(changed("https://api.example.com/mcp", "https://pypi.org/mcp")).faults == ()
