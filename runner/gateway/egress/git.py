"""The door to repositories that anybody may read: git over HTTP, and of it only what reads.

Inside TLS nobody sees who writes, so the host itself cannot be let through. Here git speaks to the gateway,
which looks at what is asked, and makes the TLS. No credential goes along, so nothing private is read either.

Source: git's documentation, "gitprotocol-http".
"""

import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from runner.config.network import Rules
from runner.gateway.egress.proxy import Attempt, Resolve, addresses_of, connect
from runner.gateway.http_body import Body
from runner.gateway.server import Request, end_to_end_headers, error_cause

PATH = "git"
"""What follows the token in the address of this door."""

_LARGEST = 16 * 1024**2  # bytes of what git says it has and wants
_IDLE = 600.0  # seconds without a byte: a forge may pack for long
_TARGET = re.compile(
    r"/git/(?P<host>[a-z0-9.-]+)"
    r"(?P<path>/[A-Za-z0-9][A-Za-z0-9-]*/(?!\.)[A-Za-z0-9._-]+/(?P<what>info/refs|git-upload-pack))"
)
_SENT = frozenset(
    {"accept", "accept-encoding", "content-encoding", "content-type", "git-protocol", "user-agent"}
)
_NOT_TOLD = frozenset({"set-cookie", "www-authenticate", "location"})
_READS = {("GET", "info/refs", "service=git-upload-pack"), ("POST", "git-upload-pack", "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitRead:
    """The door of one run. `told` hears of every request, after its end."""

    rules: Rules
    token: str = field(repr=False)
    told: Callable[[Attempt], None]
    resolve: Resolve = addresses_of
    places: Mapping[str, str] = field(default_factory=dict)  # where a host is when not at its usual place

    def serve(self, request: Request) -> None:
        if not request.holds(self.token):
            request.refuse(403, "this address belongs to another run")
            return
        found = _TARGET.fullmatch(request.target[1])
        host = found["host"] if found else ""
        attempt = Attempt(at=datetime.now(UTC), method=request.command, host=host, port=443)
        began = time.monotonic()
        try:
            if refused := self._refusal(request, found):
                status, attempt.refused = refused
                request.refuse(status, attempt.refused)
            else:
                self._relay(request, attempt, found["path"] if found else "")
        except (OSError, HTTPException) as error:
            request.asked, attempt.failed = attempt.host, error_cause(error)
            raise
        finally:
            attempt.seconds = round(time.monotonic() - began, 3)
            self.told(attempt)

    def _refusal(self, request: Request, found: re.Match[str] | None) -> tuple[int, str] | None:
        """Why a request is not let through; None when it is."""
        if found is None or found["host"] not in self.rules.repositories:
            return (
                403,
                "only repositories of the forges in `environment.network.allow` are read this way",
            )
        if (request.command, found["what"], request.target[2]) not in _READS:
            return 403, "repositories are only read: git fetch and git clone, and no push"
        return request.unreadable(_LARGEST)

    def _relay(self, request: Request, attempt: Attempt, path: str) -> None:
        sent = request.content()
        place = urlsplit(self.places.get(attempt.host, f"https://{attempt.host}"))
        attempt.port, attempt.sent = place.port or 443, len(sent)
        if why := self.rules.address_refusal(attempt.host, addresses := self.resolve(place.hostname or "")):
            attempt.refused = why
            request.refuse(403, f"{attempt.host}: {why}")
            return
        connection = _connection(place, addresses)
        try:
            headers = {name: text for name, text in request.headers.items() if name.lower() in _SENT}
            query = f"?{request.target[2]}" if request.target[2] else ""
            connection.request(request.command, f"{path}{query}", body=sent or None, headers=headers)
            self._pass_on(request, attempt, connection.getresponse())
        finally:
            connection.close()

    def _pass_on(self, request: Request, attempt: Attempt, answer: HTTPResponse) -> None:
        """What is private is not there: git would ask for a password that nobody has."""
        if answer.status in (401, 403):
            request.answer(404, "there is no such repository that anybody may read")
            return
        headers = end_to_end_headers(dict(answer.headers.items()), _NOT_TOLD)
        moved = urlsplit(answer.headers["Location"] or "")
        if moved.hostname == attempt.host:  # it was renamed: git asks here again, and is looked at anew
            query = f"?{moved.query}" if moved.query else ""
            headers["Location"] = f"/{self.token}/{PATH}/{attempt.host}{moved.path}{query}"
        request.relay(Body(answer), headers, attempt)


def _connection(place: SplitResult, addresses: list[str]) -> HTTPConnection:
    """To an address that was looked at."""
    host, secure = place.hostname or "", place.scheme == "https"
    line = connect(addresses, place.port or (443 if secure else 80))
    line.settimeout(_IDLE)
    connection = (HTTPSConnection if secure else HTTPConnection)(host, place.port)
    try:
        context = ssl.create_default_context() if secure else None
        connection.sock = context.wrap_socket(line, server_hostname=host) if context else line
    except BaseException:
        line.close()
        raise
    return connection


def variables(url: str, rules: Rules, given: Mapping[str, str]) -> dict[str, str]:
    """What has git come here for the forges that may be read, beside what `given` tells git already.

    Source: git's documentation, "git-config", GIT_CONFIG_COUNT.
    """
    before = given.get("GIT_CONFIG_COUNT", "")
    first = int(before) if before.isascii() and before.isdecimal() else 0
    settings = [
        (f"url.{url}/{PATH}/{host}/.insteadOf", usual)
        for host in sorted(rules.repositories)
        for usual in (f"https://{host}/", f"git@{host}:", f"ssh://git@{host}/")
    ]
    if not settings:
        return {}
    settings.append(("http.postBuffer", str(_LARGEST)))  # what is longer comes without its length
    named = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings, first):
        named |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return named
