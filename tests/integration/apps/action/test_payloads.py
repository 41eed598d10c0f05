"""Every payload that GitHub publishes as an example is decided on, whatever it holds."""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.apps.action.event import read_event
from runner.apps.action.job_input import INPUTS, JobInput
from runner.core.model import Remote
from runner.core.model.decision import Decision, History, Verdict
from runner.scheduler.decide import decide_event
from runner.scheduler.facts import FactSources, look_up_facts
from runner.scheduler.loop_guard import OwnIdentity
from runner.skills import load
from runner.workspace.mirror import Mirror
from tests.parts.act import examples
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KINDS = (
    *("release", "issues", "issue_comment", "pull_request", "pull_request_review"),
    *("pull_request_review_comment", "push", "workflow_run", "check_run"),
)
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"


class Writers:
    """Says of everybody that they may write: what GitHub answers is tested elsewhere."""

    def permission(self, login: str) -> str:
        assert login
        return "write"


def job(event: str, payload: dict[str, Any]) -> JobInput:
    return JobInput(
        event=event,
        payload=payload,
        repository="Codertocat/Hello-World",
        server_url="https://github.com",
        api_url="https://api.github.com",
        workspace=Path(),
        temp=Path(),
        run_id="1",
        actor="octocat",
        attempt=1,
        workflow=".github/workflows/skillrunner.yml",
        workflow_sha="",
        action_repository="",
        outputs=None,
        summary=None,
        guarded=(),
        inputs=dict.fromkeys(INPUTS, ""),
    )


def decided() -> Iterator[tuple[str, list[Decision]]]:
    files = {
        path: content.encode()
        for kind in KINDS
        for path, content in skill_files(
            f"on-{kind.replace('_', '-')}", f"on: {{{kind}: {{}}}}\n{REST}"
        ).items()
    }
    skills = load(files).skills
    assert len(skills) == len(KINDS)
    sources = FactSources(
        forge=Writers(),
        mirror=Mirror(Path(), "nowhere"),
        remote=Remote(url="nowhere"),
        repository="Codertocat/Hello-World",
        default_branch="master",
        identity=OwnIdentity(login="skillrunner[bot]", email="skillrunner[bot]@users.noreply.github.com"),
    )
    for event, payloads in examples().items():
        for payload in payloads:
            found = read_event(job(event, payload), NOW)
            if found is None:
                yield event, []
            else:
                yield (
                    event,
                    decide_event(skills, found, look_up_facts(skills, found, sources), History(), NOW),
                )


def test_all_published_payloads(capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[str] = Counter()
    started: set[str] = set()
    for event, decisions in decided():
        counts.update(f"{one.verdict}: {one.cause}" if one.cause else str(one.verdict) for one in decisions)
        counts["no skill asks for this event"] += not decisions
        started |= {event for one in decisions if one.verdict is Verdict.STARTED}
        assert len(decisions) <= 1
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"{n:5} {what}\n" for what, n in counts.most_common()))
    assert counts.total() > 300
    assert started >= {
        "pull_request_review",
        "pull_request_review_comment",
        "release",
        "issues",
        "issue_comment",
        "pull_request",
        "push",
        "workflow_run",
    }
