"""`skillrunner backfill`: runs for slots of the past that had none."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import time_option
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.apps.worker.repository import RepositorySnapshot
    from runner.config.settings import Config
    from runner.core.model.decision import Decision, History
    from runner.scheduler.backfill import BackfillSlot
    from runner.skills import Skill
    from runner.store import Store
    from runner.store.decisions import QueueEntry
    from runner.triggers.slots import Slot

_MOST = 100


@click.command()
@click.argument("skill")
@click.option(
    "--from", "start", required=True, metavar="TIME", help="The first slot (ISO 8601; UTC if bare)."
)
@click.option("--to", "end", required=True, metavar="TIME", help="Slots before this time.")
@click.option("--repository", default="", help="Where, if several have a skill of this name.")
@click.option("--most", type=click.IntRange(1), default=_MOST, show_default=True, help="Refuse more slots.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be queued.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def command(
    options: "Options",
    /,
    skill: str,
    start: str,
    end: str,
    repository: str,
    most: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Queue a run for each slot of SKILL's schedule that had none, the oldest first and at low priority.

    The skill is that of the default branch now, and its runs see the time of their slot as
    `event.schedule.due`. They begin one after the other, whatever `overlap` says. Doing it twice queues
    nothing twice.
    """
    from runner.apps.cli.commands.worker import config_of
    from runner.run.stores import open_worker_store

    now = datetime.now(UTC)
    span = time_option("--from", start), time_option("--to", end)
    _check(span, now)
    config = config_of(options, None)
    with open_worker_store(config) as store:
        place = _place(store, config, skill, repository)
        told = _backfill(store, place, _skill(place, skill), _slots(place, skill, span, most), now, dry_run)
    if as_json:
        say_json(told)
        return
    for one in told:
        say(f"{one['due'][:16].replace('T', ' ')} UTC  {one['result']:<15}  {one['run']}".rstrip())
    if not told:
        say(f"{skill} has no slot in that time")


def _check(span: tuple[datetime, datetime], now: datetime) -> None:
    start, end = span
    if end <= start or end > now:
        wrong = "is not later than --from" if end <= start else "lies in the future, which workers decide"
        message = f"--to {end:%Y-%m-%dT%H:%M} UTC {wrong}"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="--from 2026-11-01 --to 2026-11-08")


def _place(store: "Store", config: "Config", skill: str, name: str) -> "RepositorySnapshot":
    """The repository as it is now, which some worker serves. Raises RunnerError."""
    from runner.apps.worker.credentials import Credentials
    from runner.apps.worker.error_log import ErrorLog
    from runner.apps.worker.repositories import RepositoryList
    from runner.apps.worker.repository import read_repository
    from runner.store.alerts import AlertStore

    known = AlertStore(store).repositories(skill)
    name = name or (known[0] if len(known) == 1 else "")
    if not name:
        where = f"{len(known)} repositories have" if known else "no repository that a worker serves has"
        hint = f"--repository {known[0]}" if known else "skillrunner worker status"
        message = f"{where} a skill {skill} with a schedule"
        raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
    if not AlertStore(store).is_served(name):
        message = f"no worker that uses this store serves {name}: nothing would be run"
        hint = "name it under worker.repositories, and start a worker"
        raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
    return read_repository(
        name, RepositoryList(config, Credentials(config), ErrorLog()).place(name), store, None
    )


def _skill(place: "RepositorySnapshot", name: str) -> "Skill":
    from runner.config.documents import closest

    if name in place.skills:
        return place.skills[name]
    message = f"{place.name} has no valid skill {name} at {place.base.sha[:12]}"
    hint = closest(name, sorted(place.skills)) or "skillrunner validate"
    raise RunnerError(Phase.LOAD, Reason.SKILL_NOT_FOUND, message, hint=hint)


def _slots(
    place: "RepositorySnapshot", name: str, span: tuple[datetime, datetime], most: int
) -> "list[Slot]":
    from runner.scheduler.backfill import slots_between

    found = slots_between(_skill(place, name), *span, most + 1)
    if len(found) > most:
        message = f"{name} has more than {most} slots in that time"
        raise RunnerError(
            Phase.LOAD, Reason.INVALID_INPUT, message, hint="shorten it, or allow more: --most N"
        )
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What was decided before, by this store and by all who share the repository's ledger."""

    own: "History"
    shared: "History | None"

    def decision(self, name: str) -> "Decision | None":
        return self.own.decisions.get(name) or (self.shared.decisions.get(name) if self.shared else None)

    def since(self) -> Mapping[str, datetime]:
        shared = self.shared.decided_until if self.shared else {}
        lines = {*self.own.decided_until, *shared}
        return {
            line: max(one[line] for one in (self.own.decided_until, shared) if line in one) for line in lines
        }


def _backfill(
    store: "Store",
    place: "RepositorySnapshot",
    skill: "Skill",
    some: "list[Slot]",
    now: datetime,
    dry_run: bool,
) -> list[dict[str, str]]:
    from runner.scheduler.backfill import slots_with_runs
    from runner.store.decisions import DecisionStore

    shared = _shared(place, now)
    told: list[dict[str, str]] = []

    def decide(own: "History") -> "list[Decision]":
        _check_pause(skill.name, own)
        known = _Known(own, shared)
        found = list(
            slots_with_runs(skill, some, place.introduction_times[skill.name], known.since(), known.decision)
        )
        made = {one.key: _decision(skill, one, now + at * _TICK) for at, one in enumerate(found)}
        told.extend(_told(one, made[one.key], dry_run) for one in found)
        return [] if dry_run else [made[one.key] for one in found if one.is_missing]

    DecisionStore(store, place.name).decide(decide, lambda one: _entry(place, one))
    return told


_TICK = timedelta(microseconds=1)  # between two runs, so that the oldest slot's goes first


def _shared(place: "RepositorySnapshot", now: datetime) -> "History | None":
    from runner.scheduler.ledger import Ledger

    if not place.forge.holds_ledger:
        return None
    return Ledger(place.mirror, place.forge.remote()).history(now)


def _check_pause(skill: str, known: "History") -> None:
    if paused := known.pauses.get(skill) or known.pauses.get("*"):
        hint = f"resume it first, and then backfill {skill}"
        raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, f"{skill} is paused: {paused}", hint=hint)


def _decision(skill: "Skill", one: "BackfillSlot", at: datetime) -> "Decision":
    from runner.core.model.decision import Decision, Verdict
    from runner.store import new_run_id

    return Decision(
        key=one.key,
        skill=skill.name,
        trigger="schedule",
        verdict=Verdict.STARTED,
        message=f"somebody asked for the slot of {one.slot.due:%Y-%m-%d %H:%M} UTC, which had no run",
        at=at,
        due=one.slot.due,
        run_id=new_run_id(at),
    )


def _entry(place: "RepositorySnapshot", decision: "Decision") -> "QueueEntry":
    from runner.scheduler.admission import PRIORITIES

    return replace(place.queue_entry(decision), priority=PRIORITIES["low"], cancels_others=False)


def _told(one: "BackfillSlot", made: "Decision", dry_run: bool) -> dict[str, Any]:
    due = one.slot.due.isoformat()
    if one.earlier_run:
        return {"due": due, "result": "had run", "run": one.earlier_run}
    if one.is_open:
        return {"due": due, "result": "not decided yet", "run": ""}
    return {
        "due": due,
        "result": "would be queued" if dry_run else "queued",
        "run": "" if dry_run else made.run_id,
    }
