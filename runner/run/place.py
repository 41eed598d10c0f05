"""A repository that skills work for, and the configuration of the runner for it."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.clients.git import LocalRepository, discover, remote_host, ssh_url
from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import Config, load_config
from runner.publish.forges import Forge, LimitedToken, choose_kind, is_served

if TYPE_CHECKING:
    from runner.store import Store

SecretLookup = Callable[[str, str], str]
"""The value of a secret by its name, for whom it is said to be. Raises RunnerError SECRET_MISSING."""

AllowedNames = Callable[[str], Collection[str]]
"""What a skill, by its name, may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository that skills work for, with the configuration of the runner for it."""

    config: Config
    root: Path  # where the runner stands: a checkout, or any folder
    origin: str  # the repository: a URL without credentials, or a folder; empty: `root` itself
    default_branch: str = ""  # of `root` itself
    token: Callable[[], str] = field(default=str, repr=False)  # for the forge, at this moment; empty: none
    limited_token: LimitedToken | None = field(default=None, repr=False)  # with fewer permissions; None: none
    rate_limiter: RateLimiter = field(default_factory=RateLimiter, repr=False)  # of the token
    keeps_state: bool = True  # whether its state folder is there the next time
    allowed_secrets: AllowedNames | None = None  # names of secrets; None: all
    allowed_repositories: AllowedNames | None = (
        None  # other repositories to read, or globs of them; None: all
    )
    read_token: Callable[[str], str] | None = field(
        default=None, repr=False
    )  # a token for one; None: `token`


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlace(Place):
    """The repository of the current folder of the command line."""

    local: LocalRepository


@dataclass(frozen=True, slots=True)
class Host:
    """The program that starts runs for a place: the command line, a step of a workflow, or a worker."""

    place: Place
    store: "Store"
    forge: Forge


def local_place(root: Path, config: Path | None, flags: Mapping[str, Any]) -> LocalPlace:
    """The place at `root`. `flags` are dotted configuration keys; None: not given. Raises RunnerError."""
    local = discover(root)
    loaded = load_config(local.root, file=config, flags=flags)
    origin = _origin(local.remotes, loaded)
    return LocalPlace(
        config=loaded,
        root=local.root,
        origin=origin,
        default_branch=local.default_branch,
        token=partial(_token, loaded, origin),
        local=local,
    )


def _origin(remotes: Mapping[str, str], config: Config) -> str:
    """The remote `origin`, or the only one there is, by the host's own name where ssh knows another."""
    only = next(iter(remotes.values())) if len(remotes) == 1 else ""
    origin = remotes.get("origin", only)
    if remote_host(origin) and not is_served(origin, config):
        meant = ssh_url(origin)
        return meant if is_served(meant, config) else origin
    return origin


def _token(config: Config, origin: str) -> str:
    """The environment's token for the forge."""
    return os.environ.get(choose_kind(origin, config).token_variable(config), "")
