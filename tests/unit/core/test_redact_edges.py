"""What is masked and shown at the edges: of a secret's length, of a chunk, of a range of characters."""

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.redact import MIN_LENGTH, Redactor, encodings, escape_invisible


def masked(secret: str, text: bytes) -> bytes:
    redactor = Redactor([secret])
    return redactor.feed(text) + redactor.end()


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("abcde", b"<abcde>", b"<abcde>"),
        ("abcdef", b"<abcdef>", b"<***>"),
        ("  abcdef\n", b"<abcdef>", b"<***>"),
        ("  abcde", b"<abcde>", b"<abcde>"),
        ("\u00e4\u00e4", "<\u00e4\u00e4>".encode(), "<\u00e4\u00e4>".encode()),
        ("\u00e4\u00e4\u00e4", "<\u00e4\u00e4\u00e4>".encode(), b"<***>"),
        ("first line\nx\nlast line", b"first line|x|last line", b"***|x|***"),
        ("first line\nlast line", b"first line\nlast line", b"***"),
    ],
)
def test_how_long_a_secret_has_to_be(secret: str, text: bytes, shown: bytes) -> None:
    assert MIN_LENGTH == 6
    assert masked(secret, text) == shown
    assert Redactor([secret]).redact(text.decode()) == shown.decode()


@pytest.mark.parametrize("length", [5, 6, 7, 8, 9])
def test_no_form_that_is_too_short_is_masked(length: int) -> None:
    """Base64 of six bytes in the middle of others leaves as few as six characters that are its own."""
    secret = "q7Zx9KdPw"[:length]
    for before in range(3):
        encoded = base64.b64encode(b"?" * before + secret.encode() + b"??")
        assert (b"***" in masked(secret, encoded)) is (length >= 6)


def test_the_forms_by_name() -> None:
    value = 'p\u00e4ss w+rd/"1">?'
    raw = value.encode()
    found = list(encodings(value))
    assert found[:7] == [
        ("plain", raw),
        ("hexadecimal", raw.hex().encode()),
        ("hexadecimal", raw.hex().upper().encode()),
        ("URL-encoded", quote(value, safe="").encode()),
        ("URL-encoded", quote_plus(value).encode()),
        ("JSON-escaped", b'p\\u00e4ss w+rd/\\"1\\">?'),
        ("JSON-escaped", 'p\u00e4ss w+rd/\\"1\\">?'.encode()),
    ]
    assert [name for name, _ in found[7:]] == ["base64"] * 6


@given(st.binary(min_size=6, max_size=30), st.binary(max_size=5), st.binary(max_size=5))
def test_the_core_of_base64_is_there_whatever_stands_around(raw: bytes, before: bytes, after: bytes) -> None:
    value = raw.decode("latin-1")
    cores = [form for name, form in encodings(value) if name == "base64"]
    data = before + value.encode() + after
    standard, core = base64.b64encode(data), cores[len(before) % 3 * 2]
    assert core in standard
    assert cores[len(before) % 3 * 2 + 1] in base64.urlsafe_b64encode(data)
    alone = len(value.encode())
    assert len(core) >= (alone * 8 - 10) // 6, "no character that is the secret's own is left out"


# --- streams ----------------------------------------------------------------------------------------


def test_only_what_may_begin_a_secret_is_held_back() -> None:
    redactor = Redactor(["abcabd1", "xyz-xyz"])
    assert redactor.feed(b"..abcab") == b".."
    assert redactor.feed(b"cab") == b"abc"
    assert redactor.feed(b"d1.") == b"***."
    assert redactor.feed(b"xyz-xy") == b""
    assert redactor.feed(b"xyz-xyz") == b"xyz-xy***"
    assert redactor.feed(b"abcabd") == b""
    assert redactor.end() == b"abcabd"
    assert redactor.end() == b""
    assert redactor.feed(b"abcabd1") == b"***"


