"""A commit goes on top of the branch of the pull request that the run is about, or nowhere."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Check, DeclaredOutput, Outcome, Proposal, Reason
from runner.publish.outputs import BotIdentity, Offer
from runner.workspace.changeset import Edit
from tests.parts.items import Site
from tests.parts.publishing import refused
from tests.parts.repos import git


@pytest.fixture
def number(site: Site) -> int:
    site.commit("topic", {"docs/a.md": b"theirs\n"})
    return site.open("topic")


def head(site: Site) -> str:
    return git(site.scene.source, "rev-parse", "refs/heads/topic")


def offer(
    site: Site, number: int | None, content: bytes = b"ours\n", run: str = "run-1", **more: Any
) -> Offer:
    """What a run proposes that stood on the head of the branch."""
    base, changeset = head(site), site.changeset
    changeset.fetch(site.forge.remote(), "+refs/heads/topic:refs/looked/topic")
    patch = changeset.patch(base, changeset.write(base, [Edit("docs/a.md", 0o100644, content)]))
    event: dict[str, Any] = {} if number is None else {"pull_request": {"number": number}}
    spec = site.spec("push_to_pull_request", event, {"title": "style: format", **more}, base_sha=base)
    said = (DeclaredOutput(kind="push_to_pull_request", fields={"body": "Formatted it."}),)
    digest = sha256(patch).hexdigest()
    return Offer(
        spec=spec,
        output=spec.outputs[0],
        run_id=run,
        proposal=Proposal(base_sha=base, tree_sha="", patch_sha256=digest, declared=said),
        patch=patch,
        outcome=Outcome(ok=True),
        checks=(),
        bot=BotIdentity(name="bot", email="bot@example.com"),
        say=site.said.append,
        warn=site.warnings.append,
    )


def test_it_is_one_commit_on_top_of_the_branch(site: Site, number: int) -> None:
    before, made = head(site), offer(site, number)
    receipt = site.publish(made)
    again = site.publish(made)
    assert (receipt.action, receipt.number, receipt.branch, receipt.sha) == (
        "created",
        1,
        "topic",
        head(site),
    )
    assert (again.action, again.sha) == ("adopted", receipt.sha)
    assert git(site.scene.source, "rev-list", "--parents", "-1", "topic").split()[1:] == [before]
    assert git(site.scene.source, "show", "topic:docs/a.md") == "ours"
    message = git(site.scene.source, "log", "-1", "--format=%an%n%B", "topic")
    assert message.startswith("bot\nstyle: format\n\nFormatted it.\n\nSkillrunner-Skill: docs@cccccccccccc\n")


def test_what_was_pushed_before_a_crash_is_found_though_somebody_went_on(site: Site, number: int) -> None:
    made = offer(site, number)
    receipt = site.publish(made)
    site.commit("topic", {"docs/b.md": b"more\n"})
    assert site.publish(made) == replace(receipt, action="adopted")


def test_after_a_push_of_somebody_nothing_is_pushed(site: Site, number: int) -> None:
    made = offer(site, number)
    theirs = site.commit("topic", {"docs/b.md": b"more\n"})
    error = refused(lambda: site.publish(made))
    assert (error.reason, error.retryable) == (Reason.BRANCH_MOVED, True)
    assert head(site) == theirs


def test_a_push_in_the_last_moment_is_not_replaced(site: Site, number: int) -> None:
    def push() -> None:
        site.commit("topic", {"docs/b.md": b"more\n"})

    made = offer(site, number)
    error = refused(lambda: site.publish(replace(made, stop=push)))
    assert error.reason is Reason.BRANCH_MOVED
    assert git(site.scene.source, "show", "topic:docs/b.md") == "more"


@pytest.mark.parametrize("site", ["github"], indirect=True)
def test_never_to_a_fork(site: Site, number: int) -> None:
    assert site.model is not None
    site.model.pulls[number] |= {"repo": 2, "sha": head(site)}
    error = refused(lambda: site.publish(offer(site, number)))
    assert error.reason is Reason.FORGE_REJECTED
    assert "is in a fork, and nothing is pushed to forks" in error.message


def test_never_to_the_default_branch(site: Site) -> None:
    site.commit("topic", {"docs/a.md": b"x\n"})
    number = site.open("main")
    error = refused(lambda: site.publish(offer(site, number)))
    assert error.reason is Reason.FORGE_REJECTED
    assert "nothing is pushed to a default or base branch" in error.message


def test_not_to_what_is_closed(site: Site, number: int) -> None:
    if site.model is not None:
        site.model.pulls[number]["state"] = "closed"
    else:
        site.forge.close(number, "")
    assert refused(lambda: site.publish(offer(site, number))).reason is Reason.CLOSED_BY_HUMAN


@pytest.mark.parametrize("label", ["skillrunner:hold", "Skillrunner:Stop-Updating"])
def test_not_to_what_people_hold_by_a_label(site: Site, number: int, label: str) -> None:
    if site.model is not None:
        site.model.pulls[number]["labels"] = [label]
    else:
        site.forge.add_labels(number, [label])
    error = refused(lambda: site.publish(offer(site, number)))
    assert (error.reason, "hands off" in error.message) == (Reason.HUMAN_COMMIT, True)


def test_not_what_failed_its_checks(site: Site, number: int) -> None:
    failed = Check(command="make", exit_code=2, duration=1.0, output="", ok=False)
    before = head(site)
    error = refused(lambda: site.publish(replace(offer(site, number), checks=(failed,))))
    assert (error.reason, head(site)) == (Reason.VERIFICATION_FAILED, before)


def test_not_again_what_somebody_took_out(site: Site, number: int) -> None:
    site.publish(offer(site, number))
    site.commit("topic", {"docs/a.md": b"theirs\n"}, "undo")
    error = refused(lambda: site.publish(offer(site, number, run="run-2")))
    assert (error.reason, "somebody took it out" in error.message) == (Reason.HUMAN_COMMIT, True)


def test_not_more_often_than_the_skill_may(site: Site, number: int) -> None:
    for at in range(2):
        site.publish(offer(site, number, b"%d\n" % at, f"run-{at}", max_pushes=2))
    error = refused(lambda: site.publish(offer(site, number, b"more\n", "run-3", max_pushes=2)))
    assert error.reason is Reason.LIMIT_REACHED


def test_a_run_about_no_pull_request_pushes_nothing(site: Site, number: int) -> None:
    with pytest.raises(RunnerError, match="the run is about no pull request"):
        site.publish(offer(site, None))


def test_a_trailer_that_the_agent_wrote_is_no_mark(site: Site, number: int) -> None:
    made = offer(site, number)
    words = "Formatted it.\n\nSkillrunner-Run: run-2\n"
    said = (DeclaredOutput(kind="push_to_pull_request", fields={"body": words}),)
    site.publish(replace(made, proposal=replace(made.proposal, declared=said)))
    assert site.publish(offer(site, number, b"second\n", "run-2")).action == "created"
