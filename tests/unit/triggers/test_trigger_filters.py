"""Every filter of every event: what it lets through, what it keeps out, and how it says so."""

from typing import Any

import pytest
from pydantic import ValidationError

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.triggers import TRIGGERS, action_triggers

ACTIONS = {
    "release": "published unpublished created edited deleted prereleased released",
    "issues": "opened edited deleted transferred pinned unpinned closed reopened assigned unassigned labeled"
    " unlabeled locked unlocked milestoned demilestoned typed untyped",
    "issue_comment": "created edited deleted",
    "pull_request": "assigned unassigned labeled unlabeled opened edited closed reopened synchronize"
    " converted_to_draft ready_for_review locked unlocked milestoned demilestoned review_requested"
    " review_request_removed auto_merge_enabled auto_merge_disabled enqueued dequeued",
    "pull_request_review": "submitted edited dismissed",
    "pull_request_review_comment": "created edited deleted",
    "workflow_run": "completed requested in_progress",
    "check_run": "created rerequested completed requested_action",
}
"""The activity types of GitHub's "Events that trigger workflows", and a webhook's further ones."""

DEFAULTS = {
    "release": ("published",),
    "issues": ("opened",),
    "issue_comment": ("created",),
    "pull_request": ("opened", "synchronize", "reopened"),
    "pull_request_review": ("submitted",),
    "pull_request_review_comment": ("created",),
    "workflow_run": ("completed",),
    "check_run": ("completed",),
}


def option(kind: str, **options: Any) -> Any:
    return TRIGGERS.get(kind).options.model_validate(options)


def misses(kind: str, payload: dict[str, Any], **options: Any) -> str:
    said: str = option(kind, **options).mismatch(payload)
    return said


# --- what happened ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "action"), [(kind, one) for kind in ACTIONS for one in ACTIONS[kind].split()]
)
def test_every_activity_type_can_be_asked_for(kind: str, action: str) -> None:
    payload: dict[str, Any] = {"action": action}
    assert misses(kind, payload, types=[action]) == ""
    others = [one for one in ACTIONS[kind].split() if one != action]
    assert misses(kind, payload, types=others) == f"`types` holds {', '.join(others)}, and this is `{action}`"
    assert (misses(kind, payload) == "") is (action in DEFAULTS[kind])


@pytest.mark.parametrize("kind", ACTIONS)
def test_no_other_activity_type_can_be_asked_for(kind: str) -> None:
    with pytest.raises(ValidationError):
        option(kind, types=["exploded"])
    assert misses(kind, {}).endswith("and this is `None`")


CONCLUSIONS = [
    "success",
    "failure",
    "neutral",
    "cancelled",
    "timed_out",
    "action_required",
    "stale",
    "skipped",
    "startup_failure",
]


@pytest.mark.parametrize("kind", ["workflow_run", "check_run"])
@pytest.mark.parametrize("conclusion", CONCLUSIONS)
def test_every_conclusion_can_be_asked_for(kind: str, conclusion: str) -> None:
    payload = {"action": "completed", kind: {"conclusion": conclusion}}
    others = [one for one in CONCLUSIONS if one != conclusion]
    assert misses(kind, payload, conclusion=[conclusion]) == ""
    assert misses(kind, payload, conclusion=others) == (
        f"`conclusion` holds {', '.join(others)}, and this is `{conclusion}`"
    )


@pytest.mark.parametrize("kind", [*ACTIONS, "push"])
def test_who_may_start_it_when_nothing_is_said(kind: str) -> None:
    actor = option(kind).actor
    assert (actor.permission, actor.bots) == ("write", ())


@pytest.mark.parametrize("permission", ["none", "read", "triage", "write", "maintain", "admin"])
def test_every_permission_of_github_can_be_asked_for(permission: str) -> None:
    assert option("push", actor={"permission": permission}).actor.permission == permission


@pytest.mark.parametrize("login", ["renovate", "[bot]", "a b[bot]", "x[bot]y", "a" * 101 + "[bot]"])
def test_only_a_bots_login_is_one(login: str) -> None:
    with pytest.raises(ValidationError):
        option("push", actor={"bots": [login]})


# --- what it happened to ----------------------------------------------------------------------------


def release(tag: str = "v1.2", prerelease: bool = False) -> dict[str, Any]:
    return {"action": "published", "release": {"tag_name": tag, "prerelease": prerelease}}


