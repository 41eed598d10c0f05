"""What a delivery is taken for, and what is refused."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from gidgethub import ValidationFailure
from gidgethub.sansio import validate_event
from hypothesis import given
from hypothesis import strategies as st

from runner.triggers.sources import (
    MAX_BODY,
    Delivery,
    IgnoredDelivery,
    Ping,
    ReceivedBody,
    RefusedDelivery,
)
from runner.triggers.sources.github.webhook import is_signed, receive

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = "It's a Secret to Everybody"
PAYLOAD = {
    "action": "published",
    "release": {"id": 7, "tag_name": "v1"},
    "repository": {"full_name": "Acme/lib"},
    "sender": {"login": "ann"},
}


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def take(
    body: bytes, kind: str = "release", secrets: tuple[str, ...] = (SECRET,), **headers: str
) -> ReceivedBody:
    given = {"x-github-event": kind, "x-github-delivery": "guid", "x-hub-signature-256": sign(body)}
    given |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return receive(given, body, secrets, lambda name: name.lower() == "acme/lib", NOW)


def body(payload: Any = PAYLOAD) -> bytes:
    return json.dumps(payload).encode()


def test_githubs_published_vector() -> None:
    right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert is_signed(right, b"Hello, World!", [SECRET])
    assert not is_signed(right, b"Hello, World?", [SECRET])


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40, alphabet=st.characters(codec="utf-8")))
def test_an_independent_implementation_agrees(content: bytes, secret: str) -> None:
    signature = sign(content, secret)
    validate_event(content, signature=signature, secret=secret)
    assert is_signed(signature, content, [secret])
    wrong = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    with pytest.raises(ValidationFailure):
        validate_event(content, signature=wrong, secret=secret)
    assert not is_signed(wrong, content, [secret])


def test_a_delivery_is_an_event_with_the_key_of_its_happening() -> None:
    found = take(body())
    assert isinstance(found, Delivery)
    assert found.repository == "Acme/lib"
    assert (found.event.kind, found.event.key) == ("release", "release:7:published")
    assert (found.event.subject, found.event.delivery, found.event.at) == ("v1", "guid", NOW)
    assert found.event.payload == PAYLOAD


def test_while_a_secret_is_replaced_both_are_right() -> None:
    assert isinstance(take(body(), secrets=("new", SECRET)), Delivery)
    assert isinstance(take(body(), secrets=(SECRET, "new")), Delivery)
    assert isinstance(take(body(), secrets=("new",)), RefusedDelivery)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        sign(body())[:-1],
        sign(body()) + "0",
        sign(body()).upper(),
        sign(body()).removeprefix("sha256="),
        "sha1=" + hmac.new(SECRET.encode(), body(), hashlib.sha1).hexdigest(),
        sign(body(), "another repository's secret"),
        sign(json.dumps(PAYLOAD, separators=(",", ":")).encode()),
        "sha256=é",
    ],
)
def test_a_wrong_signature_is_refused(signature: str) -> None:
    found = take(body(), X_Hub_Signature_256=signature)
    assert isinstance(found, RefusedDelivery)
    assert found.status == 401


def test_the_old_signature_alone_is_refused() -> None:
    old = "sha1=" + hmac.new(SECRET.encode(), body(), hashlib.sha1).hexdigest()
    found = receive({"x-hub-signature": old, "x-github-event": "release"}, body(), [SECRET], bool, NOW)
    assert isinstance(found, RefusedDelivery)
    assert found.status == 401


def test_no_secret_and_an_empty_one_let_nobody_in() -> None:
    for secrets in ((), ("",)):
        found = take(body(), secrets=secrets, X_Hub_Signature_256=sign(body(), ""))
        assert isinstance(found, RefusedDelivery)
        assert found.status == 401


def test_a_body_that_is_too_large_is_refused_before_it_is_looked_at() -> None:
    large = b" " * (MAX_BODY + 1)
    found = receive({}, large, [SECRET], bool, NOW)
    assert isinstance(found, RefusedDelivery)
    assert found.status == 413


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"{", b"payload=%7B%7D", b"\xff", b"[" * 200_000, b'{"a": ' + b"1" * 5000 + b"}"],
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    found = take(content)
    assert isinstance(found, RefusedDelivery)
    assert found.status == 400
    assert "application/json" in found.why


def test_pings_and_what_no_skill_asks_for_are_taken() -> None:
    assert isinstance(take(b"{}", "ping"), Ping)
    assert take(body(), "star") == IgnoredDelivery("star")
    assert isinstance(take(body(), ""), IgnoredDelivery)


@pytest.mark.parametrize(
    "repository", [None, {}, {"full_name": "acme/other"}, {"full_name": 5}, "acme/lib", {"full_name": ""}]
)
def test_a_repository_that_is_not_ours_is_not_found(repository: Any) -> None:
    found = take(body({**PAYLOAD, "repository": repository}))
    assert found == RefusedDelivery(404, "not found")


@given(st.binary(max_size=100), st.text(max_size=80), st.text(max_size=10))
def test_nothing_that_comes_breaks_it(content: bytes, signature: str, kind: str) -> None:
    headers = {"x-hub-signature-256": signature, "x-github-event": kind}
    assert isinstance(receive(headers, content, [SECRET], bool, NOW), RefusedDelivery)
    headers["x-hub-signature-256"] = sign(content)
    assert isinstance(
        receive(headers, content, [SECRET], bool, NOW), RefusedDelivery | IgnoredDelivery | Ping
    )
