"""A pull request is made once, kept up to date, and left alone where a person has spoken."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from runner.core.errors import RunnerError
from runner.core.model import (
    Check,
    Phase,
    Reason,
    Receipt,
    Remote,
)
from runner.publish.forges import Comment, PullRequest
from runner.publish.forges.local import LocalForge
from runner.publish.outputs import OUTPUTS, Offer
from runner.publish.outputs import _marker as marker
from runner.publish.outputs._marker import Marker
from runner.publish.outputs.pull_request import branch
from runner.publish.signing import NO_KEY
from runner.workspace.changeset import Changeset, Edit
from tests.parts.publishing import BOT, BRANCH, Here, human, publish, refused
from tests.parts.repos import commit, git

# --- what the kind says of itself -----------------------------------------------------------------------


def test_it_publishes_files_and_needs_to_write_two_things() -> None:
    kind = OUTPUTS.get("pull_request")
    assert (kind.files, kind.publishes) == (True, True)
    assert kind.permissions == {"contents": "write", "pull-requests": "write"}
    assert kind.declares is not None
    assert list(kind.declares.model_fields) == ["id", "body"]


def test_what_it_asks_for_and_tells_before_it_is_published(here: Here) -> None:
    kind = OUTPUTS.get("pull_request")
    asked = kind.options.model_validate({"title": "t", "base": "dev", "labels": ["a", "b"]})
    assert (kind.base_branch(asked), tuple(kind.labels(asked))) == ("dev", ("a", "b"))
    least = kind.options.model_validate({"title": "t"})
    assert (kind.base_branch(least), tuple(kind.labels(least))) == (None, ())
    assert kind.declares is not None
    another = kind.declares.model_validate({"body": "b"})
    assert (kind.base_branch(another), tuple(kind.labels(another))) == (None, ())
    offer = here.offer()
    assert list(kind.preview(offer.spec, offer.output)) == [("branch", BRANCH), ("title", "docs: update")]


def test_what_a_skill_may_say_and_need_not() -> None:
    model = OUTPUTS.get("pull_request").options
    assert model.model_validate({"title": "t"}).model_dump() == {
        "title": "t",
        "body": None,
        "key": None,
        "base": None,
        "labels": (),
        "reviewers": (),
        "draft": True,
        "commit": None,
        "co_authors": (),
        "signoff": False,
        "commits": "git",
        "rebase": "conflict",
        "stop_after": None,
        "close_after": None,
        "max_open": 5,
        "max_hourly": 5,
        "window": None,
        "limits_for": "schedule",
        "security": False,
    }
    for name, most in (("labels", 100), ("reviewers", 30)):
        assert model.model_validate({"title": "t", name: ["x"] * most})
        with pytest.raises(ValidationError):
            model.model_validate({"title": "t", name: ["x"] * (most + 1)})
    with pytest.raises(ValidationError):
        model.model_validate({"labels": ["x"]})


# --- the first time ---------------------------------------------------------------------------------


def test_it_is_opened_with_all_that_the_skill_asks_for(here: Here) -> None:
    offer = here.offer(options={"labels": ["documentation", "bot"], "reviewers": ["ada"], "body": "Look."})
    receipt = here.publish(offer)
    (pull,) = here.pulls()
    assert receipt == Receipt(
        kind="pull_request",
        key="docs/v1",
        action="created",
        url=pull.url,
        number=1,
        sha=here.head(),
        branch=BRANCH,
    )
    assert (pull.title, pull.base, pull.state, pull.draft) == ("docs: update", "main", "open", True)
    assert pull.labels == ("documentation", "bot")
    assert "Look." in pull.body
    found = marker.read(pull.body, NO_KEY)
    assert found is not None
    assert replace(found, sections={}) == Marker(
        skill="docs",
        key="v1",
        cause="release:1",
        head=here.head(),
        patch=offer.proposal.patch_sha256,
        title=marker.digest("docs: update"),
        base="main",
        draft=True,
        labels=("documentation", "bot"),
        reviewers=("ada",),
    )
    assert git(here.scene.source, "show", f"{BRANCH}:docs/a.md") == "new"


def test_the_commit_says_who_made_it_and_from_what(here: Here) -> None:
    here.publish(here.offer())
    (made,) = here.changeset.commits(here.scene.mirror.resolve("main"), here.head())
    assert made.parents == (here.scene.mirror.resolve("main"),)
    assert (made.author_name, made.author_email) == ("bot", "bot@example.com")
    assert (made.committer_name, made.committer_email) == ("bot", "bot@example.com")
    assert made.message.rstrip("\n") == (
        "docs: update\n\nKeep docs\n\nSkillrunner-Skill: docs@cccccccccccc\nSkillrunner-Run: run-1"
    )


def test_a_skill_without_a_commit_is_named_by_its_digest(here: Here) -> None:
    offer = here.offer()
    skill = replace(offer.spec.skill, commit=None)
    here.publish(replace(offer, spec=replace(offer.spec, skill=skill)))
    assert "Skillrunner-Skill: docs@dddddddddddd" in here.log("-1", "--format=%B", BRANCH)


@pytest.mark.parametrize(
    ("options", "ok", "draft"),
    [
        ({}, True, True),
        ({"draft": True}, True, True),
        ({"draft": False}, True, False),
        ({"draft": False}, False, True),
    ],
)
def test_what_was_not_verified_opens_as_a_draft(
    here: Here, options: dict[str, Any], ok: bool, draft: bool
) -> None:
    check = Check(command="make", exit_code=0 if ok else 1, duration=1, output="", ok=ok)
    here.publish(here.offer(options=options, checks=(check,)))
    assert here.pulls()[0].draft is draft


@pytest.mark.parametrize(
    ("options", "subject", "name", "key"),
    [
        ({}, "v1", "skillrunner/docs/v1", "docs/v1"),
        ({"key": "weekly"}, "v1", "skillrunner/docs/weekly", "docs/weekly"),
        ({"key": ""}, "v1", "skillrunner/docs/v1", "docs/v1"),
        ({}, "", "skillrunner/docs/default", "docs/default"),
    ],
)
def test_the_key_names_the_branch(
    here: Here, options: dict[str, Any], subject: str, name: str, key: str
) -> None:
    receipt = here.publish(here.offer(options=options, trigger={"subject": subject}))
    assert (receipt.branch, receipt.key) == (name, key)
    assert len(here.pulls(name)) == 1


@pytest.mark.parametrize(
    ("key", "slug"),
    [
        ("v1.2", "v1.2"),
        ("", "default"),
        ("default", "default"),
        ("a" * 80, "a" * 80),
        ("a" * 79 + ".", "a" * 79 + "-#"),
        ("a" * 81, "a" * 80 + "-#"),
        ("a" * 79 + ".b", "a" * 79 + "-#"),
        ("refs/heads/x", "refs-heads-x-#"),
        ("a b\tc", "a-b-c-#"),
        ("..a..b..", "a-b-#"),
        ("-.x.-", "x-#"),
        ("x.lock", "x-#"),
        ("\u00fc", "default-#"),
        ("\ud800", "default-#"),
    ],
)
def test_any_key_gives_a_branch_that_git_takes(here: Here, key: str, slug: str) -> None:
    """Where the name lost a part of the key, a digest of the key stands for it."""
    mark = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    assert branch("docs", key) == f"skillrunner/docs/{slug.replace('#', mark)}"
    git(here.scene.source, "check-ref-format", f"refs/heads/{branch('docs', key)}")


def test_long_titles_are_cut(here: Here) -> None:
    here.publish(here.offer(options={"title": "t" * 300 + "\nx"}))
    assert len(here.pulls()[0].title) == 200
    assert len(here.log("-1", "--format=%s", BRANCH)[0]) == 200


# --- asked again ------------------------------------------------------------------------------------


def test_the_same_change_is_not_touched_again(here: Here) -> None:
    first = here.publish(here.offer())
    commit(here.scene.source, {"src/app.py": b"print('moved')\n"})
    again = here.publish(here.offer(run_id="run-2", options={"title": "another"}))
    assert (again.action, again.sha, again.number) == ("unchanged", first.sha, first.number)
    assert here.pulls()[0].title == "docs: update"
    assert here.head() == first.sha


def test_a_label_that_came_later_is_set_without_doubling_the_others(here: Here) -> None:
    here.publish(here.offer(options={"labels": ["one"]}))
    again = here.publish(here.offer(run_id="run-2", options={"labels": ["One", "two"]}))
    assert again.action == "unchanged"
    assert here.pulls()[0].labels == ("one", "two")


def test_another_attempt_of_the_run_that_pushed_it_adopts_it(here: Here) -> None:
    first = here.publish(here.offer())
    again = here.publish(here.offer())
    assert (again.action, again.sha, again.number) == ("adopted", first.sha, first.number)


def test_a_name_that_begins_like_the_runs_is_another_run(here: Here) -> None:
    here.publish(here.offer(run_id="run-12"))
    assert here.publish(here.offer(run_id="run-1")).action == "unchanged"


def test_another_change_takes_the_place_of_the_first(here: Here) -> None:
    first = here.publish(here.offer(options={"reviewers": ["ada"]}))
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2", options={"title": "docs: better"})
    second = here.publish(offer)
    assert (second.action, second.number) == ("updated", first.number)
    assert second.sha == here.head() != first.sha
    (pull,) = here.pulls()
    assert pull.title == "docs: better"
    found = marker.read(pull.body, NO_KEY)
    assert found is not None
    assert (found.head, found.patch) == (second.sha, offer.proposal.patch_sha256)
    assert len(here.log("--format=%H", f"main..{BRANCH}")) == 1


def test_a_body_without_our_marker_is_written_again(here: Here) -> None:
    first = here.publish(here.offer())
    here.forge.update(first.number or 0, title="t", body="a person wrote this")
    again = here.publish(here.offer(run_id="run-2"))
    assert (again.action, again.sha) == ("updated", first.sha)
    assert marker.read(here.pulls()[0].body, NO_KEY) is not None


def test_a_marker_of_another_head_or_another_patch_is_written_again(here: Here) -> None:
    first = here.publish(here.offer())
    (pull,) = here.pulls()
    found = marker.read(pull.body, NO_KEY)
    assert found is not None
    for other in (replace(found, head="e" * 40), replace(found, patch="e" * 64)):
        here.forge.update(pull.number, title=pull.title, body=marker.replace_in(pull.body, other, NO_KEY))
        assert here.publish(here.offer(run_id="run-2")).action == "updated"
        assert marker.read(here.pulls()[0].body, NO_KEY) == found
    assert here.head() == first.sha


def verdict(ok: bool) -> tuple[Check, ...]:
    return (Check(command="make", exit_code=0 if ok else 1, duration=1, output="", ok=ok),)


@pytest.mark.parametrize("files", [{"docs/a.md": b"new\n"}, {"docs/a.md": b"worse\n"}])
def test_a_run_that_failed_verification_never_replaces_what_is_ready(
    here: Here, files: dict[str, bytes]
) -> None:
    ready = {"draft": False}
    first = here.publish(here.offer(options=ready, checks=verdict(True)))
    (before,) = here.pulls()
    assert not before.draft
    assert here.publish(here.offer(run_id="run-2", options=ready, checks=verdict(True))).action == "unchanged"
    bad = here.offer(files, run_id="run-3", options=ready, checks=verdict(False))
    error = refused(lambda: here.publish(bad))
    assert (error.phase, error.reason) == (Phase.VERIFY, Reason.VERIFICATION_FAILED)
    assert error.message == f"verification failed, and {first.url} is ready for review: it is left as it is"
    assert (here.head(), here.pulls()) == (first.sha, [before])


def test_what_a_person_made_ready_is_not_replaced_by_what_failed_verification(here: Here) -> None:
    first = here.publish(here.offer(checks=verdict(True)))
    here.forge.set_draft(first.number or 0, False)
    bad = here.offer({"docs/a.md": b"worse\n"}, run_id="run-2", checks=verdict(False))
    assert refused(lambda: here.publish(bad)).reason is Reason.VERIFICATION_FAILED
    assert here.head() == first.sha


def test_a_draft_for_failed_verification_gets_ready_once_it_is_verified(here: Here) -> None:
    """The same change, and nothing is pushed: what the pull request claims is what changes."""
    first = here.publish(here.offer(options={"draft": False}, checks=verdict(False)))
    (failed,) = here.pulls()
    assert failed.draft
    assert failed.body.startswith("> [!WARNING]")
    again = here.publish(here.offer(run_id="run-2", options={"draft": False}, checks=verdict(True)))
    (passed,) = here.pulls()
    assert (again.action, again.sha, passed.draft) == ("updated", first.sha, False)
    assert "[!WARNING]" not in passed.body
    assert "✅ `make`" in passed.body
    third = here.publish(here.offer(run_id="run-3", options={"draft": False}, checks=verdict(True)))
    assert third.action == "unchanged"


@pytest.mark.parametrize(("skill", "person"), [(True, False), (False, True)])
def test_whether_it_is_a_draft_is_a_persons_once_they_changed_it(
    here: Here, skill: bool, person: bool
) -> None:
    here.publish(here.offer(options={"draft": skill}))
    here.forge.set_draft(1, person)
    for number, wanted in ((2, skill), (3, not skill)):
        files = {"docs/a.md": b"version %d\n" % number}
        changed = here.offer(files, run_id=f"run-{number}", options={"draft": wanted})
        assert here.publish(changed).action == "updated"
        assert here.pulls()[0].draft is person


def test_a_skill_that_wants_no_draft_any_more_is_followed(here: Here) -> None:
    first = here.publish(here.offer(options={"draft": True}))
    again = here.publish(here.offer(run_id="run-2", options={"draft": False}))
    assert (again.action, again.sha, here.pulls()[0].draft) == ("updated", first.sha, False)


def test_the_base_is_updated_as_it_is_claimed(here: Here) -> None:
    here.publish(here.offer())
    git(here.scene.source, "branch", "next", "main")
    offer = here.offer(run_id="run-2")
    moved = replace(offer, spec=replace(offer.spec, base_ref="next"))
    again = here.publish(moved)
    assert (again.action, again.number, here.pulls()[0].base) == ("updated", 1, "next")
    assert here.publish(replace(moved, run_id="run-3")).action == "unchanged"


def test_a_draft_that_could_not_be_verified_is_not_touched(here: Here) -> None:
    bad = Check(command="make", exit_code=1, duration=1, output="", ok=False)
    here.publish(here.offer(checks=(bad,)))
    assert here.publish(here.offer(run_id="run-2", checks=(bad,))).action == "unchanged"


def test_a_branch_that_was_pushed_before_the_end_is_kept(here: Here) -> None:
    """Killed after the push: the next attempt opens the pull request for the commit that is there."""
    here.publish(here.offer())
    pushed = here.head()
    table = here.forge.table
    table.update(1, state="merged")
    receipt = here.publish(here.offer(run_id="run-2"))
    assert (receipt.action, receipt.sha, receipt.number) == ("created", pushed, 2)
    assert here.head() == pushed


def test_an_open_one_of_the_branch_that_appears_meanwhile_is_adopted(here: Here) -> None:
    class Hasty(LocalForge):
        """It shows no pull request to whoever looks, as before another process made it."""

        def pull_requests(self, branch: str) -> list[PullRequest]:
            return []

    first = here.publish(here.offer(options={"reviewers": ["ada"]}))
    blind = Hasty(here.forge.path, here.forge.table, "bot", here.forge.items)
    offer = here.offer(options={"title": "docs: late", "labels": ["late"]})
    receipt = publish(offer, blind, here.changeset)
    assert (receipt.action, receipt.number) == ("adopted", first.number)
    (pull,) = here.pulls()
    assert (pull.title, pull.labels) == ("docs: late", ("late",))


# --- the base and the branch have moved -------------------------------------------------------------


def test_a_base_that_moved_is_taken_as_it_is_now(here: Here) -> None:
    offer = here.offer()
    now = commit(here.scene.source, {"src/app.py": b"print('moved')\n"})
    receipt = here.publish(offer)
    assert git(here.scene.source, "rev-parse", f"{receipt.sha}~1") == now
    assert git(here.scene.source, "show", f"{BRANCH}:src/app.py") == "print('moved')"
    assert git(here.scene.source, "show", f"{BRANCH}:docs/a.md") == "new"


def test_the_same_change_is_put_onto_the_base_as_it_is_now(here: Here) -> None:
    here.publish(here.offer())
    now = commit(here.scene.source, {"src/app.py": b"print('moved')\n"})
    here.scene.mirror.fetch(here.scene.remote)
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")
    receipt = here.publish(offer)
    assert git(here.scene.source, "rev-parse", f"{receipt.sha}~1") == now


def test_a_commit_with_the_right_tree_on_an_old_base_is_made_anew(here: Here) -> None:
    """The tree alone does not make it the same: its parent is what the pull request compares with."""
    here.publish(here.offer())
    here.forge.update(1, title="t", body="no marker")
    old = here.head()
    moved = commit(here.scene.source, {"src/app.py": b"print('hello')\n"}, message="an empty commit")
    here.scene.mirror.fetch(here.scene.remote)
    receipt = here.publish(here.offer(run_id="run-2"))
    assert receipt.sha == here.head() != old
    assert git(here.scene.source, "rev-parse", f"{receipt.sha}~1") == moved


def test_two_commits_of_ours_become_one(here: Here) -> None:
    here.publish(here.offer({"docs/a.md": b"first\n"}))
    base, first, offer = here.scene.mirror.resolve("main"), here.head(), here.offer(run_id="run-2")
    tree = here.changeset.apply(base, offer.patch)
    text = "more\n\nSkillrunner-Run: run-1\n"
    second = here.changeset.commit(tree, [first], text, BOT.name, BOT.email, datetime.now(UTC))
    here.changeset.push(here.forge.remote(), second, BRANCH, first)
    receipt = here.publish(offer)
    assert receipt.sha != second
    assert git(here.scene.source, "rev-parse", f"{receipt.sha}~1") == base


def test_both_sides_changed_the_same_lines(here: Here) -> None:
    offer = here.offer()
    commit(here.scene.source, {"docs/a.md": b"theirs\n"})
    error = refused(lambda: here.publish(offer))
    assert (error.phase, error.reason, error.retryable) == (Phase.PUBLISH, Reason.CONFLICT, True)
    assert re.fullmatch(r"main has moved from \w{12} to \w{12}; both changed docs/a\.md", error.message)
    assert here.pulls() == []


@pytest.mark.parametrize("moves", [True, False])
def test_what_the_base_holds_already_is_not_proposed(here: Here, moves: bool) -> None:
    offer = here.offer()
    if moves:
        commit(here.scene.source, {"docs/a.md": b"new\n"})
    else:
        offer = replace(offer, patch=b"")
    error = refused(lambda: here.publish(offer))
    assert (error.reason, error.message) == (Reason.NO_CHANGES, "the change is already in main")
    assert here.pulls() == []


def test_a_base_that_is_gone_is_named(here: Here) -> None:
    offer = here.offer()
    git(here.scene.source, "branch", "-m", "main", "trunk")
    error = refused(lambda: here.publish(offer))
    assert error.reason is Reason.BASE_GONE
    assert "the base branch main is gone" in error.message


class Racing(Changeset):
    """Somebody else's pushes come first, one before each of ours as long as there are any."""

    others: Iterator[str] = iter(())

    def push(self, remote: Remote, sha: str, branch: str, expected: str | None) -> None:
        if other := next(self.others, ""):
            super().push(remote, other, branch, expected)
        super().push(remote, sha, branch, expected)


