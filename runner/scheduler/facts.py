"""Looks up the facts that a decision on an event needs: actor, permission, changed paths."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from runner.clients.git import Git
from runner.core.errors import RunnerError
from runner.core.model import Reason, Remote
from runner.core.model.decision import Actor, Event, Facts
from runner.core.payload import text_at
from runner.scheduler.decide import listening_skills, required_facts
from runner.scheduler.event_commit import commit_of, fetch
from runner.scheduler.loop_guard import OwnIdentity, own_cause
from runner.skills import Skill
from runner.triggers import TRIGGERS, CommitRange, TriggerKind
from runner.triggers.actors import UNKNOWN, association_of
from runner.workspace.mirror import Mirror

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
    commands: frozenset[str] = frozenset()  # the names of all commands of the repository


def look_up_facts(skills: Mapping[str, Skill], event: Event, sources: FactSources) -> Facts:
    """Look up only the facts that the skills' decisions need. Raises RunnerError of the forge."""
    wants_actor, wants_paths = required_facts(skills, event)
    trigger = TRIGGERS.all().get(event.kind)  # none of a package that was removed since the event was heard
    actor = _actor(event, sources) if wants_actor else None
    return Facts(
        actor=actor,
        own_cause=own_cause(event.payload, sources.identity),
        is_fork=trigger is not None
        and (trigger.from_fork(event.payload, sources.repository) or _is_strangers(skills, event, sources)),
        paths=_paths(trigger, event, sources) if wants_paths and trigger is not None else None,
        mention=sources.identity.mention,
        commands=sources.commands,
    )


def _actor(event: Event, sources: FactSources) -> Actor:
    """The actor, with the permission that the forge reports; a payload's `author_association` proves none."""
    login = text_at(event.payload, "sender", "login")
    kind = text_at(event.payload, "sender", "type") or "User"
    bot = kind != "User" or login.endswith("[bot]")
    permission = UNKNOWN if bot or not login else sources.forge.permission(login)
    return Actor(
        login=login or "somebody unknown",
        bot=bot,
        permission="none" if permission == UNKNOWN else permission,
        is_permission_known=permission != UNKNOWN,
        association=association_of(event.payload),
    )


def _is_strangers(skills: Mapping[str, Skill], event: Event, sources: FactSources) -> bool:
    """Whether a skill that publishes would stand on a stranger's commit, or on one that nobody finds."""
    found = {
        commit_of(event.kind, event.payload, option)
        for skill in listening_skills(skills, event)
        if skill.publishes
        for option in skill.listeners(event.kind)
        if not option.mismatch(event.payload)
    }
    try:
        return any(fetch(sources.mirror, sources.remote, one).is_strangers for one in found if one)
    except RunnerError as error:
        if error.reason not in _GONE:
            raise
        return True


def _paths(trigger: TriggerKind, event: Event, sources: FactSources) -> tuple[str, ...] | None:
    """The paths that a push or a pull request changed; None when the commits cannot be fetched."""
    span = trigger.commits(event.payload, sources.default_branch)
    if span is None:
        return None
    try:
        sources.mirror.fetch(sources.remote, *span.refs)
        return _changed(sources, span)
    except RunnerError as error:
        if error.reason not in _GONE:
            raise
        return None


def _changed(sources: FactSources, span: CommitRange) -> tuple[str, ...]:
    git = Git(sources.mirror.directory)
    start = git.output("merge-base", span.base, span.head) if span.from_fork_point else _base(sources, span)
    listed = (
        git.run("diff", "--name-only", "-z", "--no-renames", start, span.head)
        if start
        else git.run("ls-tree", "-r", "-z", "--name-only", span.head)
    )
    return tuple(path.decode(errors="surrogateescape") for path in listed.stdout.split(b"\0") if path)


def _base(sources: FactSources, span: CommitRange) -> str:
    """The commit that a branch was pushed over, or, where it is gone, the one at which the branch left the
    default branch. Empty: that is the default branch itself, so anything in it may be new."""
    git, default = Git(sources.mirror.directory), f"refs/heads/{sources.default_branch}"
    try:
        return sources.mirror.fetch_commit(sources.remote, "", span.base)
    except RunnerError as error:
        if error.reason not in _GONE:
            raise
    forked = git.run("merge-base", default, span.head, ok=(0, 1)).stdout.decode().strip()
    return "" if forked == git.output("rev-parse", span.head) else forked
