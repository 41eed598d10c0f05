"""Declared outputs: a harness writes them into a file or sends them by a tool, within the same limits."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.core.jsonl import json_object
from runner.core.model import DeclaredOutput
from runner.core.partial_json import PartialObject, parts, strip_terminal_codes

MAX_BYTES = 1024**2
MAX_OUTPUTS = 100


def parse_file(content: bytes, problem: Callable[[str], None]) -> Iterator[DeclaredOutput]:
    """Parse the objects of the file; `content` may be one byte longer than the limit.

    They are meant to be one a line. What agents write instead counts too: several on a line, or one on
    several. What is no whole object is reported as a problem, and the others still count.
    """
    found = list(_objects(content[:MAX_BYTES]))
    if len(content) > MAX_BYTES:
        problem(f"declared outputs are over {MAX_BYTES} bytes: the rest is not read")
        found = found[:-1] if found and found[-1] is None else found  # it is cut
    if len(found) > MAX_OUTPUTS:
        problem(f"over {MAX_OUTPUTS} declared outputs: the rest is not read")
    for number, data in enumerate(found[:MAX_OUTPUTS], 1):
        if data is None or not isinstance(data.get("kind"), str):
            problem(f'declared output {number} is not a JSON object with a "kind"')
        else:
            yield DeclaredOutput(
                kind=data["kind"], fields={key: value for key, value in data.items() if key != "kind"}
            )


def _objects(content: bytes) -> Iterator[Mapping[str, Any] | None]:
    """The objects of the file in their order, and None for each text between them."""
    lines = [line for line in content.splitlines() if line.strip()]
    read = [json_object(line) for line in lines]
    if None not in read:
        yield from read
        return
    for part in parts(strip_terminal_codes(content)):
        yield None if isinstance(part, str | PartialObject) else part


@dataclass(slots=True)
class Outbox:
    """Collects what the agent declares by a tool; any thread may add to it."""

    _declared: list[DeclaredOutput] = field(default_factory=list)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, one: DeclaredOutput, most: int | None = None) -> str:
        """Add one output, one of `most` of its kind. Returns why it is refused; empty: it is added."""
        size = _size(one)
        with self._lock:
            if most is not None and sum(known.kind == one.kind for known in self._declared) >= most:
                return f"{most} of {one.kind} are declared already, which is what the skill allows"
            if len(self._declared) == MAX_OUTPUTS:
                return f"{MAX_OUTPUTS} outputs are declared already, and no more are taken"
            if self._bytes + size > MAX_BYTES:
                return f"all outputs together may have {MAX_BYTES} bytes; there is room for less than this"
            self._bytes += size
            self._declared.append(one)
        return ""

    def merge(
        self, said: Sequence[DeclaredOutput], problem: Callable[[str], None]
    ) -> tuple[DeclaredOutput, ...]:
        """All declared outputs: those of the file first, then those of the tool, up to the limits."""
        with self._lock:
            both = (*said, *self._declared)
        kept, total = [], 0
        for one in both[:MAX_OUTPUTS]:
            total += _size(one)
            if total > MAX_BYTES:
                break
            kept.append(one)
        if len(kept) < len(both):
            problem(f"{len(both) - len(kept)} declared outputs are over the limits, and left out")
        return tuple(kept)


def _size(one: DeclaredOutput) -> int:
    line: dict[str, Any] = {"kind": one.kind, **one.fields}
    return len(json.dumps(line)) + 1
