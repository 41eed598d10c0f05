"""What an event is about, who did it, and which deliveries are one happening."""

from typing import Any

import pytest

from runner.triggers import TRIGGERS, actor, kind_of

AT = "2026-11-21T12:00:00Z"
NOON = 1795262400  # that instant, in seconds; a whole minute


def issue(action: str, at: str | None = AT, **more: Any) -> dict[str, Any]:
    return {"action": action, "issue": {"id": 5, "number": 3, "updated_at": at}, **more}


def pull(action: str, at: str | None = AT, **more: Any) -> dict[str, Any]:
    inner = {"id": 6, "number": 4, "updated_at": at, "head": {"sha": "abc"}}
    return {"action": action, "pull_request": inner, **more}


def comment(action: str, at: str | None = AT) -> dict[str, Any]:
    return {"action": action, "issue": {"id": 5, "number": 3}, "comment": {"id": 8, "updated_at": at}}


# --- kinds and subjects -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"comment": {}, "issue": {}}, "issue_comment"),
        ({"comment": {}, "pull_request": {}}, "pull_request_review_comment"),
        ({"review": {}, "pull_request": {}}, "pull_request_review"),
        ({"comment": {}}, None),
        ({"issue": {}}, "issues"),
        ({"issue": "text"}, None),
        ({"release": {}}, "release"),
        ({"release": None, "issue": {}}, "issues"),
        ({"workflow_run": {}}, "workflow_run"),
        ({"check_run": {}}, "check_run"),
        ({"pull_request": {}, "issue": {}}, None),  # it may be either
        ({"ref": "r", "after": "a"}, "push"),
        ({"ref": "r"}, None),
        ({"after": "a"}, None),
        ({}, None),
    ],
)
def test_a_payload_tells_its_kind(payload: dict[str, Any], kind: str | None) -> None:
    assert kind_of(payload) == kind


@pytest.mark.parametrize(
    ("kind", "payload", "about"),
    [
        ("release", {"release": {"tag_name": "v1"}}, "v1"),
        ("issues", {"issue": {"number": 3}}, "3"),
        ("issue_comment", {"issue": {"number": 3}, "comment": {"id": 8}}, "3"),
        ("pull_request", {"pull_request": {"number": 4}}, "4"),
        ("pull_request_review", {"review": {"id": 1}, "pull_request": {"number": 4}}, "4"),
        ("pull_request_review_comment", {"comment": {"id": 1}, "pull_request": {"number": 4}}, "4"),
        ("push", {"ref": "refs/heads/feature/x"}, "feature/x"),
        ("push", {"ref": "refs/tags/v1"}, "v1"),
        ("workflow_run", {"workflow_run": {"id": 9}}, "9"),
        ("check_run", {"check_run": {"id": 7}}, "7"),
        ("run_completed", {"run": {"id": "261121-a"}}, "261121-a"),
        ("webhook", {"ref": "refs/heads/x"}, ""),
        ("issues", {"issue": {"number": None}}, ""),
        ("issues", {"issue": {"number": [3]}}, ""),
    ],
)
def test_what_an_event_is_about(kind: str, payload: dict[str, Any], about: str) -> None:
    assert TRIGGERS.get(kind).subject(payload) == about


@pytest.mark.parametrize(
    ("payload", "login"),
    [({"sender": {"login": "ada"}}, "ada"), ({"sender": "ada"}, None), ({}, None), ({"sender": None}, None)],
)
def test_who_did_it(payload: dict[str, Any], login: str | None) -> None:
    assert actor(payload) == login


# --- keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "payload", "key"),
    [
        ("release", {"action": "published", "release": {"id": 12}}, "release:12:published"),
        ("issues", issue("opened"), "issues:5:opened"),
        ("issues", issue("deleted"), "issues:5:deleted"),
        ("issues", issue("closed"), f"issues:5:closed:{AT}"),
        ("issues", issue("closed", None), "issues:5:closed"),
        ("issues", issue("labeled", label={"name": "a: b"}), f"issues:5:labeled:a%3A%20b:{AT}"),
        ("issues", issue("milestoned", milestone={"title": "1/2"}), f"issues:5:milestoned:1%2F2:{AT}"),
        ("issues", issue("assigned", assignee={"node_id": "U_:/1"}), f"issues:5:assigned:U_:/1:{AT}"),
        ("issue_comment", comment("created"), "issue_comment:8:created"),
        ("issue_comment", comment("deleted"), "issue_comment:8:deleted"),
        ("issue_comment", comment("edited"), f"issue_comment:8:edited:{AT}"),
        ("pull_request", pull("opened"), "pull_request:6:opened"),
        ("pull_request", pull("synchronize"), "pull_request:6:synchronize:abc"),
        ("pull_request", pull("closed"), f"pull_request:6:closed:{AT}"),
        ("pull_request", pull("labeled", label={"name": "x"}), f"pull_request:6:labeled:x:{AT}"),
        (
            "pull_request",
            pull("review_requested", requested_reviewer={"node_id": "U_1"}),
            f"pull_request:6:review_requested:U_1:{AT}",
        ),
        (
            "pull_request",
            pull("review_requested", requested_team={"node_id": "T_1"}),
            f"pull_request:6:review_requested:T_1:{AT}",
        ),
        ("push", {"ref": "refs/heads/main", "after": "def"}, "push:refs/heads/main:def"),
        (
            "workflow_run",
            {"action": "completed", "workflow_run": {"id": 9, "run_attempt": 2}},
            "workflow_run:9:2:completed",
        ),
        ("workflow_run", {"action": "completed", "workflow_run": {"id": 9}}, "workflow_run:9:completed"),
        ("check_run", {"action": "completed", "check_run": {"id": 7}}, "check_run:7:completed"),
        ("run_completed", {"run": {"id": "r"}}, "run_completed:r"),
    ],
)
def test_the_key_of_a_happening(kind: str, payload: dict[str, Any], key: str) -> None:
    assert TRIGGERS.get(kind).key(payload) == key


