"""Masks the real keys in a provider's answer while it streams. Pure.

A mask is as long as the key, so an answer keeps its length.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from runner.core.redact import MIN_LENGTH


@dataclass(slots=True)
class KeyMask:
    """For one answer. It holds back no more than what may be the beginning of a key."""

    keys: Collection[str] = field(repr=False)
    _found: tuple[bytes, ...] = field(init=False, repr=False)
    _held: bytes = b""

    def __post_init__(self) -> None:
        plain = (key.strip().encode() for key in self.keys)
        self._found = tuple(sorted({key for key in plain if len(key) >= MIN_LENGTH}, key=len, reverse=True))

    def feed(self, piece: bytes) -> bytes:
        """What may be passed on by now."""
        text = self._masked(self._held + piece)
        keep = max((_overlap(text, key) for key in self._found), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> bytes:
        """What was held back, when nothing follows."""
        held, self._held = self._held, b""
        return held

    def mask(self, text: str) -> str:
        """A whole text, such as a header's value."""
        return self._masked(text.encode()).decode()

    def _masked(self, text: bytes) -> bytes:
        for key in self._found:
            text = text.replace(key, b"*" * len(key))
        return text


def _overlap(text: bytes, key: bytes) -> int:
    """How many bytes at the end of `text` are a beginning of `key`, but not all of it."""
    for size in range(min(len(key) - 1, len(text)), 0, -1):
        if text.endswith(key[:size]):
            return size
    return 0
