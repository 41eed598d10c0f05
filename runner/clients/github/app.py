"""Tokens of a GitHub App: its private key -> a short-lived token for one repository and few permissions.

GitHub's "Generating a JSON Web Token (JWT) for a GitHub App" and "Generating an installation access token
for a GitHub App". What the token does is done by "<slug>[bot]", and starts workflows, unlike what the
token does that GitHub gives to every job.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runner.clients.github.api import GitHubApi
from runner.clients.github.rate_limit import RateLimiter
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_CLOCKS_DIFFER = 60  # seconds that GitHub advises to date a JWT back
_LIFE = 9 * 60  # seconds; GitHub takes a JWT for ten minutes at the most
_EARLY = 10 * 60.0  # seconds that a token must last for what is begun with it: a push, a poll
_PEM = re.compile(r"(-----BEGIN [A-Z ]+-----)(.*?)(-----END [A-Z ]+-----)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    value: str = field(repr=False)
    expires_at: datetime
    slug: str  # of the App: its login is "<slug>[bot]"


@dataclass(slots=True)
class RenewingToken:
    """A token that renews itself: a call returns one that is valid now.

    Threads may share it. `clock` must be monotonic: a clock set back would keep an expired token.
    """

    new: Callable[[], Token]
    clock: Callable[[], float] = time.monotonic
    slug: str = ""  # of the App, once it was called
    _value: str = field(default="", repr=False)
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self) -> str:
        """Raises what `new` raises, unless the last token still lives: then that one is used."""
        with self._lock:
            now = self.clock()
            if not self._value or self._until - now < _EARLY:
                try:
                    self._renew(now)
                except RunnerError:
                    if not self._value or self._until <= now:
                        raise
            return self._value

    def _renew(self, now: float) -> None:
        found = self.new()
        self._value, self.slug = found.value, found.slug
        self._until = now + (found.expires_at - datetime.now(UTC)).total_seconds()


def installation_token(
    api_url: str,
    app_id: str,
    private_key: str,
    repository: str,
    permissions: Mapping[str, str],
    welcome: Mapping[str, str] = MappingProxyType({}),
    pacer: RateLimiter | None = None,
) -> Token:
    """A token for `repository` ("owner/name") alone, with `permissions` ({"contents": "write"}) alone.

    It also gets those of the permissions `welcome` that the App has. `app_id` may be the App's client id.

    Raises RunnerError: INVALID_CONFIG (the id or the key), FORGE_DENIED (they do not belong together, or the
    App is suspended), FORGE_NOT_FOUND (the App is not installed there), FORGE_REJECTED (it lacks a
    permission), and what the API raises.
    """
    app, slug, page = _app(api_url, app_id, private_key, repository, pacer)
    with _meaning(_not_installed(slug, repository, page), Reason.FORGE_NOT_FOUND):
        there = app.get("/installation")
    more = {name: level for name, level in welcome.items() if name in there.get("permissions", {})}
    wanted = {"repositories": [repository.split("/")[-1]], "permissions": {**permissions, **more}}
    with (
        _meaning(_too_little(slug, repository, permissions), Reason.FORGE_REJECTED),
        _meaning(_suspended(slug, repository), Reason.FORGE_DENIED),
    ):
        return _token(app, slug, there["id"], wanted)


def owner_token(
    api_url: str, app_id: str, private_key: str, owner: str, pacer: RateLimiter | None = None
) -> Token:
    """A token that lists the repositories of `owner` that the App is installed on, and does nothing else.

    Raises what `installation_token` raises.
    """
    app, slug, page = _app(api_url, app_id, private_key, "", pacer)
    there = [one["id"] for one in app.pages("app/installations") if _belongs(one, owner)]
    if not there:
        raise _not_installed(slug, owner, page)
    with _meaning(_suspended(slug, owner), Reason.FORGE_DENIED):
        return _token(app, slug, there[0], {"permissions": {"metadata": "read"}})


def _app(
    api_url: str, app_id: str, private_key: str, repository: str, pacer: RateLimiter | None
) -> tuple[GitHubApi, str, str]:
    """(an API client of the App itself, its slug, the URL of its installation page)"""
    signed = _jwt(app_id, private_key, time.time())
    app = GitHubApi(
        api_url=api_url, repository=repository, token=lambda: signed, pacer=pacer or RateLimiter()
    )
    with _meaning(_wrong_app(app_id), Reason.FORGE_DENIED, Reason.FORGE_NOT_FOUND):
        known = app.get("app")
    return app, known["slug"], known.get("html_url", "")


def _belongs(installation: Mapping[str, Any], owner: str) -> bool:
    return str((installation.get("account") or {}).get("login", "")).lower() == owner.lower()


def _token(app: GitHubApi, slug: str, installation: int, wanted: Mapping[str, Any]) -> Token:
    given = app.call(
        "POST", f"app/installations/{installation}/access_tokens", wanted, repeatable=True
    ).json()
    return Token(value=given["token"], expires_at=datetime.fromisoformat(given["expires_at"]), slug=slug)


@contextmanager
def _meaning(error: RunnerError, *reasons: Reason) -> Iterator[None]:
    """An error raised inside for one of `reasons` gets a message and a hint about the App's set-up."""
    try:
        yield
    except RunnerError as said:
        if said.reason not in reasons:
            raise
        message = f"{error.message} ({said.message})"
        raise RunnerError(error.phase, error.reason, message, hint=error.hint) from None


