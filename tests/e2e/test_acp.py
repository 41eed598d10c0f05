"""Real agents that speak the Agent Client Protocol, in a container, through the gateway."""

from pathlib import Path

import pytest

from runner.core.model import FileEdit, Limits, Message, Reason, SessionStart, ToolCall, Usage
from tests.parts import agents
from tests.parts.model_server import ModelServer
from tests.parts.protocols.steps import Script
from tests.parts.sessions import GOOD, KEY, Ran, run_agent

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

AGENTS = ["gemini", "opencode"]
TOLD = {"gemini": Usage(tokens_in=3600, tokens_out=102), "opencode": Usage(tokens_in=1200, tokens_out=34)}


def play(agent: str, script: Script, folder: Path, image: str, server: ModelServer) -> Ran:
    upstream = server.url(f"acp-{agent}-{folder.name}", script)
    return run_agent(
        f"acp-{agent}", agents.AGENTS[agent](), image, folder, upstream, limits=Limits(timeout=200)
    )


@pytest.mark.parametrize("agent", AGENTS)
def test_a_change_is_made(agent: str, tmp_path: Path, local_image: str, model_server: ModelServer) -> None:
    ran = play(agent, GOOD, tmp_path, local_image, model_server)
    assert ran.outcome.ok, (ran.outcome, ran.seen)
    assert (ran.workspace / "hello.txt").read_text() == "hello\n"
    assert ran.outcome.summary == "Done."
    assert (ran.outcome.usage.tokens_in, ran.outcome.usage.tokens_out) == (
        TOLD[agent].tokens_in,
        TOLD[agent].tokens_out,
    )
    assert ran.outcome.session_id == ran.of(SessionStart)[0].session_id
    assert [event.text for event in ran.of(Message)][:1] == ["I will write it."]
    assert len(ran.of(ToolCall)) == 2
    assert Path(ran.of(FileEdit)[0].path).name == "hello.txt"
    asked = model_server.asked(f"acp-{agent}-{tmp_path.name}")
    assert all(KEY in str(one.headers) for one in asked)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_refused_key_is_told(
    agent: str, tmp_path: Path, local_image: str, model_server: ModelServer
) -> None:
    ran = play(agent, [[{"error": 401, "message": "wrong key"}]], tmp_path, local_image, model_server)
    reason = {"gemini": Reason.PROVIDER_ERROR, "opencode": Reason.HARNESS_FAILED}[agent]
    assert (ran.outcome.ok, ran.outcome.reason) == (False, reason), (ran.outcome, ran.seen)
    assert "wrong key" in ran.outcome.message


@pytest.mark.parametrize("agent", AGENTS)
def test_words_alone_are_no_work(
    agent: str, tmp_path: Path, local_image: str, model_server: ModelServer
) -> None:
    ran = play(agent, [[{"say": "All is well."}]], tmp_path, local_image, model_server)
    assert ran.outcome.reason is Reason.NO_EVIDENCE
