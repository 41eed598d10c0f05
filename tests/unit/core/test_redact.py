"""Secrets never get through, however a stream is cut; the text around them does, and at once."""

import base64
import itertools
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.redact import Redactor, encodings, escape_invisible, readable

SECRET = 's3cr3t/välue+"1234567890'
FORMS = sorted({form for _, form in encodings(SECRET)})


def through(redactor: Redactor, *chunks: bytes) -> bytes:
    return b"".join([*(redactor.feed(chunk) for chunk in chunks), redactor.end()])


def one_byte_each(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_masked_byte_by_byte(form: bytes) -> None:
    assert through(Redactor([SECRET]), *one_byte_each(b"<" + form + b">")) == b"<***>"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "z", "zz"])
def test_base64_of_a_text_around_the_secret(before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}{SECRET}{after}".encode())
    shown = through(Redactor([SECRET]), encoded)
    assert b"***" in shown
    assert len(shown) <= 3 + 4 + 4


def test_forms_as_programs_write_them() -> None:
    text = f"{json.dumps(SECRET)} {quote(SECRET, safe='')} {SECRET.encode().hex()}".encode()
    assert through(Redactor([SECRET]), text) == b'"***" *** ***'


def _overlaps(one: str, other: str) -> bool:
    """Whether `other` can begin inside `one`: of such a pair a cut may leave a rest that is no secret."""
    return any(other.startswith(one[at:]) or one[at:].startswith(other) for at in range(1, len(one)))


@given(
    st.lists(st.text("ab", min_size=6, max_size=9), min_size=1, max_size=3),
    st.text("ab", max_size=60),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_no_cut_lets_a_secret_through(secrets: list[str], text: str, cuts: list[int]) -> None:
    data = text.encode()
    edges = [0, *sorted(cuts), len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(edges)]
    shown = through(Redactor(secrets), *chunks)
    assert not any(secret.encode() in shown for secret in secrets)
    if not any(_overlaps(one, other) for one in secrets for other in secrets):
        assert shown == Redactor(secrets).redact(text).encode()
    if not any(secret in text for secret in secrets):
        assert shown == data


def test_secrets_that_overlap_are_masked_as_one() -> None:
    assert through(Redactor(["abcdefgh", "efghijkl"]), b"<abcdefghijkl>") == b"<***>"


def test_the_longer_of_two_secrets_wins() -> None:
    assert through(Redactor(["password", "password-and-more"]), b"password-", b"and-more.") == b"***."


def test_text_is_not_held_back_without_cause() -> None:
    redactor = Redactor(["s3cr3t-value"])
    assert redactor.feed(b"working on it") == b"working on it"
    assert redactor.feed(b" now s3cr") == b" now "
    assert redactor.feed(b"umb") == b"s3crumb"


def test_every_line_of_a_key_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    shown = through(Redactor([key]), b"  MIIEvQIBADANBgkq\n  hkiG9w0BAQEFAASC\n")
    assert shown == b"  ***\n  ***\n"


def test_short_values_would_shred_the_text() -> None:
    assert through(Redactor(["true", ""]), b"it is true") == b"it is true"


def test_a_redactor_does_not_show_what_it_masks() -> None:
    assert SECRET not in repr(Redactor([SECRET]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\r\nd", "a\tb\nc\nd"),
        ("\x1b[2J\x1b]8;;http://evil\x07link", "␛[2J␛]8;;http://evil␇link"),
        ("gone\rshown", "gone␍shown"),
        ("\u202eevil\u2069\u200b\ufeff\U000e0041", r"\u{202e}evil\u{2069}\u{200b}\u{feff}\u{e0041}"),
        ("\x7f\x9b31m\ud800", r"\u{7f}\u{9b}31m\u{d800}"),
        ("Grüße, 世界 👍", "Grüße, 世界 👍"),
    ],
)
def test_tricks_are_made_visible(text: str, shown: str) -> None:
    assert escape_invisible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain \u00e5", "plain \u00e5"), ("caf\udce9.md", "caf\\xe9.md"), ("\ud800x", "\\xed\\xa0\\x80x")],
)
def test_every_text_can_be_stored(text: str, shown: str) -> None:
    assert readable(text) == shown
