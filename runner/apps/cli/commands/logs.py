"""`skillrunner logs`: what the agent did, as the transcript tells it."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import scope_of, settings
from runner.apps.terminal import say
from runner.core.jsonl import json_object

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.store import Store

_PAUSE = 0.2  # seconds between looks at a growing file
_SHORT = 300  # characters of a tool's arguments or output


@click.command()
@click.argument("run", default="latest")
@click.option("-f", "--follow", is_flag=True, help="Go on while the run goes on.")
@click.option("--raw", is_flag=True, help="The harness's own stream, secrets masked.")
@click.option("--json", "as_json", is_flag=True, help="The transcript's JSON lines as they are.")
@click.pass_obj
def command(options: "Options", run: str, follow: bool, raw: bool, as_json: bool) -> None:
    """Show what the agent did in RUN: an id, the beginning of one, or `latest`."""
    from runner.apps.console import interruptible
    from runner.run import stores
    from runner.run.agent.transcript import RAW, TRANSCRIPT

    with stores.open_store(settings(options)) as runs, interruptible():
        found = runs.run(run, scope_of(options))
        path = runs.files_of(found) / (RAW if raw else TRANSCRIPT)
        for line in _lines(path, runs, follow):
            text = line if raw or as_json else timed_line(json_object(line.encode()))
            if text:
                say(text)
        end = runs.run(found.id).end
    if end is not None and not raw and not as_json:
        say(f"-- {end.state}: {end.message}")


def _lines(path: Path, runs: "Store", follow: bool) -> Iterator[str]:
    """The lines of a file; of one that still grows, until its run's process is gone."""
    from runner.store import is_held

    while follow and not path.exists() and is_held(path.parent):
        time.sleep(_PAUSE)
    if not path.exists():
        return
    with path.open(errors="replace") as file:
        rest = ""
        while True:
            growing = follow and is_held(path.parent)  # asked before reading, so that the end is read too
            for piece in file:
                rest += piece
                if rest.endswith("\n"):
                    yield rest[:-1]
                    rest = ""
            if not growing:
                break
            time.sleep(_PAUSE)
        if rest:
            yield rest


def timed_line(event: Mapping[str, Any] | None) -> str:
    """One event of a transcript for people, with the local time at which it came."""
    text = event_line(event) or _facts_line(event or {})
    if not text or event is None or "at" not in event:
        return text
    return f"{_time(event)} {_indent(event)}{text}"


def _facts_line(event: Mapping[str, Any]) -> str:
    """The agent's session and model, and what it says in the end that it used."""
    if event.get("type") == "session":
        model = f", model {event['model']}" if event.get("model") else ""
        version = f", version {event['version']}" if event.get("version") else ""
        return f"* session {event.get('session_id')}{model}{version}"
    if event.get("type") == "usage" and event.get("total"):
        models = f" ({event['model']})" if event.get("model") else ""
        return f"* used{_usage_text(event.get('usage'))}{models}"
    return ""


def _usage_text(usage: object) -> str:
    if not isinstance(usage, dict):
        return " an unknown number of tokens"
    cost = usage.get("cost_usd")
    money = "" if cost is None else f", ${cost:.4f}"
    return f" {usage.get('tokens_in', 0):,} tokens in, {usage.get('tokens_out', 0):,} out{money}"


def _time(event: Mapping[str, Any]) -> str:
    try:
        return f"{datetime.fromisoformat(str(event.get('at'))).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError):
        return "--:--:--"


def _indent(event: Mapping[str, Any]) -> str:
    """What a sub-agent did stands below the call that began it."""
    return "  " if event.get("parent") else ""


def event_line(event: Mapping[str, Any] | None) -> str:
    """One event of a transcript for people; None is what a process wrote that was killed meanwhile."""
    if event is None:
        return "! the transcript was cut here"
    kind = event.get("type")
    if kind == "message":
        return str(event.get("text", ""))
    if kind == "tool_call":
        return f"> {event.get('tool')} {_short(event.get('arguments'))}"
    if kind == "tool_result":
        return f"{'<' if event.get('ok') else '< failed:'} {_short(event.get('output'))}"
    if kind == "error":
        return f"! {event.get('message')}"
    if kind == "file_edit":
        return f"~ {event.get('kind')} {event.get('path')}"
    return ""


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else line[:_SHORT] + "…"
