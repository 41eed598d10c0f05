"""Lets a sandbox read public repositories: the part of git over HTTP that only reads.

Inside TLS the gateway could not tell reads from writes, so the sandbox may not reach the forge's host itself.
Here git speaks HTTP to the gateway, which checks each request and makes the TLS connection. It sends no
credential, so nothing private can be read.

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

from runner.config.network import NetworkRules
from runner.gateway.egress.proxy import Attempt, Resolve, addresses_of, connect
from runner.gateway.http_body import Body
from runner.gateway.server import GatewayRequest, end_to_end_headers, error_cause

PATH = "git"
"""The part of the path that follows the token and selects this handler."""

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
class GitReadHandler:
    """Answers git's requests of one run. `on_attempt` gets every request after its end."""

    rules: NetworkRules
    token: str = field(repr=False)
    on_attempt: Callable[[Attempt], None]
    resolve: Resolve = addresses_of
    addresses: Mapping[str, str] = field(default_factory=dict)  # by host: its URL when it is not https://host

    def serve(self, request: GatewayRequest) -> None:
        if not request.has_token(self.token):
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
            request.upstream, attempt.failed = attempt.host, error_cause(error)
            raise
        finally:
            attempt.seconds = round(time.monotonic() - began, 3)
            self.on_attempt(attempt)

    def _refusal(self, request: GatewayRequest, found: re.Match[str] | None) -> tuple[int, str] | None:
        """The status and message that refuse a request; None: it is allowed."""
        if found is None or found["host"] not in self.rules.repositories:
            return (
                403,
                "only repositories of the forges in `environment.network.allow` are read this way",
            )
        if (request.command, found["what"], request.target[2]) not in _READS:
            return 403, "repositories are only read: git fetch and git clone, and no push"
        return request.body_refusal(_LARGEST)

    def _relay(self, request: GatewayRequest, attempt: Attempt, path: str) -> None:
        sent = request.read_body()
        place = urlsplit(self.addresses.get(attempt.host, f"https://{attempt.host}"))
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

    def _pass_on(self, request: GatewayRequest, attempt: Attempt, answer: HTTPResponse) -> None:
        """Relay the answer. A private repository becomes 404: git would ask for a password otherwise."""
        if answer.status in (401, 403):
            request.send_error_answer(404, "there is no such repository that anybody may read")
            return
        headers = end_to_end_headers(dict(answer.headers.items()), _NOT_TOLD)
        moved = urlsplit(answer.headers["Location"] or "")
        if moved.hostname == attempt.host:  # renamed: git asks the gateway again, which checks the new path
            query = f"?{moved.query}" if moved.query else ""
            headers["Location"] = f"/{self.token}/{PATH}/{attempt.host}{moved.path}{query}"
        request.relay(Body(answer), headers, attempt)


def _connection(place: SplitResult, addresses: list[str]) -> HTTPConnection:
    """A connection to one of the checked addresses."""
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


def git_variables(url: str, rules: NetworkRules, given: Mapping[str, str]) -> dict[str, str]:
    """Variables that make git send requests for readable forges to the gateway, added to those in `given`.

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
