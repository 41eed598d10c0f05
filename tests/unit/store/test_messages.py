"""What people say to an agent while it works: kept, told once, and never to a run that has ended."""

import queue
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.model import End, Phase, Reason, Run, RunState, Usage, UserMessage
from runner.run.agent.mailbox import FinishedError, Mailbox, StoppedError
from runner.store import Store, messages

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
RUN = Run(
    id="r1",
    repository="acme/docs",
    skill="page",
    trigger="manual",
    trigger_key="k",
    base_sha="0" * 40,
    state=RunState.QUEUED,
    created_at=NOW,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.create_run(RUN)
    return made


def test_messages_wait_in_their_order_until_they_are_told(store: Store) -> None:
    messages.send(store, "r1", "one", NOW)
    messages.send(store, "r1", "two", NOW, "stop")
    first, second = messages.undelivered(store, "r1")
    assert (first.text, first.act, second.text, second.act) == ("one", "say", "two", "stop")
    messages.mark_delivered(store, [first], NOW)
    assert messages.undelivered(store, "r1") == [second]
    assert messages.undelivered(store, "r2") == []


def test_a_run_that_has_ended_or_is_not_there_hears_nothing(store: Store) -> None:
    end = End(state=RunState.FAILED, phase=Phase.HARNESS, reason=Reason.HARNESS_FAILED, message="no")
    store.finish("r1", end, NOW, Usage())
    for run_id in ("r1", "r2"):
        with pytest.raises(RunnerError, match="has ended"):
            messages.send(store, run_id, "one", NOW)


class Post:
    """Where the mail of a test comes from, and what it says of it."""

    def __init__(self, *letters: UserMessage) -> None:
        self.letters = letters
        self.noted: queue.SimpleQueue[tuple[list[UserMessage], bool]] = queue.SimpleQueue()

    def fetch(self) -> Sequence[UserMessage]:
        return self.letters

    def note(self, letters: Sequence[UserMessage], told: bool) -> None:
        self.noted.put((list(letters), told))


def taken(mail: Mailbox) -> list[UserMessage]:
    until = time.monotonic() + 60
    while not (letters := mail.take()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return letters


def test_a_letter_comes_once_and_is_noted_when_it_was_told() -> None:
    mail, post = Mailbox(), Post(UserMessage(id=1, text="a"), UserMessage(id=2, text="b"))
    with mail.open(post.fetch, post.note, speaks=True):
        first, second = taken(mail)
        mail.note_delivered(first)
        assert post.noted.get(timeout=60) == ([first], True)
        mail.note_late(second)
    assert post.noted.get(timeout=60) == ([second], False)
    assert mail.take() == []


def test_one_that_cannot_stop_by_itself_is_ended_at_once() -> None:
    mail, post = Mailbox(), Post(UserMessage(id=1, text="why", act="stop"))
    with mail.open(post.fetch, post.note, speaks=False):
        assert post.noted.get(timeout=60) == ([UserMessage(id=1, text="why", act="stop")], True)
        with pytest.raises(StoppedError):
            mail.check()
    assert mail.stop_reason == "why"


def test_one_that_can_stop_by_itself_is_given_time() -> None:
    mail, post = Mailbox(), Post(UserMessage(id=1, text="why", act="stop"))
    with mail.open(post.fetch, post.note, speaks=True):
        (letter,) = taken(mail)
        assert letter.act == "stop"
        mail.check()


def test_a_database_that_is_away_for_a_moment_does_no_harm() -> None:
    mail, post, calls = Mailbox(), Post(UserMessage(id=1, text="a")), iter([True])

    def fetch() -> Sequence[UserMessage]:
        if next(calls, False):
            raise RunnerError(Phase.STORE, Reason.STORE_FAILED, "away", retryable=True)
        return post.fetch()

    with mail.open(fetch, post.note, speaks=True):
        assert [letter.text for letter in taken(mail)] == ["a"]


def test_an_agent_that_asks_is_told_before_anybody_else() -> None:
    mail, post = Mailbox(), Post()
    found: list[UserMessage] = []
    with mail.open(lambda: post.letters, post.note, speaks=True):
        asking = threading.Thread(target=lambda: found.extend(mail.read(60)))
        asking.start()
        until = time.monotonic() + 60
        while not mail._asking:
            assert time.monotonic() < until
            time.sleep(0.01)
        post.letters = (UserMessage(id=1, text="why", act="stop"), UserMessage(id=2, text="green"))
        asking.join(60)
        assert [letter.text for letter in found] == ["green"]
        assert post.noted.get(timeout=60) == ([UserMessage(id=2, text="green")], True)
        assert [letter.text for letter in taken(mail)] == ["why"]


def test_nobody_waits_for_an_answer_when_all_is_over() -> None:
    mail, post = Mailbox(), Post()
    found: list[list[UserMessage]] = []
    with mail.open(post.fetch, post.note, speaks=False):
        asking = threading.Thread(target=lambda: found.append(mail.read(300)))
        asking.start()
    asking.join(60)
    assert found == [[]]
    assert mail.read() == []


def test_one_that_has_done_its_work_and_stays_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.run.agent.mailbox._GRACE", -1.0)
    mail = Mailbox()
    mail.note_last_turn()
    with pytest.raises(FinishedError):
        mail.check()
    mail.stop_reason = "enough"
    with pytest.raises(StoppedError):
        mail.check()
