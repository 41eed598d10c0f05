"""What the verbs print of a stored run: all of it, and nothing in it that a terminal would act upon."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from runner.apps.cli.main import group
from runner.core.errors import RunnerError
from runner.core.model import (
    Artifact,
    Check,
    DoctorLine,
    End,
    Phase,
    Reason,
    Receipt,
    Refusal,
    Run,
    RunState,
    Usage,
)
from runner.publish.forges import NewPullRequest
from runner.run.agent.transcript import TRANSCRIPT
from runner.run.recorder import RunRecorder
from runner.store import LocalPullRequests, Store
from runner.store.specs import StoredSpec
from tests.parts.cli import Project
from tests.parts.plans import SPEC

Type = Callable[..., Result]

NOW = datetime.now(UTC)
RUN = "261121-aaaaaaaa"
RESET = "\x1b[0m"  # what click itself writes behind each line of a patch
EVIL = "\x1b]0;owned\x07\u202e"
PATCH = f"""diff --git a/docs/a.md b/docs/a.md
--- a/docs/a.md
+++ b/docs/a.md
@@ -1 +1,2 @@
-old
+new {EVIL}
++++ b/not-a-name
diff --git a/logo.png b/logo.png
new file mode 100644
index 0000000000000000000000000000000000000000..f76dd238ade08917e6712764a16a22005a50573d
GIT binary patch
literal 1
IcmZPo000310RR91

literal 0
HcmV?d00001

"""


@pytest.fixture
def store(project: Project) -> Iterator[Store]:
    made = Store(project.state)
    yield made
    made.close()


@pytest.fixture
def typed(project: Project, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command line; escapes are kept, as on a terminal."""
    monkeypatch.setenv("SKILLRUNNER_SANDBOX", "process")
    before = ("-C", str(project.root), "--state-dir", str(project.state))
    return lambda *args: CliRunner().invoke(group, [*before, *args], color=True)


def blocked_run(store: Store) -> None:
    """A run in which everything that is not ours holds something evil."""
    run = Run(
        id=RUN,
        repository=str(store.folder.parent.parent / "clone"),
        skill="touch",
        trigger="release",
        trigger_key="release:1",
        base_sha="b" * 40,
        state=RunState.QUEUED,
        created_at=NOW,
        harness="command",
    )
    trigger = replace(SPEC.trigger, subject=f"v1{EVIL}\nstate forged")
    spec = replace(SPEC, trigger=trigger, base_ref=f"main{EVIL}")
    store.create_run(run, StoredSpec(spec=spec))
    folder = store.run_folder(RUN)
    folder.mkdir(parents=True)
    record = RunRecorder(store, RUN, folder, lambda _: None)
    record.enter_state(RunState.PREPARING, f"prepares {EVIL}")
    record.enter_state(RunState.RUNNING)
    record.save_artifact("patch", PATCH.encode())
    record.add_checks([Check(command=f"make {EVIL}", exit_code=2, duration=1, output=f"o{EVIL}", ok=False)])
    record.add_refusals(
        [Refusal(rule=f"rule-{n}", subject=f"s{n}{EVIL}", message=f"m{EVIL}") for n in (1, 2)]
    )
    record.add_receipt(
        Receipt(kind="pull_request", key="k", action="created", url=f"u{EVIL}", number=1, branch=f"b{EVIL}")
    )
    end = End(
        state=RunState.BLOCKED,
        phase=Phase.POLICY,
        reason=Reason.POLICY_REFUSED,
        message=f"refused {EVIL}",
        hint=f"look {EVIL}",
    )
    record.attempt_usage = Usage(tokens_in=1_500, tokens_out=20)
    record.finish(end)


