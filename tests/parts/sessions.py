"""A session of a real agent as a run of a skill has it: in a container, through the gateway."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.core.model import HarnessSpec, Limits, McpServer, Outcome, TranscriptEvent
from runner.gateway.server import GatewayAddress
from runner.harnesses import Harness, Task
from runner.harnesses.acp import Acp
from runner.harnesses.claude_code import ClaudeCode
from runner.harnesses.codex import Codex
from runner.harnesses.copilot import Copilot
from runner.harnesses.gemini import Gemini
from runner.harnesses.opencode import Opencode
from runner.harnesses.qwen import Qwen
from runner.run.agent.drive import HarnessResult, drive
from runner.sandboxes import SANDBOXES, Mount, SandboxSpec
from tests.parts.agents import Agent
from tests.parts.gateway import open_gateway
from tests.parts.protocols.steps import Script

AGENTS: Mapping[str, tuple[Harness, str]] = {
    "claude": (ClaudeCode(), "claude-sonnet-4-5"),
    "codex": (Codex(), "gpt-5.5"),
    "gemini": (Gemini(), "gemini-2.5-pro"),
    "copilot": (Copilot(), "scripted"),
    "opencode": (Opencode(), "scripted"),
    "qwen": (Qwen(), "scripted"),
    "acp-gemini": (Acp(), "gemini-2.5-pro"),
    "acp-opencode": (Acp(), "own/scripted"),
}
_OPENCODE = {
    "autoupdate": False,
    "share": "disabled",
    "small_model": "own/scripted",
    "provider": {
        "own": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": "{env:OPENAI_BASE_URL}", "apiKey": "{env:OPENAI_API_KEY}"},
            "models": {"scripted": {}},
        }
    },
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "acp-gemini": {"command": ("gemini", "--acp", "--skip-trust"), "api": "gemini"},
    "acp-opencode": {"command": ("opencode", "acp"), "api": "openai"},
}
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "acp-opencode": {"OPENCODE_CONFIG_CONTENT": json.dumps(_OPENCODE), "OPENCODE_DISABLE_MODELS_FETCH": "1"}
}
KEY = "sk-the-real-key-0123456789abcdef"
PROMPT = "Write hello.txt, please.\n"
WRITE: Sequence[Any] = [{"say": "I will write it."}, {"write": {"path": "hello.txt", "content": "hello\n"}}]
GOOD: Script = [WRITE, [{"shell": "cat hello.txt; exit 3"}], [{"say": "Done."}]]


@dataclass(frozen=True, slots=True)
class Ran:
    driven: HarnessResult
    outcome: Outcome
    workspace: Path
    kept: Path
    seen: list[TranscriptEvent]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


def _mounts(installed: Agent, name: str) -> tuple[Mount, ...]:
    if installed.shown is not None:
        return tuple(installed.shown.mounts(name, _tools()))
    return (
        Mount(source=installed.program, target=f"{_tools()}/{name}"),
        *(Mount(source=path, target=str(path)) for path in installed.needs),
    )


def _tools() -> str:
    return SANDBOXES.get("docker").tools


def run_agent(
    agent: str,
    installed: Agent,
    image: str,
    folder: Path,
    upstream: str,
    limits: Limits | None = None,
    options: Mapping[str, Any] | None = None,
    mcp: Sequence[McpServer] = (),
    variables: Mapping[str, str] | None = None,
    opened: Callable[..., AbstractContextManager[GatewayAddress]] = open_gateway,
    names_model: bool = True,
) -> Ran:
    """Let `agent` do what the model at `upstream` says, in new folders below `folder`.

    `opened` makes another gateway than the usual one; without `names_model` the agent has its default model.
    """
    harness, model = AGENTS[agent][0], AGENTS[agent][1] if names_model else None
    asked = HarnessSpec(kind=agent, model=model, options={**OPTIONS.get(agent, {}), **(options or {})})
    name = harness.program or asked.options["command"][0]
    workspace, exchange, kept = (folder / name for name in ("workspace", "exchange", "kept"))
    for one in (workspace, exchange, kept):
        one.mkdir(exist_ok=True)
    docker = SANDBOXES.get("docker")
    if docker.owner is not None:
        os.chown(workspace, *docker.owner)
    spec = SandboxSpec(
        run_id=f"test-{os.getpid()}-{abs(hash(folder)):x}",
        image=image,
        workspace=workspace,
        exchange=exchange,
        mounts=_mounts(installed, name),
        gateway=True,
    )
    seen: list[TranscriptEvent] = []
    with (
        docker.open(spec) as sandbox,
        opened(harness.model_for(asked.options), KEY, upstream, listener=sandbox.listener()) as gateway,
    ):
        sandbox.seal()
        task = Task(
            spec=asked,
            prompt=PROMPT,
            limits=limits or Limits(timeout=90),
            places=sandbox.places,
            model_url=gateway.url,
            model_token=gateway.token,
            variables={**gateway.proxy, **VARIABLES.get(agent, {}), **(variables or {})},
            mcp=tuple(mcp),
        )
        driven = drive(sandbox, harness, task, kept, [KEY], seen.append)
    return Ran(driven, driven.outcome(any(workspace.iterdir())), workspace, kept, seen)
