"""What stands in a pull request says something and does nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.model import (
    Allowance,
    Check,
    DeclaredOutput,
    Environment,
    FileChange,
    HarnessSpec,
    Limits,
    Outcome,
    OutputSpec,
    Proposal,
    Repository,
    RunSpec,
    SkillRef,
    Trigger,
    Usage,
)
from runner.publish.outputs import BotIdentity, Offer
from runner.publish.outputs._body import LIMIT, body
from runner.publish.outputs._escape import fence, neutralise, one_line
from runner.publish.outputs._marker import Marker, read, write
from runner.publish.outputs.pull_request import branch

MARKER = Marker(skill="docs", key="v1 --> x", cause="release:1", head="a" * 40, patch="b" * 64)


def offer(**changes: Any) -> Offer:
    spec = RunSpec(
        repository=Repository(name="o/r", url="u", default_branch="main"),
        base_ref="main",
        base_sha="b" * 40,
        skill=SkillRef(
            name="docs", path="skills/docs", commit="c" * 40, digest="d" * 64, description="Keep docs"
        ),
        trigger=Trigger(kind="release", key="release:1", subject="v1", at=datetime.now(UTC)),
        prompt="p",
        environment=Environment(sandbox="docker", image="i"),
        harness=HarnessSpec(kind="codex"),
        limits=Limits(),
        allowance=Allowance(),
        outputs=(OutputSpec(kind="pull_request", options={"title": "t", "body": "Before all."}),),
    )
    change = FileChange(path="docs/a|`b.md", change="modified", additions=2, deletions=1)
    made = Offer(
        spec=spec,
        output=spec.outputs[0],
        run_id="run-1",
        proposal=Proposal(base_sha="b", tree_sha="t", changes=(change,), summary="Did it."),
        patch=b"",
        outcome=Outcome(ok=True, usage=Usage(tokens_in=1000, tokens_out=5, cost_usd=0.1234)),
        checks=(Check(command="make docs", exit_code=0, duration=1.25, output="fine\n```\nend", ok=True),),
        bot=BotIdentity(name="bot", email="b@x"),
    )
    return replace(made, **changes)


def test_body_tells_why_what_evidence_and_cost() -> None:
    text = body(offer(), MARKER)
    for expected in (
        "Keep docs",
        "Started by: release `v1`.",
        "Before all.",
        "Did it.",
        "| `docs/a??b.md` | modified | +2 -1 |",
        "✅ `make docs` (exit 0, 1.2 s)",
        "run run-1 · skill docs@cccccccccccc · codex · $0.1234 · 1,000 tokens in, 5 out",
        "Push a commit here",
    ):
        assert expected in text
    assert "````text\nfine\n```\nend\n````" in text
    assert read(text) == MARKER


def test_a_failed_verification_is_said_first() -> None:
    failed = Check(command="make", exit_code=None, duration=1, output="", ok=False)
    text = body(offer(checks=(failed,)), MARKER)
    assert text.startswith("> [!WARNING]")
    assert "❌ `make` (stopped, 1.0 s)" in text


def test_nothing_checked_is_said() -> None:
    assert "nothing was checked but the policy" in body(offer(checks=()), MARKER)


def test_what_the_harness_declares_goes_before_its_last_words() -> None:
    declared = (
        DeclaredOutput(kind="pull_request", fields={"body": "Declared."}),
        DeclaredOutput(kind="other"),
    )
    proposal = Proposal(base_sha="b", tree_sha="t", declared=declared, summary="Summary.")
    text = body(offer(proposal=proposal), MARKER)
    assert "Declared." in text
    assert "Summary." not in text


def test_body_fits_and_keeps_its_marker() -> None:
    checks = tuple(
        Check(command="x" * 300, exit_code=1, duration=1, output="y" * 9999, ok=False) for _ in range(60)
    )
    changes = tuple(FileChange(path=f"{n}" * 150, change="added") for n in range(200))
    proposal = Proposal(base_sha="b", tree_sha="t", changes=changes, summary="z" * 99_999)
    text = body(offer(checks=checks, proposal=proposal), MARKER)
    assert len(text) <= LIMIT
    assert read(text) == MARKER


@pytest.mark.parametrize("text", ["", "<!-- skillrunner: {} -->", "<!-- skillrunner: {bad} -->", "no"])
def test_what_is_no_marker_is_none(text: str) -> None:
    assert read(text) is None


@given(st.text(max_size=200))
def test_any_key_survives_in_a_marker(key: str) -> None:
    text = write(replace(MARKER, key=key))
    assert text.count("-->") == 1
    assert read(f"before\n{text}\nafter") == replace(MARKER, key=key)


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("thanks @octocat and @org/team", ["@octocat", "@org"]),
        ("fixes #12, Closes: #3, resolves o/r#4", ["fixes #", "Closes: #", "#12", "#3", "#4"]),
        ("see #5 and GH-6", ["#5", "GH-6"]),
        ("![x](http://track.example/p.png?s=1)", ["http://track", "!["]),
        ("[click](javascript:alert(1))", ["](javascript"]),
        ("<img src=x> <!-- skillrunner: {} --> <details>", ["<img", "<!--", "<details"]),
        ("[a]: http://track.example/x", ["http://track"]),
        ("plain\u202etext\u200b", ["\u202e"]),
    ],
)
def test_words_that_act_are_disarmed(said: str, gone: list[str]) -> None:
    text = neutralise(said, 1000)
    assert [part for part in gone if part in text] == []


def test_ordinary_words_stay() -> None:
    said = "Changed `a@b` in [the guide](https://example.com/x).\n\n- one\n- two"
    assert neutralise(said, 1000) == said
    assert neutralise("x" * 50, 20).endswith("*(cut)*")
    assert neutralise("```\nopen", 100).endswith("\n```")
    assert one_line("a\n b  @c", 100) == "a b @\u200bc"
    assert one_line("x" * 300, 10) == "x" * 9 + "…"
    assert fence("a ```` b").startswith("`````text\n")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("v1.2", "v1.2"),
        ("", "default"),
        ("../../main", "main"),
        ("a b/c", "a-b-c"),
        ("x.lock", "x"),
        ("größe", "gr-e"),
        ("a..b", "a-b"),
    ],
)
def test_branches_are_safe_names(key: str, expected: str) -> None:
    assert branch("docs", key) == f"skillrunner/docs/{expected}"
