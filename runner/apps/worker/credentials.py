"""A worker's GitHub tokens: the configured one, or one per repository that its App gets and renews."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from runner.apps.worker.lease import uptime
from runner.clients.github.app import RenewingToken, Token, installation_token, owner_token
from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.paths import with_home

PERMISSIONS = {"contents": "write", "pull_requests": "write", "metadata": "read"}
READ_PERMISSIONS = {"contents": "read", "metadata": "read"}
POLL_PERMISSIONS = {"issues": "read", "actions": "read", "checks": "read", "statuses": "read"}
"""What polling needs for some events, and conditions for some questions, and an App need not have."""


@dataclass(slots=True)
class Credentials:
    """Gives out tokens. `login` is set when the App has given the first one."""

    config: Config
    login: str = ""
    _app_pacer: RateLimiter = field(default_factory=RateLimiter)
    _pacers: dict[str, RateLimiter] = field(default_factory=dict)
    _tokens: dict[tuple[str, str], RenewingToken] = field(default_factory=dict)

    def token(self, repository: str) -> str:
        """The token for a repository at this moment. Raises RunnerError: of the App, or of its key."""
        new = partial(installation_token, permissions=PERMISSIONS, welcome=POLL_PERMISSIONS)
        return self._token("repository", repository, new)

    def read_token(self, repository: str) -> str:
        """A token that reads a repository. Raises RunnerError as `token` does."""
        return self._token("reading", repository, partial(installation_token, permissions=READ_PERMISSIONS))

    def limited_token(self, repository: str, permissions: Mapping[str, str]) -> str:
        """A token for a repository with these permissions alone. Raises RunnerError as `token` does."""
        what = ", ".join(f"{name}: {level}" for name, level in sorted(permissions.items()))
        return self._token(what, repository, partial(installation_token, permissions=permissions))

    def list_token(self, owner: str) -> str:
        """A token that sees which repositories of `owner` there are. Raises RunnerError as `token` does."""
        return self._token("owner", owner, owner_token)

    def pacer(self, owner: str) -> RateLimiter:
        """The rate limiter for an owner's repositories: an App has one per owner, a token one for all."""
        mine = "" if self.config.worker.app is None else owner.lower()
        return self._pacers.setdefault(mine, RateLimiter())

    def _token(self, what: str, name: str, new: Callable[..., Token]) -> str:
        app = self.config.worker.app
        if app is None:
            return os.environ.get(self.config.github.token_env, "")

        def ask() -> Token:
            return new(self.config.github.api_url, app.id, self._key(), name, pacer=self._app_pacer)

        lasting = self._tokens.setdefault((what, name), RenewingToken(ask, uptime))
        token = lasting()
        self.login = f"{lasting.slug}[bot]"
        return token

    def _key(self) -> str:
        app = self.config.worker.app
        assert app is not None
        if app.private_key_file is not None:
            path = with_home(app.private_key_file)
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
