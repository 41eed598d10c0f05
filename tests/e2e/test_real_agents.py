"""The real agents in the real sandbox, through the gateway, against a model that plays a script."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.drive import Driven, drive
from runner.gateway.model_proxy import open_gateway
from runner.harnesses import Task, claude_code, codex
from runner.model import (
    FileEdit,
    HarnessSpec,
    Limits,
    Outcome,
    Problem,
    Reason,
    Session,
    ToolCall,
    TranscriptEvent,
    Usage,
)
from runner.sandboxes import Mount, SandboxSpec, docker
from tests.parts.model_server import ModelServer, Script

pytestmark = [pytest.mark.docker, pytest.mark.real_cli, pytest.mark.xdist_group("real_cli")]

KEY = "sk-the-real-key-0123456789abcdef"
WRITE: Sequence[Any] = [{"say": "I will write it."}, {"write": {"path": "hello.txt", "content": "hello\n"}}]
GOOD: Script = [WRITE, [{"shell": "cat hello.txt; exit 3"}], [{"say": "Done."}]]


@dataclass(frozen=True, slots=True)
class Ran:
    driven: Driven
    outcome: Outcome
    workspace: Path
    kept: Path
    seen: list[TranscriptEvent]
    requests: list[Any]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


AGENTS = {"claude": (claude_code, "claude-sonnet-4-5"), "codex": (codex, "gpt-5.5")}
Run = Callable[..., Ran]


@pytest.fixture(params=AGENTS)
def agent(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path, local_image: str, model_server: ModelServer) -> Run:
    """Runs an agent on a script, as a run of a skill does."""

    def go(agent: str, script: Script, limits: Limits | None = None, **options: Any) -> Ran:
        module: Any
        module, model = AGENTS[agent]
        folders = [tmp_path / name for name in ("workspace", "exchange", "kept")]
        for folder in folders:
            folder.mkdir()
        workspace, exchange, kept = folders
        if docker.OWNER is not None:
            os.chown(workspace, *docker.OWNER)
        binary = request.getfixturevalue(f"{agent}_binary")
        spec = SandboxSpec(
            run_id=f"test-{os.getpid()}-{id(script):x}",
            image=local_image,
            workspace=workspace,
            exchange=exchange,
            mounts=(Mount(source=binary, target=f"/opt/skillrunner/bin/{agent}"),),
            gateway=True,
        )
        name = f"{agent}-{tmp_path.name}"
        seen: list[TranscriptEvent] = []
        with docker.open(spec) as sandbox:
            sandbox.seal()
            upstream = model_server.url(name, script)
            with open_gateway(module.MODEL, KEY, sandbox.gateway_host(), upstream) as gateway:
                task = Task(
                    spec=HarnessSpec(kind=agent, model=model, options=options),
                    prompt="Write hello.txt, please.\n",
                    limits=limits or Limits(timeout=90),
                    places=sandbox.places,
                    model_url=gateway.url,
                    model_token=gateway.token,
                )
                driven = drive(sandbox, module, task, kept, [KEY], seen.append)
        changed = any(workspace.iterdir())
        return Ran(driven, driven.outcome(changed), workspace, kept, seen, model_server.asked(name))

    return go


def test_a_good_run(run: Run, agent: str) -> None:
    ran = run(agent, GOOD)
    assert ran.outcome.ok, ran.outcome
    assert (ran.workspace / "hello.txt").read_text() == "hello\n"
    assert ran.outcome.summary == "Done."
    cost = 0.01233 if agent == "claude" else None
    assert ran.outcome.usage == Usage(tokens_in=3600, tokens_out=102, cost_usd=cost)
    assert ran.outcome.session_id == ran.of(Session)[0].session_id
    assert len(ran.of(ToolCall)) == 2
    assert Path(ran.of(FileEdit)[0].path).name == "hello.txt"
    types = [json.loads(line)["type"] for line in (ran.kept / "transcript.jsonl").read_text().splitlines()]
    assert types == [event.type for event in ran.seen]
    assert types[0] == "session"
    assert types[-1] == "end"


def test_the_model_is_asked_with_the_real_key_and_the_prompt(run: Run, agent: str) -> None:
    ran = run(agent, GOOD)
    header = {"claude": ("x-api-key", KEY), "codex": ("authorization", f"Bearer {KEY}")}[agent]
    assert len(ran.requests) == 3
    for request in ran.requests:
        assert request.headers[header[0]] == header[1]
        assert "Write hello.txt, please." in json.dumps(request.body)
    assert KEY not in json.dumps([request.body for request in ran.requests])


def test_no_key_is_in_the_sandbox(run: Run, agent: str) -> None:
    look = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline > seen.txt 2>/dev/null; env >> seen.txt"
    ran = run(agent, [[{"shell": look}], [{"say": "Done."}]])
    assert ran.outcome.ok, ran.outcome
    seen = (ran.workspace / "seen.txt").read_bytes()
    assert b"SKILLRUNNER_PROMPT=" in seen
    assert KEY.encode() not in seen
    assert b"Write hello.txt" not in seen


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
    ("limits", "reason"),
    [(Limits(timeout=4), Reason.WALL_CLOCK), (Limits(timeout=60, idle=2.5), Reason.IDLE)],
)
def test_a_model_that_hangs(run: Run, agent: str, limits: Limits, reason: Reason) -> None:
    ran = run(agent, [WRITE, [{"delay": 100}]], limits)
    assert ran.outcome.reason is reason
    assert (ran.workspace / "hello.txt").exists()
    assert ran.outcome.session_id
    assert ran.outcome.usage.tokens_in == (1200 if agent == "claude" else 0)


def test_a_claim_without_work_is_no_success(run: Run, agent: str) -> None:
    ran = run(agent, [[{"say": "All done, I fixed everything."}]])
    assert ran.driven.ended.code == 0
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


def test_claudes_cost_is_limited(run: Run) -> None:
    ran = run("claude", GOOD, Limits(timeout=60, cost_usd=0.001))
    assert ran.outcome.reason is Reason.COST_LIMIT
    assert ran.outcome.usage.cost_usd == 0.00411


def test_claudes_tools_are_limited(run: Run) -> None:
    ran = run("claude", GOOD, allowed_tools=("Read",))
    assert ran.outcome.reason is Reason.NO_EVIDENCE
    assert not (ran.workspace / "hello.txt").exists()


def test_instructions_reach_the_model(run: Run, agent: str) -> None:
    ran = run(agent, GOOD, append_system_prompt='Say "please".\nAlways.')
    assert json.dumps('Say "please".\nAlways.')[1:-1] in json.dumps(ran.requests[0].body)


def test_an_upstream_that_is_gone(
    run: Run, monkeypatch: pytest.MonkeyPatch, model_server: ModelServer
) -> None:
    monkeypatch.setattr(type(model_server), "url", lambda self, name, script: "http://127.0.0.1:9")
    ran = run("codex", GOOD)
    assert (ran.outcome.reason, ran.outcome.retryable) == (Reason.PROVIDER_ERROR, True)
    assert "502" in ran.outcome.message
