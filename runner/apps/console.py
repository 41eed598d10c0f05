"""Console output: a live line on a terminal, plain lines in a pipe."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from runner.apps.terminal import print_to
from runner.core.model import ANSWER, Message, RunEvent, ToolCall, TranscriptEvent, Usage, UsageReport
from runner.core.redact import escape_invisible
from runner.core.units import span_text

if TYPE_CHECKING:
    from rich.live import Live

    from runner.store import Store

_WIDTH = 100


def one_line(text: str, width: int = _WIDTH) -> str:
    """Untrusted text as one short line without control characters."""
    line = " ".join(escape_invisible(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def activity_text(event: TranscriptEvent) -> str:
    """What the agent does, in a few words; empty for an event that is not worth a line."""
    if isinstance(event, ToolCall):
        return one_line(f"{event.tool} {event.arguments if event.arguments is not None else ''}")
    return one_line(event.text) if isinstance(event, Message) else ""


class Progress:
    """Shows a run's events while they come: on a terminal in one live line, elsewhere line by line."""

    def __init__(self, *, quiet: bool, stream: IO[str]) -> None:
        self._quiet = quiet
        self._stream = stream
        self._began = time.monotonic()
        self._doing = ""
        self._phase = ""
        self._usage = Usage()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if not self._quiet and self._stream.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._stream, highlight=False)
            self._live = Live(
                get_renderable=self._line, console=console, transient=True, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def observe(self, event: RunEvent) -> None:
        """Show an event of the run."""
        self._phase, self._doing = event.phase, one_line(event.message)
        if not self._quiet:
            local = event.at.astimezone()
            self._print(
                f"{local:%H:%M:%S} {event.phase:<9} {one_line(event.message, 400)}", bool(event.state)
            )

    def transcript(self, event: TranscriptEvent) -> None:
        """Show an event of the transcript."""
        self._doing = activity_text(event) or self._doing
        if isinstance(event, UsageReport):
            self._usage = event.usage.completed(self._usage) if event.total else self._usage + event.usage

    def _print(self, text: str, bold: bool) -> None:
        if self._live is None:
            print_to(self._stream, text)
            return
        from rich.text import Text

        self._live.console.print(Text(text, style="bold" if bold else ""))

    def _line(self) -> Any:
        from rich.text import Text

        elapsed = int(time.monotonic() - self._began)
        text = f"{elapsed // 60:d}:{elapsed % 60:02d} {self._phase} {self._doing}{cost_text(self._usage)}"
        return Text(text, style="dim")


def cost_text(usage: Usage) -> str:
    """Tokens in and out and US dollars, as far as they are known, as a suffix of a line."""
    known = usage.tokens_in or usage.tokens_out
    tokens = f" {usage.tokens_in:,} in, {usage.tokens_out:,} out" if known else ""
    if usage.cost_usd is None and usage.cost_at_least is not None:
        return f"{tokens} at least ${usage.cost_at_least:.2f}"
    return tokens + (f" ${usage.cost_usd:.2f}" if usage.cost_usd is not None else "")


def answer_text(runs: "Store", run_id: str) -> str:
    """What the run's agent said last; empty: nothing, or it is not kept any more."""
    path = next((Path(one.path) for one in runs.artifacts(run_id) if one.name == ANSWER), None)
    return path.read_text(errors="replace") if path is not None and path.is_file() else ""


def table(rows: Sequence[Sequence[str]], *, heads: Sequence[str]) -> Iterator[str]:
    """Rows in aligned columns, which other tools can cut."""
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def age_text(at: datetime | None) -> str:
    """How long ago that was."""
    if at is None:
        return "never"
    return f"{span_text(datetime.now(UTC) - at)} ago"


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the context without an error."""
    try:
        yield
    except KeyboardInterrupt:
        return
