"""Converts records to rows and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

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
from runner.store.versions import stored_json

_TIMES = ("created_at", "started_at", "ended_at")
_END = ("end_phase", "end_reason", "end_message", "end_hint", "end_retryable")


def run_row(run: Run) -> dict[str, Any]:
    row = asdict(run)
    del row["end"]
    return row | {name: utc_time(row[name]) for name in _TIMES}


def run_record(row: RowMapping) -> Run:
    values = {name: row[name] for name in row if name not in _END and name != "spec"}
    values |= {name: stored_time(row[name]) for name in _TIMES}
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
    return {"cost_usd": usage.cost_usd, "tokens_in": usage.tokens_in, "tokens_out": usage.tokens_out}


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
    return RunEvent(
        run_id=row["run_id"],
        at=datetime.fromisoformat(row["at"]),
        phase=Phase(row["phase"]),
        state=RunState(row["state"]) if row["state"] else None,
        message=row["message"],
        data=stored_json(row["data"], f"run {row['run_id']}", "event"),
    )


def json_value(row: RowMapping, leave: tuple[str, ...] = ("run_id", "position")) -> dict[str, Any]:
    return {name: row[name] for name in row if name not in leave}


def artifact_record(row: RowMapping) -> Artifact:
    return Artifact(**json_value(row))


def check_record(row: RowMapping) -> Check:
    return Check(**(json_value(row) | {"ok": bool(row["ok"])}))


def refusal_record(row: RowMapping) -> Refusal:
    return Refusal(**json_value(row))


def receipt_record(row: RowMapping) -> Receipt:
    return Receipt(**json_value(row))


def utc_time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="microseconds") if at else None


def stored_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, default=str, sort_keys=True)
