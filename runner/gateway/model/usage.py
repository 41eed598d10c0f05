"""Reads the tokens that a call used from its answer while it streams; no byte is changed or delayed.

Sources: Anthropic, "Messages API", "Streaming Messages"; OpenAI, "Responses API", "Chat Completions API",
"Prompt caching"; Google, "Gemini API: generateContent" (UsageMetadata).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from runner.core.jsonl import MAX_LINE, json_object
from runner.core.payload import is_deep

Dialect = Literal["messages", "responses", "chat", "gemini"]

_APIS: Mapping[str, Dialect] = {
    "/messages/": "messages",
    "/responses/": "responses",
    "/chat/completions/": "chat",
}
_OF_A_MODEL = re.compile(r"/models/([^/:]+):")  # Gemini's path names the model and the method
_FREE = ("/count_tokens", "/input_tokens", ":countTokens", "/cancel")
_ABSURD = 10**12  # no call has so many tokens
_NAME = 200  # characters of a model's name


def dialect(path: str) -> Dialect | None:
    """The API that a path belongs to; None: the path calls no model."""
    if _OF_A_MODEL.search(path):
        return "gemini"
    return next((kind for part, kind in _APIS.items() if part in f"{path}/"), None)


def is_billed(path: str) -> bool:
    """Whether a POST to the path costs something, as far as is known."""
    return dialect(path) is not None and not path.endswith(_FREE)


def reports_usage(path: str, body: Mapping[str, Any]) -> bool:
    """Whether the answer to a request reports its usage: answers to batches and background jobs do not."""
    return not re.search("/batches(/|$)|:batch", path) and body.get("background") is not True


def requested_model(path: str, body: Mapping[str, Any]) -> str:
    """The model that a request names; empty: none."""
    found = _OF_A_MODEL.search(path)
    name = found[1] if found else body.get("model")
    return name[:_NAME] if isinstance(name, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """The tokens of one call, each counted once, so that a price goes with each number.

    Anthropic's input_tokens leave out what went through the cache, as `input` does. OpenAI's input_tokens
    and prompt_tokens and Google's promptTokenCount hold it, so it is taken out of them. Google's tokens of
    tools' results are further input, and its thoughts are output; OpenAI's output holds its reasoning.
    """

    model: str = ""  # as the answer names it
    input: int = 0  # neither read from a cache nor written to one
    output: int = 0
    cached: int = 0  # read from a cache
    cache_written: int = 0
    cache_written_1h: int = 0  # part of `cache_written`: kept for an hour, which costs more

    @property
    def prompt(self) -> int:
        """All prompt tokens, which some prices depend on."""
        return self.input + self.cached + self.cache_written


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
        return _used(self._told)

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


def _used(told: Mapping[str, Any]) -> TokenUsage:
    model = told.get("model", "")
    if "promptTokenCount" in told or "candidatesTokenCount" in told:
        return _gemini(told, model)
    if "prompt_tokens" in told or "completion_tokens" in told:
        return _openai(told, model, "prompt_tokens", "completion_tokens")
    if "input_tokens_details" in told or "total_tokens" in told:
        return _openai(told, model, "input_tokens", "output_tokens")
    return _anthropic(told, model)


def _anthropic(told: Mapping[str, Any], model: str) -> TokenUsage:
    written = _count(told, "cache_creation_input_tokens")
    return TokenUsage(
        model=model,
        input=_count(told, "input_tokens"),
        output=_count(told, "output_tokens"),
        cached=_count(told, "cache_read_input_tokens"),
        cache_written=written,
        cache_written_1h=min(written, _count(_part(told, "cache_creation"), "ephemeral_1h_input_tokens")),
    )


def _openai(told: Mapping[str, Any], model: str, prompt: str, output: str) -> TokenUsage:
    details, all_of_it = _part(told, f"{prompt}_details"), _count(told, prompt)
    cached = min(all_of_it, _count(details, "cached_tokens"))
    written = min(all_of_it - cached, _count(details, "cache_write_tokens"))
    return TokenUsage(
        model=model,
        input=all_of_it - cached - written,
        output=_count(told, output),
        cached=cached,
        cache_written=written,
    )


def _gemini(told: Mapping[str, Any], model: str) -> TokenUsage:
    prompt = _count(told, "promptTokenCount")
    cached = min(prompt, _count(told, "cachedContentTokenCount"))
    return TokenUsage(
        model=model,
        input=prompt - cached + _count(told, "toolUsePromptTokenCount"),
        output=_count(told, "candidatesTokenCount") + _count(told, "thoughtsTokenCount"),
        cached=cached,
    )


def _part(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def _count(told: Mapping[str, Any], key: str) -> int:
    """A number of tokens; 0 when it is missing or absurd."""
    value = told.get(key)
    return value if type(value) is int and 0 <= value < _ABSURD else 0


def with_usage_requested(path: str, body: bytes) -> bytes:
    """The body to send: a stream of Chat Completions reports its usage only when the request asks for it."""
    if dialect(path) != "chat":
        return body
    asked = json_object(body)
    if asked is None or asked.get("stream") is not True:
        return body
    options = _part(asked, "stream_options")
    if options.get("include_usage") is True:
        return body
    return json.dumps({**asked, "stream_options": {**options, "include_usage": True}}).encode()
