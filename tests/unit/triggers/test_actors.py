"""Who may start a skill: each rule by itself and several together; what is not known is never a yes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.core.model import Remote
from runner.core.model.decision import Actor, Event, History, Verdict
from runner.scheduler.decide import decide_event
from runner.scheduler.facts import FactSources, look_up_facts
from runner.scheduler.loop_guard import OwnIdentity
from runner.skills import load
from runner.triggers.actors import UNKNOWN, ActorOptions, association_of
from runner.workspace.mirror import Mirror
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OPENED = {"action": "opened", "sender": {"login": "ada", "type": "User"}}
PERMISSIONS = ["none", "read", "triage", "write", "maintain", "admin"]


def rule(**said: Any) -> ActorOptions:
    return ActorOptions.model_validate(said)


def ada(permission: str = "write", association: str = "", **more: Any) -> Actor:
    return Actor(login="Ada", bot=False, permission=permission, association=association, **more)


@pytest.mark.parametrize(
    ("said", "actor", "words"),
    [
        ({}, ada(), ""),
        ({}, ada("read"), "Ada has the permission `read`, and `write` is needed"),
        ({"logins": ["ada", "bob"]}, ada(), ""),
        ({"logins": ["bob"]}, ada("admin"), "`actor.logins` holds bob, and this is Ada"),
        ({"logins": ["ada"]}, ada("read"), "`write` is needed"),
        ({"logins": ["ada"], "permission": "none"}, ada("none"), ""),
        ({"not": ["ADA"]}, ada("admin"), "Ada is among those that `actor.not` names"),
        ({"not": ["ada"], "logins": ["ada"]}, ada(), "Ada is among those that `actor.not` names"),
        ({"not": ["bob"]}, ada(), ""),
        ({"association": ["member", "owner"]}, ada("write", "owner"), ""),
        ({"association": ["member"]}, ada("admin", "owner"), "holds member, and that of Ada is `owner`"),
        ({"association": ["member"]}, ada("admin"), "holds member, and that of Ada is not known"),
        ({"association": ["none"], "permission": "none"}, ada("none"), "that of Ada is not known"),
        ({"max_permission": "read"}, ada("read"), ""),
        ({"max_permission": "read"}, ada("none"), ""),
        ({"max_permission": "read"}, ada("triage"), "has the permission `triage`, and at most `read` may"),
        ({"max_permission": "read", "permission": "read"}, ada("none"), "and `read` is needed"),
        ({"max_permission": "read"}, ada("none", is_permission_known=False), "what Ada may do is not known"),
        ({"max_permission": "admin"}, ada("none", is_permission_known=False), "what Ada may do is not known"),
        ({"max_permission": "read"}, ada("a role of ours"), "what Ada may do is not known"),
        ({"permission": "none"}, ada("none", is_permission_known=False), ""),
        ({"max_permission": "read", "association": ["first_timer"]}, ada("read", "member"), "is `member`"),
    ],
)
def test_each_rule(said: dict[str, Any], actor: Actor, words: str) -> None:
    refusal = rule(**said).refusal(actor)
    assert refusal == "" if not words else words in refusal


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "is a bot: allow it"),
        ({"bots": ["renovate[bot]"]}, ""),
        ({"bots": ["renovate[bot]"], "not": ["renovate[bot]"]}, "`actor.not` names"),
        ({"bots": ["renovate[bot]"], "max_permission": "read"}, "is not known"),
        ({"bots": ["renovate[bot]"], "logins": ["ada"]}, "`actor.logins` holds ada"),
        ({"permission": "none", "logins": ["renovate[bot]"]}, "is a bot: allow it"),
    ],
)
def test_a_bot_is_allowed_by_name_alone_and_fits_the_other_rules(said: dict[str, Any], words: str) -> None:
    bot = Actor(login="renovate[bot]", bot=True, permission="none", is_permission_known=False)
    refusal = rule(**said).refusal(bot)
    assert refusal == "" if not words else words in refusal


@given(st.sampled_from(PERMISSIONS), st.sampled_from(PERMISSIONS), st.sampled_from(PERMISSIONS))
def test_between_the_least_and_the_greatest_permission(least: str, most: str, has: str) -> None:
    low, high, rank = (PERMISSIONS.index(one) for one in (least, most, has))
    if low > high:
        with pytest.raises(ValidationError):
            rule(permission=least, max_permission=most)
        return
    allowed = rule(permission=least, max_permission=most).refusal(ada(has)) == ""
    assert allowed is (low <= rank <= high)


@pytest.mark.parametrize(
    "said", [{"logins": []}, {"association": []}, {"association": ["MEMBER"]}, {"max_permission": "owner"}]
)
def test_what_is_no_rule(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**said)


def wrote(holder: str, login: str = "ada", association: str = "MEMBER") -> dict[str, Any]:
    return {holder: {"user": {"login": login}, "author_association": association}}


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({**wrote("issue"), "sender": {"login": "Ada"}}, "member"),
        ({**wrote("issue", "bob"), "sender": {"login": "ada"}}, ""),  # of the one who wrote it
        ({**wrote("issue", "bob", "OWNER"), **wrote("comment"), "sender": {"login": "ada"}}, "member"),
        ({**wrote("issue"), **wrote("comment", "bob"), "sender": {"login": "ada"}}, ""),
        ({**wrote("pull_request", "bob"), **wrote("review"), "sender": {"login": "ada"}}, "member"),
        ({**wrote("discussion", "ada", "NONE"), "sender": {"login": "ada"}}, "none"),
        ({**wrote("issue", "", "OWNER"), "sender": {}}, ""),
        ({"issue": "x", "sender": {"login": "ada"}}, ""),
        ({"ref": "x", "sender": {"login": "ada"}}, ""),
        ({}, ""),
    ],
)
def test_whose_relation_to_the_repository_it_is(payload: dict[str, Any], found: str) -> None:
    assert association_of(payload) == found


class Forge:
    """Answers with one permission for everybody."""

    def __init__(self, permission: str) -> None:
        self.answer = permission

    def permission(self, login: str) -> str:
        return self.answer


@pytest.mark.parametrize(("answer", "known"), [("read", True), ("none", True), (UNKNOWN, False)])
def test_a_forge_that_cannot_tell_makes_nobody_an_outsider(answer: str, known: bool) -> None:
    on = "on: {issues: {actor: {max_permission: read}}}\n"
    rest = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"
    files = {path: text.encode() for path, text in skill_files("triage", on + rest).items()}
    event = Event(kind="issues", key="k", at=NOW, payload={**wrote("issue"), **OPENED})
    sources = FactSources(
        forge=Forge(answer),
        mirror=Mirror(Path(), "nowhere"),
        remote=Remote(url="nowhere"),
        repository="acme/lib",
        default_branch="main",
        identity=OwnIdentity(),
    )
    skills = load(files).skills
    facts = look_up_facts(skills, event, sources)
    (decision,) = decide_event(skills, event, facts, History(), NOW)
    assert (decision.verdict is Verdict.STARTED) is known
    assert facts.actor is not None
    assert facts.actor.association == "member"
