"""A repository as a worker sees it: its head, its skills, and who may do what for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from runner.clients.git import files_at
from runner.clients.github.rate_limit import RateLimiter
from runner.config.options import both_approvals
from runner.config.settings import FILE, Config, PolicySettings, load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.core.model.decision import Decision, Event
from runner.publish.forges import Forge, locate_repository
from runner.publish.signing import NO_KEY, Signer
from runner.run import bootstrap
from runner.run.limit_lookup import LimitLookup
from runner.run.place import Host, Place
from runner.run.plan import Base
from runner.run.signing_key import find_signer
from runner.run.start import SkillSource, introduction_times, queue_entry
from runner.skills import Skill, SkillSet, load
from runner.store import Store
from runner.store.decisions import QueueEntry
from runner.triggers.sources import SOURCES, Feed, PollTarget
from runner.workspace.mirror import Mirror

_OWN = ("image", "skills", "bot", "commands")
"""The keys that a repository's own file may set, besides a policy and digests. The worker sets its sandbox,
limits and programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySnapshot:
    """One repository at one commit of its default branch."""

    name: str
    place: Place
    forge: Forge
    mirror: Mirror
    base: Base
    skill_set: SkillSet
    introduction_times: Mapping[str, datetime]  # by skill: when the default branch got its present version
    signer: Signer = NO_KEY  # of our hidden marks there
    feeds: Mapping[str, Feed] = field(default_factory=dict)  # by event source: what is polled

    @property
    def skills(self) -> Mapping[str, Skill]:
        return self.skill_set.skills

    @property
    def skill_source(self) -> SkillSource:
        return SkillSource(mirror=self.mirror, head=self.base.sha, skills=self.skills)

    @property
    def limits(self) -> LimitLookup:
        return LimitLookup(
            forge=self.forge.without_waiting(),
            repository=self.base.repository,
            sha=self.base.sha,
            skills=self.skills,
        )

    def hears_commands(self, verb: str) -> bool:
        """Whether people may give this command in a comment: answers where something may wait for one."""
        config = self.place.config
        asks = config.policy.approval or any(one.options.approval for one in self.skills.values())
        return config.commands or (verb in ("approve", "refuse") and bool(asks))

    def host(self, store: Store) -> Host:
        return Host(self.place, store, self.forge)

    def queue_entry(self, decision: Decision, event: Event | None = None) -> QueueEntry:
        """The queued run of a decision for one of these skills."""
        return queue_entry(self.name, self.skills[decision.skill], self.base.sha, decision, event)


_OTHER_FAILURES = frozenset(
    {Reason.FORGE_RATE_LIMITED, Reason.INVALID_CONFIG, Reason.REF_NOT_FOUND, Reason.STORE_FAILED}
)
"""The forge answered: it says when to ask again, or the next push may mend it. Or the database failed."""


def is_repository_failure(error: Exception) -> bool:
    """Whether a poll failed in a way that the next one is likely to fail as well."""
    return not (isinstance(error, RunnerError) and error.reason in _OTHER_FAILURES)


def place_of(
    config: Config, name: str, token: Callable[[], str], pacer: RateLimiter, read_token: Callable[[str], str]
) -> Place:
    """Where a repository is: on the forge that knows its name. Raises RunnerError when none does."""
    kind, origin = locate_repository(name, config)
    return Place(
        config=config.model_copy(update={"forge": kind.name}),
        root=config.state,
        origin=origin,
        token=token,
        rate_limiter=pacer,
        allowed_secrets=partial(allowance_of, config.worker.secrets, name),
        allowed_repositories=partial(allowance_of, config.worker.reads, name),
        read_token=read_token,
    )


def allowance_of(rules: Mapping[str, Sequence[str]], name: str, skill: str) -> frozenset[str]:
    """What the worker's configuration allows a skill of a repository: secrets, or repositories to read."""
    return frozenset(one for scope, given in rules.items() if _covers(scope, name, skill) for one in given)


def _covers(scope: str, name: str, skill: str) -> bool:
    repository, _, skills = scope.partition(":")
    return fnmatchcase(name, repository) and fnmatchcase(skill, skills or "*")


def read_repository(
    name: str, place: Place, runs: Store, before: RepositorySnapshot | None
) -> RepositorySnapshot:
    """The repository as it is now; `before` itself where nothing moved. Raises RunnerError of the forge."""
    forge = before.forge if before else bootstrap.make_forge(place, runs)
    base, mirror = bootstrap.find_base(place, forge.without_waiting(), None)
    if before is not None and before.base.sha == base.sha and before.base.ref == base.ref:
        return before
    own = _repository_config(place.config, mirror, base.sha)
    loaded = load(files_at(mirror.directory, base.sha, own.skills))
    return RepositorySnapshot(
        name=name,
        place=replace(place, config=own, default_branch=base.ref),
        forge=forge,
        mirror=mirror,
        base=base,
        skill_set=loaded,
        introduction_times=introduction_times(mirror, base.sha, loaded.skills.values()),
        signer=find_signer(replace(place, config=own)).of_repository(forge.repository),
        feeds=before.feeds if before else _feeds(place, forge),
    )


def _feeds(place: Place, forge: Forge) -> Mapping[str, Feed]:
    """What each event source polls of a repository."""
    target = PollTarget(
        repository=forge.repository,
        forge=forge.name,
        config=place.config,
        token=place.token,
        pacer=place.rate_limiter,
    )
    opened = {source.name: source.connect(target) for source in SOURCES.all().values()}
    return {source: feed for source, feed in opened.items() if feed is not None}


def _repository_config(config: Config, mirror: Mirror, sha: str) -> Config:
    """The worker's configuration with the keys that the repository's own file may set."""

    def read(path: Path) -> bytes:
        found = files_at(mirror.directory, sha, [FILE]).get(FILE)
        if found is None:
            raise FileNotFoundError(2, "no such file", str(path))
        return found

    theirs = load_config(Path(), environ={}, read=read)
    policy = _policy(config.policy, theirs.policy)
    said = {
        key: getattr(theirs, key) for key in _OWN if theirs.origin(key) != "default" or _below(theirs, key)
    }
    digests = {**theirs.digests, **config.digests}
    return config.model_copy(update={**said, "policy": policy, "digests": digests})


def _policy(ours: PolicySettings, theirs: PolicySettings) -> PolicySettings:
    """A repository's policy adds to the worker's; neither it nor a skill takes any of the worker's away."""
    locked = (*ours.protected, *ours.locked, *theirs.locked)
    approval = both_approvals(ours.approval, theirs.approval)
    said = {} if approval is None else {"approval": approval}
    return PolicySettings(
        protected=theirs.protected,
        locked=locked,
        signed_marks=ours.signed_marks or theirs.signed_marks,
        **said,
    )


def _below(config: Config, key: str) -> bool:
    """Whether the file sets a key below `key`."""
    return any(origin != "default" for name, origin in config._origins.items() if name.startswith(f"{key}."))
