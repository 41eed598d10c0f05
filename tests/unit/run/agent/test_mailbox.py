"""The mail of an attempt: what its thread does when things go wrong around it."""

import threading
from collections.abc import Sequence

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, UserMessage
from runner.run.agent.mailbox import Mailbox


def ignored(_: Sequence[UserMessage], told: bool) -> None:
    del told


def waiting() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "mail"]


def test_an_interruption_that_comes_with_the_beginning_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that nobody tells of the end would keep the process alive."""
    start = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        start(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), Mailbox().open(list, ignored, True):
        pytest.fail("it has not begun")
    assert waiting() == []


def test_an_interruption_before_the_thread_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: threading.Thread) -> None:
        del self
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), Mailbox().open(list, ignored, True):
        pytest.fail("it has not begun")


def test_a_database_that_is_away_at_the_end_is_no_failure() -> None:
    def away() -> list[UserMessage]:
        raise RunnerError(Phase.STORE, Reason.STORE_FAILED, "away")

    mail = Mailbox()
    with mail.open(away, ignored, True):
        assert mail.take() == []
    assert waiting() == []
