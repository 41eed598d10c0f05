"""Turns what started the workflow into an event, or into None for a wake-up that only decides slots. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from runner.apps.action.job_input import JobInput
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.model.decision import Event
from runner.core.payload import mapping_at, parse_json
from runner.triggers import action_triggers


def read_event(job: JobInput, now: datetime) -> Event | None:
    """The event; None for a wake-up: GitHub's cron, or a dispatch that asks for whatever is due."""
    if job.event == "schedule":
        return None
    if job.event == "workflow_dispatch":
        return _asked_for(job, now)
    if job.event == "repository_dispatch":
        return _dispatched(job, now)
    trigger = action_triggers().get(job.event)
    if trigger is None:  # the workflow listens to more than any skill can ask for
        return Event(
            kind=job.event, key=_again(job, f"{job.event}:{job.run_id}"), at=now, payload=job.payload
        )
    event = trigger.event(job.payload, now)
    return replace(event, key=_again(job, event.key))


def _asked_for(job: JobInput, now: datetime) -> Event | None:
    inputs = mapping_at(job.payload, "inputs")
    skill = str(inputs.get("skill") or ("" if job.inputs["key"] else job.inputs["skill"]))
    if not skill:
        return None
    return Event(
        kind="manual",
        key=_again(job, f"manual:{job.run_id}"),
        at=now,
        payload={"sender": job.payload.get("sender", {})},
        only=skill,
        inputs=_inputs(str(inputs.get("inputs") or "")),
    )


def _inputs(text: str) -> Mapping[str, Any]:
    try:
        found = parse_json(text) if text.strip() else {}
    except ValueError as error:
        raise _wrong(f"the input `inputs` is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _wrong(f"the input `inputs` holds {type(found).__name__}, not an object")
    return found


def _wrong(message: str) -> RunnerError:
    return RunnerError(
        Phase.PLAN, Reason.INVALID_INPUT, message, hint='give an object such as {"package": "core"}'
    )


def _dispatched(job: JobInput, now: datetime) -> Event:
    """A `repository_dispatch`: its type names the skill, its client payload is the event."""
    return Event(
        kind="webhook",
        key=_again(job, f"webhook:{job.run_id}"),
        at=now,
        payload=mapping_at(job.payload, "client_payload"),
        only=str(job.payload.get("action") or ""),
    )


def _again(job: JobInput, key: str) -> str:
    """The event's key; a re-run of the workflow has a key of its own, as the first is decided already."""
    return key if job.attempt == 1 else f"{key}#{job.attempt}"


def first_key(job: JobInput, key: str) -> str:
    """The key of the first attempt: a job that runs again has the key of the attempt that planned it."""
    stem, _, number = key.rpartition("#")
    is_earlier = stem and number.isdecimal() and 1 < int(number) <= job.attempt
    return stem if is_earlier else key
