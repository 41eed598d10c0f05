"""Records the model traffic of a run, requests and answers, with secrets masked.

The proxy's threads only copy the bytes; a thread of the recorder masks and writes them.
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

_LARGEST = 8 * 1024**2  # bytes of one body that are recorded
_HELD = 64 * 1024**2  # bytes of all bodies that wait to be written
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
        """Mask the run's token as well."""
        self._redactor = Redactor(self._secrets | {token})

    def begin(self, method: str, path: str, body: bytes, listener: AnswerListener) -> "ExchangeRecorder":
        """Begin the recording of a call; `listener` gets its answer as well."""
        with self._lock:
            self._count += 1
            number = self._count
        take = ExchangeRecorder(self, listener, number, method, path)
        take.body = self.clip(take, body)
        return take

    def clip(self, take: "ExchangeRecorder", piece: bytes, before: int = 0) -> bytes:
        """The part of `piece` that may be recorded after `before` bytes of the same body."""
        with self._lock:
            most = max(0, min(_LARGEST - before, _HELD - self._held))
            self._held += min(most, len(piece))
        take.is_truncated = take.is_truncated or len(piece) > most
        return piece[:most]

    def write(self, take: "ExchangeRecorder") -> None:
        """Write a finished exchange, in the recorder's thread."""
        self._writer.submit(self._write, take)

    def close(self) -> None:
        """Wait until everything is written."""
        self._writer.shutdown()

    def _write(self, take: "ExchangeRecorder") -> None:
        told = {
            "number": take.number,
            "at": take.at.isoformat(timespec="milliseconds"),
            "method": take.method,
            "path": self._mask(take.path.encode()),
            "body": self._mask(take.body),
            "status": take.status,
            "content_type": take.content_type,
            "answer": self._mask(bytes(take.answer)),
            "cut": take.is_truncated,
        }
        line = json.dumps(told).encode() + b"\n"
        with self._lock:
            self._held -= len(take.body) + len(take.answer)
        if self._written + len(line) <= _WHOLE:
            self._written += len(line)
            with self.path.open("ab") as file:
                file.write(line)

    def _mask(self, content: bytes) -> str:
        return self._redactor.redact(content.decode("utf-8", "surrogateescape"))


@dataclass(slots=True)
class ExchangeRecorder:
    """Records one exchange in progress."""

    recorder: TrafficRecorder
    listener: AnswerListener
    number: int
    method: str
    path: str
    body: bytes = b""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: int = 0
    content_type: str = ""
    answer: bytearray = field(default_factory=bytearray)
    is_truncated: bool = False  # part of it is missing
    _ended: bool = False

    def start_answer(self, status: int, content_type: str) -> None:
        """Record the head of the answer."""
        self.status, self.content_type = status, content_type

    def feed(self, piece: bytes) -> None:
        self.listener.feed(piece)
        self.answer += self.recorder.clip(self, piece, len(self.answer))

    def end(self, whole: bool = False) -> None:
        self.listener.end(whole)
        if not self._ended:
            self._ended = True
            self.is_truncated = self.is_truncated or not whole
            self.recorder.write(self)