def test_a_secret_as_long_as_the_chunk_is_masked_at_once() -> None:
    redactor = Redactor(["abcdef"])
    assert redactor.feed(b"abcdef") == b"***"
    assert redactor.feed(b"abcde") == b""
    assert redactor.feed(b"f") == b"***"
    assert redactor.end() == b""


def test_a_longer_secret_is_waited_for_only_while_it_may_come() -> None:
    redactor = Redactor(["abcdef", "abcdefgh"])
    assert redactor.feed(b"abcdef") == b""
    assert redactor.feed(b"x") == b"***x"
    assert redactor.feed(b"abcdefg") == b""
    assert redactor.end() == b"***g"


@pytest.mark.parametrize(
    ("secrets", "text", "shown"),
    [
        (["abcdef", "defghi"], b"<abcdefghi>", b"<***>"),
        (["abcdef", "defghi", "ghijkl"], b"<abcdefghijkl>", b"<***>"),
        (["abcdef", "ghijkl"], b"<abcdefghijkl>", b"<******>"),
        (["abcdefghijkl", "defghi"], b"<abcdefghijkl>", b"<***>"),
        (["aaaaaa"], b"<aaaaaaaa>", b"<***>"),
        (["aaaaaa"], b"<aaaaaaaaaaaaaa>", b"<***>"),
        (["ababab"], b"<abababab>", b"<***>"),
    ],
)
def test_secrets_that_overlap_and_those_that_only_touch(
    secrets: list[str], text: bytes, shown: bytes
) -> None:
    assert Redactor(secrets).redact(text.decode()) == shown.decode()
    for cut in range(len(text)):
        redactor = Redactor(secrets)
        parts = redactor.feed(text[:cut]) + redactor.feed(text[cut:]) + redactor.end()
        assert not any(secret.encode() in parts for secret in secrets)


def test_without_secrets_all_is_shown_at_once() -> None:
    redactor = Redactor([])
    assert redactor.feed(b"anything ***") == b"anything ***"
    assert redactor.end() == b""
    assert redactor.redact("anything") == "anything"


def test_a_text_that_is_no_unicode_is_shown_as_it_is() -> None:
    redactor = Redactor(["abcdef"])
    assert redactor.redact("\ud800 abcdef \udcff") == "\ud800 *** \udcff"
    assert redactor.redact("\ud800") == "\ud800"


# --- characters -------------------------------------------------------------------------------------

HIDDEN = [
    *(code for code in range(0x7F, 0xA0)),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x206A),
    0xFEFF,
    0xD800,
    0xDFFF,
    0xE0000,
    0xE0FFF,
    0xAD,
    0x34F,
    0x115F,
    0x180E,
    0x206F,
    0x3164,
    0xFE00,
    0xFE0E,
    0xFFA0,
]


@pytest.mark.parametrize("code", HIDDEN)
def test_each_invisible_character_is_named(code: int) -> None:
    assert escape_invisible(f"a{chr(code)}b") == f"a\\u{{{code:x}}}b"


@pytest.mark.parametrize("code", [code for code in range(0x20) if chr(code) not in "\t\n"])
def test_each_control_character_has_its_picture(code: int) -> None:
    assert escape_invisible(f"a{chr(code)}b") == f"a{chr(0x2400 + code)}b"


@pytest.mark.parametrize(
    "text",
    ["\t", "\n", " ", "~", "\u00a0", "\u061b", "\u061d", "\u200a", "\u2010", "\u2027", "\u202f", "\u205f",
     "\u2070", "\ufefe", "\ud7ff", "\ue000", "\U000dffff", "\U000e1000", "\ufe0f", "\u3163", "\u0350"],
)  # fmt: skip
def test_what_stands_beside_them_is_shown_as_it_is(text: str) -> None:
    assert escape_invisible(f"a{text}b\n") == f"a{text}b\n"


def test_a_line_end_of_windows_is_a_line_end() -> None:
    assert escape_invisible("a\r\nb\r\r\nc\r") == "a\nb\u240d\nc\u240d"
