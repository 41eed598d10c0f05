"""What is said to Claude Code with `--input-format stream-json`: one turn of the agent for each user line.

Source: Claude Code docs, "Streaming input", and Claude Agent SDK, `interrupt`: a control request.
"""

import json
from collections.abc import Mapping
from typing import Any


class UserLines:
    """Prompts, one after the other, until nobody has any more; a message interrupts the present turn."""

    def __init__(self) -> None:
        self.over = False
        self.interrupting = False  # the present turn was asked to end, and has not ended
        self._prompts: list[str] = []  # for the next turn
        self._stopping = False
        self._out: list[bytes] = []

    def begin(self, prompt: str) -> None:
        self._prompts = [prompt]
        self.turn_ended()

    def say(self) -> bytes | None:
        if self._out:
            said, self._out = b"".join(self._out), []
            return said
        return None if self.over else b""

    def steer(self, message: str) -> bool:
        if self.over or self._stopping:
            return False
        self._prompts.append(message)
        self._interrupt()
        return True

    def interrupt(self) -> None:
        self._stopping = True
        self._interrupt()

    def turn_ended(self) -> None:
        """Begin the next turn, or end it all where there is nothing more to say."""
        self.interrupting = False
        if self._stopping or not self._prompts:
            self.over = True
            return
        content = [{"type": "text", "text": one} for one in self._prompts]
        self._prompts = []
        self._send({"type": "user", "message": {"role": "user", "content": content}})

    def _interrupt(self) -> None:
        if not self.interrupting and not self.over:
            self.interrupting = True
            asked = {"subtype": "interrupt"}
            self._send({"type": "control_request", "request_id": "interrupt", "request": asked})

    def _send(self, message: Mapping[str, Any]) -> None:
        self._out.append(json.dumps(message).encode() + b"\n")
