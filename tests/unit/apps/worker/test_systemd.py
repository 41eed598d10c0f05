"""What a supervisor hears, through a real socket of the kind that systemd listens on."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.apps.worker.systemd import SystemdNotifier, supervisor

Listener = socket.socket


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        yield made


def heard(listener: Listener) -> list[str]:
    said = []
    while True:
        try:
            said.append(listener.recv(4096).decode())
        except BlockingIOError:
            return said


def test_each_word_of_the_protocol_arrives(listener: Listener) -> None:
    notify = supervisor({"NOTIFY_SOCKET": listener.getsockname()})
    notify.ready()
    notify.status("working; runs: 1")
    notify.stopping()
    assert heard(listener) == ["READY=1", "STATUS=working; runs: 1", "STOPPING=1"]


def test_what_has_not_changed_is_not_said_again(listener: Listener) -> None:
    notify = supervisor({"NOTIFY_SOCKET": listener.getsockname()})
    for text in ("one", "one", "two\nlines"):
        notify.ready()
        notify.status(text)
    assert heard(listener) == ["READY=1", "STATUS=one", "STATUS=two lines"]


def test_an_abstract_socket_is_reached() -> None:
    name = f"skillrunner-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.setblocking(False)
        supervisor({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert heard(listener) == ["READY=1"]


def test_the_watchdog_hears_twice_in_its_time(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("runner.apps.worker.systemd.time.monotonic", lambda: clock[0])
    notify = supervisor({"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "20000000"})
    for _ in range(61):  # a minute of a loop that goes round each second
        notify.alive()
        clock[0] += 1
    assert heard(listener) == ["WATCHDOG=1"] * 7


@pytest.mark.parametrize(
    "variables",
    [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}],
    ids=["none", "no number", "of another process"],
)
def test_a_watchdog_that_does_not_wait_for_us_hears_nothing(
    listener: Listener, variables: dict[str, str]
) -> None:
    notify = supervisor({"NOTIFY_SOCKET": listener.getsockname(), **variables}, pid=4711)
    notify.alive()
    assert heard(listener) == []


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_without_a_supervisor_nothing_is_said(address: str) -> None:
    assert supervisor({"NOTIFY_SOCKET": address}) == SystemdNotifier()
    supervisor({"NOTIFY_SOCKET": address}).ready()


def test_a_supervisor_that_is_gone_holds_nobody_up(listener: Listener, tmp_path: Path) -> None:
    supervisor({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()
    notify = supervisor({"NOTIFY_SOCKET": listener.getsockname()})
    listener.close()
    notify.stopping()
