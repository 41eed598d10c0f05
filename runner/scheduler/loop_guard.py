"""Recognizes events that skillrunner itself caused: they start no skill, or skills would run for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.payload import text_at
from runner.publish.outputs import _marker


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnIdentity:
    """The names under which skillrunner acts on the forge."""

    login: str = ""  # "slug[bot]" of our App; empty: skillrunner uses a person's token
    email: str = ""  # of our commits
    workflow: str = ""  # the path of the workflow that runs us


def own_cause(payload: Mapping[str, Any], identity: OwnIdentity) -> str:
    """Why skillrunner itself caused the event of a payload; empty: it did not."""
    sender = text_at(payload, "sender", "login")
    if identity.login and sender == identity.login:
        return f"{sender} did it, which is us"
    if identity.workflow and text_at(payload, "workflow_run", "path").split("@")[0] == identity.workflow:
        return "the workflow that runs skillrunner went on"
    if "<!-- skillrunner" in text_at(payload, "comment", "body"):
        return "skillrunner wrote the comment"
    if identity.email and text_at(payload, "head_commit", "author", "email") == identity.email:
        return "skillrunner pushed it"
    return _our_pull_request(payload, sender)


def _our_pull_request(payload: Mapping[str, Any], sender: str) -> str:
    """The cause where only the marker can tell, as with a person's token: we pushed the head commit."""
    found = _marker.read(text_at(payload, "pull_request", "body"))
    ours = found is not None and found.head == text_at(payload, "pull_request", "head", "sha")
    if ours and sender == text_at(payload, "pull_request", "user", "login"):
        return "skillrunner proposed the pull request"
    return ""
