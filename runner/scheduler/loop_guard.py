"""Recognizes events that skillrunner itself caused: they start no skill, or skills would run for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.clients.github.api import INSIDERS, is_own_branch
from runner.core.payload import text_at
from runner.publish.outputs import _marker
from runner.publish.signing import NO_KEY, Signer, is_forged_comment


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnIdentity:
    """The names under which skillrunner acts on the forge."""

    login: str = ""  # "slug[bot]" of our App; empty: skillrunner uses a person's token
    email: str = ""  # of our commits
    workflow: str = ""  # the path of the workflow that runs us
    name: str = ""  # in commits
    signer: Signer = NO_KEY  # of our hidden marks in the repository

    @property
    def mention(self) -> str:
        """What stands behind the `@` where people mention us: the App's login, or the configured name."""
        return (self.login or self.name).removesuffix("[bot]")


def own_cause(payload: Mapping[str, Any], identity: OwnIdentity) -> str:
    """Why skillrunner itself caused the event of a payload; empty: it did not."""
    sender = text_at(payload, "sender", "login")
    if identity.login and sender == identity.login:
        return f"{sender} did it, which is us"
    if identity.workflow and text_at(payload, "workflow_run", "path").split("@")[0] == identity.workflow:
        return "the workflow that runs skillrunner went on"
    for what in ("comment", "review"):
        if _is_our_text(payload, what, identity):
            return f"skillrunner wrote the {what}"
    if _is_our_push(payload, identity):
        return "skillrunner pushed it"
    is_said = bool({"comment", "review"} & payload.keys())
    return "" if is_said else _our_pull_request(payload, sender, identity.signer)


def _is_our_push(payload: Mapping[str, Any], identity: OwnIdentity) -> bool:
    """Anybody can write our address into a commit, and people merge what we made: we push our branches."""
    is_ours = text_at(payload, "ref").startswith(f"refs/heads/{_marker.BRANCHES}")
    author = text_at(payload, "head_commit", "author", "email")
    return is_ours and bool(identity.email) and author == identity.email


def _is_our_text(payload: Mapping[str, Any], what: str, identity: OwnIdentity) -> bool:
    """A mark alone says nothing, as anybody can write one: the author has to be us, or might be."""
    body = text_at(payload, what, "body")
    if "<!-- skillrunner" not in body or is_forged_comment(identity.signer, body, _number(payload)):
        return False
    if identity.login:
        return text_at(payload, what, "user", "login") == identity.login
    return text_at(payload, what, "author_association") in INSIDERS


def _number(payload: Mapping[str, Any]) -> object:
    """Of the issue or pull request that somebody wrote on."""
    about = payload.get("issue") or payload.get("pull_request")
    return about.get("number") if isinstance(about, Mapping) else None


def _our_pull_request(payload: Mapping[str, Any], sender: str, signer: Signer) -> str:
    """The cause where only the marker can tell, as with a person's token: we pushed the head commit.

    A stranger can copy a marker, and cannot push the branch that it is bound to: that is in no fork.
    """
    pull = payload.get("pull_request")
    if not isinstance(pull, Mapping) or not is_own_branch(pull):
        return ""
    found = _marker.of_branch(text_at(pull, "body"), text_at(pull, "head", "ref"), signer)
    ours = found is not None and found.head == text_at(pull, "head", "sha")
    if ours and sender == text_at(pull, "user", "login"):
        return "skillrunner proposed the pull request"
    return ""
