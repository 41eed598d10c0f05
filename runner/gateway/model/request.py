"""Reads the body of a request to a model, as strictly as no provider does. Pure.

Programs read JSON in different ways: of two equal keys one takes the first and the other the last, `NaN` is a
number to some, and a body in an unexpected encoding is a fault to one and a request to another. What the
gateway counts has to be what the provider answers, so such bodies are refused, and what is sent is written
anew from what was read.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, NoReturn

from runner.core.payload import parse_json

_DIGITS = 308  # of a number: what a float can hold


@dataclass(frozen=True, slots=True)
class RequestError(Exception):
    """The gateway does not pass a request on."""

    status: int
    message: str


def check_encoding(headers: Message) -> None:
    """Raises RequestError when a body is compressed. The type that it claims to have does not matter."""
    encoding = ",".join(headers.get_all("Content-Encoding", [])).strip().lower()
    if encoding not in ("", "identity"):
        raise RequestError(415, f"the gateway reads no request with the Content-Encoding {encoding[:50]}")


def read_request(body: bytes) -> dict[str, Any]:
    """The body's JSON object. Raises RequestError when two programs might not read the same in it."""
    try:
        told = parse_json(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except ValueError as error:
        raise RequestError(400, f"the request is not JSON in UTF-8: {error}"[:200]) from None
    if not isinstance(told, dict):
        raise RequestError(400, "the request is no JSON object")
    _check_spelling(told)
    return told


def write_request(told: Mapping[str, Any]) -> bytes:
    """The body that is sent."""
    try:
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can express
        return json.dumps(told, separators=(",", ":"), allow_nan=False).encode()


def plain_name(key: str) -> str:
    """A key without case and underscores: Google also reads `generation_config`, and some take any case."""
    return key.replace("_", "").casefold()


def value_of(told: Mapping[str, Any], key: str) -> Any:
    """The value of a key in whichever way it is spelled; None: it is missing."""
    wanted = plain_name(key)
    return next((value for name, value in told.items() if plain_name(name) == wanted), None)


def _check_spelling(told: Mapping[str, Any]) -> None:
    """Top-level keys, and those of Google's configuration, choose the model and bound the answer."""
    for one in (told, value_of(told, "generationConfig")):
        if not isinstance(one, dict):
            continue
        seen: set[str] = set()
        for key in one:
            if (name := plain_name(key)) in seen:
                raise RequestError(400, f"the request has the key {key[:50]!r} in two spellings")
            seen.add(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RequestError(400, f"the request has the key {key[:50]!r} twice")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise RequestError(400, f"the request holds {name}, which is no JSON")


def _float(text: str) -> float:
    if not math.isfinite(number := float(text)) or len(text) > _DIGITS:
        raise RequestError(400, f"the request holds the number {text[:20]}, which is too large")
    return number


def _int(text: str) -> int:
    if len(text) > _DIGITS:
        raise RequestError(400, f"the request holds a number of {len(text)} digits, which is too large")
    return int(text)