@pytest.mark.parametrize(
    ("kind", "payload", "stem"),
    [
        ("release", {"action": "edited", "release": {"id": 12}}, "release:12:edited"),
        ("release", {"action": "published"}, "release:published"),
        ("issues", {"action": "opened"}, "issues:opened"),
        ("issues", {"issue": {"id": 5}}, "issues:5"),
        ("push", {"ref": "refs/heads/main"}, "push:refs/heads/main"),
        ("check_run", {"check_run": {"id": 7}}, "check_run:7"),
        ("webhook", {"any": 1}, "webhook"),
    ],
)
def test_where_a_part_is_missing_the_whole_payload_tells_it_apart(
    kind: str, payload: dict[str, Any], stem: str
) -> None:
    key = TRIGGERS.get(kind).key(payload)
    assert key.rpartition(":")[0] == stem
    assert len(key.rpartition(":")[2]) == 24
    assert key == TRIGGERS.get(kind).key(dict(reversed(payload.items())))
    assert key != TRIGGERS.get(kind).key({**payload, "more": 1})


# --- two deliveries of one happening ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "made", "action", "stem"),
    [
        ("issues", issue, "closed", "issues:5:closed"),
        ("pull_request", pull, "closed", "pull_request:6:closed"),
    ],
)
def test_the_minutes_that_a_happening_is_in(kind: str, made: Any, action: str, stem: str) -> None:
    minute = NOON // 60
    assert TRIGGERS.get(kind).other_keys(made(action)) == (f"{stem}@full{minute}", f"{stem}@half{minute}")
    later = TRIGGERS.get(kind).other_keys(made(action, "2026-11-21T12:00:30Z"))
    assert later == (f"{stem}@full{minute}", f"{stem}@half{minute + 1}")
    before = TRIGGERS.get(kind).other_keys(made(action, "2026-11-21T11:59:59Z"))
    assert before == (f"{stem}@full{minute - 1}", f"{stem}@half{minute}")


@pytest.mark.parametrize("second", range(0, 60, 7))
@pytest.mark.parametrize(("apart", "one"), [(0, True), (1, True), (30, True), (60, False), (90, False)])
def test_at_most_half_a_minute_apart_is_one_happening(second: int, apart: int, one: bool) -> None:
    first, other = (
        set(TRIGGERS.get("issues").other_keys(issue("closed", f"2026-11-21T12:{at // 60:02}:{at % 60:02}Z")))
        for at in (second, second + apart)
    )
    assert bool(first & other) is one


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("issues", issue("opened")),
        ("issue_comment", comment("created")),
        ("issue_comment", comment("deleted")),
        ("issue_comment", comment("edited")),  # no list tells of it
        ("pull_request", pull("opened")),
        ("pull_request", pull("synchronize")),
        ("issues", issue("closed", None)),
        ("issues", issue("closed", "yesterday")),
        ("issues", issue("closed", "")),
        ("issues", issue("closed", "0001-01-01T00:00:00")),
        ("push", {"ref": "refs/heads/main", "after": "def"}),
        ("webhook", {}),
    ],
)
def test_what_happens_once_or_has_no_time_has_no_other_key(kind: str, payload: dict[str, Any]) -> None:
    assert TRIGGERS.get(kind).other_keys(payload) == ()


# --- what happens again -----------------------------------------------------------------------------


def released(action: str, at: str) -> dict[str, Any]:
    return {"action": action, "release": {"id": 12, "tag_name": "v1", "published_at": at, "updated_at": at}}


def checked(action: str, at: str) -> dict[str, Any]:
    return {"action": action, "check_run": {"id": 7, "completed_at": at}}


def pushed(before: str, after: str) -> dict[str, Any]:
    return {"ref": "refs/heads/main", "before": before * 40, "after": after * 40}


@pytest.mark.parametrize(
    ("kind", "first", "again"),
    [
        *(("release", released(one, AT), released(one, "2026-11-22T12:00:00Z"))
          for one in ("published", "released", "prereleased", "unpublished")),
        *(("check_run", checked(one, AT), checked(one, "2026-11-22T12:00:00Z"))
          for one in ("completed", "rerequested", "requested_action")),
        ("push", pushed("a", "b"), pushed("c", "b")),  # back by force
        ("push", pushed("0", "b"), pushed("a", "b")),
    ],
)  # fmt: skip
def test_what_happens_again_is_another_event(kind: str, first: dict[str, Any], again: dict[str, Any]) -> None:
    trigger = TRIGGERS.get(kind)
    assert trigger.key(first) == trigger.key({**first, "sender": {"login": "ada"}})  # delivered again
    assert trigger.key(first) != trigger.key(again)


def test_a_check_is_created_once() -> None:
    trigger = TRIGGERS.get("check_run")
    assert trigger.key(checked("created", AT)) == trigger.key(checked("created", "later"))


def test_parts_of_a_second_make_no_other_key() -> None:
    release = {"id": 1, "published_at": "2026-11-29T03:19:46Z"}
    whole = {"action": "published", "release": release}
    parts = {"action": "published", "release": {**release, "published_at": "2026-11-29T03:19:46.018Z"}}
    assert TRIGGERS.get("release").key(whole) == TRIGGERS.get("release").key(parts)