@pytest.mark.parametrize("times", [1, 2])
def test_a_branch_that_moved_between_look_and_push_is_looked_at_once_more(here: Here, times: int) -> None:
    offer = here.offer()
    racing = Racing(here.scene.state / "publish.git", here.scene.mirror.objects)
    racing.others = iter([raced(racing, offer, number) for number in range(times)])
    if times == 1:
        assert publish(offer, here.forge, racing).action == "created"
        assert git(here.scene.source, "show", f"{BRANCH}:docs/a.md") == "new"
    else:
        assert refused(lambda: publish(offer, here.forge, racing)).reason is Reason.BRANCH_MOVED
        assert here.pulls() == []
    first, told, _ = here.said
    assert re.fullmatch(rf"pushing [0-9a-f]{{12}} to {BRANCH}", first)
    assert told.endswith("; looking at what is there now")


def raced(changeset: Changeset, offer: Offer, number: int) -> str:
    """A commit of the bot on the same base."""
    base = offer.spec.base_sha
    tree = changeset.write(base, [Edit("docs/a.md", 0o100644, b"raced %d\n" % number)])
    text = "raced\n\nSkillrunner-Run: run-0\n"
    return changeset.commit(tree, [base], text, BOT.name, BOT.email, datetime.now(UTC))


# --- a person has spoken ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({"docs/a.md": b"new\n"}, "release:1"),
        ({"docs/a.md": b"other\n"}, "release:1"),
        ({"docs/a.md": b"new\n"}, "release:2"),
        ({"docs/a.md": b"other\n"}, "release:2"),
    ],
)
def test_closed_unmerged_means_no_to_the_key(here: Here, files: dict[str, bytes], cause: str) -> None:
    first = here.publish(here.offer())
    here.forge.close_pull_request(first.number or 0)
    offer = here.offer(files, trigger={"key": cause}, run_id="run-2")
    error = refused(lambda: here.publish(offer))
    assert (error.phase, error.reason) == (Phase.PUBLISH, Reason.CLOSED_BY_HUMAN)
    assert error.message == f"{first.url} proposed this and was closed unmerged, so it is not proposed again"
    way = "reopen it (skillrunner pr reopen 1), or add --again to one run"
    assert error.hint == f"to have it proposed again, {way}"
    elsewhere = here.offer(files, trigger={"key": cause, "subject": "v2"}, run_id="run-2")
    assert here.publish(elsewhere).action == "created"


