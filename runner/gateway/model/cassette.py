"""A cassette: what a run asked its model and was told, in a form that can be compared and replayed. Pure.

Of a request the model's name, the instructions, the messages and the names of the tools are kept, as lines of
text; what depends on the machine, the moment or chance is replaced by names. An answer is kept as it came.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from runner.core.errors import RunnerError
from runner.core.jsonl import json_object
from runner.core.model import Phase, Reason
from runner.core.payload import parse_json
from runner.gateway.model.nondeterminism import name_shapes

_SAID = (
    *("model", "tools", "system", "instructions", "systemInstruction", "system_instruction"),
    *("messages", "input", "contents"),
)
"""What is compared, in this order: what grows from request to request comes last."""

_UNSAID = frozenset({"cache_control", "signature", "thoughtSignature", "encrypted_content"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call of a model."""

    method: str
    path: str  # below the upstream
    asked: tuple[str, ...]
    status: int  # 0: there was no answer
    content_type: str
    answer: str  # bytes that are not UTF-8 are kept as surrogate escapes


@dataclass(frozen=True, slots=True)
class Placeholders:
    """Names for what differs from one machine and one run to the next.

    Clock and chance are named by their shapes; see `nondeterminism`. `places` are also put back, when an
    answer is replayed: a model repeats the paths that it was told.
    """

    places: Mapping[str, str] = field(default_factory=dict)  # value -> name
    others: Mapping[str, str] = field(default_factory=dict)

    def generalize(self, text: str) -> str:
        """The text with names in place of what differs."""
        text = name_shapes(self.generalize_paths(text))
        for value, name in _longest(self.others):
            text = text.replace(value, f"<{name}>")
        return text

    def generalize_paths(self, text: str) -> str:
        """The text with names in place of the places alone."""
        for value, name in _longest(self.places):
            text = re.sub(rf"(?<![\w.]){re.escape(value)}(?!\w)", f"<<{name}>>", text)
        return text

    def restore(self, text: str) -> str:
        """The places put back."""
        for value, name in self.places.items():
            text = text.replace(f"<<{name}>>", value)
        return text


