"""Reads the tokens that a call used from its answer while it streams; no byte is changed or delayed.

Sources: Anthropic, "Streaming Messages"; OpenAI, "Streaming API responses"; Google, "Gemini API".
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from runner.core.jsonl import MAX_LINE, json_object
from runner.core.payload import is_deep
from runner.gateway.model.tokens import TokenUsage, part, token_usage

Dialect = Literal["messages", "responses", "chat", "gemini"]

_APIS: Mapping[str, Dialect] = {
    "/messages/": "messages",
    "/responses/": "responses",
    "/chat/completions/": "chat",
}
_OF_A_MODEL = re.compile(r"/models/([^/:]+):")  # Gemini's path names the model and the method
_FREE = ("/count_tokens", "/input_tokens", ":countTokens", "/cancel")
_NAME = 200  # characters of a model's name


def dialect(path: str) -> Dialect | None:
    """The API that a path belongs to; None: the path calls no model."""
    if _OF_A_MODEL.search(path):
        return "gemini"
    return next((kind for part, kind in _APIS.items() if part in f"{path}/"), None)


def is_billed(path: str) -> bool:
    """Whether a POST to the path costs something: all does that is not known to be free."""
    return not path.endswith(_FREE)


def reports_usage(path: str, told: Mapping[str, Any]) -> bool:
    """Whether the answer to a request reports its usage: answers to batches and background jobs do not."""
    background = next((value for key, value in told.items() if key.lower() == "background"), None)
    return not re.search("/batches(/|$)|:batch", path) and not background


def requested_model(path: str, body: Mapping[str, Any]) -> str:
    """The model that a request names; empty: none."""
    found = _OF_A_MODEL.search(path)
    name = found[1] if found else next((body[key] for key in body if key.lower() == "model"), None)
    return name[:_NAME] if isinstance(name, str) else ""


@dataclass(slots=True)
class UsageMeter:
    """Reads the usage from one answer, plain or as server-sent events, in pieces of any size.

    It cannot read an answer with a Content-Encoding, so the gateway requests none. It holds at most
    `max_bytes` bytes; a longer answer (with large pictures) yields no usage.
    """

    max_bytes: int = MAX_LINE
    is_error: bool = False  # the answer is an error without usage
    has_usage: bool = False
    _told: dict[str, Any] = field(
        default_factory=dict
    )  # the newest value of each number, by the provider's name for it
    _form: Literal["plain", "stream"] | None = None
    _held: bytearray = field(default_factory=bytearray)
    _cut: bool = False

    def feed(self, piece: bytes) -> None:
        """The next piece of the answer's body."""
        if self._form is None:
            piece = piece.lstrip()
            if not piece:
                return
            self._form = "plain" if piece[:1] in (b"{", b"[") else "stream"
        end = piece.rfind(b"\n") + 1 if self._form == "stream" else 0
        if end:
            self._read_lines(piece, end)
        self._hold(piece[end:] if end else piece)

    def end(self) -> TokenUsage:
        """The usage that the answer reported. From now on `has_usage` says whether it is complete."""
        if self._form == "plain" and not self._cut:
            for one in _objects(bytes(self._held)):
                self._read(one)
        if self._form == "stream":
            self._read_lines(b"", 0)
        self.has_usage = bool(self._told) and not self._cut
        return self.usage_until_now

    @property
    def usage_until_now(self) -> TokenUsage:
        """The usage reported so far; an answer that is no stream reports it at its end."""
        return token_usage(self._told)

    def _hold(self, part: bytes) -> None:
        room = self.max_bytes - len(self._held)
        self._cut = self._cut or len(part) > room
        self._held += part[:room]

    def _read_lines(self, piece: bytes, end: int) -> None:
        """Process the held bytes and the lines that end in `piece`.

        Only lines that may hold usage are copied and parsed: most lines are the model's words.
        """
        first = piece.find(b"\n", 0, end) + 1
        if self._held:
            self._hold(piece[:first])
            self._line(bytes(self._held))
            self._held.clear()
        else:
            first = 0
        if self._matters(piece, first, end):
            for line in piece[first:end].split(b"\n"):
                self._line(line)

    def _line(self, line: bytes) -> None:
        """Read a line of an event's data. Providers write the data in one line."""
        if line.startswith(b"data:") and self._matters(line):
            self._read(json_object(line[5:]) or {})

    def _matters(self, text: bytes, start: int = 0, end: int | None = None) -> bool:
        """Whether lines may hold usage: "usageMetadata" begins with "usage" as well.

        An error matters only while no usage was reported.
        """
        used = text.find(b'"usage', start, end) >= 0
        return used or (not self._told and text.find(b'"error"', start, end) >= 0)

    def _read(self, told: Mapping[str, Any]) -> None:
        """Read the usage of an event or an answer, or of the message or response inside it."""
        held = told.get("message") or told.get("response")
        inner = held if isinstance(held, dict) else told
        self.is_error = self.is_error or any(one.get("error") for one in (told, inner))
        for one in (inner.get("usage"), told.get("usage"), told.get("usageMetadata")):
            if isinstance(one, dict):
                self._told.update({name: value for name, value in one.items() if value is not None})
                self._name(inner)

    def _name(self, inner: Mapping[str, Any]) -> None:
        name = inner.get("model") or inner.get("modelVersion")
        if isinstance(name, str):
            self._told["model"] = name[:_NAME]
        if isinstance(tier := inner.get("service_tier"), str):
            self._told["service_tier"] = tier


def _objects(body: bytes) -> Iterator[Mapping[str, Any]]:
    """The answer's objects: one, or the elements of a list whose last one may be cut."""
    decoder, text = json.JSONDecoder(), body.decode("utf-8", "replace")
    at = 1 if text.startswith("[") else 0
    while at < len(text):
        if text[at] in ", \t\r\n":
            at += 1
            continue
        try:
            begin = at
            one, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if isinstance(one, dict) and not is_deep(text[begin:at]):
            yield one


def with_usage_requested(path: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What to send: a stream of Chat Completions tells its usage only when the request asks for it."""
    options = part(told, "stream_options")
    if dialect(path) != "chat" or told.get("stream") is not True or options.get("include_usage") is True:
        return told
    return {**told, "stream_options": {**options, "include_usage": True}}
