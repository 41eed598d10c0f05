"""The client of GitHub's REST API: it authenticates, waits for rate limits, and retries what is safe.

Waiting follows GitHub's "Rate limits for the REST API" and "Best practices for using the REST API":
Retry-After first, then the reset time, else at least a minute and twice as long each time.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.clients.github.rate_limit import RateLimiter, RequestKind
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import scalar_at
from runner.core.retrying import chance, delay

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

_TIMEOUT = (10, 60)  # seconds: to connect, between bytes
_TRIES = 4
_SECONDARY = 60.0
INSIDERS = ("OWNER", "MEMBER", "COLLABORATOR")
"""What GitHub says of who wrote something, `author_association`, where they belong to the repository."""

_SAFE = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})  # methods that are safe to repeat


@dataclass
class GitHubApi:
    """One repository's API. `token` is called for each request: an App's token lives for an hour only.

    The token is in no message and no representation.
    """

    api_url: str
    repository: str
    token: Callable[[], str] = field(repr=False)
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    pacer: RateLimiter = field(
        default_factory=RateLimiter, repr=False
    )  # of the token, shared by all who use it
    max_wait: float = 15 * 60.0  # seconds that one call may wait for rate limits

    @cached_property
    def session(self) -> "Session":
        from requests import Session

        session = Session()
        session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": f"skillrunner/{__version__}",
            }
        )
        session.auth = self._sign
        return session

    def _sign(self, request: "PreparedRequest") -> "PreparedRequest":
        if token := self.token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def without_waiting(self) -> "GitHubApi":
        """The same API for callers that poll: it raises FORGE_RATE_LIMITED instead of waiting."""
        return self._like(replace(self, max_wait=0.0))

    def _like(self, other: "GitHubApi") -> "GitHubApi":
        vars(other)["session"] = self.session
        return other

    def get(self, path: str, **parameters: str | int) -> Any:
        return self.call("GET", path, parameters=parameters).json()

    def pages(self, path: str, **parameters: str | int) -> Iterator[Any]:
        """Every item of a list, page by page."""
        response = self.call("GET", path, parameters={**parameters, "per_page": 100})
        while True:
            yield from response.json()
            if "next" not in response.links:
                return
            response = self.call("GET", response.links["next"]["url"])

    def call(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = False,
    ) -> "Response":
        """Send one request, and retry it if that is safe. `path` is below the repository or has a host.

        `repeatable` says that a POST does nothing more when it is sent twice, such as one that adds a label.

        With an `If-None-Match` among `headers`, the answer may be 304: nothing has changed.

        Raises RunnerError: FORGE_DENIED, FORGE_NOT_FOUND, FORGE_REJECTED (422), FORGE_RATE_LIMITED,
        FORGE_UNAVAILABLE. After the last of these a POST may have succeeded all the same: look it up. What
        asking for the token raises comes out as well.
        """
        url = path if path.startswith("http") else self._url(path)
        waited = 0.0
        for attempt in itertools.count(1):
            if waited + (pause := self.pacer.seconds_blocked()) > self.max_wait:
                raise _limited(method, url, pause)
            again = (method in _SAFE or repeatable) and attempt < _TRIES
            response = self._send(method, url, data, parameters, headers, again)
            if response is None or (response.status_code >= 500 and again):
                self.sleep(delay(attempt, 2, 60, chance(0.5)))
                continue
            asked = _pause(response, self.now(), attempt)
            if asked is None and response.ok:
                return response
            if asked is None:
                raise failure(method, url, response)
            self.pacer.block(asked)
            waited += asked
            if waited <= self.max_wait:
                self.sleep(asked)
        raise AssertionError("counting never ends")

    def graphql(self, query: str, **variables: str | int) -> Any:
        """The data of a query that says the same when it comes twice. Raises RunnerError as `call` does."""
        base = self.api_url.rstrip("/").removesuffix("/v3")
        answer = self.call(
            "POST", f"{base}/graphql", {"query": query, "variables": variables}, repeatable=True
        )
        found = answer.json()
        if errors := found.get("errors"):
            said = "; ".join(str(one.get("message")) for one in errors)[:500]
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, f"GitHub said: {said}")
        return found["data"]

    def _url(self, path: str) -> str:
        below = f"/repos/{self.repository}" if path.startswith("/") or not path else "/"
        return f"{self.api_url.rstrip('/')}{below}{path}"

    def _send(
        self,
        method: str,
        url: str,
        data: Mapping[str, Any] | None,
        parameters: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None,
        again: bool,
    ) -> "Response | None":
        """The answer; None when the connection broke and the request may be sent `again`."""
        from requests import exceptions

        try:
            with self.pacer.slot(_kind(method, url)):
                return self.session.request(
                    method,
                    url,
                    json=data,
                    params=parameters,
                    headers=headers,
                    timeout=_TIMEOUT,
                    allow_redirects=method == "GET",
                )
        except (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError) as error:
            if again:
                return None
            raise RunnerError(
                Phase.PUBLISH,
                Reason.FORGE_UNAVAILABLE,
                f"{method} {url} got no answer: {type(error).__name__}",
                hint="check the network and the forge's status, then run it again",
                retryable=True,
            ) from error


def _kind(method: str, url: str) -> RequestKind:
    if method in ("GET", "HEAD"):
        return "read"
    if method == "POST":
        return "grant" if url.endswith("/access_tokens") else "create"
    return "write"


def _pause(response: "Response", now: float, attempt: int) -> float | None:
    """Seconds to wait before a retry; None: the answer is about no rate limit."""
    if response.status_code not in (403, 429):
        return None
    headers = response.headers
    if headers.get("Retry-After", "").isdigit():
        return max(1.0, float(headers["Retry-After"]))
    if headers.get("X-RateLimit-Remaining") == "0":
        return max(1.0, float(headers.get("X-RateLimit-Reset", now + _SECONDARY)) - now + 1)
    if response.status_code == 429 or "secondary rate limit" in response.text.lower():
        return delay(attempt, _SECONDARY, 3600)
    return None


def _limited(method: str, url: str, pause: float) -> RunnerError:
    return RunnerError(
        Phase.PUBLISH,
        Reason.FORGE_RATE_LIMITED,
        f"{method} {url}: GitHub asks to wait {pause:.0f} s more, which is too long",
        hint="run it again later: nothing is published twice",
        retryable=True,
    )


def failure(method: str, url: str, response: "Response") -> RunnerError:
    """The error for an answer that is no success."""
    status, said = response.status_code, _error_details(response)
    message = f"{method} {url} was answered {status}: {said}"
    if status == 401:
        hint = "the token is wrong or has expired: set GITHUB_TOKEN to a new one"
        return RunnerError(Phase.PUBLISH, Reason.FORGE_DENIED, message, hint=hint)
    if status == 403 and "not permitted to create or approve pull requests" in said:
        hint = (
            "allow it in Settings, Actions, General, Workflow permissions: Allow GitHub Actions to create and"
            " approve pull requests; or give the Action an App's token, which starts CI as well"
        )
        return RunnerError(Phase.PUBLISH, Reason.FORGE_DENIED, message, hint=hint)
    if status == 403:
        needed = response.headers.get("X-Accepted-GitHub-Permissions", "contents=write, pull_requests=write")
        hint = f"the token needs one of these permissions: {needed}"
        return RunnerError(Phase.PUBLISH, Reason.FORGE_DENIED, message, hint=hint)
    if status in (301, 302, 307, 308, 404, 410):
        hint = "check the repository's name, and that the token may see it: skillrunner doctor"
        return RunnerError(Phase.PUBLISH, Reason.FORGE_NOT_FOUND, message, hint=hint)
    if status >= 500:
        hint = "GitHub has trouble: run it again later, nothing is published twice"
        return RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, message, hint=hint, retryable=True)
    return RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, message, hint="skillrunner doctor")


def is_own_branch(pull: Mapping[str, Any]) -> bool:
    """Whether the head of a pull request is a branch of the repository itself, and of no fork."""
    head, base = (scalar_at(pull, side, "repo", "id") for side in ("head", "base"))
    return head is not None and head == base


def _error_details(response: "Response") -> str:
    """GitHub's message, with the details of a 422 answer."""
    try:
        answer = response.json()
        details = [
            str(item.get("message") or f"{item.get('field')} {item.get('code')}")
            if isinstance(item, dict)
            else str(item)
            for item in answer.get("errors", ())
        ]
        return "; ".join([str(answer.get("message", "no message")), *details])[:1000]
    except (ValueError, AttributeError):
        return response.text[:200]
