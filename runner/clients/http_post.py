"""Posts JSON to a URL, such as a chat room's or a pager's webhook."""

import time
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_TIMEOUT = (5, 10)  # seconds to connect, and to wait for an answer
_BUSY = (429, 500, 502, 503, 504)
_PAUSES = (0.5, 1.0)  # seconds before it is tried again


def post(url: str, data: Mapping[str, object]) -> str:
    """POST `data` as JSON; return what went wrong, or "". No message or log holds the URL: it may be secret.

    Redirects are not followed. After a connection error or a busy answer it is sent again, at most twice, so
    it may arrive twice. We retry ourselves, because urllib3 would log the URL.
    """
    for pause in _PAUSES:
        fault, again = _try(url, data)
        if not again:
            return fault
        time.sleep(pause)
    return _try(url, data)[0]


def _try(url: str, data: Mapping[str, object]) -> tuple[str, bool]:
    """(what went wrong or "", whether to try again)"""
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
    """Use no credentials of ~/.netrc."""
    return request
