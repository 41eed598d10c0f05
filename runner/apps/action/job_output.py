"""The Action's output in GitHub: log groups, annotations, masks, the job summary and outputs.

What an agent or a stranger wrote is shown, and never obeyed. GitHub's runner acts on lines that begin with
`::` and on `##[...]` anywhere in a line ("Workflow commands for GitHub Actions"); everything that is not
ours is printed while commands are stopped, and is made harmless besides.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from runner.apps.terminal import print_to
from runner.core.redact import Redactor, escape_invisible

SUMMARY_LIMIT = 1024 * 1024
"""Bytes; GitHub drops a longer summary as a whole ("Step isolation and limits")."""

_ANNOTATIONS = 10
"""Of each level in one step: GitHub shows no more."""

_CUT = "\n\n… cut here: the whole is in the log of the run.\n"

Level = Literal["error", "warning", "notice"]


@dataclass
class JobOutput:
    """Writes to one step's log and files."""

    log: IO[str]
    outputs: Path | None
    summary: Path | None
    guarded: Sequence[Path] = ()
    secrets: Sequence[str] = ()  # secrets
    _shown: dict[str, int] = field(default_factory=dict)
    _summary: list[str] = field(default_factory=list)
    _before: dict[Path, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._masks = Redactor(self.secrets)
        self._before = {path: path.read_bytes() if path.is_file() else b"" for path in self.guarded}
        for secret in self.secrets:
            for line in secret.splitlines():
                self._command("add-mask", line)

    def print_line(self, text: str) -> None:
        """Print a line, which may contain untrusted text."""
        print_to(self.log, self._masks.redact(text))

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Print what the context prints as a folded group in which commands have no effect."""
        token = secrets.token_hex(16)
        self._command("group", escape_invisible(title))
        self._command("stop-commands", token)
        try:
            yield
        finally:
            print(f"::{token}::", file=self.log, flush=True)
            self._command("endgroup", "")

    def annotate(self, level: Level, message: str, file: str = "", line: int = 0, column: int = 0) -> None:
        """Annotate a line of a file. Annotations beyond GitHub's limit are only logged."""
        shown = self._shown[level] = self._shown.get(level, 0) + 1
        place = {"file": file, "line": str(line or ""), "col": str(column or "")}
        where = ",".join(f"{key}={_property(value)}" for key, value in place.items() if value)
        if shown > _ANNOTATIONS:
            self.print_line(f"{level}: {file}:{line}: {message}")
        else:
            self._command(f"{level} {where}".rstrip(), escape_invisible(self._masks.redact(message)))

    def _command(self, name: str, value: str) -> None:
        print(f"::{name}::{_data(value)}", file=self.log, flush=True)

    def write(self, markdown: str) -> None:
        """Add Markdown to the job's summary."""
        self._summary.append(escape_invisible(self._masks.redact(markdown)))

    def finish(self, outputs: dict[str, str]) -> None:
        """Write the summary and the outputs; changes of other processes to the step's files are undone."""
        for path, content in self._before.items():
            path.write_bytes(content)
        if self.outputs is not None:
            said = [_output(name, self._masks.redact(value)) for name, value in outputs.items()]
            with self.outputs.open("a") as file:
                file.write("".join(said))
        if self.summary is not None:
            room = SUMMARY_LIMIT - len(self._before.get(self.summary, b""))
            with self.summary.open("ab") as binary:
                binary.write(truncate("\n".join(self._summary) + "\n", room))


def truncate(text: str, room: int) -> bytes:
    """`text` in at most `room` bytes."""
    raw = text.encode()
    if len(raw) <= room:
        return raw
    kept = raw[: max(0, room - len(_CUT.encode()))].decode(errors="ignore").rpartition("\n")[0]
    return (kept + _CUT).encode()


def _output(name: str, value: str) -> str:
    """One output in the multi-line form with a random end mark."""
    end = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{end}\n{value}\n{end}\n"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(escape_invisible(value)).replace(":", "%3A").replace(",", "%2C")