def test_closed_without_our_marker_means_no_too(here: Here) -> None:
    first = here.publish(here.offer())
    here.forge.update(first.number or 0, title="t", body="a person wrote this")
    here.forge.close_pull_request(first.number or 0)
    assert refused(lambda: here.publish(here.offer())).reason is Reason.CLOSED_BY_HUMAN


def test_what_was_closed_is_proposed_again_when_somebody_says_so(here: Here) -> None:
    here.publish(here.offer())
    here.forge.close_pull_request(1)
    again = here.publish(here.offer(run_id="run-2", again=True))
    assert (again.action, again.number) == ("created", 2)
    assert here.publish(here.offer(run_id="run-3")).action == "unchanged"


@pytest.mark.parametrize("field", ["skill", "key"])
def test_what_is_open_for_another_key_is_not_written_over(here: Here, field: str) -> None:
    first = here.publish(here.offer())
    (pull,) = here.pulls()
    found = marker.read(pull.body, NO_KEY)
    assert found is not None
    theirs = replace(found, **{field: "theirs"})  # type: ignore[arg-type]
    here.forge.update(pull.number, title="t", body=marker.replace_in(pull.body, theirs, NO_KEY))
    error = refused(lambda: here.publish(here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")))
    assert (error.phase, error.reason) == (Phase.PUBLISH, Reason.CONFLICT)
    skill, key = ("theirs", "v1") if field == "skill" else ("docs", "theirs")
    assert error.message == f"{BRANCH} holds {pull.url}, of the skill {skill} and the key '{key}'"
    assert here.head() == first.sha


def test_what_was_merged_says_nothing_about_the_next_change(here: Here) -> None:
    here.publish(here.offer())
    here.forge.merge_pull_request(1, here.changeset)
    here.scene.mirror.fetch(here.scene.remote)
    git(here.scene.source, "branch", "-D", BRANCH)
    receipt = here.publish(here.offer({"docs/a.md": b"newer\n"}))
    assert (receipt.action, receipt.number) == ("created", 2)


def test_only_the_newest_pull_request_of_the_branch_counts(here: Here) -> None:
    here.publish(here.offer())
    here.forge.close_pull_request(1)
    here.publish(here.offer({"docs/a.md": b"other\n"}, run_id="run-2", again=True))
    assert here.publish(here.offer(run_id="run-3")).action == "updated"


@pytest.mark.parametrize(
    ("email", "message"),
    [
        ("ada@example.com", "mine"),
        ("ada@example.com", "copied\n\nSkillrunner-Run: run-1\n"),
        (BOT.email, "the bot's address, and not its trailer"),
        (BOT.email, "Skillrunner-Run: run-1 is no trailer in the first line"),
    ],
)
def test_a_persons_commit_means_hands_off(here: Here, email: str, message: str) -> None:
    first = here.publish(here.offer())
    theirs = human(here, email, message)
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")
    for _ in range(2):
        error = refused(lambda: here.publish(offer))
        assert (error.phase, error.reason) == (Phase.PUBLISH, Reason.HUMAN_COMMIT)
        assert error.message == f"{BRANCH} has a commit by Ada ({theirs[:12]}): hands off"
    (comment,) = here.forge.table.comments(first.number or 0)
    assert re.sub(r"\n<!-- skillrunner-signature: [^\n]* -->", "", comment) == (
        "Somebody else has committed here, so bot leaves this branch alone from now on.\n\nTo give it back,"
        " so that the next run replaces these commits, set the label `skillrunner:take-over`,"
        " or write a comment with one line that names the newest commit of the branch:"
        f" `/skillrunner take-over {theirs[:12]}`\n\n<!-- skillrunner: hands-off -->"
    )
    assert here.head() == theirs


def test_a_persons_branch_without_a_pull_request_is_left_alone_too(here: Here) -> None:
    theirs = commit(here.scene.source, {"docs/a.md": b"mine\n"}, branch=BRANCH)
    assert refused(lambda: here.publish(here.offer())).reason is Reason.HUMAN_COMMIT
    assert here.head() == theirs
    assert here.pulls() == []


def test_the_last_of_several_people_is_named(here: Here) -> None:
    here.publish(here.offer())
    human(here, "eve@example.com")
    last = human(here)
    assert f"Ada ({last[:12]})" in refused(lambda: here.publish(here.offer())).message


# --- what is asked on the way ------------------------------------------------------------------------


class Stopped(Exception):  # noqa: N818 - it is what a run raises that was told to stop
    """The run was told to stop."""


@pytest.mark.parametrize(("asked", "pushed"), [(1, False), (2, True)])
def test_a_run_that_has_to_stop_is_asked_before_each_change(here: Here, asked: int, pushed: bool) -> None:
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == asked:
            raise Stopped

    with pytest.raises(Stopped):
        here.publish(here.offer(stop=stop))
    branches = git(here.scene.source, "branch", "--format=%(refname:short)").splitlines()
    assert (BRANCH in branches) is pushed
    assert here.pulls() == []


class Grumbling(LocalForge):
    """A forge that sets no label, and knows no reviewer."""

    reason = Reason.FORGE_DENIED

    def add_labels(self, number: int, labels: Any) -> None:
        if labels:
            raise RunnerError(Phase.PUBLISH, self.reason, "no label")

    def request_reviewers(self, number: int, reviewers: Any) -> list[str]:
        return [f"{reviewer} is nobody" for reviewer in reviewers]


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (Reason.FORGE_DENIED, "make it in the repository"),
        (Reason.FORGE_REJECTED, "make it in the repository"),
        (Reason.FORGE_NOT_FOUND, "make it in the repository"),
        (Reason.FORGE_UNAVAILABLE, "the next run tries it again"),
        (Reason.FORGE_RATE_LIMITED, "the next run tries it again"),
    ],
)
def test_what_cannot_be_attached_fails_nothing_is_told_and_tried_again(
    here: Here, reason: Reason, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Grumbling, "reason", reason)
    forge = Grumbling(here.forge.path, here.forge.table, "bot", here.forge.items)
    wanted = {"labels": ["x", "y"], "reviewers": ["ada", "bob"]}
    offer = here.offer(options=wanted)
    receipt = publish(offer, forge, here.changeset)
    assert receipt.action == "created"
    told = [
        f"the label x was not set on {receipt.url}: no label; {advice}",
        f"the label y was not set on {receipt.url}: no label; {advice}",
        "ada is nobody",
        "bob is nobody",
    ]
    assert here.said[1:] == told
    here.said.clear()
    assert publish(replace(offer, run_id="run-2"), forge, here.changeset).action == "unchanged"
    assert here.said == told
    assert here.publish(replace(offer, run_id="run-3")).action == "unchanged"
    (pull,) = here.pulls()
    assert pull.labels == ("x", "y")
    found = marker.read(pull.body, NO_KEY)
    assert found is not None
    assert (found.labels, found.reviewers) == (("x", "y"), ("ada", "bob"))


