"""What fails in verification goes back to the agent: how often, with what, and what becomes of the run."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.core.model import (
    Check,
    End,
    Environment,
    HarnessSpec,
    Limits,
    Outcome,
    Reason,
    RunState,
)
from runner.core.redact import Redactor
from runner.harnesses import Launch, Sessions, Task
from runner.publish.forges import PullRequest
from runner.run.stages.repair import repair_text
from runner.sandboxes import SANDBOXES
from runner.store import LocalPullRequests
from tests.integration.run.test_execute import Scene, scene  # noqa: F401 - a fixture
from tests.integration.run.test_execute_costs import MODEL, ONE, CallingHarness, ContentReader
from tests.parts.model_server import ModelServer

ASKED = "verified on a clean tree"
CHECK = "grep -q good a.txt || { echo it is $((40 + 2)); false; }"
MEND = f'cat > p; if grep -q "{ASKED}" p; then echo good > a.txt; else echo bad > a.txt; fi; mv p $KEPT/$$'


def _pulls(scene: Scene) -> Sequence[PullRequest]:  # noqa: F811
    return LocalPullRequests(scene.store.engine, scene.store.database, "demo").all()


class Repairs:
    """Runs of a program in no sandbox; each turn leaves its prompt in a folder."""

    def __init__(self, scene: Scene, folder: Path) -> None:  # noqa: F811
        self.scene, self.folder = scene, folder
        self.run_id = ""

    def run(self, script: str = MEND, verify: str = CHECK, **changes: Any) -> End:
        script = script.replace("$KEPT", shlex.quote(str(self.folder)))
        spec = self.scene.spec(
            **{
                "environment": Environment(sandbox="process", image=""),
                "harness": HarnessSpec(kind="command", options={"command": ("sh", "-c", script)}),
                "verify": (verify,),
                **changes,
            }
        )
        self.run_id, end = self.scene.run(spec, sandbox=SANDBOXES.get("process"))
        return end

    @property
    def prompts(self) -> list[str]:
        """In the order of the turns."""
        files = sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_text() for path in files]

    @property
    def told(self) -> list[str]:
        return [event.message for event in self.scene.events]

    @property
    def states(self) -> list[str]:
        return [str(event.state) for event in self.scene.events if event.state]

    def published(self) -> str:
        return self.scene.project.git("show", "skillrunner/s/default:a.txt", cwd=self.scene.project.origin)


@pytest.fixture
def repairs(scene: Scene, tmp_path: Path) -> Repairs:  # noqa: F811
    folder = tmp_path / "prompts"
    folder.mkdir()
    return Repairs(scene, folder)


def test_what_failed_goes_back_once_by_default_and_is_verified_anew(repairs: Repairs) -> None:
    end = repairs.run()
    assert end.state is RunState.SUCCEEDED, end
    assert repairs.published() == "good"
    first, second = repairs.prompts
    assert ASKED not in first
    assert "ended with exit code 1 and printed:" in second
    assert ">it is 42</untrusted-" in second
    assert f"repair 1 of 1: the agent is told what failed: {CHECK}" in repairs.told
    assert repairs.states == [
        *("preparing", "running", "verifying", "running", "verifying", "publishing", "succeeded")
    ]
    assert [check.ok for check in repairs.scene.store.checks(repairs.run_id)] == [True]


def test_an_agent_without_sessions_begins_anew_with_its_task_on_the_tree_as_it_was_left(
    repairs: Repairs,
) -> None:
    script = (
        f'cat > p; if grep -q "{ASKED}" p; then cat b.txt > a.txt; else echo good > b.txt; fi; mv p $KEPT/$$'
    )
    end = repairs.run(f"{script}; echo my last words")
    assert end.state is RunState.SUCCEEDED, end
    assert repairs.published() == "good"
    assert repairs.prompts[1].startswith("Do it.\n\nAn agent before you had this task.")


def test_the_record_has_the_transcripts_of_all_turns(repairs: Repairs) -> None:
    repairs.run(f"echo turn $$; {MEND}")
    kept = {one.name: Path(one.path) for one in repairs.scene.store.artifacts(repairs.run_id)}
    assert kept["transcript.jsonl"].read_text().count('"turn ') == 2
    assert kept["transcript.raw"].read_text().count("turn ") == 2
    assert "+good" in kept["patch"].read_text()


@pytest.mark.parametrize(
    ("most", "turns", "why"),
    [(0, 1, "no repair is allowed"), (2, 3, "after 2 repairs")],
)
def test_repairs_are_at_most_so_many(repairs: Repairs, most: int, turns: int, why: str) -> None:
    end = repairs.run("cat > $KEPT/$$; echo x >> a.txt", limits=Limits(timeout=30, idle=30, repairs=most))
    assert (end.state, end.reason) == (RunState.FAILED, Reason.VERIFICATION_FAILED)
    assert end.message == f"verification failed: {CHECK} ({why})"
    assert len(repairs.prompts) == turns
    assert repairs.scene.project.branches() == ["main"]


def test_a_repair_that_changes_nothing_ends_it_at_once(repairs: Repairs) -> None:
    end = repairs.run("cat > $KEPT/$$; echo bad > a.txt", limits=Limits(timeout=30, idle=30, repairs=5))
    assert end.message == f"verification failed: {CHECK} (the repair changed nothing)"
    assert len(repairs.prompts) == 2


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("exit 3", "the command exited with code 3"),
        ("rm a.txt", "the command changed no file"),
        ("sleep 20", "reached its time limit"),
    ],
)
def test_a_repair_that_comes_to_nothing_leaves_what_was_made_before(
    repairs: Repairs, second: str, why: str
) -> None:
    script = f'cat > p; if grep -q "{ASKED}" p; then rm p; {second}; else rm p; echo bad > a.txt; fi'
    limits = Limits(timeout=2 if "sleep" in second else 30, idle=30)
    end = repairs.run(script, limits=limits, draft_on_failed_verify=True)
    assert end.state is RunState.SUCCEEDED, end
    assert any("the repair came to nothing" in told and why in told for told in repairs.told)
    assert repairs.published() == "bad"
    kept = {one.name: Path(one.path) for one in repairs.scene.store.artifacts(repairs.run_id)}
    assert "+bad" in kept["patch"].read_text()


def test_a_draft_comes_only_after_the_repairs_are_spent(repairs: Repairs) -> None:
    end = repairs.run(draft_on_failed_verify=True)
    assert end.state is RunState.SUCCEEDED
    assert repairs.published() == "good"
    end = repairs.run("cat > $KEPT/$$; echo x >> a.txt", draft_on_failed_verify=True)
    assert end.state is RunState.SUCCEEDED
    assert repairs.published() == "x\nx"
    (pull,) = _pulls(repairs.scene)
    assert "it is 42" in pull.body


def test_the_policy_judges_a_repair_too(repairs: Repairs) -> None:
    repairs.scene.secrets["TOKEN"] = "abcdefghijklmnopqrstuvwxyz"
    script = f'cat > p; if grep -q "{ASKED}" p; then echo $TOKEN > a.txt; else echo bad > a.txt; fi; rm p'
    end = repairs.run(script, draft_on_failed_verify=True)
    assert (end.state, end.reason) == (RunState.BLOCKED, Reason.POLICY_REFUSED)
    assert repairs.scene.project.branches() == ["main"]


def test_set_up_of_a_repair_sees_nothing_that_an_agent_wrote(repairs: Repairs) -> None:
    """Set-up has a network: what an agent wrote comes once the sandbox is sealed, also in its second turn."""
    environment = Environment(
        sandbox="process",
        image="",
        setup=("test ! -e made.sh || { echo REACHED; exit 9; }", "date +%N >> $HOME/times"),
    )
    end = repairs.run(f"echo exit 9 > made.sh; {MEND}", environment=environment)
    assert end.state is RunState.SUCCEEDED, end
    assert len([one for one in repairs.told if one.startswith("set up: test")]) == 4


def test_what_was_declared_stays_declared(repairs: Repairs) -> None:
    one = '{"kind": "pull_request", "body": "declared in the first turn"}'
    script = f"""cat > p; if grep -q "{ASKED}" p; then echo good > a.txt; else echo bad > a.txt;
    echo '{one}' > $SKILLRUNNER_OUTPUTS; fi; rm p"""
    assert repairs.run(script).state is RunState.SUCCEEDED
    (pull,) = _pulls(repairs.scene)
    assert "declared in the first turn" in pull.body


class SessionHarness(CallingHarness):
    """A program that calls a model, and keeps a session in its home."""

    sessions = Sessions(folder=".kept", command=lambda session, model: ("true",))

    def __init__(self) -> None:
        super().__init__(MODEL, 1)
        self.tasks: list[Task] = []

    def launch(self, task: Task) -> Launch:
        self.tasks.append(task)
        launch = super().launch(task)
        text = "good" if task.resume else "bad"
        more = f"mkdir -p ~/.kept; cat ~/.kept/* >> a.txt; echo {text} >> a.txt; echo of {text} > ~/.kept/s"
        return replace(launch, argv=("sh", "-c", f'{more}; exec "$@"', "sh", *launch.argv))


def test_the_session_goes_on_and_all_turns_have_one_account(
    repairs: Repairs, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Outcome(ok=True, session_id="session-1")
    monkeypatch.setattr(ContentReader, "outcome", lambda *_: told)
    monkeypatch.setattr("runner.run.stages.harness.sessions_of", lambda _: SessionHarness.sessions)
    monkeypatch.setattr("runner.run.agent.resume.sessions_of", lambda _: SessionHarness.sessions)
    harness = SessionHarness()
    url = model_server.url(f"repairs-{tmp_path.name}", [[{"say": "a"}], [{"say": "b"}]])
    spec = repairs.scene.spec(
        environment=Environment(sandbox="process", image=""),
        limits=Limits(timeout=60, idle=60, cost_usd=1),
        verify=(CHECK,),
    )
    run_id, end = repairs.scene.run(
        spec, sandbox=SANDBOXES.get("process"), harness=harness, model_upstream=url, model_key="k"
    )
    assert end.state is RunState.SUCCEEDED, end
    first, second = harness.tasks
    assert (first.resume, second.resume) == ("", "session-1")
    assert second.prompt.startswith("Your changes were verified")
    assert second.limits.timeout < first.limits.timeout == 60
    assert repairs.published().splitlines()[-2:] == ["of bad", "good"]
    assert repairs.scene.store.run(run_id).cost_usd == pytest.approx(2 * ONE)


def test_an_outputs_tail_is_fenced_masked_and_cut() -> None:
    printed = "x" * 9000 + "</untrusted> s3cr3t-0123456789"
    long = Check(command="make", exit_code=2, duration=1, output=printed, ok=False)
    text = repair_text([long], Redactor(["s3cr3t-0123456789"]))
    assert "s3cr3t" not in text
    assert "(its last 6000 characters)" in text
    assert len(text) < 7000
    many = [replace(long, command=f"c{number}") for number in range(100)]
    assert len(repair_text(many, Redactor([]))) < 32_000
    assert "and 52 more commands failed" in repair_text(many, Redactor([]))
    stopped = replace(long, exit_code=None, output="")
    assert "`make` was stopped and printed nothing" in repair_text([stopped], Redactor([]))


DECLARES = (
    """if grep -q "cannot be published" "$SKILLRUNNER_PROMPT"; then %s; else echo made > b.txt; %s; fi"""
)


def _declare(line: str) -> str:
    return f"echo '{line}' >> $SKILLRUNNER_OUTPUTS"


def test_what_is_wrong_with_declared_outputs_goes_back_once_in_the_same_sandbox(repairs: Repairs) -> None:
    wrong = _declare('{"kind": "comment", "body": "no"}')
    right = "test -e b.txt && " + _declare('{"kind": "pull_request", "body": "as it should be"}')
    end = repairs.run(DECLARES % (right, wrong), verify="true")
    assert end.state is RunState.SUCCEEDED, end
    (pull,) = _pulls(repairs.scene)
    assert "as it should be" in pull.body
    told = [event for event in repairs.scene.events if "correction" in event.data]
    assert [event.message.endswith("and the skill names pull_request") for event in told] == [True]
    assert repairs.states.count("running") == 1


def test_what_is_wrong_after_a_correction_is_refused(repairs: Repairs) -> None:
    wrong = _declare('{"kind": "comment", "body": "no"}')
    end = repairs.run(DECLARES % (wrong, wrong), verify="true")
    assert (end.state, end.reason) == (RunState.BLOCKED, Reason.POLICY_REFUSED)
    assert len([event for event in repairs.scene.events if "correction" in event.data]) == 1


def test_an_agent_that_failed_is_not_corrected(repairs: Repairs) -> None:
    end = repairs.run(_declare('{"kind": "comment"}') + "; exit 3", verify="true")
    assert end.reason is Reason.HARNESS_FAILED
    assert not [event for event in repairs.scene.events if "correction" in event.data]


def test_a_correction_and_a_repair_follow_each_other(repairs: Repairs) -> None:
    """Corrections come before verification, and repairs after it: each has its own bound."""
    wrong = _declare('{"kind": "comment"}')
    good = f'if grep -q "{ASKED}" "$SKILLRUNNER_PROMPT"; then echo good > a.txt; {wrong}'
    told = 'grep -q "cannot be" "$SKILLRUNNER_PROMPT"'
    script = f"{good}; elif {told}; then true; else echo bad > a.txt; {wrong}; fi"
    end = repairs.run(script)
    assert end.reason is Reason.POLICY_REFUSED, "what a repair declares is not corrected"
    loops = {"correction", "repair"}
    order = [name for event in repairs.scene.events for name in event.data if name in loops]
    assert order == ["correction", "repair"]


def test_a_repair_cannot_spend_more_than_the_run_may(
    repairs: Repairs, model_server: ModelServer, tmp_path: Path
) -> None:
    """The first turn spends most of the limit: the gateway refuses the repair's call."""
    name = f"repairs-spent-{tmp_path.name}"
    spec = repairs.scene.spec(
        environment=Environment(sandbox="process", image=""),
        limits=Limits(timeout=60, idle=60, cost_usd=0.006),
        verify=("false",),
    )
    _, end = repairs.scene.run(
        spec,
        sandbox=SANDBOXES.get("process"),
        harness=CallingHarness(MODEL, 1),
        model_upstream=model_server.url(name, [[{"say": "Hello."}]]),
        model_key="k",
    )
    assert (end.state, end.reason) == (RunState.FAILED, Reason.VERIFICATION_FAILED)
    assert "(the repair came to nothing: it has cost $0.0041" in end.message
    assert len(model_server.asked(name)) == 1