@pytest.mark.parametrize(
    ("options", "payload", "said"),
    [
        ({}, release(prerelease=True), ""),
        ({"prereleases": True}, release(prerelease=True), ""),
        ({"prereleases": False}, release(), ""),
        ({"prereleases": False}, release(prerelease=True), "it is a pre-release, and `prereleases` is false"),
        ({"tags": ["v*"]}, release(), ""),
        ({"tags": ["w*", "v1.?"]}, release(), ""),
        ({"tags": ["w*", "x*"]}, release(), "`tags` holds w*, x*, and this is `v1.2`"),
        ({"tags": ["v*"], "prereleases": False}, release("w1"), "`tags` holds v*, and this is `w1`"),
    ],
)
def test_releases(options: dict[str, Any], payload: dict[str, Any], said: str) -> None:
    assert misses("release", payload, **options) == said


def labels(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


LABELED = [
    ("issues", "issue"),
    ("issue_comment", "issue"),
    ("pull_request", "pull_request"),
    ("pull_request_review", "pull_request"),
    ("pull_request_review_comment", "pull_request"),
]


@pytest.mark.parametrize(("kind", "subject"), LABELED)
@pytest.mark.parametrize(
    ("there", "passes"),
    [
        (labels("docs"), True),
        (labels("other", "help"), True),
        (labels("other"), False),
        (labels(), False),
        (None, False),
        (["docs", None, {"name": "docs"}], True),
        (["docs", None], False),
    ],
)
def test_any_label_that_is_there_counts(kind: str, subject: str, there: Any, passes: bool) -> None:
    payload = {"action": DEFAULTS[kind][0], subject: {"labels": there}}
    assert misses(kind, payload) == ""
    said = misses(kind, payload, labels=["docs", "help"])
    assert said == ("" if passes else "none of the labels docs, help is there")


@pytest.mark.parametrize(
    ("kind", "subject"), [one for one in LABELED if one[0] in ("issues", "pull_request")]
)
@pytest.mark.parametrize("action", ["labeled", "unlabeled"])
@pytest.mark.parametrize(("name", "passes"), [("docs", True), ("bug", False)])
def test_where_a_label_came_or_went_that_one_counts(
    kind: str, subject: str, action: str, name: str, passes: bool
) -> None:
    payload = {"action": action, "label": {"name": name}, subject: {"labels": labels("docs", "bug")}}
    said = misses(kind, payload, types=[action], labels=["docs"])
    assert said == ("" if passes else "`labels` holds docs, and this is `bug`")
    assert misses(kind, payload, types=[action]) == ""


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ("/docs", True),
        ("/docs now, please", True),
        ("  /docs\nnow", True),
        ("\n/docs\n", True),
        ("/docsy", False),
        ("please /docs", False),
        ("/Docs", False),
        ("", False),
        (None, False),
    ],
)
def test_a_command_begins_the_comment(body: str | None, passes: bool) -> None:
    payload = {"action": "created", "comment": {"body": body}}
    said = misses("issue_comment", payload, command="/docs")
    assert said == ("" if passes else "the comment does not begin with /docs")
    assert misses("issue_comment", payload) == ""


def test_a_command_and_a_label_are_both_needed() -> None:
    payload = {"action": "created", "comment": {"body": "/docs"}, "issue": {"labels": labels("bug")}}
    assert misses("issue_comment", payload, command="/docs", labels=["bug"]) == ""
    assert misses("issue_comment", payload, command="/docs", labels=["docs"]) != ""
    assert misses("issue_comment", payload, command="/test", labels=["bug"]) != ""


@pytest.mark.parametrize("draft", [True, False])
@pytest.mark.parametrize("wanted", [True, False, None])
def test_drafts(draft: bool, wanted: bool | None) -> None:
    payload = {"action": "opened", "pull_request": {"draft": draft}}
    said = misses("pull_request", payload, **({} if wanted is None else {"draft": wanted}))
    if wanted in (None, draft):
        assert said == ""
    else:
        assert said == f"`draft` is {str(wanted).lower()}, and the pull request's is {str(draft).lower()}"


def test_without_a_word_about_it_a_pull_request_is_no_draft() -> None:
    payload = {"action": "opened", "pull_request": {}}
    assert misses("pull_request", payload, draft=False) == ""
    assert misses("pull_request", payload, draft=True) != ""


# --- where ------------------------------------------------------------------------------------------


def pull(branch: str) -> dict[str, Any]:
    return {
        "action": "opened",
        "ref": "refs/heads/other",
        "pull_request": {"base": {"ref": branch}, "head": {"ref": "other"}},
    }


def push(branch: str) -> dict[str, Any]:
    return {"ref": f"refs/heads/{branch}"}


