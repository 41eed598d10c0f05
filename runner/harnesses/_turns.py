"""What is said to an agent, turn by turn, whatever the protocol: one JSON message a line."""

import json
from collections.abc import Mapping
from typing import Any


class Turns:
    """Prompts, one turn after the other, until nobody has any more; a message cuts the present turn short."""

    def __init__(self) -> None:
        self.over = False
        self._prompts: list[str] = []  # for the next turn
        self._stopping = False
        self._out: list[bytes] = []

    def say(self) -> bytes | None:
        if self._out:
            said, self._out = b"".join(self._out), []
            return said
        return None if self.over else b""

    def steer(self, text: str) -> bool:
        """The text is the next prompt; the present turn is cancelled for it, and its history stays."""
        if self.over or self._stopping:
            return False
        self._prompts.append(text)
        self._cancel()
        return True

    def _next(self) -> list[Mapping[str, str]]:
        """The content of the turn that begins; empty: it is over, there is nothing more to say."""
        if self._stopping or not self._prompts:
            self.over = True
            return []
        prompts, self._prompts = self._prompts, []
        return [{"type": "text", "text": one} for one in prompts]

    def _cancel(self) -> None:
        """Ask for the end of the present turn, once, where there is one."""
        raise NotImplementedError

    def _send(self, message: Mapping[str, Any]) -> None:
        self._out.append(json.dumps(message).encode() + b"\n")