def _jwt(app_id: str, private_key: str, now: float) -> str:
    import jwt

    if not re.fullmatch(r"[\w.-]+", app_id):
        message = f"the input `app-id` is not the id of a GitHub App (value: {app_id!r})"
        raise _invalid(message, "copy the App ID from the App's settings on GitHub, under General, About")
    claims = {"iat": int(now) - _CLOCKS_DIFFER, "exp": int(now) + _LIFE, "iss": app_id}
    return jwt.encode(claims, _key(private_key), algorithm="RS256")


def _key(text: str) -> "RSAPrivateKey":
    """The key; line breaks that were pasted as the two characters \\n, or as spaces, are mended."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    found = _PEM.search(text.replace("\\r", "").replace("\\n", "\n"))
    if found is None:
        whole = "empty" if not text.strip() else "not a PEM: it has no -----BEGIN and -----END line"
        raise _invalid(f"the input `app-private-key` is {whole}", _KEY_HINT)
    pem = "\n".join((found[1], *found[2].split(), found[3], ""))
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # their words may quote the key
        cause = "it has a passphrase" if isinstance(error, TypeError) else "it is cut, changed or public"
        message = f"the input `app-private-key` cannot be read as a private key: {cause}"
        raise _invalid(message, _KEY_HINT) from None
    if not isinstance(key, RSAPrivateKey):
        raise _invalid("the input `app-private-key` is not an RSA key, and GitHub's are", _KEY_HINT)
    return key


_KEY_HINT = (
    "generate a private key in the App's settings on GitHub, store the whole file as a secret "
    "(gh secret set SKILLRUNNER_APP_PRIVATE_KEY < the-file.pem), and write "
    "`app-private-key: ${{ secrets.SKILLRUNNER_APP_PRIVATE_KEY }}`"
)


def _invalid(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)


def _wrong_app(app_id: str) -> RunnerError:
    message = f"GitHub does not know the inputs `app-id` ({app_id}) and `app-private-key` as one App's"
    hint = (
        "compare `app-id` with the App's settings, and generate a new private key there; check the clock too"
    )
    return RunnerError(Phase.LOAD, Reason.FORGE_DENIED, message, hint=hint)


def _not_installed(slug: str, repository: str, page: str) -> RunnerError:
    message = f"the App {slug} is not installed on {repository}"
    hint = f"install it there, or add the repository to its installation: {page}"
    return RunnerError(Phase.LOAD, Reason.FORGE_NOT_FOUND, message, hint=hint)


def _too_little(slug: str, repository: str, permissions: Mapping[str, str]) -> RunnerError:
    wanted = ", ".join(f"{name}: {level}" for name, level in permissions.items())
    message = f"the App {slug} may not do on {repository} all that is needed: {wanted}"
    hint = "give the App these permissions in its settings, then accept them in its installation"
    return RunnerError(Phase.LOAD, Reason.FORGE_REJECTED, message, hint=hint)


def _suspended(slug: str, repository: str) -> RunnerError:
    message = f"the App {slug} gets no token for {repository}"
    hint = "its installation may be suspended: look at the installed Apps in the owner's settings"
    return RunnerError(Phase.LOAD, Reason.FORGE_DENIED, message, hint=hint)
