"""What a worker shows to GitHub: a token, or one that its App gets for each repository and renews in time."""

import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.config import Config
from runner.doors.github_app import Token, installation_token
from runner.errors import RunnerError
from runner.model import Phase, Reason

PERMISSIONS = {"contents": "write", "pull_requests": "write", "metadata": "read"}

_EARLY = timedelta(minutes=10)
"""A token of an App lives for an hour, and has to last for what is begun with it."""


@dataclass(slots=True)
class Credentials:
    """`login` is known once the App has been asked for a token."""

    config: Config
    login: str = ""
    _tokens: dict[str, Token] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def token(self, repository: str) -> str:
        """The token for a repository. Raises RunnerError: of the App, or of its key."""
        if self.config.worker.app is None:
            return os.environ.get(self.config.github.token_env, "")
        with self._lock:
            known = self._tokens.get(repository)
            if known is None or known.expires_at - datetime.now(UTC) < _EARLY:
                known = self._tokens[repository] = self._new(repository)
        return known.value

    def _new(self, repository: str) -> Token:
        app = self.config.worker.app
        assert app is not None
        found = installation_token(self.config.github.api_url, app.id, self._key(), repository, PERMISSIONS)
        self.login = f"{found.slug}[bot]"
        return found

    def _key(self) -> str:
        app = self.config.worker.app
        assert app is not None
        if app.private_key_file is not None:
            path = Path(app.private_key_file).expanduser()
            try:
                return path.read_text()
            except OSError as error:
                raise _no_key(f"{path} cannot be read: {error.strerror}") from error
        if app.private_key_env and (key := os.environ.get(app.private_key_env)):
            return key
        raise _no_key("neither private_key_file nor private_key_env gives one")


def _no_key(why: str) -> RunnerError:
    hint = "write `app: {id: ..., private_key_file: ...}` under `worker:` in skillrunner.yaml"
    return RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, f"worker.app has no private key: {why}", hint=hint)
