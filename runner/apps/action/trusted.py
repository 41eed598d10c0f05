"""Fetches the trusted repository: configuration and skills of the default branch, whatever started the job.

A pull request's copy of either is data. Nothing is read from the checkout that a workflow may have made.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from runner.apps.action.job_input import JobInput
from runner.clients.git import files_at
from runner.config.settings import FILE, Config, load_config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Remote, Repository
from runner.publish.forges import Forge, LimitedToken
from runner.run import bootstrap, stores
from runner.run.limit_lookup import LimitLookup
from runner.run.place import Host, Place
from runner.run.signing_key import find_signer
from runner.run.start import SkillSource, introduction_times
from runner.scheduler.loop_guard import OwnIdentity
from runner.skills import SkillSet, load
from runner.store import Store
from runner.workspace.mirror import Mirror


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedRepository:
    """The repository at the head of its default branch."""

    place: Place
    runs: Store
    forge: Forge
    mirror: Mirror
    sha: str
    skill_set: SkillSet
    identity: OwnIdentity

    @property
    def host(self) -> Host:
        return Host(self.place, self.runs, self.forge)

    @property
    def skill_source(self) -> SkillSource:
        return SkillSource(mirror=self.mirror, head=self.sha, skills=self.skill_set.skills)

    @property
    def remote(self) -> Remote:
        return self.forge.remote()

    @property
    def limits(self) -> LimitLookup:
        name = self.forge.repository
        return LimitLookup(
            forge=self.forge,
            repository=Repository(name=name, url=self.remote.url, default_branch=self.place.default_branch),
            sha=self.sha,
            skills=self.skill_set.skills,
        )

    def introduction_times(self) -> Mapping[str, datetime]:
        """By skill: when the default branch got its present version."""
        return introduction_times(self.mirror, self.sha, self.skill_set.skills.values())


def fetch_trusted(job: JobInput, stack: ExitStack) -> TrustedRepository:
    """Fetch the repository, and read its configuration and skills. Raises RunnerError."""
    credential = _credential(job)
    flags = _flags(job)
    asked = load_config(job.workspace, read=_nothing, flags=flags)
    place = Place(
        config=asked,
        root=job.workspace,
        origin=f"{job.server_url}/{job.repository}",
        token=credential.token,
        limited_token=credential.limited_token,
        keeps_state=False,
    )
    runs = stack.enter_context(stores.open_store(asked))
    forge = bootstrap.make_forge(place, runs)
    base, mirror = bootstrap.find_base(place, forge, None)
    config = _config(job, mirror.directory, base.sha, flags)
    place = replace(place, config=config, default_branch=base.ref)
    return TrustedRepository(
        place=place,
        runs=runs,
        forge=forge,
        mirror=mirror,
        sha=base.sha,
        skill_set=load(files_at(mirror.directory, base.sha, config.skills)),
        identity=OwnIdentity(
            login=credential.login,
            email=config.bot.email,
            workflow=job.workflow,
            name=config.bot.name,
            signer=find_signer(place).of_repository(forge.repository),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Credential:
    """The token to work with, those with fewer permissions, and the login on GitHub where that is known."""

    token: Callable[[], str]
    limited_token: LimitedToken | None = None
    login: str = ""


def _credential(job: JobInput) -> _Credential:
    """The job's own token lives as long as the job; an App's are renewed, as a run may be longer."""
    if not job.inputs["app-id"]:
        return _Credential(token=lambda: job.inputs["token"])
    from runner.clients.github.app import RenewingToken, installation_token

    ask = partial(
        installation_token, job.api_url, job.inputs["app-id"], job.inputs["app-private-key"], job.repository
    )
    limited: dict[frozenset[tuple[str, str]], RenewingToken] = {}

    def limited_token(permissions: Mapping[str, str]) -> str:
        new = partial(ask, permissions)
        return limited.setdefault(frozenset(permissions.items()), RenewingToken(new))()

    token = RenewingToken(partial(ask, PERMISSIONS, QUESTIONS))
    token()
    return _Credential(token=token, limited_token=limited_token, login=f"{token.slug}[bot]")


PERMISSIONS = {"contents": "write", "pull_requests": "write", "metadata": "read"}
"""The permissions that the App's token gets."""

QUESTIONS = {"issues": "read", "checks": "read", "statuses": "read"}
"""What it gets besides where the App has it: conditions ask for it."""


def _flags(job: JobInput) -> dict[str, Any]:
    """The configuration keys that the workflow sets, which go before the repository's file."""
    return {
        "forge": "github",
        "github.api_url": job.api_url,
        "github.git_url": job.server_url,
        "sandbox": job.inputs["sandbox"] or None,
        "state_dir": str(job.temp / "skillrunner"),
    }


def _nothing(path: Path) -> bytes:
    raise FileNotFoundError(2, "no such file", str(path))


def _config(job: JobInput, mirror: Path, sha: str, flags: Mapping[str, Any]) -> Config:
    folder = PurePosixPath(job.inputs["working-directory"] or ".")
    named = job.inputs["config"]
    path = str(folder / (named or FILE))

    def read(_: Path) -> bytes:
        found = files_at(mirror, sha, [path]).get(path)
        return _nothing(Path(path)) if found is None else found

    given = Path(path) if named else None
    config = load_config(job.workspace, file=given, flags=flags, read=read)
    if folder == PurePosixPath("."):
        return config
    if ".." in folder.parts or folder.is_absolute():
        message = f"the input `working-directory` leads out of the repository (value: {folder})"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="name a folder of the repository")
    return config.model_copy(update={"skills": tuple(str(folder / one) for one in config.skills)})


def workflow_file(job: JobInput, trusted: TrustedRepository) -> bytes | None:
    """The workflow file of this step at its commit; None: it cannot be fetched."""
    sha = job.workflow_sha or trusted.sha
    try:
        trusted.mirror.fetch(trusted.remote, sha)
        return files_at(trusted.mirror.directory, sha, [job.workflow]).get(job.workflow)
    except RunnerError as error:
        if error.reason not in (Reason.REF_NOT_FOUND, Reason.GIT_FAILED):
            raise
        return None
