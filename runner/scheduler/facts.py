"""Looks up the facts that a decision on an event needs: actor, permission, changed paths."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from runner.clients.git import Git
from runner.core.errors import RunnerError
from runner.core.model import Reason, Remote
from runner.core.model.decision import Actor, Event, Facts
from runner.scheduler.decide import required_facts
from runner.scheduler.loop_guard import OwnIdentity, own_cause
from runner.skills import Skill
from runner.workspace.mirror import Mirror

_NOWHERE = "0" * 40
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GONE = frozenset({Reason.REF_NOT_FOUND, Reason.GIT_FAILED, Reason.FORGE_REJECTED})


class PermissionSource(Protocol):
    def permission(self, login: str) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSources:
    """Where facts come from."""

    forge: PermissionSource
    mirror: Mirror
    remote: Remote
    repository: str  # "owner/name"
    default_branch: str
    identity: OwnIdentity


def look_up_facts(skills: Mapping[str, Skill], event: Event, sources: FactSources) -> Facts:
    """Look up only the facts that the skills' decisions need. Raises RunnerError of the forge."""
    wants_actor, wants_paths = required_facts(skills, event)
    actor = _actor(event, sources) if wants_actor else None
    return Facts(
        actor=actor,
        own_cause=own_cause(event.payload, sources.identity),
        is_fork=_is_fork(event, sources.repository),
        paths=_paths(event, sources) if wants_paths else None,
    )


def _actor(event: Event, sources: FactSources) -> Actor:
    """The actor, with the permission that the forge reports; a payload's `author_association` is no proof."""
    sender = event.payload.get("sender")
    known = sender if isinstance(sender, Mapping) else {}
    login, kind = str(known.get("login") or ""), known.get("type", "User")
    bot = kind != "User" or login.endswith("[bot]")
    permission = "none" if bot or not login else sources.forge.permission(login)
    return Actor(login=login or "somebody unknown", bot=bot, permission=permission)


def _is_fork(event: Event, repository: str) -> bool:
    pull = event.payload.get("pull_request")
    if event.kind != "pull_request" or not isinstance(pull, Mapping):
        return False
    head = _at(pull, "head", "repo", "full_name")
    return str(head).lower() != repository.lower()


def _paths(event: Event, sources: FactSources) -> tuple[str, ...] | None:
    """The paths that a push or a pull request changed; None when the commits cannot be fetched."""
    span = _span(event.payload, sources.default_branch)
    if span is None:
        return None
    git = Git(sources.mirror.directory)
    try:
        sources.mirror.fetch(sources.remote, *span.refs)
        start = git.output("merge-base", span.base, span.head) if span.from_fork_point else span.base
        listed = git.run("diff", "--name-only", "-z", "--no-renames", start, span.head).stdout
    except RunnerError as error:
        if error.reason not in _GONE:
            raise
        return None
    return tuple(path.decode(errors="surrogateescape") for path in listed.split(b"\0") if path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    base: str
    head: str
    from_fork_point: bool  # compare with where `head` left `base`, as a pull request shows it
    refs: tuple[str, ...] = ()  # to fetch for the commits


def _span(payload: Mapping[str, Any], default_branch: str) -> _Span | None:
    number, pull = _at(payload, "pull_request", "number"), _at(payload, "pull_request", "head", "sha")
    if isinstance(number, int):
        base, refs = _at(payload, "pull_request", "base", "sha"), (f"refs/pull/{number}/head",)
        return _Span(base=base, head=pull, from_fork_point=True, refs=refs) if _are(base, pull) else None
    before, after = payload.get("before"), payload.get("after")
    if not _are(before, after) or after == _NOWHERE:
        return None
    if before == _NOWHERE:
        return _Span(base=f"refs/heads/{default_branch}", head=str(after), from_fork_point=True)
    return _Span(base=str(before), head=str(after), from_fork_point=False)


def _are(*shas: object) -> bool:
    return all(isinstance(sha, str) and _SHA.fullmatch(sha) for sha in shas)


def _at(payload: Mapping[str, Any], *names: str) -> Any:
    here: Any = payload
    for name in names:
        here = here.get(name) if isinstance(here, Mapping) else None
    return here
