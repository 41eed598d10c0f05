"""What was decided is kept in a git ref, and each cause is decided once, whoever hears of it."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.model import End, Phase, Reason, Remote, RunState
from runner.core.model.decision import Actor, Cause, Decision, Facts, History, Verdict
from runner.scheduler.decide import decide_event
from runner.scheduler.ledger import REF, Ledger
from runner.skills import load
from runner.triggers import TRIGGERS
from runner.workspace.mirror import Mirror
from tests.parts.cli import Project, skill_files
from tests.parts.github import TOKEN, GitHub

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
TRIAGE = "on: {issues: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"
END = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)


def decision(key: str = "release:1", verdict: Verdict = Verdict.STARTED, **more: object) -> Decision:
    said = {"skill": "docs", "trigger": "release", "message": "m", "at": NOW, "run_id": f"run-{key}"}
    return Decision(key=key, verdict=verdict, **{**said, **more})  # type: ignore[arg-type]


def ledger(project: Project, name: str = "one") -> Ledger:
    remote = Remote(url=str(project.origin))
    mirror = Mirror(project.home / name, remote.url)
    mirror.fetch(remote)
    return Ledger(mirror, remote, sleep=lambda _: None)


def test_a_decision_is_kept_whole(project: Project) -> None:
    due = NOW - timedelta(minutes=5)
    made = [
        decision(expires=NOW + timedelta(hours=1)),
        decision("schedule:0 9 * * 1@UTC:2026-11-21T11:55Z", Verdict.MISSED, cause=Cause.WINDOW, due=due),
    ]
    assert ledger(project).decide(lambda _: made, NOW) == made
    found = ledger(project, "two").history(NOW)
    assert found.decisions == {one.name: one for one in made}
    assert found.active == {"docs": made[0]}
    assert found.decided_until == {"docs 0 9 * * 1@UTC": due}
    assert project.branches() == ["main"]


def test_two_issues_opened_in_the_same_second_are_both_started(project: Project) -> None:
    """Two Actions, or an Action and a worker: each reads what the other decided, and overlaps it not."""
    found = load({path: text.encode() for path, text in skill_files("triage", TRIAGE).items()}).skills
    facts = Facts(actor=Actor(login="ada", bot=False, permission="write"))

    def decide(name: str, number: int) -> list[Decision]:
        payload = {"action": "opened", "issue": {"id": number, "number": number}}
        event = TRIGGERS.get("issues").event(payload, NOW)
        made = ledger(project, name).decide(lambda known: decide_event(found, event, facts, known, NOW), NOW)
        return [replace(one, run_id=str(number)) for one in made]

    made = [*decide("one", 1), *decide("two", 2)]
    assert [one.verdict for one in made] == [Verdict.STARTED] * 2
    assert set(ledger(project, "three").history(NOW).active) == {"triage issue:1", "triage issue:2"}


def test_nothing_is_written_where_nothing_was_decided(project: Project) -> None:
    assert ledger(project).decide(lambda _: [], NOW) == []
    assert REF not in project.git("for-each-ref", cwd=project.origin)
    assert ledger(project).history(NOW) == History()


def test_the_first_decision_stands(project: Project) -> None:
    first, second = ledger(project), ledger(project, "two")
    first.decide(lambda _: [decision()], NOW)
    later = decision(verdict=Verdict.SKIPPED, cause=Cause.DUPLICATE)
    assert second.decide(lambda known: [later] if known.decisions else [decision()], NOW) == [later]
    assert first.history(NOW).decisions["docs release:1"].verdict is Verdict.STARTED


def test_who_was_slower_decides_anew(project: Project) -> None:
    slow, quick = ledger(project), ledger(project, "two")
    seen: list[int] = []

    def decide(known: History) -> list[Decision]:
        if not seen:
            quick.decide(lambda _: [decision("release:2")], NOW)
        seen.append(len(known.decisions))
        return [decision()]

    slow.decide(decide, NOW)
    assert seen == [0, 1]
    assert set(slow.history(NOW).decisions) == {"docs release:1", "docs release:2"}


def test_a_run_is_active_until_it_ends_or_is_overdue(project: Project) -> None:
    book = ledger(project)
    started = decision(expires=NOW + timedelta(hours=1))
    book.decide(lambda _: [started], NOW)
    assert book.history(NOW + timedelta(minutes=59)).active == {"docs": started}
    assert book.history(NOW + timedelta(minutes=61)).active == {}
    book.add_end(started, END, "https://example.com/pull/1", NOW)
    assert book.history(NOW).active == {}


def test_a_start_that_failed_is_told(project: Project) -> None:
    book = ledger(project)
    book.decide(lambda _: [decision()], NOW)
    book.amend(decision(verdict=Verdict.FAILED_TO_START, cause=Cause.INVALID, message="no key"), NOW)
    found = ledger(project, "two").history(NOW)
    assert found.decisions["docs release:1"].message == "no key"
    assert found.active == {}


def test_days_go_but_how_far_schedules_were_decided_stays(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.scheduler.ledger.DAYS", 5)
    book = ledger(project)
    slot = decision("schedule:0 0 1 1 *@UTC:2026-11-21T12:00Z", due=NOW)
    book.decide(lambda _: [slot], NOW)
    for day in range(1, 6):
        at = NOW + timedelta(days=day)
        book.decide(lambda _, day=day: [decision(f"release:{day}")], at)  # type: ignore[misc]
    found = book.history(NOW)
    assert slot.name not in found.decisions
    assert len(found.decisions) == 5
    assert found.decided_until == {"docs 0 0 1 1 *@UTC": NOW}
    assert len(project.git("ls-tree", "--name-only", REF, cwd=project.origin).split()) == 6


def test_a_damaged_ref_is_named_with_the_way_out(project: Project) -> None:
    book = ledger(project)
    book.decide(lambda _: [decision()], NOW)
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=project.origin, input="{", text=True,
        capture_output=True, check=True,
    ).stdout.strip()  # fmt: skip
    tree = subprocess.run(
        ["git", "mktree"], cwd=project.origin, input=f"100644 blob {blob}\t2026-11-21.jsonl\n",
        text=True, capture_output=True, check=True,
    ).stdout.strip()  # fmt: skip
    commit = project.git("commit-tree", tree, "-m", "x", cwd=project.origin)
    project.git("update-ref", REF, commit, cwd=project.origin)
    with pytest.raises(RunnerError) as caught:
        book.history(NOW)
    assert caught.value.reason is Reason.STORE_FAILED
    assert f"git push origin :{REF}" in caught.value.hint


def test_a_token_that_may_not_write_is_named(project: Project) -> None:
    (project.origin / "hooks/pre-receive").write_text("#!/bin/sh\necho denied >&2; exit 1\n")
    (project.origin / "hooks/pre-receive").chmod(0o755)
    with pytest.raises(RunnerError) as caught:
        ledger(project).decide(lambda _: [decision()], NOW)
    assert caught.value.reason is Reason.FORGE_DENIED
    assert "contents: write" in caught.value.hint


def race(project: Project, url: str, count: int, several: int) -> Counter[str]:
    claimants = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.parts.claimant",
                url,
                str(project.home / f"racer-{at}"),
                str(count),
                str(at * count // several),
            ],
            cwd=ROOT,
            env={**os.environ, **project.variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for at in range(several)
    ]
    for process in claimants:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in claimants:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=240)[0] for process in claimants]
    assert [process.returncode for process in claimants] == [0] * several
    assert sum(bool(text) for text in told) > 1, "one of them was so quick that there was no race"
    return Counter(line for text in told for line in text.splitlines())


@pytest.mark.emulator
@pytest.mark.git_http
def test_three_race_for_a_hundred_slots(github_project: Project, github: GitHub) -> None:
    """Two Actions and a worker, each a process with a mirror of its own, over git's HTTP."""
    url = github_project.git("remote", "get-url", "origin").replace("://", f"://x-access-token:{TOKEN}@")
    runs = race(github_project, url, 100, 3)
    assert len(runs) == 100
    assert set(runs.values()) == {1}
    remote = Remote(url=str(github_project.origin))
    mirror = Mirror(github_project.home / "look", remote.url)
    mirror.fetch(remote)
    found = Ledger(mirror, remote).history(NOW)
    assert len(found.decisions) == 100
    assert found.active == {}
