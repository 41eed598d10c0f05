"""Records to rows and back."""

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

_TIMES = ("created_at", "started_at", "ended_at")
_END = ("end_phase", "end_reason", "end_message", "end_hint", "end_retryable")


def run_row(run: Run) -> dict[str, Any]:
    row = asdict(run)
    del row["end"]
    return row | {name: instant(row[name]) for name in _TIMES}


def run_record(row: RowMapping) -> Run:
    values = {name: row[name] for name in row if name not in _END and name != "spec"}
    values |= {name: moment(row[name]) for name in _TIMES}
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
    return asdict(event) | {"at": instant(event.at), "data": json.dumps(dict(event.data), default=str)}


def event_record(row: RowMapping) -> RunEvent:
    return RunEvent(
        run_id=row["run_id"],
        at=datetime.fromisoformat(row["at"]),
        phase=Phase(row["phase"]),
        state=RunState(row["state"]) if row["state"] else None,
        message=row["message"],
        data=json.loads(row["data"]),
    )


def plain(row: RowMapping, leave: tuple[str, ...] = ("run_id", "position")) -> dict[str, Any]:
    return {name: row[name] for name in row if name not in leave}


def artifact_record(row: RowMapping) -> Artifact:
    return Artifact(**plain(row))


def check_record(row: RowMapping) -> Check:
    return Check(**(plain(row) | {"ok": bool(row["ok"])}))


def refusal_record(row: RowMapping) -> Refusal:
    return Refusal(**plain(row))


def receipt_record(row: RowMapping) -> Receipt:
    return Receipt(**plain(row))


def instant(at: datetime | None) -> str | None:
    return at.isoformat(timespec="microseconds") if at else None


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, default=str, sort_keys=True)