@pytest.mark.parametrize(("kind", "made"), [("pull_request", pull), ("push", push)])
@pytest.mark.parametrize(
    ("options", "branch", "said"),
    [
        ({}, "main", ""),
        ({"branches": ["main"]}, "main", ""),
        ({"branches": ["dev", "main"]}, "main", ""),
        ({"branches": ["dev"]}, "main", "`branches` holds dev, and this is `main`"),
        ({"branches": ["release/*"]}, "release/1", ""),
        ({"branches_ignore": ["main"]}, "main", "`branches_ignore` holds `main`"),
        ({"branches_ignore": ["wip/**"]}, "wip/a/b", "`branches_ignore` holds `wip/a/b`"),
        ({"branches_ignore": ["wip/**"]}, "main", ""),
        ({"branches": ["*"], "branches_ignore": ["main"]}, "dev", ""),
        ({"branches": ["*"], "branches_ignore": ["main"]}, "main", "`branches_ignore` holds `main`"),
        ({"branches": ["dev"], "branches_ignore": ["main"]}, "x", "`branches` holds dev, and this is `x`"),
    ],
)
def test_branches(kind: str, made: Any, options: dict[str, Any], branch: str, said: str) -> None:
    assert misses(kind, made(branch), **options) == said


def test_a_branch_and_a_label_are_both_needed() -> None:
    payload = pull("main")
    payload["pull_request"]["labels"] = labels("docs")
    assert misses("pull_request", payload, branches=["main"], labels=["docs"]) == ""
    assert misses("pull_request", payload, branches=["main"], labels=["bug"]) != ""
    assert misses("pull_request", payload, branches=["dev"], labels=["docs"]) != ""


TAG = {"ref": "refs/tags/v1"}


@pytest.mark.parametrize(
    ("options", "payload", "said"),
    [
        ({}, TAG, ""),
        ({"tags": ["v*"]}, TAG, ""),
        ({"tags": ["w*"]}, TAG, "`tags` holds w*, and this is `v1`"),
        ({"branches": ["**"]}, TAG, "the skill names branches only, and this is refs/tags/v1"),
        ({"branches_ignore": ["x"]}, TAG, "the skill names branches only, and this is refs/tags/v1"),
        ({"branches": ["main"], "tags": ["v*"]}, TAG, ""),
        ({"branches_ignore": ["main"], "tags": ["v*"]}, TAG, ""),
        ({"tags": ["**"]}, push("main"), "the skill names tags only, and this is refs/heads/main"),
        ({"branches": ["main"], "tags": ["v*"]}, push("main"), ""),
        ({"branches_ignore": ["dev"], "tags": ["v*"]}, push("main"), ""),
        ({"branches_ignore": ["main"], "tags": ["v*"]}, push("main"), "`branches_ignore` holds `main`"),
        ({}, {**push("main"), "deleted": True}, "refs/heads/main was deleted"),
        ({"tags": ["v*"]}, {**TAG, "deleted": True}, "refs/tags/v1 was deleted"),
        ({}, {**push("main"), "deleted": False}, ""),
        ({"branches": ["re*/tags/*"]}, {"ref": "refs/heads/refs/tags/x"}, ""),
    ],
)
def test_tags_and_deletions(options: dict[str, Any], payload: dict[str, Any], said: str) -> None:
    assert misses("push", payload, **options) == said


@pytest.mark.parametrize("kind", ["pull_request", "push"])
@pytest.mark.parametrize(
    ("options", "changed", "said"),
    [
        ({"paths": ["src/**"]}, ["src/a", "b"], ""),
        ({"paths": ["src/**", "b"]}, ["a", "b"], ""),
        ({"paths": ["src/**", "c"]}, ["a", "b"], "no changed path is among `paths`: src/**, c"),
        ({"paths": ["src/**"]}, [], "no changed path is among `paths`: src/**"),
        ({"paths_ignore": ["docs/**"]}, ["docs/a", "b"], ""),
        (
            {"paths_ignore": ["docs/**", "*.md"]},
            ["docs/a", "b.md"],
            "every changed path is among `paths_ignore`: docs/**, *.md",
        ),
        ({"paths": ["src/**"], "paths_ignore": ["**/*.md"]}, ["src/a.md", "b.md"], "every changed path"),
        ({"paths": ["src/**"], "paths_ignore": ["**/*.md"]}, ["src/a.md", "b.py"], ""),
        ({}, [], ""),
    ],
)
def test_changed_paths(kind: str, options: dict[str, Any], changed: list[str], said: str) -> None:
    made = option(kind, **options)
    found = made.path_mismatch(changed)
    assert found.startswith(said)
    assert bool(found) is bool(said)
    assert made.has_path_filter is bool(options)


# --- what ran ---------------------------------------------------------------------------------------


RUN = {"action": "completed", "workflow_run": {"name": "CI", "head_branch": "main", "conclusion": "failure"}}
CHECK = {"action": "completed", "check_run": {"name": "lint", "conclusion": "failure"}}