def test_a_forge_that_breaks_when_reviewers_are_asked_fails_nothing(here: Here) -> None:
    class Broken(LocalForge):
        def request_reviewers(self, number: int, reviewers: Any) -> list[str]:
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "502")

    forge = Broken(here.forge.path, here.forge.table, "bot", here.forge.items)
    offer = here.offer(options={"reviewers": ["ada"]})
    assert publish(offer, forge, here.changeset).action == "created"
    assert here.said[1:] == ["ada was not asked for a review: 502"]


def test_a_base_that_a_person_chose_stays(here: Here) -> None:
    here.publish(here.offer())
    git(here.scene.source, "branch", "next", "main")
    here.forge.set_base(1, "next")
    assert here.publish(here.offer(run_id="run-2")).action == "unchanged"
    for number in (3, 4):
        files = {"docs/a.md": b"version %d\n" % number}
        assert here.publish(here.offer(files, run_id=f"run-{number}")).action == "updated"
        assert here.pulls()[0].base == "next"


# --- what a person changed stays --------------------------------------------------------------------


def test_a_label_that_a_person_took_away_is_not_set_again(here: Here) -> None:
    here.publish(here.offer(options={"labels": ["docs", "bot"]}))
    here.forge.remove_label(1, "DOCS")
    here.forge.add_labels(1, ["mine"])
    for number, files in ((2, {"docs/a.md": b"new\n"}), (3, {"docs/a.md": b"newer\n"})):
        options = {"labels": ["docs", "bot", "late"]}
        here.publish(here.offer(files, run_id=f"run-{number}", options=options))
        assert sorted(here.pulls()[0].labels) == ["bot", "late", "mine"]


