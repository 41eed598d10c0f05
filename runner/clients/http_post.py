"""Posts JSON to a URL, such as a chat room's or a pager's webhook."""

import json
from collections.abc import Mapping
from typing import TypeVar

from runner.core.retrying import retry

T = TypeVar("T")

_TIMEOUT = (5, 10)  # seconds to connect, and to wait for an answer
_BUSY = (429, 500, 502, 503, 504)
_PAUSES = (0.5, 1.0)  # seconds before it is tried again


def post(url: str, data: Mapping[str, object]) -> str:
    """POST `data` as JSON; return what went wrong, or "". No message or log holds the URL: it may be secret.

    Redirects are not followed. After a connection error or a busy answer it is sent again, at most twice, so
    it may arrive twice. We retry ourselves, because urllib3 would log the URL.
    """
    return post_bytes(url, json.dumps(data).encode(), {})


def post_bytes(url: str, body: bytes, headers: Mapping[str, str]) -> str:
    """The same with a body of JSON as it is, and headers besides."""
    try:
        retry(lambda: _send(url, body, headers), _NotSentError, lambda error: error.is_temporary, _PAUSES)
    except _NotSentError as error:
        return str(error)
    return ""


class _NotSentError(Exception):
    def __init__(self, message: str, is_temporary: bool) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary


def _send(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    import requests

    with requests.Session() as session:
        session.auth = _as_it_is
        try:
            sent = {"Content-Type": "application/json", **headers}
            with session.post(
                url, data=body, headers=sent, timeout=_TIMEOUT, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            is_cut = isinstance(error, requests.ConnectionError)
            raise _NotSentError(type(error).__name__, is_cut) from error
    if not 200 <= status < 300:
        raise _NotSentError(f"it answered {status}", status in _BUSY)


def _as_it_is(request: T) -> T:
    """Use no credentials of ~/.netrc."""
    return request