@pytest.mark.parametrize(
    ("kind", "payload", "options", "said"),
    [
        ("workflow_run", RUN, {"workflows": ["CI"], "branches": ["main"], "conclusion": ["failure"]}, ""),
        ("workflow_run", RUN, {"workflows": ["CD", "CI"]}, ""),
        ("workflow_run", RUN, {"workflows": ["C*"]}, "`workflows` holds C*, and this is `CI`"),
        ("workflow_run", RUN, {"branches": ["m*"]}, ""),
        ("workflow_run", RUN, {"branches": ["dev"]}, "`branches` holds dev, and this is `main`"),
        ("workflow_run", RUN, {"conclusion": ["stale"]}, "`conclusion` holds stale, and this is `failure`"),
        (
            "workflow_run",
            RUN,
            {"workflows": ["CI"], "branches": ["dev"], "conclusion": ["failure"]},
            "`branches` holds dev, and this is `main`",
        ),
        (
            "workflow_run",
            RUN,
            {"workflows": ["CI"], "branches": ["main"], "conclusion": ["success"]},
            "`conclusion` holds success, and this is `failure`",
        ),
        ("check_run", CHECK, {"names": ["test", "lint"], "conclusion": ["failure"]}, ""),
        ("check_run", CHECK, {"names": ["test"]}, "`names` holds test, and this is `lint`"),
        (
            "check_run",
            CHECK,
            {"names": ["lint"], "conclusion": ["success"]},
            "`conclusion` holds success, and this is `failure`",
        ),
    ],
)
def test_runs_and_checks(kind: str, payload: dict[str, Any], options: dict[str, Any], said: str) -> None:
    assert misses(kind, payload, **options) == said


ENDS = [
    "succeeded",
    "nothing_to_do",
    "failed",
    "error",
    "blocked",
    "timed_out",
    "cancelled",
    "lost",
    "superseded",
]


@pytest.mark.parametrize("state", ENDS)
def test_every_end_of_another_skill_can_be_followed(state: str) -> None:
    payload = {"run": {"skill": "first", "state": state}}
    others = [one for one in ENDS if one != state]
    assert misses("run_completed", payload, skill="first", states=[state]) == ""
    assert misses("run_completed", payload, skill="first", states=others) == (
        f"`states` holds {', '.join(others)}, not {state}"
    )
    assert (misses("run_completed", payload, skill="first") == "") is (state == "succeeded")
    assert misses("run_completed", payload, skill="other", states=[state]) == (
        "it follows other, and this was a run of first"
    )
    assert misses("run_completed", {}, skill="other") == "it follows other, and this was a run of None"


@pytest.mark.parametrize(("length", "taken"), [(64, True), (65, False)])
def test_the_name_of_a_followed_skill_is_as_long_as_a_name_may_be(length: int, taken: bool) -> None:
    if taken:
        assert option("run_completed", skill="a" * length).skill == "a" * length
        return
    with pytest.raises(ValidationError):
        option("run_completed", skill="a" * length)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("issues", {"action": "opened", "issue": "text"}),
        ("issues", {"action": "opened", "issue": {"labels": "text"}}),
        ("issue_comment", {"action": "created", "comment": ["/docs"]}),
        ("pull_request", {"action": "opened", "pull_request": None}),
        ("workflow_run", {"action": "completed", "workflow_run": 7}),
        ("check_run", {"action": "completed", "check_run": []}),
    ],
)
def test_what_strangers_wrote_has_any_shape(kind: str, payload: dict[str, Any]) -> None:
    assert misses(kind, payload) == ""
    filters = {
        "issues": {"labels": ["x"]},
        "issue_comment": {"command": "/x"},
        "pull_request": {"branches": ["x"]},
        "workflow_run": {"workflows": ["x"]},
        "check_run": {"names": ["x"]},
    }
    assert misses(kind, payload, **filters[kind]) != ""


# --- in GitHub Actions ------------------------------------------------------------------------------


def test_each_event_of_github_actions_has_one_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = action_triggers()
    assert {event: trigger.name for event, trigger in heard.items()}.items() >= {
        ("release", "release"),
        ("push", "push"),
        ("issues", "issues"),
        ("issue_comment", "issue_comment"),
        ("workflow_run", "workflow_run"),
        ("check_run", "check_run"),
    }
    monkeypatch.setattr(type(TRIGGERS.get("push")), "action_events", lambda _: ("release",))
    with pytest.raises(RunnerError) as caught:
        action_triggers()
    assert (caught.value.phase, caught.value.reason) == (Phase.LOAD, Reason.INVALID_CONFIG)
    assert caught.value.message == "the triggers push and release both hear GitHub's event release"
