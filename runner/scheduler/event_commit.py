"""The commit that an event's run stands on, brought into the mirror, and whether it is a stranger's."""

from dataclasses import dataclass

from runner.core.model import Remote
from runner.triggers import TRIGGERS, EventCommit, TriggerKind, TriggerOptions
from runner.workspace.mirror import Mirror


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedCommit:
    """An event's commit that the mirror holds."""

    sha: str
    is_strangers: bool  # no branch of the repository holds it, so nobody who may write pushed it


def commit_of(kind: str, payload: object, options: TriggerOptions | None) -> EventCommit | None:
    """The commit that a run stands on because of its event; None: it is the head of a branch."""
    trigger: TriggerKind | None = TRIGGERS.all().get(kind)
    tree = options.stands_on if options is not None else "head"
    if trigger is None or tree == "base" or not isinstance(payload, dict):
        return None
    return trigger.commit(payload, tree)


def fetch(mirror: Mirror, remote: Remote, found: EventCommit) -> FetchedCommit:
    """Raises RunnerError REF_NOT_FOUND when the repository has the commit no more."""
    sha = mirror.fetch_commit(remote, found.ref, found.sha)
    judged = mirror.parents(sha) if found.is_merge else [sha]
    return FetchedCommit(sha=sha, is_strangers=not all(map(mirror.is_ours, judged)))
