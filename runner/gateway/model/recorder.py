"""Keeps the model traffic of a run: what was asked and what was answered, with secrets masked.

What streams by is only set aside; a thread of its own masks and writes it, so nobody waits for that.
"""

import json
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from runner.core.redact import Redactor
from runner.gateway.server import AnswerListener

_LARGEST = 8 * 1024**2  # bytes of one body that are kept
_HELD = 64 * 1024**2  # bytes of all bodies that are not written yet
_WHOLE = 256 * 1024**2  # bytes of the file


class TrafficRecorder:
    """Writes exchanges to a file, as lines of JSON in the order of their ends. Threads may share it."""

    def __init__(self, path: Path, secrets: Collection[str]) -> None:
        self.path = path
        self._secrets = set(secrets)
        self._redactor = Redactor(self._secrets)
        self._writer = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._count = self._held = self._written = 0

    def mask(self, token: str) -> None:
        """The run's own token is not to be kept either."""
        self._redactor = Redactor(self._secrets | {token})

    def begin(self, method: str, path: str, body: bytes, ear: AnswerListener) -> "ExchangeRecorder":
        """A call begins; `ear` hears its answer as well."""
        with self._lock:
            self._count += 1
            number = self._count
        take = ExchangeRecorder(self, ear, number, method, path)
        take.body = self.clip(take, body)
        return take

    def clip(self, take: "ExchangeRecorder", piece: bytes, before: int = 0) -> bytes:
        """As much of `piece` as may be kept beside the `before` bytes of the same body."""
        with self._lock:
            most = max(0, min(_LARGEST - before, _HELD - self._held))
            self._held += min(most, len(piece))
        take.cut = take.cut or len(piece) > most
        return piece[:most]

    def write(self, take: "ExchangeRecorder") -> None:
        """An exchange is over."""
        self._writer.submit(self._write, take)

    def close(self) -> None:
        """Wait until all is written."""
        self._writer.shutdown()

    def _write(self, take: "ExchangeRecorder") -> None:
        told = {
            "number": take.number,
            "at": take.at.isoformat(timespec="milliseconds"),
            "method": take.method,
            "path": self._masked(take.path.encode()),
            "body": self._masked(take.body),
            "status": take.status,
            "content_type": take.content_type,
            "answer": self._masked(bytes(take.answer)),
            "cut": take.cut,
        }
        line = json.dumps(told).encode() + b"\n"
        with self._lock:
            self._held -= len(take.body) + len(take.answer)
        if self._written + len(line) <= _WHOLE:
            self._written += len(line)
            with self.path.open("ab") as file:
                file.write(line)

    def _masked(self, content: bytes) -> str:
        return self._redactor.whole(content.decode("utf-8", "surrogateescape"))


@dataclass(slots=True)
class ExchangeRecorder:
    """One exchange under way."""

    tape: TrafficRecorder
    ear: AnswerListener
    number: int
    method: str
    path: str
    body: bytes = b""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: int = 0
    content_type: str = ""
    answer: bytearray = field(default_factory=bytearray)
    cut: bool = False  # something of it is missing
    _ended: bool = False

    def start_answer(self, status: int, content_type: str) -> None:
        """The head of the answer has come."""
        self.status, self.content_type = status, content_type

    def feed(self, piece: bytes) -> None:
        self.ear.feed(piece)
        self.answer += self.tape.clip(self, piece, len(self.answer))

    def end(self, whole: bool = False) -> None:
        self.ear.end(whole)
        if not self._ended:
            self._ended = True
            self.cut = self.cut or not whole
            self.tape.write(self)