def test_a_persons_title_survives_and_ours_is_kept_up_to_date_otherwise(here: Here) -> None:
    here.publish(here.offer())
    here.publish(here.offer({"docs/a.md": b"2\n"}, run_id="run-2", options={"title": "docs: two"}))
    assert here.pulls()[0].title == "docs: two"
    here.forge.update(1, title="A better title", body=here.pulls()[0].body)
    for number in (3, 4):
        files, options = {"docs/a.md": b"%d\n" % number}, {"title": f"docs: {number}"}
        assert here.publish(here.offer(files, run_id=f"run-{number}", options=options)).action == "updated"
        assert here.pulls()[0].title == "A better title"


def test_what_a_person_wrote_into_the_body_survives(here: Here) -> None:
    here.publish(here.offer(options={"body": "One."}))
    (pull,) = here.pulls()
    theirs = "## For QA\n\nTry it.\n\n"
    body = pull.body.replace("### Files", f"{theirs}### Files").replace("\n", "\r\n")
    here.forge.update(1, title=pull.title, body=body)
    for number in (2, 3):
        files = {"docs/a.md": b"version %d\n" % number}
        here.publish(here.offer(files, run_id=f"run-{number}", options={"body": f"Lead {number}."}))
    body = here.pulls()[0].body
    assert body.startswith(
        f"### Why\n\nKeep docs\n\nStarted by: release `v1`.\n\nLead 3.\n\n{theirs}### Files"
    )
    assert body.count("## For QA") == 1


