"""The body of an answer, however it is framed and wherever it is cut."""

import http.client
import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway.http_body import PIECE, Body, Chunks, FramingError

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def coded(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in chunks) + end


def decoded(coded: bytes, cuts: list[int]) -> tuple[bytes, bool]:
    chunks, found = Chunks(), b""
    places = [0, *sorted(cuts), len(coded)]
    for start, end in itertools.pairwise(places):
        piece = bytearray(coded[start:end])
        found += b"".join(chunks.feed(piece + b"left from before", len(piece)))
    return found, chunks.over


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=8),
    st.sampled_from([b"0\r\n\r\n", b"000;last\r\n\r\n", b"0\r\nA: b\r\nC: d\r\n\r\n", b"0 \n\n"]),
    st.data(),
)
def test_chunks_may_be_cut_anywhere(parts: list[bytes], end: bytes, data: st.DataObject) -> None:
    text = coded(*parts, end=end)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=20))
    assert decoded(text, cuts) == (b"".join(parts), True)


def test_every_single_byte_of_chunks_may_come_alone() -> None:
    text = coded(b"one", b"\r\n", b"0\r\n\r\n")
    assert decoded(text, list(range(len(text)))) == (b"one\r\n0\r\n\r\n", True)


@given(st.data())
def test_chunks_that_are_cut_off_are_not_whole(data: st.DataObject) -> None:
    text = coded(b"one", b"two")
    found, over = decoded(text[: data.draw(st.integers(0, len(text) - 1))], [])
    assert b"onetwo".startswith(found)
    assert not over


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"-1\r\n", "its size"),
        (b"+1\r\nx", "its size"),
        (b"0x1\r\nx", "its size"),
        (b"1_0\r\nx", "its size"),
        (b"\r\n", "its size"),
        (b"f" * 16 + b"\r\n", "its size"),
        (b"1\r\nxy\r\n", "longer than it says"),
        (b"1;" + b"x" * 9000 + b"\r\n", "too long"),
        (b"0\r\n" + b"A: b\r\n" * 200, "too many trailers"),
        (coded(b"x") + b"HT", "more came"),
    ],
)
def test_what_is_no_chunk_is_an_error(text: bytes, said: str) -> None:
    for cuts in ([], list(range(len(text) - 1)), [1]):
        with pytest.raises(FramingError, match=said):
            decoded(text, cuts)


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_no_bytes_break_it(pieces: list[bytes]) -> None:
    chunks = Chunks()
    with suppress(FramingError):
        for piece in pieces:
            chunks.feed(bytearray(piece), len(piece))


@contextmanager
def body(answer: bytes, method: str = "GET", over: bool = False) -> Iterator[Body]:
    """An answer on a connection that stays open, unless it is `over` then."""
    near, far = socket.socketpair()
    with near, far:

        def say() -> None:
            with suppress(OSError):  # nobody listens any more
                far.sendall(answer)
                if over:
                    far.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=say)
        thread.start()
        response = http.client.HTTPResponse(near, method=method)
        response.begin()
        yield Body(response)
        response.close()
        near.close()
        thread.join()


def read(body: Body) -> bytes:
    return b"".join(iter(body.read, b""))


LARGE = bytes(range(256)) * (4 * PIECE // 256)


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + coded(LARGE[:100], LARGE[100:]),
        HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(LARGE), LARGE),
        HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(LARGE), LARGE + b"of another"),
        HEAD + b"\r\n" + LARGE,
    ],
    ids=["chunked", "length", "more than its length", "until the end"],
)
def test_the_body_of_each_framing(answer: bytes) -> None:
    with body(answer, over=answer.startswith(HEAD + b"\r\n")) as found:
        assert read(found) == LARGE
        assert found.whole


@pytest.mark.parametrize("answer", [CHUNKED + coded(b"hi"), HEAD + b"Content-Length: 2\r\n\r\nhi"])
def test_a_small_answer_is_not_kept_waiting(answer: bytes) -> None:
    with body(answer) as found:
        assert found.read() == b"hi"
        assert found.read() == b""


@pytest.mark.parametrize("answer", [CHUNKED + b"5\r\nhal", HEAD + b"Content-Length: 5\r\n\r\nhal"])
def test_a_body_that_breaks_off(answer: bytes) -> None:
    with body(answer, over=True) as found:
        assert found.read() == b"hal"
        with pytest.raises(http.client.IncompleteRead):
            found.read()
        assert not found.whole


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", HEAD + b"Content-Length: 5\r\n\r\n"),
        ("HEAD", CHUNKED),
        ("GET", b"HTTP/1.1 204 None\r\n\r\n"),
        ("GET", HEAD + b"Content-Length: 0\r\n\r\n"),
    ],
)
def test_where_there_is_no_body_nobody_waits_for_one(method: str, answer: bytes) -> None:
    with body(answer, method) as found:
        assert found.whole
        assert found.read() == b""
