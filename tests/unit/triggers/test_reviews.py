"""Reviews and comments on lines: which are asked for, and the commit that they are about."""

from typing import Any

import pytest

from runner.scheduler.event_commit import commit_of
from runner.triggers import TRIGGERS, EventCommit
from runner.triggers.options import Tree

KINDS = ("pull_request_review", "pull_request_review_comment")
HEAD = "a" * 40
BASE = "b" * 40


def payload(repo: str | None = "acme/lib", **pull: Any) -> dict[str, Any]:
    there = {"sha": HEAD, "ref": "mend", "repo": repo and {"full_name": repo}}
    inside = {"number": 7, "head": there, "base": {"sha": BASE, "ref": "main"}, "merged_at": None, **pull}
    said = {"id": 1, "state": "approved", "commit_id": "c" * 40}  # an older commit than the head
    return {"action": "submitted", "review": said, "comment": said, "pull_request": inside}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ("head", EventCommit(name="the head of #7", sha=HEAD, ref="refs/pull/7/head", branch="mend")),
        ("merge", EventCommit(name="the merge of #7 with its base", ref="refs/pull/7/merge", is_merge=True)),
        ("base", None),
    ],
)
def test_its_run_stands_on_the_head_of_the_pull_request(
    kind: str, tree: Tree, found: EventCommit | None
) -> None:
    options = TRIGGERS.get(kind).options.model_validate({"tree": tree})
    assert commit_of(kind, payload(), options) == found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "pull", [{"merged_at": "2026-11-21T12:00:00Z"}, {"number": None}, {"number": True}, {"number": "7"}]
)
def test_what_is_merged_or_is_no_pull_request_is_the_default_branch(kind: str, pull: dict[str, Any]) -> None:
    assert TRIGGERS.get(kind).commit(payload(**pull), "head") is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("repo", "from_fork"), [("acme/lib", False), ("Acme/Lib", False), ("eve/lib", True), (None, True)]
)
def test_a_forks_pull_request_is_a_strangers(kind: str, repo: str | None, from_fork: bool) -> None:
    assert TRIGGERS.get(kind).from_fork(payload(repo), "acme/lib") is from_fork


@pytest.mark.parametrize("kind", KINDS)
def test_paths_are_those_of_the_pull_request(kind: str) -> None:
    span = TRIGGERS.get(kind).commits(payload(), "main")
    assert span is not None
    assert (span.base, span.head, span.refs) == (BASE, HEAD, ("refs/pull/7/head",))


@pytest.mark.parametrize(
    ("options", "state", "said"),
    [
        ({}, "approved", ""),
        ({"states": ["approved"]}, "approved", ""),
        ({"states": ["approved"]}, "APPROVED", ""),
        (
            {"states": ["changes_requested"]},
            "approved",
            "`states` holds changes_requested, and this is `approved`",
        ),
        ({"states": ["commented", "approved"]}, None, "`states` holds commented, approved, and this is ``"),
        ({"branches": ["release/*"]}, "approved", "`branches` holds release/*, and this is `main`"),
        ({"labels": ["bot"]}, "approved", "none of the labels bot is there"),
    ],
)
def test_reviews_that_are_asked_for(options: dict[str, Any], state: str | None, said: str) -> None:
    model = TRIGGERS.get("pull_request_review").options.model_validate(options)
    happened = payload()
    happened["review"]["state"] = state
    assert model.mismatch(happened) == said


def test_two_edits_of_a_review_are_two_events_and_one_delivery_is_one() -> None:
    trigger = TRIGGERS.get("pull_request_review")
    edit = {**payload(), "action": "edited"}
    other = {**edit, "review": {"id": 1, "body": "else"}}
    assert trigger.key(edit) == trigger.key(dict(reversed(edit.items())))
    assert trigger.key(edit) != trigger.key(other)
    assert trigger.key(payload()) == "pull_request_review:1:submitted"
    assert trigger.subject_key(payload()) == "issue:7"  # the same as that of a comment on it