# --- the branch is judged from what we pushed last on ------------------------------------------------


def rewrite(here: Here, **changes: Any) -> str:
    """Our commit written anew by a person, and pushed over it."""
    (old,) = here.changeset.first_parents(here.head(), limit=1)
    at = datetime.now(UTC)
    tree, parents = changes.get("tree", old.tree), changes.get("parents", old.parents)
    sha = here.changeset.commit(tree, parents, changes.get("message", old.message), "Ada", "ada@x", at)
    here.changeset.push(here.forge.remote(), sha, BRANCH, old.sha)
    return sha


def merge(here: Here, one: str, other: str, message: str = "", tree: str = "") -> str:
    """A merge as the button "Update branch" makes it."""
    made = tree or here.changeset.merge_commits(one, other)
    assert isinstance(made, str)
    text = message or f"Merge branch 'main' into {BRANCH}"
    return here.changeset.commit(made, [one, other], text, "GitHub", "noreply@github.com", datetime.now(UTC))


def pushed_over(here: Here) -> str:
    """The base, pushed over by another history of the same files and one more."""
    root = git(here.scene.source, "rev-list", "--max-parents=0", "main")
    tree = here.changeset.write(here.scene.mirror.resolve("main"), [Edit("else.md", 0o100644, b"x\n")])
    sha = here.changeset.commit(tree, [root], "another history", "Ada", "ada@x", datetime.now(UTC))
    here.changeset.push(here.forge.remote(), sha, "main", git(here.scene.source, "rev-parse", "main"))
    here.scene.mirror.fetch(here.scene.remote)
    return sha


def in_history(here: Here) -> None:
    commit(here.scene.source, {"docs/old.md": b"gone soon\n"}, message="by a person")
    here.scene.mirror.fetch(here.scene.remote)


@pytest.mark.parametrize("files", [{"docs/a.md": b"new\n"}, {"docs/a.md": b"newer\n"}])
def test_a_base_that_was_pushed_over_is_no_commit_of_a_person(here: Here, files: dict[str, bytes]) -> None:
    in_history(here)
    here.publish(here.offer())
    now = pushed_over(here)
    again = here.publish(here.offer(files, run_id="run-2"))
    if again.action == "updated":
        assert git(here.scene.source, "rev-parse", f"{again.sha}~1") == now
    assert again.action == ("unchanged" if files["docs/a.md"] == b"new\n" else "updated")


