"""Converts records to rows and back."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from runner.core.errors import RunnerError
from runner.core.model import (
    Artifact,
    Check,
    End,
    Phase,
    Reason,
    Receipt,
    Refusal,
    Run,
    RunEvent,
    RunState,
    Usage,
)
from runner.core.payload import parse_json

_TIMES = ("created_at", "started_at", "ended_at")
_END = ("end_phase", "end_reason", "end_message", "end_hint", "end_retryable")


def run_row(run: Run) -> dict[str, Any]:
    row = asdict(run)
    del row["end"]
    return row | {name: utc_time(row[name]) for name in _TIMES}


@contextmanager
def row_errors(table: str, **key: object) -> Iterator[None]:
    """Turn what a damaged row raises inside into RunnerError STORE_FAILED, which names it by its key."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        where = " AND ".join(f"{name} = {value!r}" for name, value in key.items())
        message = f"a row of the table {table} is damaged ({where}): {type(error).__name__}: {error}"
        remove = f"DELETE FROM {table} WHERE {where}"  # noqa: S608 - a human reads it
        hint = (
            "go back to a backup (`skillrunner worker restore BACKUP --force`), or remove the row with the "
            f"database's own program: {remove}"
        )
        raise RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint) from error


def run_record(row: RowMapping) -> Run:
    values = {name: row[name] for name in row if name not in _END and name != "spec"}
    with row_errors("runs", id=row["id"]):
        values |= {name: stored_time(row[name]) for name in _TIMES}
        values |= {name: int(row[name]) for name in ("attempt", "tokens_in", "tokens_out")}
        values["cost_usd"] = None if row["cost_usd"] is None else float(row["cost_usd"])
        return Run(**{**values, "state": RunState(row["state"]), "end": _end(row)})


def end_row(end: End) -> dict[str, Any]:
    return {
        "state": end.state,
        "end_phase": end.phase,
        "end_reason": end.reason,
        "end_message": end.message,
        "end_hint": end.hint,
        "end_retryable": int(end.retryable),
    }


def usage_row(usage: Usage) -> dict[str, Any]:
    return {
        "cost_usd": usage.cost_usd,
        "cost_at_least": usage.cost_at_least,
        "tokens_in": usage.tokens_in,
        "tokens_out": usage.tokens_out,
    }


def _end(row: RowMapping) -> End | None:
    if row["end_phase"] is None:
        return None
    return End(
        state=RunState(row["state"]),
        phase=Phase(row["end_phase"]),
        reason=Reason(row["end_reason"]) if row["end_reason"] else None,
        message=row["end_message"],
        hint=row["end_hint"],
        retryable=bool(row["end_retryable"]),
    )


def event_row(event: RunEvent) -> dict[str, Any]:
    return asdict(event) | {"at": utc_time(event.at), "data": json.dumps(dict(event.data), default=str)}


def event_record(row: RowMapping) -> RunEvent:
    with row_errors("events", seq=row["seq"], run_id=row["run_id"]):
        return RunEvent(
            run_id=row["run_id"],
            at=datetime.fromisoformat(row["at"]),
            phase=Phase(row["phase"]),
            state=RunState(row["state"]) if row["state"] else None,
            message=row["message"],
            data=json_object(row["data"]),
        )


def json_object(text: str) -> dict[str, Any]:
    """An object as a column holds it. Raises ValueError where it holds something else."""
    found = parse_json(text)
    if not isinstance(found, dict):
        raise ValueError(f"{text[:100]!r} is no JSON object")
    return found


def json_value(row: RowMapping, leave: tuple[str, ...] = ("run_id", "position")) -> dict[str, Any]:
    return {name: row[name] for name in row if name not in leave}


def json_texts(text: str) -> list[str]:
    """A list of texts as a column holds it. Raises ValueError where it holds something else."""
    found = parse_json(text)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{text[:100]!r} is no JSON list of texts")
    return found


def artifact_record(row: RowMapping) -> Artifact:
    return Artifact(**json_value(row))


def check_record(row: RowMapping) -> Check:
    return Check(**(json_value(row) | {"ok": bool(row["ok"])}))


def refusal_record(row: RowMapping) -> Refusal:
    return Refusal(**json_value(row))


def receipt_record(row: RowMapping) -> Receipt:
    """The receipt; rows of before there were items have none."""
    return Receipt(**{**json_value(row), "item": row["item"] or ""})


def utc_time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="microseconds") if at else None


def stored_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, default=str, sort_keys=True)
