"""Recorded sessions of real agents, read back the way the drive reads them."""

import json
from pathlib import Path
from typing import Any

from runner.core.jsonl import LineSplitter
from runner.core.model import Exit, HarnessSpec, Limits, Outcome, Places, Stream, TranscriptEvent
from runner.harnesses import Harness, Reader, Task

FOLDER = Path(__file__).parent.parent / "transcripts"
PLACES = Places(workspace="/workspace", exchange="/exchange", home="/home/agent")


def exited(code: int | None = 0) -> Exit:
    return Exit(cause="exited", code=code, duration=1.0, output_bytes=1)


def stopped(cause: Any) -> Exit:
    return Exit(cause=cause, code=None, duration=60.0, output_bytes=1)


def task(kind: str, *, model: str | None = None, limits: Limits | None = None, **options: Any) -> Task:
    return Task(
        spec=HarnessSpec(kind=kind, model=model, options=options),
        prompt="Do the work.\n",
        limits=limits or Limits(),
        places=PLACES,
        model_url="http://10.0.0.1:4000/token",
        model_token="placeholder",
    )


def read(reader: Reader, stdout: bytes, stderr: bytes = b"") -> list[TranscriptEvent]:
    """All events of what a harness printed."""
    events: list[TranscriptEvent] = []
    streams: dict[Stream, bytes] = {"stdout": stdout, "stderr": stderr}
    for stream, data in streams.items():
        lines = LineSplitter()
        for line in (*lines.feed(data), *lines.end()):
            events += reader.read(stream, line)
    return events


def recorded(name: str) -> bytes:
    return (FOLDER / f"{name}.jsonl").read_bytes()


def judged(harness: Harness, stdout: bytes, ended: Exit, changed: bool, stderr: bytes = b"") -> Outcome:
    reader = harness.reader()
    read(reader, stdout, stderr)
    return reader.outcome(ended, changed)


def lines(*objects: Any) -> bytes:
    """Objects as a harness prints them."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)
