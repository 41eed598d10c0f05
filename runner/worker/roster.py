"""Which repositories a worker serves at the moment, and what it shows to GitHub for each of them."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.config import Config
from runner.doors.github import GitHub as Door
from runner.errors import RunnerError
from runner.hearing import Repositories
from runner.model import Phase, Reason
from runner.worker.credentials import Credentials
from runner.worker.faults import Faults

log = logging.getLogger("skillrunner.worker")

_FOLDER = (".", "/", "~")


@dataclass(slots=True)
class Roster:
    """What `worker.repositories` means: names as they are, folders, and globs over what GitHub lists."""

    config: Config
    credentials: Credentials
    faults: Faults
    _names: tuple[str, ...] = ()
    _listing: Repositories = field(init=False)

    def __post_init__(self) -> None:
        token = os.environ.get(self.config.github.token_env, "")
        door = Door(api_url=self.config.github.api_url, repository="", token=token)
        self._listing = Repositories(door, log.warning)

    def names(self) -> tuple[str, ...]:
        """The repositories that the patterns mean now; what GitHub cannot tell now is as it was.

        Raises RunnerError INVALID_CONFIG for what is no pattern.
        """
        patterns = self.config.worker.repositories
        if self.config.worker.app is not None:
            _named_one_by_one(patterns)
        folders = [one for one in patterns if one.startswith(_FOLDER)]
        try:
            found = self._listing.expand([one for one in patterns if not one.startswith(_FOLDER)])
        except RunnerError as error:
            if error.reason is Reason.INVALID_CONFIG:
                raise
            self.faults.tell("repositories", f"the list of repositories cannot be read: {error.message}")
            return self._names or tuple(folders)
        self.faults.mend("repositories")
        self._names = (*folders, *found)
        return self._names

    def token(self, name: str) -> str:
        """What is shown to GitHub for a repository; nothing for a folder. Raises RunnerError of the App."""
        return "" if name.startswith(_FOLDER) else self.credentials.token(name)


def _named_one_by_one(patterns: Sequence[str]) -> None:
    """An App's tokens are each for one repository, and list no others."""
    for pattern in patterns:
        if set(pattern) & set("*?[") and not pattern.startswith(("!", *_FOLDER)):
            message = f"worker.repositories: {pattern!r} is a glob, and worker.app gets a token for each name"
            hint = "name the repositories one by one, or work with a token"
            raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