def test_a_base_that_was_pushed_over_after_update_branch_is_no_commit_of_a_person(here: Here) -> None:
    first = here.publish(here.offer())
    in_history(here)
    here.changeset.fetch(here.forge.remote(), "+refs/heads/main:refs/looked/main")
    updated = merge(here, first.sha, git(here.scene.source, "rev-parse", "main"))
    here.changeset.push(here.forge.remote(), updated, BRANCH, first.sha)
    pushed_over(here)
    assert here.publish(here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")).action == "updated"


@pytest.mark.parametrize("message", ["", "Merge remote-tracking branch 'origin/main'", "Bring it up to date"])
def test_update_branch_is_no_commit_of_a_person(here: Here, message: str) -> None:
    """The same change is not even pushed again: approvals of it stay."""
    first = here.publish(here.offer())
    moved = commit(here.scene.source, {"src/app.py": b"print('moved')\n"})
    here.changeset.fetch(here.forge.remote(), "+refs/heads/main:refs/looked/main")
    updated = merge(here, first.sha, moved, message)
    here.changeset.push(here.forge.remote(), updated, BRANCH, first.sha)
    here.scene.mirror.fetch(here.scene.remote)
    assert here.publish(here.offer(run_id="run-2")).action == "unchanged"
    assert here.head() == updated
    assert here.publish(here.offer({"docs/a.md": b"newer\n"}, run_id="run-3")).action == "updated"
    assert git(here.scene.source, "rev-parse", f"{here.head()}~1") == moved


def test_update_branch_by_rebase_is_no_commit_of_a_person(here: Here) -> None:
    first = here.publish(here.offer())
    moved = commit(here.scene.source, {"src/app.py": b"print('moved')\n"})
    here.changeset.fetch(here.forge.remote(), "+refs/heads/main:refs/looked/main")
    tree = here.changeset.merge_commits(moved, first.sha)
    rebased = rewrite(here, tree=tree, parents=[moved])
    here.scene.mirror.fetch(here.scene.remote)
    assert here.publish(here.offer(run_id="run-2")).action == "unchanged"
    assert here.head() == rebased
    assert here.publish(here.offer({"docs/a.md": b"newer\n"}, run_id="run-3")).action == "updated"


def test_a_reworded_commit_is_no_commit_of_a_person(here: Here) -> None:
    here.publish(here.offer())
    reworded = rewrite(here, message="docs: in better words")
    assert here.publish(here.offer(run_id="run-2")).action == "unchanged"
    assert here.head() == reworded
    assert here.publish(here.offer({"docs/a.md": b"newer\n"}, run_id="run-3")).action == "updated"


def test_a_reworded_commit_with_another_change_is_a_persons(here: Here) -> None:
    first = here.publish(here.offer())
    tree = here.changeset.write(first.sha, [Edit("docs/a.md", 0o100644, b"better\n")])
    theirs = rewrite(here, tree=tree)
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")
    assert refused(lambda: here.publish(offer)).reason is Reason.HUMAN_COMMIT
    assert here.head() == theirs


def test_a_merge_with_hands_in_it_or_of_another_branch_is_a_persons(here: Here) -> None:
    first = here.publish(here.offer())
    moved = commit(here.scene.source, {"src/app.py": b"print('moved')\n"})
    here.changeset.fetch(here.forge.remote(), "+refs/heads/*:refs/looked/*")
    tree = here.changeset.write(moved, [Edit("src/topic.py", 0o100644, b"x\n")])
    topic = here.changeset.commit(tree, [moved], "a topic", "Ada", "ada@x", datetime.now(UTC))
    evil = here.changeset.write(moved, [Edit("src/app.py", 0o100644, b"print('hand-made')\n")])
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")
    last = first.sha
    for made in (merge(here, first.sha, moved, tree=evil), merge(here, first.sha, topic, "Merge topic")):
        here.changeset.push(here.forge.remote(), made, BRANCH, last)
        assert refused(lambda: here.publish(offer)).reason is Reason.HUMAN_COMMIT
        last = made


def test_an_empty_commit_of_a_person_is_one(here: Here) -> None:
    first = here.publish(here.offer())
    tree = here.changeset.tree_of(first.sha)
    made = here.changeset.commit(tree, [first.sha], "run the tests", "Ada", "ada@x", datetime.now(UTC))
    here.changeset.push(here.forge.remote(), made, BRANCH, first.sha)
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")
    assert refused(lambda: here.publish(offer)).reason is Reason.HUMAN_COMMIT


def test_another_address_of_the_bot_takes_no_branch_from_it(here: Here) -> None:
    here.publish(here.offer())
    other = replace(BOT, email="new@example.com")
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2", bot=other)
    assert here.publish(offer).action == "updated"


# --- a way back -------------------------------------------------------------------------------------


def test_the_label_gives_a_branch_back_once(here: Here) -> None:
    here.publish(here.offer())
    human(here)
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")
    error = refused(lambda: here.publish(offer))
    assert "skillrunner pr label 1 skillrunner:take-over" in error.hint
    here.forge.add_labels(1, ["Skillrunner:Take-Over", "mine"])
    assert here.publish(offer).action == "updated"
    assert here.pulls()[0].labels == ("mine",)
    assert git(here.scene.source, "show", f"{BRANCH}:docs/a.md") == "newer"
    human(here)
    assert refused(lambda: here.publish(replace(offer, run_id="run-3"))).reason is Reason.HUMAN_COMMIT


class Talking(LocalForge):
    """A forge where people comment."""

    said: ClassVar[list[Comment]] = []

    def comments(self, number: int) -> list[Comment]:
        return self.said

    def permission(self, login: str) -> str:
        return {"ada": "write", "reader": "read"}.get(login, "none")


@pytest.mark.parametrize(
    ("author", "text", "taken"),
    [
        ("ada", "/skillrunner take-over {head}", True),
        ("ada", "Thanks.\r\n/skillrunner take-over {short}\r\nBye.", True),
        ("ada", "/skillrunner take-over", False),
        ("ada", "/skillrunner take-over 0123456789ab", False),
        ("ada", "> /skillrunner take-over {short}", False),
        ("reader", "/skillrunner take-over {head}", False),
        ("eve", "/skillrunner take-over {head}", False),
        ("", "/skillrunner take-over {head}", False),
    ],
)
def test_a_comment_of_who_may_write_gives_back_what_it_names(
    here: Here, author: str, text: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.publish(here.offer())
    theirs = human(here)
    said = Comment(author=author, body=text.format(head=theirs, short=theirs[:12]))
    monkeypatch.setattr(Talking, "said", [said])
    forge = Talking(here.forge.path, here.forge.table, "bot", here.forge.items)
    offer = here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")
    if taken:
        assert publish(offer, forge, here.changeset).action == "updated"
        human(here)
    assert refused(lambda: publish(offer, forge, here.changeset)).reason is Reason.HUMAN_COMMIT


def test_a_note_that_cannot_be_left_changes_no_verdict(here: Here) -> None:
    class Mute(LocalForge):
        def comment_once(self, *_: object) -> None:
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "502")

    here.publish(here.offer())
    human(here)
    here.said.clear()
    forge = Mute(here.forge.path, here.forge.table, "bot", here.forge.items)
    assert refused(lambda: publish(here.offer(), forge, here.changeset)).reason is Reason.HUMAN_COMMIT
    assert here.said == [f"no note was left in {here.pulls()[0].url}: 502"]


# --- needed no more ---------------------------------------------------------------------------------


def withdraw(here: Here, **changes: Any) -> Receipt | None:
    return OUTPUTS.get("pull_request").withdraw(here.offer(**changes), here.forge, here.changeset)


def branches(here: Here) -> list[str]:
    return git(here.scene.source, "branch", "--format=%(refname:short)").splitlines()


def test_what_the_base_holds_now_is_closed_with_the_reason(here: Here) -> None:
    first = here.publish(here.offer())
    now = commit(here.scene.source, {"docs/a.md": b"new\n"}, message="by hand")
    here.scene.mirror.fetch(here.scene.remote)
    receipt = withdraw(here, run_id="run-2")
    assert receipt is not None
    assert (receipt.action, receipt.url) == ("closed", first.url)
    (pull,) = here.pulls()
    assert pull.state == "closed"
    (comment,) = here.forge.table.comments(1)
    assert comment.startswith(
        f"`main` ({now[:12]}) holds this change now. This pull request is needed no more"
    )
    assert BRANCH not in branches(here)


def test_what_a_later_run_found_needless_is_closed_and_comes_again_when_it_is_needed(here: Here) -> None:
    here.publish(here.offer())
    assert withdraw(here, run_id="run-2") is not None
    base = here.scene.mirror.resolve("main")
    (comment,) = here.forge.table.comments(1)
    assert comment.startswith(
        f"The run run-2 looked at `main` ({base[:12]}) again and found nothing to change."
    )
    assert withdraw(here, run_id="run-3") is None
    again = here.publish(here.offer(run_id="run-4"))
    assert (again.action, again.number) == ("created", 2)


def test_what_was_opened_again_by_a_person_stays_open(here: Here) -> None:
    here.publish(here.offer())
    withdraw(here, run_id="run-2")
    here.forge.table.reopen(1)
    here.said.clear()
    assert withdraw(here, run_id="run-3") is None
    assert here.pulls()[0].state == "open"
    assert here.said == [
        f"{here.pulls()[0].url} is needed no more, and stays open, as somebody has opened it again"
    ]


def test_what_a_person_closed_and_opened_again_is_not_closed(here: Here) -> None:
    here.publish(here.offer())
    here.forge.close_pull_request(1)
    here.forge.reopen_pull_request(1)
    assert withdraw(here, run_id="run-2") is None
    assert (here.pulls()[0].state, BRANCH in branches(here)) == ("open", True)
    assert here.said[-1].endswith("stays open, as somebody has opened it again")


def test_what_a_person_opened_again_stays_open_after_an_update_too(here: Here) -> None:
    """The marker keeps it, where the forge does not."""
    here.publish(here.offer())
    withdraw(here, run_id="run-2")
    here.forge.table.reopen(1)
    updated = here.publish(here.offer({"docs/a.md": b"newer\n"}, run_id="run-3"))
    assert (updated.action, updated.number) == ("updated", 1)
    here.publish(here.offer({"docs/a.md": b"newest\n"}, run_id="run-4"))
    assert withdraw(here, run_id="run-5") is None
    assert here.pulls()[0].state == "open"


def test_what_a_person_opened_again_and_then_closed_is_a_no(here: Here) -> None:
    here.publish(here.offer())
    head = here.head()
    withdraw(here, run_id="run-2")
    git(here.scene.source, "branch", BRANCH, head)
    here.forge.reopen_pull_request(1)
    here.forge.close_pull_request(1)
    assert refused(lambda: here.publish(here.offer(run_id="run-3"))).reason is Reason.CLOSED_BY_HUMAN


class Silent(LocalForge):
    """A forge that does not know, or cannot say just now, whether somebody opened something again."""

    def was_reopened(self, number: int) -> bool | None:
        if self.author == "away":
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "502")
        return None


