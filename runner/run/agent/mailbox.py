"""Carries messages of people from the store to a working agent, with two threads.

The mailbox's thread fetches messages and stores which were delivered; the thread that runs the harness takes
them from the mailbox, and so never waits for a database. Tools that the agent calls take them as well
(tools.py).
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

_LOOK = 0.5  # seconds between two polls for new messages
_GRACE = 15.0  # seconds that an agent has to stop where it is, before it is ended


class StoppedError(Exception):
    """Somebody had the agent stopped, and it did not stop by itself."""


class FinishedError(Exception):
    """The agent has done all that it was asked to, and did not end by itself."""


class Mailbox:
    """The messages for one attempt at a run."""

    def __init__(self) -> None:
        self.why = ""  # why it is stopped
        self._new: list[UserMessage] = []
        self._asking = 0  # how many of the agent's questions wait for an answer
        self._over = False
        self._arrival = threading.Condition()
        self.interrupted = False  # its runner wants it to end
        self.clock = Clock()  # of the agent's limits; it is held while the agent stands still
        self._told: SimpleQueue[UserMessage] = SimpleQueue()
        self._late: list[UserMessage] = []
        self._seen: set[int] = set()
        self._until: float | None = None  # when the agent is ended if it has not ended by then
        self._finished = False  # no more messages are taken

    def take(self) -> list[UserMessage]:
        """The messages since the last call; while the agent waits for an answer, only stops."""
        with self._arrival:
            waited = self._asking and not self._over
            taken = [message for message in self._new if message.act == "stop" or not waited]
            self._new = [message for message in self._new if message not in taken]
        return taken

    def read(self, patience: float = 0) -> list[UserMessage]:
        """What has come, or comes within so many seconds, for an agent that asks for it: it is told thereby.

        Nobody else is told meanwhile. That it has to stop is not for it to read.
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
        """Note that the agent got a message."""
        self._told.put(message)

    def note_late(self, message: UserMessage) -> None:
        """Note that a message came too late for the agent."""
        self._late.append(message)

    def note_last_turn(self) -> None:
        """Note the end of the agent's last turn: it has some seconds to end, which children may prevent."""
        self._finished = True
        self._until = self._until or time.monotonic() + _GRACE

    def check(self) -> None:
        """Raises StoppedError, or FinishedError, when the agent has to be ended."""
        if self._until is not None and time.monotonic() > self._until:
            raise FinishedError if self._finished and not self.why else StoppedError

    @contextmanager
    def open(
        self,
        fetch: Callable[[], Sequence[UserMessage]],
        note: DeliveryCallback,
        speaks: bool,
    ) -> Iterator[None]:
        """Poll for messages while the context lasts.

        `speaks`: the agent can be told something, and can stop by itself. Where the database is away
        the next look may find what this one did not.
        """
        over = threading.Event()

        def look() -> None:
            while not over.wait(_LOOK):
                try:
                    self._look(fetch, note, speaks)
                except RunnerError:
                    continue

        looker = threading.Thread(target=look, name="mail", daemon=True)
        try:  # an interruption may come as soon as it has begun
            looker.start()
            yield
        finally:
            over.set()
            if looker.ident is not None:
                looker.join()
            with self._arrival:
                self._over = True
                self._arrival.notify_all()
        with suppress(RunnerError):  # what came since the last look is too late
            self._look(fetch, note, speaks)
        if messages := _all(self._told):
            note(messages, True)
        if messages := self._late + self.take():
            note(messages, False)

    def _look(
        self,
        fetch: Callable[[], Sequence[UserMessage]],
        note: DeliveryCallback,
        speaks: bool,
    ) -> None:
        for message in fetch():
            if message.id not in self._seen:
                self._seen.add(message.id)
                self._arrived(message, speaks)
        if messages := _all(self._told):
            note(messages, True)

    def _arrived(self, message: UserMessage, speaks: bool) -> None:
        if message.act == "pause":
            self.clock.pause()
        elif message.act in ("resume", "stop"):  # what stands still could not stop by itself
            self.clock.resume()
        if message.act == "stop":
            self.why = message.text
            self._until = time.monotonic() + (_GRACE if speaks else 0)
        if message.act in ("pause", "resume") or (message.act == "stop" and not speaks):
            self.note_delivered(message)
            return
        with self._arrival:
            self._new.append(message)
            self._arrival.notify_all()


def _all(messages: "SimpleQueue[UserMessage]") -> list[UserMessage]:
    """Of a queue from which nobody else takes."""
    return [messages.get() for _ in range(messages.qsize())]