def _longest(named: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is known, the longest first: one value may be the beginning of another."""
    return sorted(((value, name) for value, name in named.items() if value), key=lambda one: -len(one[0]))


def commit_names(shas: Sequence[str]) -> dict[str, str]:
    """Names for commits, whole and as git shortens them."""
    sizes = (None, 12, 10, 9, 8, 7)
    return {sha[:size]: f"commit {number}" for number, sha in enumerate(shas, 1) for size in sizes}


def comparable_lines(body: bytes, names: Placeholders) -> tuple[str, ...]:
    """What is compared of a request, as lines."""
    asked = json_object(body)
    if asked is None:
        return tuple(names.generalize(body.decode("utf-8", "surrogateescape")).splitlines())
    return tuple(line for key in _SAID if key in asked for line in _lines(key, asked[key], names))


def _lines(key: str, value: Any, names: Placeholders) -> Iterator[str]:
    if key == "tools":
        yield f"tools: {', '.join(sorted(_tools(value)))}"
    else:
        yield from _flat(key, value, names)


def _tools(tools: Any) -> Iterator[str]:
    """The names of tools, in each API's way to write them."""
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        inner = tool.get("functionDeclarations") or tool.get("function_declarations")
        held = tool.get("function")
        if inner:
            yield from _tools(inner)
        else:
            yield str((held if isinstance(held, dict) else tool).get("name") or tool.get("type"))


def _flat(at: str, value: Any, names: Placeholders) -> Iterator[str]:
    """A value as lines, each with the place where it stands or below it.

    A text may stand alone or as the only part of a list: clients change that when they mark it for a cache.
    """
    match value:
        case [{"type": "text", "text": str() as text, **others}] if others.keys() <= _UNSAID:
            value = text
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key not in _UNSAID:
                yield from _flat(f"{at}.{key}", one, names)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _flat(f"{at}[{index}]", one, names)
    elif isinstance(value, str) and "\n" in value:
        yield f"{at}:"
        yield from (f"  {line}" for line in names.generalize(value).split("\n"))
    else:
        yield f"{at}: {names.generalize(value) if isinstance(value, str) else json.dumps(value)}"


def dump(exchanges: Sequence[Exchange]) -> bytes:
    """A cassette's file: a line of JSON for each exchange, with what is new since the one before."""
    before: tuple[str, ...] = ()
    lines = []
    for one in exchanges:
        pairs = zip(before, one.asked, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        told = {
            "method": one.method,
            "path": one.path,
            "same": same,  # lines at the beginning of `asked`, as in the exchange before
            "asked": one.asked[same:],
            "status": one.status,
            "content_type": one.content_type,
            "answer": one.answer,
        }
        lines.append(json.dumps(told).encode() + b"\n")
        before = one.asked
    return b"".join(lines)


def load(raw: bytes, file: str) -> tuple[Exchange, ...]:
    """The exchanges of a cassette. Raises RunnerError INVALID_INPUT, with the line that is wrong."""
    found: list[Exchange] = []
    before: tuple[str, ...] = ()
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            found.append(_exchange(parse_json(line), before))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            message = f"{file}:{number}: this is no exchange of a cassette: {error!r}"
            hint = "record the case again: skillrunner record SKILL --case NAME"
            raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint) from error
        before = found[-1].asked
    return tuple(found)


def _exchange(told: Any, before: tuple[str, ...]) -> Exchange:
    return Exchange(
        method=str(told["method"]),
        path=str(told["path"]),
        asked=(*before[: int(told["same"])], *map(str, told["asked"])),
        status=int(told["status"]),
        content_type=str(told["content_type"]),
        answer=str(told["answer"]),
    )


_PIECES: Sequence[tuple[str | int, ...]] = (
    ("delta", "partial_json"),
    ("delta", "text"),
    ("delta", "thinking"),
    ("delta",),
    ("choices", 0, "delta", "tool_calls", 0, "function", "arguments"),
    ("choices", 0, "delta", "content"),
)
"""Where an event of a stream holds the next piece of a text, in the APIs that send texts in pieces."""


def join_deltas(stream: str) -> str:
    """A stream of server-sent events, with each text in one piece: a path may be spread over several."""
    events: list[str] = []
    last: tuple[Any, str] | None = None  # what is around the piece, and the text until now
    for event in re.split(r"(?<=\n)\r?\n", stream):
        around = _around(event)
        if around is not None and last is not None and around[0] == last[0]:
            last = (last[0], last[1] + around[1])
            events[-1] = _event(event, last[1])
        else:
            last = around
            events.append(event)
    return "\n".join(events)


def _around(event: str) -> tuple[Any, str] | None:
    """An event without its piece of text, and the piece; None where it holds none."""
    data = _data(event)
    if data is None or (path := _piece(data)) is None:
        return None
    *parents, last = path
    holder = _at(data, parents)
    text, holder[last] = holder[last], None
    return {**data, "sequence_number": None, "obfuscation": None}, text


def _event(event: str, text: str) -> str:
    """The event with another text as its piece."""
    data = _data(event) or {}
    *parents, last = _piece(data) or ("",)
    _at(data, parents)[last] = text
    return re.sub(r"^data:.*$", lambda _: f"data: {json.dumps(data)}", event, count=1, flags=re.MULTILINE)


def _data(event: str) -> dict[str, Any] | None:
    found = re.findall(r"^data:(.*)$", event, re.MULTILINE)
    data = json_object(found[0].encode("utf-8", "surrogateescape")) if len(found) == 1 else None
    return None if data is None else dict(data)


def _piece(data: Mapping[str, Any]) -> tuple[str | int, ...] | None:
    return next((path for path in _PIECES if isinstance(_at(data, path), str)), None)


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def from_traffic(raw: bytes, names: Placeholders) -> tuple[Exchange, ...]:
    """The cassette of a run, from the traffic that its gateway kept, in the order of the requests."""
    told = [one for line in raw.splitlines() if (one := json_object(line)) is not None]
    return tuple(
        Exchange(
            method=one["method"],
            path=one["path"],
            asked=comparable_lines(one["body"].encode("utf-8", "surrogateescape"), names),
            status=one["status"],
            content_type=one["content_type"],
            answer=names.generalize_paths(_answer(one["content_type"], one["answer"])),
        )
        for one in sorted(told, key=lambda one: int(one["number"]))
    )


def _answer(content_type: str, answer: str) -> str:
    return join_deltas(answer) if content_type.startswith("text/event-stream") else answer