@pytest.mark.parametrize(
    ("author", "why"),
    [
        ("bot", "as local does not tell whether somebody has opened it again"),
        ("away", "as nobody knows whether it was opened again: 502"),
    ],
)
def test_what_may_have_been_opened_again_is_not_closed(here: Here, author: str, why: str) -> None:
    here.publish(here.offer())
    forge = Silent(here.forge.path, here.forge.table, author, here.forge.items)
    offer = here.offer(run_id="run-2")
    assert OUTPUTS.get("pull_request").withdraw(offer, forge, here.changeset) is None
    assert here.pulls()[0].state == "open"
    assert here.said[-1].endswith(f"stays open, {why}")


def test_what_a_person_committed_to_is_not_closed(here: Here) -> None:
    here.publish(here.offer())
    theirs = human(here)
    assert withdraw(here, run_id="run-2") is None
    assert (here.pulls()[0].state, here.head()) == ("open", theirs)


def test_a_persons_pull_request_of_our_branch_is_not_closed(here: Here) -> None:
    here.publish(here.offer())
    here.forge.update(1, title="t", body="Mine.")
    assert withdraw(here, run_id="run-2") is None
    assert here.pulls()[0].state == "open"


def test_without_a_pull_request_nothing_is_withdrawn(here: Here) -> None:
    assert withdraw(here) is None
    assert here.pulls() == []
