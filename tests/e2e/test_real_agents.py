"""Real agents whose model refuses, hangs or does nothing: in the real sandbox, through the gateway."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.model import Limits, Problem, Reason
from tests.parts import agents
from tests.parts.model_server import ModelServer
from tests.parts.protocols.steps import Script
from tests.parts.sessions import GOOD, WRITE, Ran, run_agent

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

Run = Callable[..., Ran]


@pytest.fixture(params=["claude", "codex"])
def agent(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(tmp_path: Path, local_image: str, model_server: ModelServer) -> Run:
    """Runs an agent on a script, as a run of a skill does."""

    def go(agent: str, script: Script, limits: Limits | None = None, **options: Any) -> Ran:
        upstream = model_server.url(_name(agent, tmp_path), script)
        return run_agent(agent, agents.AGENTS[agent](), local_image, tmp_path, upstream, limits, options)

    return go


def _name(agent: str, folder: Path) -> str:
    return f"{agent}-{folder.name}"


def test_a_refused_key_is_the_providers_error(run: Run, agent: str) -> None:
    ran = run(agent, [[{"error": 401, "message": "invalid key"}]])
    assert (ran.outcome.reason, ran.outcome.retryable) == (Reason.PROVIDER_ERROR, False)
    assert "401" in ran.outcome.message
    assert "invalid key" in ran.outcome.message
    assert all(problem.status == 401 for problem in ran.of(Problem))


def test_overload_is_worth_another_attempt(run: Run, agent: str) -> None:
    ran = run(agent, [[{"error": 429, "message": "slow down"}]])
    assert (ran.outcome.reason, ran.outcome.retryable) == (Reason.PROVIDER_ERROR, True)
    assert "429" in ran.outcome.message


def test_a_short_overload_is_lived_through(run: Run, agent: str) -> None:
    ran = run(agent, [[{"error": 529, "times": 1}, *WRITE], *GOOD[1:]])
    assert ran.outcome.ok, ran.outcome


@pytest.mark.parametrize(
    ("agent", "limits", "reason"),
    [("claude", Limits(timeout=10), Reason.WALL_CLOCK), ("codex", Limits(timeout=60, idle=2.5), Reason.IDLE)],
)
def test_a_model_that_hangs(run: Run, agent: str, limits: Limits, reason: Reason) -> None:
    ran = run(agent, [WRITE, [{"delay": 100}]], limits)
    assert ran.outcome.reason is reason
    assert (ran.workspace / "hello.txt").exists()
    assert ran.outcome.session_id
    assert ran.outcome.usage.tokens_in == (1200 if agent == "claude" else 0)


def test_a_claim_without_work_is_no_success(run: Run, agent: str) -> None:
    ran = run(agent, [[{"say": "All done, I fixed everything."}]])
    assert ran.driven.exit.code == 0
    assert ran.outcome.reason is Reason.NO_EVIDENCE


def test_looking_around_is_nothing_to_do(run: Run, agent: str) -> None:
    ran = run(agent, [[{"shell": "ls; exit 1"}], [{"say": "Nothing to change."}]])
    assert ran.outcome.reason is Reason.NO_CHANGES
    assert ran.outcome.summary == "Nothing to change."


def test_declared_outputs_come_out(run: Run, agent: str) -> None:
    declare = """echo '{"kind": "comment", "body": "hi"}' >> "$SKILLRUNNER_OUTPUTS\""""
    ran = run(agent, [[{"shell": declare}], [{"say": "Done."}]])
    assert [one.kind for one in ran.driven.declared] == ["comment"]
    assert ran.outcome.ok


def test_claudes_turns_are_limited(run: Run) -> None:
    ran = run("claude", GOOD, max_turns=1)
    assert ran.outcome.reason is Reason.HARNESS_FAILED
    assert "maximum number of turns" in ran.outcome.message


def test_claudes_tools_are_limited(run: Run) -> None:
    ran = run("claude", GOOD, allowed_tools=("Read",))
    assert ran.outcome.reason is Reason.NO_EVIDENCE
    assert not (ran.workspace / "hello.txt").exists()


def test_an_upstream_that_is_gone(
    run: Run, monkeypatch: pytest.MonkeyPatch, model_server: ModelServer
) -> None:
    monkeypatch.setattr(type(model_server), "url", lambda self, name, script: "http://127.0.0.1:9")
    ran = run("codex", GOOD)
    assert (ran.outcome.reason, ran.outcome.retryable) == (Reason.PROVIDER_ERROR, True)
    assert "502" in ran.outcome.message
