"""What we did ourselves starts nothing; what people did with what we made does."""

from typing import Any

import pytest

from runner.publish.outputs import _marker
from runner.publish.outputs._marker import Marker
from runner.publish.signing import NO_KEY, Signer, sign_comment
from runner.scheduler.loop_guard import OwnIdentity, own_cause

ME = OwnIdentity(login="bot[bot]", email="bot@example.com", workflow=".github/workflows/skills.yml")
PERSON = OwnIdentity(email="bot@example.com")  # a person's token: nobody tells the login
MARK = _marker.write(Marker(skill="s", key="k", cause="c", head="abc", patch="p"), NO_KEY)
BODY = f"---\nrun r · skill s@1\n\n{MARK}"


def pull(
    head: str = "abc",
    author: str = "ada",
    sender: str = "ada",
    body: str = BODY,
    ref: str = "skillrunner/s/k",
    repository: int | None = 1,
) -> dict[str, Any]:
    there = {"sha": head, "ref": ref, "repo": repository and {"id": repository}}
    return {
        "action": "synchronize",
        "pull_request": {
            "body": body,
            "head": there,
            "base": {"ref": "main", "repo": {"id": 1}},
            "user": {"login": author},
        },
        "sender": {"login": sender},
    }


def comment(author: str = "ada", association: str = "OWNER", body: str = f"x\n{MARK}") -> dict[str, Any]:
    said = {"body": body, "user": {"login": author}, "author_association": association}
    return {"action": "created", "comment": said, "sender": {"login": "ada"}}


def push(ref: str, email: str = "bot@example.com") -> dict[str, Any]:
    return {"ref": ref, "head_commit": {"author": {"email": email}}, "sender": {"login": "ada"}}


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"sender": {"login": "bot[bot]"}}, "bot[bot] did it"),
        ({"workflow_run": {"path": ".github/workflows/skills.yml@main"}}, "the workflow that runs"),
        (comment(author="bot[bot]", association="NONE"), "wrote the comment"),
        (push("refs/heads/skillrunner/s/k"), "pushed it"),
        (pull(), "proposed the pull request"),
    ],
)
def test_ours(payload: dict[str, Any], words: str) -> None:
    assert words in own_cause(payload, ME)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"sender": {"login": "ada"}},
        {"sender": "bot[bot]", "comment": None, "workflow_run": []},
        {"workflow_run": {"path": ".github/workflows/ci.yml"}},
        {"comment": {"body": "<!-- other: {} -->"}},
        {"head_commit": None},
        pull(head="a human's commit"),
        pull(sender="bob"),
        pull(body="no marker"),
        push("refs/heads/main"),
        push("refs/tags/skillrunner/s/k"),
        push("refs/heads/skillrunner/s/k", "ada@example.com"),
        pull(body=MARK),
        pull(ref="skillrunner/s/other"),
        pull(ref="main"),
        pull(repository=2),
        pull(repository=None),
        {"pull_request": "x", "sender": {"login": "ada"}},
        {"pull_request": {"body": BODY, "head": [], "base": 3}, "sender": {"login": ""}},
        comment(),
        comment(author="eve", association="NONE"),
    ],
)
def test_not_ours(payload: dict[str, Any]) -> None:
    assert own_cause(payload, ME) == ""


def review(body: str, sender: str = "ada", association: str = "OWNER") -> dict[str, Any]:
    said = {"body": body, "user": {"login": sender}, "author_association": association}
    return {**pull(sender=sender), "action": "submitted", "review": said}


@pytest.mark.parametrize(
    ("payload", "identity", "words"),
    [
        (review("Looks good", "bot[bot]"), ME, "bot[bot] did it"),
        (review(f"Two remarks.\n{MARK}"), PERSON, "wrote the review"),
        (review("Please mend it."), PERSON, ""),  # the person whose token we have, on what we proposed
        (review(f"Two remarks.\n{MARK}", "eve", "NONE"), PERSON, ""),
        ({**review(""), "review": None}, PERSON, ""),
        ({**pull(), **comment(body="Why this?")}, PERSON, ""),
        ({**pull(), **comment()}, PERSON, "wrote the comment"),
    ],
)
def test_a_review_is_ours_by_its_mark_and_not_by_what_it_reviews(
    payload: dict[str, Any], identity: OwnIdentity, words: str
) -> None:
    assert own_cause(payload, identity) == "" if not words else words in own_cause(payload, identity)


def test_nobody_is_nobodys() -> None:
    nameless = {
        "sender": {"login": ""},
        "head_commit": {"author": {"email": ""}},
        "workflow_run": {"path": ""},
    }
    assert own_cause(nameless, OwnIdentity()) == ""


@pytest.mark.parametrize("association", ["OWNER", "MEMBER", "COLLABORATOR"])
def test_with_a_persons_token_a_marked_comment_of_somebody_inside_is_ours(association: str) -> None:
    assert "wrote the comment" in own_cause(comment(association=association), PERSON)


@pytest.mark.parametrize("association", ["NONE", "CONTRIBUTOR", "FIRST_TIME_CONTRIBUTOR", "MANNEQUIN", ""])
def test_a_strangers_comment_with_our_mark_is_a_strangers(association: str) -> None:
    for body in (f"/deploy\n{MARK}", "<!-- skillrunner: hands-off --> please look"):
        assert own_cause(comment(author="eve", association=association, body=body), PERSON) == ""


def test_a_strangers_pull_request_with_our_marker_does_not_pass_for_ours() -> None:
    """From a fork, whatever its branch is called and whatever its text says."""
    for identity in (ME, PERSON):
        assert own_cause(pull(author="eve", sender="eve", repository=2), identity) == ""


def test_what_people_merge_is_theirs_whoever_wrote_the_commit() -> None:
    """A stranger can write our address into a commit of a fork, so that its merge would start nothing."""
    assert own_cause(push("refs/heads/main"), PERSON) == ""


SIGNER = Signer(b"k" * 32)
SIGNED = OwnIdentity(email="bot@example.com", signer=SIGNER)


def marked(signer: Signer) -> str:
    line = _marker.write(Marker(skill="s", key="k", cause="c", head="abc", patch="p"), signer)
    return f"---\nrun r · skill s@1\n\n{line}"


@pytest.mark.parametrize("signer", [SIGNER, NO_KEY, Signer(b"o" * 32)])
def test_a_pull_request_of_any_host_of_ours_is_ours(signer: Signer) -> None:
    assert "proposed" in own_cause(pull(body=marked(signer)), SIGNED)


def test_a_pull_request_whose_mark_was_changed_under_our_signature_is_a_persons() -> None:
    changed = marked(SIGNER).replace('"abc"', '"abd"')
    assert changed != marked(SIGNER)
    assert own_cause(pull(head="abd", body=changed), SIGNED) == ""
    assert "proposed" in own_cause(pull(head="abd", body=changed), PERSON), "who has no key cannot tell"


@pytest.mark.parametrize(("number", "is_ours"), [(7, True), (8, False), ("7", False), (None, False)])
@pytest.mark.parametrize("about", ["issue", "pull_request"])
def test_a_comments_signature_holds_where_it_was_written(about: str, number: object, is_ours: bool) -> None:
    mark = "<!-- skillrunner: hands-off -->"
    said = comment(body=f"Hands off\n{sign_comment(SIGNER, mark, 7)}\n\n{mark}") | {about: {"number": number}}
    assert bool(own_cause(said, SIGNED)) is is_ours
    assert own_cause(said, PERSON), "who has no key cannot tell"
    said["comment"]["author_association"] = "NONE"
    assert own_cause(said, SIGNED) == "", "a stranger can copy all of it"
