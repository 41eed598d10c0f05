"""Messages of people to an agent while it works: two threads carry them from the store to the agent.

The thread of the mailbox fetches new messages and records which were delivered; the thread that runs the
harness takes them from memory, and so never waits for a database. Tools may take them as well (tools.py).
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue

from runner.clients.stdio import Clock
from runner.core.errors import RunnerError
from runner.core.model import UserMessage

DeliveryCallback = Callable[[Sequence[UserMessage], bool], None]
"""Gets messages, and whether they were delivered; False: it was too late."""

_FETCH_INTERVAL = 0.5  # seconds between two looks for new messages
_GRACE = 15.0  # seconds that an agent has to stop where it is, before it is ended
_LAST_WORD_GRACE = 10.0  # seconds that it has to exit after its last word


class StoppedError(Exception):
    """Somebody stopped the agent, and it did not end by itself."""


class FinishedError(Exception):
    """The agent has finished all its work, and did not end by itself."""


class Mailbox:
    """The messages for one attempt at a run."""

    def __init__(self) -> None:
        self.stop_reason = ""  # it is stopped: what was said of it
        self._new: list[UserMessage] = []
        self._asking = 0  # how many of the agent's questions wait for an answer
        self._over = False
        self._arrival = threading.Condition()
        self.is_interrupted = False  # whoever runs it wants it to end
        self.clock = Clock()  # of the agent's limits; it is held while the agent stands still
        self._delivered: SimpleQueue[UserMessage] = SimpleQueue()
        self._late: list[UserMessage] = []
        self._seen: set[int] = set()
        self._until: float | None = None  # when the agent is ended if it has not ended by then
        self._finished = False  # no more messages are taken
        self._exit_by: float | None = None  # its last word is said: when it is ended if it has not exited

    def take(self) -> list[UserMessage]:
        """Take the new messages; while the agent waits for an answer, only requests to stop."""
        with self._arrival:
            waited = self._asking and not self._over
            taken = [message for message in self._new if message.act == "stop" or not waited]
            self._new = [message for message in self._new if message not in taken]
        return taken

    def read(self, patience: float = 0) -> list[UserMessage]:
        """Take the new messages for an agent that asks for them, and wait up to `patience` seconds for one.

        Nobody else gets messages meanwhile. A request to stop is not among them.
        """
        with self._arrival:
            self._asking += 1
            self._arrival.wait_for(
                lambda: self._over or any(one.act != "stop" for one in self._new), patience
            )
            self._asking -= 1
            read = [] if self._over else [message for message in self._new if message.act != "stop"]
            self._new = [message for message in self._new if message not in read]
            for message in read:
                self.note_delivered(message)
        return read

    def note_delivered(self, message: UserMessage) -> None:
        """The agent got the message."""
        self._delivered.put(message)

    def note_late(self, message: UserMessage) -> None:
        """The message came too late for the agent."""
        self._late.append(message)

    def note_last_turn(self) -> None:
        """The agent has ended its last turn: it gets a while to exit, which its own children may prevent."""
        self._finished = True
        self._until = self._until or time.monotonic() + _GRACE

    def note_last_word(self, idle: float) -> None:
        """The agent has said its last word: it gets a short while to exit, shorter than `idle`."""
        self._exit_by = self._exit_by or time.monotonic() + min(_LAST_WORD_GRACE, idle / 2)

    def note_work(self) -> None:
        """The agent works: what it said last was not its last word."""
        self._exit_by = None

    def check(self) -> None:
        """Raises StoppedError, or FinishedError, when the agent has to be ended."""
        if self._exit_by is not None and time.monotonic() > self._exit_by and not self.stop_reason:
            raise FinishedError
        if self._until is not None and time.monotonic() > self._until:
            raise FinishedError if self._finished and not self.stop_reason else StoppedError

    @contextmanager
    def open(
        self,
        fetch: Callable[[], Sequence[UserMessage]],
        note: DeliveryCallback,
        speaks: bool,
    ) -> Iterator[None]:
        """Look for new messages while the body runs, which is one turn of the agent; another may follow.

        `speaks`: the agent accepts messages, and can stop by itself. When the database is away, the next look
        may find what this one did not.
        """
        over = threading.Event()
        self._over = self._finished = False
        self._until = self._exit_by = None

        def look() -> None:
            while not over.wait(_FETCH_INTERVAL):
                try:
                    self._fetch_new(fetch, note, speaks)
                except RunnerError:
                    continue

        fetcher = threading.Thread(target=look, name="mail", daemon=True)
        try:  # an interruption may come as soon as it has begun
            fetcher.start()
            yield
        finally:
            over.set()
            if fetcher.ident is not None:
                fetcher.join()
            with self._arrival:
                self._over = True
                self._arrival.notify_all()
        with suppress(RunnerError):  # what came since the last look is too late
            self._fetch_new(fetch, note, speaks)
        if messages := _all(self._delivered):
            note(messages, True)
        if messages := self._late + self.take():
            note(messages, False)

    def _fetch_new(
        self,
        fetch: Callable[[], Sequence[UserMessage]],
        note: DeliveryCallback,
        speaks: bool,
    ) -> None:
        for message in fetch():
            if message.id not in self._seen:
                self._seen.add(message.id)
                self._accept(message, speaks)
        if messages := _all(self._delivered):
            note(messages, True)

    def _accept(self, message: UserMessage, speaks: bool) -> None:
        if message.act == "pause":
            self.clock.pause()
        elif message.act in ("resume", "stop"):  # what stands still could not stop by itself
            self.clock.resume()
        if message.act == "stop":
            self.stop_reason = message.text
            self._until = time.monotonic() + (_GRACE if speaks else 0)
        if message.act in ("pause", "resume") or (message.act == "stop" and not speaks):
            self.note_delivered(message)
            return
        with self._arrival:
            self._new.append(message)
            self._arrival.notify_all()


def _all(messages: "SimpleQueue[UserMessage]") -> list[UserMessage]:
    """Take all messages of a queue that no other thread reads."""
    return [messages.get() for _ in range(messages.qsize())]