@pytest.mark.parametrize(
    "verb",
    [("show",), ("list",), ("logs",), ("diff",), ("diff", "--stat"), ("pr", "list"), ("pr", "show", "1")],
)
def test_nothing_stored_plays_tricks_on_a_terminal(
    project: Project, store: Store, typed: Type, verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.apps.cli.commands.diff._is_shown", lambda: True)
    blocked_run(store)
    text = json.dumps({"type": "message", "text": f"said {EVIL}"})
    (store.run_folder(RUN) / TRANSCRIPT).write_text(f"{text}\n")
    table = LocalPullRequests(store.engine, store.database, str(project.origin))
    table.insert(NewPullRequest(branch=f"b{EVIL}", base="main", title=f"t{EVIL}", body=f"body{EVIL}"), "bot")
    done = typed(*verb)
    assert done.exit_code == 0, done.output
    assert done.output.strip()
    assert [one for one in "\x1b\x07\u202e" if one in done.output.replace(RESET, "")] == []


def test_show_names_every_cause_in_a_line_of_its_own(store: Store, typed: Type) -> None:
    blocked_run(store)
    lines = typed("show").output.splitlines()
    refused = [line for line in lines if line.startswith("refused ")]
    assert [f"[rule-{n}] s{n}" in line for n, line in enumerate(refused, 1)] == [True, True]
    assert any("(policy: policy_refused)" in line for line in lines)
    assert any(line.startswith("FAILED      make") and "exit 2" in line for line in lines)
    assert "cost        unknown, 1,500 tokens in, 20 out" in lines
    assert not any(line.startswith("state forged") for line in lines)


def test_the_record_as_json_is_whole(store: Store, typed: Type) -> None:
    blocked_run(store)
    record = json.loads(typed("show", RUN[:8], "--json").output)
    assert (record["state"], record["end"]["reason"]) == ("blocked", "policy_refused")
    assert [(one["rule"], one["subject"]) for one in record["refusals"]] == [
        ("rule-1", f"s1{EVIL}"),
        ("rule-2", f"s2{EVIL}"),
    ]
    (artifact,) = record["artifacts"]
    assert Artifact(**artifact).name == "patch"
    assert [one["state"] for one in record["events"] if one["state"]] == ["preparing", "running", "blocked"]
    assert record["spec"]["trigger"]["subject"].startswith("v1")
    assert (len(record["checks"]), len(record["receipts"])) == (1, 1)


@pytest.mark.parametrize("follow", [(), ("-f",)])
def test_a_transcript_that_a_kill_cut_is_still_told(
    store: Store, typed: Type, follow: tuple[str, ...]
) -> None:
    blocked_run(store)
    whole = '{"type": "tool_call", "tool": "Bash", "arguments": {"command": "make"}}\n'
    (store.run_folder(RUN) / TRANSCRIPT).write_text(whole + '{"type": "message", "te')
    done = typed("logs", *follow)
    assert done.exit_code == 0, done.output
    first, second, last = done.output.splitlines()
    assert first == '> Bash {"command": "make"}'
    assert second == "! the transcript was cut here"
    assert last.startswith("-- blocked: refused")


def test_a_run_without_files_has_no_log_and_says_why_there_is_no_patch(store: Store, typed: Type) -> None:
    blocked_run(store)
    assert typed("logs", "--raw").output == ""
    other = Run(
        id="261121-bbbbbbbb",
        repository=str(store.folder.parent.parent / "clone"),
        skill="touch",
        trigger="manual",
        trigger_key="m",
        base_sha="b" * 40,
        state=RunState.QUEUED,
        created_at=NOW,
    )
    store.create_run(other)
    found = typed("diff", "261121-b").exception
    assert isinstance(found, RunnerError)
    assert (found.reason, found.hint) == (Reason.INVALID_INPUT, "skillrunner show 261121-bbbbbbbb")


def test_the_stat_counts_lines_and_knows_binaries(store: Store, typed: Type) -> None:
    blocked_run(store)
    assert typed("diff", "--stat").output.replace(RESET, "").splitlines() == [
        "docs/a.md | +2 -1",
        "logo.png | binary",
        "2 files changed",
    ]


def test_pages_and_filters_of_the_list(store: Store, typed: Type) -> None:
    blocked_run(store)
    assert f"more: skillrunner list --before {RUN}" in typed("list", "--limit", "1").output
    assert typed("list", "--state", "succeeded").output.startswith("no runs")
    (found,) = json.loads(typed("list", "--skill", "touch", "--json").output)
    assert (found["id"], found["end"]["state"]) == (RUN, "blocked")


def test_pull_requests_of_github_are_not_ours_to_list(project: Project, typed: Type) -> None:
    project.git("remote", "set-url", "origin", "https://github.com/ada/demo.git")
    for verb in (("list",), ("show", "1"), ("merge", "1"), ("close", "1")):
        found = typed("pr", *verb).exception
        assert isinstance(found, RunnerError)
        assert "https://github.com/ada/demo/pulls" in found.message
        assert "gh pr list" in found.hint


@pytest.mark.parametrize("verb", [("init",), ("new", "tidy")])
def test_a_file_in_the_way_is_named(project: Project, typed: Type, verb: tuple[str, ...]) -> None:
    (project.root / "skills").write_text("not a folder")
    found = typed(*verb).exception
    assert isinstance(found, RunnerError)
    assert str(project.root / "skills") in found.message


def test_new_leaves_what_is_there_alone(project: Project, typed: Type) -> None:
    assert typed("new", "tidy").exit_code == 0
    prompt = project.root / "skills/tidy/SKILL.md"
    prompt.write_text("mine")
    found = typed("new", "tidy").exception
    assert isinstance(found, RunnerError)
    assert "is there already" in found.message
    assert prompt.read_text() == "mine"


def test_doctor_tells_what_only_wants_doing_from_what_fails(
    project: Project, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.apps.cli.commands import doctor

    shown = typed("doctor")
    assert shown.exit_code == 0, shown.output
    assert "warn  skills     none yet\n      next: skillrunner new NAME" in shown.output
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert typed("new", "tidy", "--harness", "claude-code").exit_code == 0
    without = typed("doctor")
    assert (without.exit_code, "export ANTHROPIC_API_KEY=..." in without.output) == (1, True)
    evil = DoctorLine(ok=True, subject="forge", message=f"says {EVIL}")
    monkeypatch.setattr(doctor, "_LOOKS", (lambda _: iter([evil]),))
    assert "\x1b" not in typed("doctor").output


def test_doctor_names_a_state_folder_that_cannot_be_used(project: Project, typed: Type) -> None:
    project.state.write_text("not a folder")
    done = typed("doctor", "--json")
    assert done.exit_code == 1
    failed = [one for one in json.loads(done.output)["findings"] if not one["ok"]]
    assert any(str(project.state) in one["message"] and one["hint"] for one in failed)
