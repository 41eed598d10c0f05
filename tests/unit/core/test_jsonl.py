"""Lines out of chunks, whatever the chunks; memory stays bounded."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.jsonl import LineSplitter, json_object


def all_lines(lines: LineSplitter, *chunks: bytes) -> list[bytes]:
    return [*(line for chunk in chunks for line in lines.feed(chunk)), *lines.end()]


@given(st.lists(st.binary(max_size=6).map(lambda data: data.replace(b"\r", b"\n")), max_size=12))
def test_chunks_do_not_matter(chunks: list[bytes]) -> None:
    whole = b"".join(chunks).split(b"\n")
    expected = whole if whole[-1] else whole[:-1]
    assert all_lines(LineSplitter(), *chunks) == expected


def test_ends_of_lines() -> None:
    assert all_lines(LineSplitter(), b"a\r\nb\n\nlast") == [b"a", b"b", b"", b"last"]
    assert all_lines(LineSplitter()) == []


def test_a_line_of_many_kilobytes_is_whole() -> None:
    line = b"x" * 600_000
    assert all_lines(LineSplitter(), line[:100_000], line[100_000:], b"\nnext\n") == [line, b"next"]


def test_the_beginning_and_the_end_of_a_long_line_are_kept() -> None:
    lines = LineSplitter(max_bytes=4)
    assert all_lines(lines, b"abc", b"defg", b"hij\nkl\n", b"12345\n1234\n") == [
        b"abcd ... (5 bytes are left out) ... j",
        b"kl",
        b"12345",
        b"1234",
    ]
    assert lines.truncated_lines == 1


@pytest.mark.parametrize("fill", [b"x", b"\\\\", b'\\"', b"\\u00e9", "é".encode()])
def test_a_long_line_stays_an_object_where_its_middle_is_one_text(fill: bytes) -> None:
    for extra in range(12):
        line = b'{"a": "' + b"y" * extra + fill * 5_000 + b'", "b": 1}'
        (cut,) = all_lines(LineSplitter(max_bytes=1_000), line)
        assert len(cut) < 1_300
        data = json_object(cut.decode(errors="replace").encode())
        assert data is not None
        assert data["b"] == 1
        assert "bytes are left out" in data["a"]


def test_memory_is_bounded_without_a_line_feed() -> None:
    lines = LineSplitter(max_bytes=1024**2)
    chunk = b"x" * 65_536
    tracemalloc.start()
    for _ in range(1_000):
        assert list(lines.feed(chunk)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024**2


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"text",
        b"[1]",
        b"null",
        b'{"a": NaN}',
        b'{"a":',
        b'{"a": ' + b"[" * 100_000,
        b"\xff{}",
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_no_object_is_none(line: bytes) -> None:
    assert json_object(line) is None


def test_an_object_is_an_object() -> None:
    assert json_object(b' {"a": [1]} ') == {"a": [1]}
