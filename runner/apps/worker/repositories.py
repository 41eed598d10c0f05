"""Lists the repositories that a worker serves now, with the token for each."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from runner.apps.worker.credentials import Credentials
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repository import place_of
from runner.clients.github.api import GitHubApi as Door
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.publish.forges import FORGES, locate_repository
from runner.run.place import Place
from runner.triggers.sources.github.repositories import Repositories

log = logging.getLogger("skillrunner.worker")

_LISTING = "repositories "
_GLOB = frozenset("*?[")


@dataclass(slots=True)
class RepositoryList:
    """Expands `worker.repositories`: names as they are, and globs over the repositories that GitHub lists."""

    config: Config
    credentials: Credentials
    error_log: ErrorLog
    _last_names: dict[str, Sequence[str]] = field(
        default_factory=dict
    )  # by glob: the names that it last matched
    _listing: Repositories = field(init=False)

    def __post_init__(self) -> None:
        self._listing = Repositories(self._api, log.warning)

    def configure(self, config: Config) -> None:
        """Work with another configuration from now on, and with tokens that are asked for anew."""
        self.config, self.credentials = config, Credentials(config)
        self._listing = Repositories(self._api, log.warning)
        for pattern in set(self.faults) - set(config.worker.repositories):
            self.error_log.resolve(f"{_LISTING}{pattern}")

    def _api(self, owner: str) -> Door:
        """A client that can list the repositories of `owner`."""
        token = partial(self.credentials.list_token, owner)
        api = self.config.github.api_url
        return Door(
            api_url=api, repository="", token=token, pacer=self.credentials.pacer(owner), max_wait=0.0
        )

    def names(self) -> tuple[str, ...]:
        """The repositories that the patterns match now; a glob that GitHub cannot list keeps its last names.

        Raises RunnerError INVALID_CONFIG for an invalid pattern, and for an App that has never worked.
        """
        patterns = self.config.worker.repositories
        single = [one for one in patterns if self._is_single(one)]
        named = [name for one in patterns if one not in single for name in self._expand(one)]
        return (*single, *self._listing.expand(named))

    def _is_single(self, pattern: str) -> bool:
        """Whether it is one repository, on a forge whose repositories nobody lists."""
        kinds = (kind for kind in FORGES.all().values() if not kind.lists)
        return any(kind.locate(pattern, self.config) is not None for kind in kinds)

    def _expand(self, pattern: str) -> Sequence[str]:
        """The names that a glob matches. A failure to list one owner is logged and affects no other."""
        if pattern.startswith("!") or not set(pattern) & _GLOB:
            return [pattern]
        subject = f"{_LISTING}{pattern}"
        try:
            self._last_names[pattern] = self._listing.expand([pattern])
        except RunnerError as error:
            if error.reason is Reason.INVALID_CONFIG and pattern not in self._last_names:
                raise
            self.error_log.report(subject, f"{pattern}: its repositories cannot be listed: {error.message}")
        else:
            self.error_log.resolve(subject)
        return self._last_names.get(pattern, ())

    @property
    def faults(self) -> dict[str, str]:
        """By glob: why its repositories could not be listed the last time."""
        errors = self.error_log.present().items()
        return {
            subject.removeprefix(_LISTING): fault for subject, fault in errors if subject.startswith(_LISTING)
        }

    @property
    def is_complete(self) -> bool:
        """Whether every glob was listed the last time: then unlisted repositories are not served."""
        return not self.faults

    def place(self, name: str) -> Place:
        """The place of a repository, with its credentials."""
        token, pacer = partial(self.token, name), self.credentials.pacer(name.split("/")[0])
        found = place_of(self.config, name, token, pacer, self.credentials.read_token)
        kind, _ = locate_repository(name, self.config)
        if self.config.worker.app is None or not kind.uses_app:
            return found
        return replace(found, limited_token=partial(self.credentials.limited_token, name))

    def token(self, name: str) -> str:
        """The token for a repository's forge; empty where that needs none. Raises RunnerError."""
        kind, _ = locate_repository(name, self.config)
        if kind.uses_app:
            return self.credentials.token(name)
        return os.environ.get(kind.token_variable(self.config), "")
