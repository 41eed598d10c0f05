"""Telling a URL something, as chat rooms and pagers take it."""

import time
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_TIMEOUT = (5, 10)  # seconds to connect, and to wait for an answer
_BUSY = (429, 500, 502, 503, 504)
_PAUSES = (0.5, 1.0)  # seconds before it is tried again


def post(url: str, data: Mapping[str, object]) -> str:
    """POST `data` as JSON; tell what went wrong, or nothing. The URL may be a secret, and is not told.

    Redirects are not followed. Where the way is cut or the server is busy it is sent again, twice at most: so
    it may come twice. We do that ourselves, because urllib3 would tell the URL in its log.
    """
    for pause in _PAUSES:
        fault, again = _try(url, data)
        if not again:
            return fault
        time.sleep(pause)
    return _try(url, data)[0]


def _try(url: str, data: Mapping[str, object]) -> tuple[str, bool]:
    """What went wrong, or nothing; and whether to try again."""
    import requests

    with requests.Session() as session:
        session.auth = _as_it_is
        try:
            with session.post(url, json=data, timeout=_TIMEOUT, allow_redirects=False, stream=True) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            return type(error).__name__, isinstance(error, requests.ConnectionError)
    return ("", False) if 200 <= status < 300 else (f"it answered {status}", status in _BUSY)


def _as_it_is(request: T) -> T:
    """What ~/.netrc says for the host is for others."""
    return request
