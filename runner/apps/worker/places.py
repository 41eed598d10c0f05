"""The repositories of a worker for people who stand in its folder, where there is no checkout of any."""

import os
from collections.abc import Iterator

from runner.apps.worker.credentials import Credentials
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repositories import RepositoryList
from runner.apps.worker.secret_files import Variables, from_files
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import DoctorLine, Phase, Reason
from runner.publish.forges import locate_repository
from runner.run import bootstrap, stores
from runner.run.place import Place


def served_places(config: Config, named: str | None = None) -> dict[str, Place]:
    """By name: the repositories under `worker.repositories` that are no globs, or the one that is `named`.

    Raises RunnerError where there is none, or it is not among them.
    """
    Variables().replace(lambda environ: from_files(config, environ))
    roster = RepositoryList(config, Credentials(config), ErrorLog())
    plain = [one for one in config.worker.repositories if one[0] != "!" and not set(one) & set("*?[")]
    chosen = [one for one in plain if named in (None, one)]
    if not chosen:
        known = ", ".join(plain) or "none by its whole name"
        message = f"worker.repositories does not name {named}" if named else "the worker names no repository"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=f"known here: {known}")
    return {name: roster.place(name) for name in chosen}


def local_places(config: Config, named: str | None = None) -> dict[str, Place]:
    """The same, of those whose pull requests the runner keeps itself, unless one is `named`."""
    found = served_places(config, named)
    if named is not None:
        return found
    kept = {name: place for name, place in found.items() if not locate_repository(name, config)[0].lists}
    if not kept:
        message = f"the pull requests of {', '.join(found)} are on their forge"
        raise RunnerError(Phase.LOAD, Reason.UNSUPPORTED, message, hint="look at them there")
    return kept


def doctor(config: Config) -> Iterator[DoctorLine]:
    """What works and what does not with the repositories of a worker."""
    if not os.access(config.state, os.W_OK) and config.state.exists():
        message = f"{config.state} cannot be written"
        yield DoctorLine(ok=False, subject="state", message=message, hint="run this as the worker's user")
        return
    with stores.open_worker_store(config) as runs:
        for name, place in served_places(config).items():
            try:
                forge = bootstrap.make_forge(place, runs)
                forge.default_branch()
                yield from forge.doctor()
            except RunnerError as error:
                message = f"{name}: {error.message}"
                yield DoctorLine(ok=False, subject="forge", message=message, hint=error.hint)
