"""Two sockets, and what goes through between them."""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from runner.gateway.egress import tunnel as module
from runner.gateway.egress.tunnel import tunnel


class Ends:
    """Both far ends of a tunnel that runs in a thread."""

    def __init__(self, stack: ExitStack, idle: float = 60.0) -> None:
        self.client, near = socket.socketpair()
        self.server, far = socket.socketpair()
        for one in (self.client, near, self.server, far):
            stack.enter_context(one)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        self.moved: Future[tuple[int, int]] = pool.submit(tunnel, near, far, idle)
        stack.callback(self.client.close)
        stack.callback(self.server.close)


@pytest.fixture(params=["_Pipe", "_Buffer"], autouse=True)
def between(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kernel's help and without it."""
    monkeypatch.setattr(module, "_BETWEEN", getattr(module, request.param))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def everything(source: socket.socket) -> bytes:
    parts = []
    while part := source.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_both_ways_at_once_and_each_ends_by_itself(stack: ExitStack) -> None:
    ends, up, down = Ends(stack), os.urandom(3_000_000), os.urandom(5_000_000)

    def send(target: socket.socket, data: bytes) -> None:
        target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    senders = [threading.Thread(target=send, args=one) for one in ((ends.client, up), (ends.server, down))]
    pool = stack.enter_context(ThreadPoolExecutor(2))
    for sender in senders:
        sender.start()
    got = [pool.submit(everything, one) for one in (ends.server, ends.client)]
    assert [one.result(60) for one in got] == [up, down]
    assert ends.moved.result(60) == (len(up), len(down))
    for sender in senders:
        sender.join()


def test_one_side_ends_and_the_other_goes_on(stack: ExitStack) -> None:
    ends = Ends(stack)
    ends.client.shutdown(socket.SHUT_WR)
    assert ends.server.recv(1) == b""
    ends.server.sendall(b"an answer")
    assert ends.client.recv(100) == b"an answer"
    ends.server.close()
    assert ends.client.recv(1) == b""
    assert ends.moved.result(60) == (0, 9)


def test_silence_ends_it(stack: ExitStack) -> None:
    ends = Ends(stack, idle=0.2)
    ends.client.sendall(b"x")
    assert ends.server.recv(1) == b"x"
    assert ends.moved.result(60) == (1, 0)


def test_whoever_does_not_read_holds_up_the_other(stack: ExitStack) -> None:
    """So that what comes fast and is read slowly is not kept in memory."""
    ends = Ends(stack, idle=0.5)
    ends.server.setblocking(False)
    sent = 0
    try:
        while sent < 200_000_000:
            sent += ends.server.send(b"x" * 65536)
    except BlockingIOError:
        pass
    assert sent < 10_000_000


def test_a_side_that_breaks_off(stack: ExitStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = stack.enter_context(socket.create_connection(listener.getsockname()))
        theirs = stack.enter_context(listener.accept()[0])
    other, far = socket.socketpair()
    stack.enter_context(far)
    pool = stack.enter_context(ThreadPoolExecutor(1))
    moved = pool.submit(tunnel, theirs, far, 60.0)
    stack.callback(other.close)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    ours.close()
    assert moved.result(60) == (0, 0)
