"""`skillrunner why`: what became of a slot or an event, and why nothing runs, with the facts."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import time_option
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.config.settings import Config
    from runner.core.model.decision import Decision
    from runner.scheduler.obstacles import Obstacle, SkillFacts
    from runner.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command line asks for."""

    skill: str
    at: datetime | None
    event: str | None
    repository: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What is known of it: a decision, and why nothing runs; at least one of the two."""

    repository: str
    skill: str
    decision: "Decision | None" = None
    obstacle: "Obstacle | None" = None


@click.command()
@click.argument("skill")
@click.option("--at", metavar="TIME", help="The slot at, or last before, this time (ISO 8601; UTC if bare).")
@click.option("--event", metavar="ID", help="The event with this id or subject: a tag, an issue.")
@click.option("--repository", help="Only there, where several have a skill of this name.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def command(
    options: "Options", skill: str, at: str | None, event: str | None, repository: str | None, as_json: bool
) -> None:
    """Say what became of what was due for SKILL, and why nothing runs now.

    That is the last decision, that of a slot, or that of an event, with what its run waits for; or why
    there is none: the skill is unknown, not valid, paused, not due yet, or nobody could decide.
    """
    from runner.apps.cli.commands.worker import config_of
    from runner.run.stores import open_worker_store

    config = config_of(options, None)
    asked = _Asked(
        skill=skill, at=time_option("--at", at) if at else None, event=event, repository=repository
    )
    with open_worker_store(config) as store:
        answer = _answer(store, config, asked, datetime.now(UTC))
        if as_json:
            say_json(_document(answer))
            return
        for line in _lines(store, answer):
            say(line)


def _answer(store: "Store", config: "Config", asked: _Asked, now: datetime) -> _Answer:
    """What is known. Raises RunnerError where the skill is not, or its event is not."""
    from runner.store.decisions import find_newest
    from runner.store.obstacles import idle_skills

    found = find_newest(store, asked.skill, asked.repository, asked.at, asked.event)
    where = found[0] if found else asked.repository
    idle = next(iter(idle_skills(store, asked.skill, where, now)), None)
    if found is None and idle is None:
        raise _unknown(store, asked)
    if found is None and asked.event is not None:
        raise _unheard(asked, idle)
    if found is None or (idle is not None and _is_undecided(asked, found[1], idle[0])):
        assert idle is not None
        return _Answer(repository=idle[0].repository, skill=asked.skill, obstacle=_of_time(asked, *idle))
    obstacle = _of_run(store, config, found[1], now) or _now(asked, found[1], idle, now)
    return _Answer(repository=found[0], skill=asked.skill, decision=found[1], obstacle=obstacle)


def _is_undecided(asked: _Asked, decision: "Decision", skill: "SkillFacts") -> bool:
    """Whether the slot that `--at` means has no decision: the one found is of an earlier slot."""
    if asked.at is None or skill.next_due is None or decision.due is None:
        return False
    return decision.due < skill.next_due <= asked.at


def _of_time(asked: _Asked, skill: "SkillFacts", idle: "Obstacle") -> "Obstacle":
    from runner.scheduler.obstacles import Obstacle, ObstacleKind

    if asked.at is None or skill.next_due is None or skill.next_due <= asked.at:
        return idle
    message = (
        f"nothing was due at that time, or its decision is gone; next: {skill.next_due:%Y-%m-%d %H:%M} UTC"
    )
    return Obstacle(kind=ObstacleKind.NOT_DUE, message=message, until=skill.next_due)


def _of_run(store: "Store", config: "Config", decision: "Decision", now: datetime) -> "Obstacle | None":
    """Why the decision's run is not running; None: it runs, has ended, or there is none."""
    from runner.scheduler.obstacles import why_waiting
    from runner.store.approvals import ApprovalStore
    from runner.store.obstacles import held_runs

    if not decision.run_id:
        return None
    if (last := ApprovalStore(store).last(decision.run_id)) is not None and not last.verdict:
        return why_waiting(last)
    held = held_runs(store, config.worker, now)
    return next((one.obstacle for one in held if one.run.run_id == decision.run_id), None)


def _now(
    asked: _Asked, decision: "Decision", idle: "tuple[SkillFacts, Obstacle] | None", now: datetime
) -> "Obstacle | None":
    """What keeps the skill from its next run, where the decision that was found does not say that."""
    from runner.scheduler.obstacles import ObstacleKind, why_held

    if asked.at is not None or asked.event is not None or idle is None:
        return why_held(decision)
    skill, obstacle = idle
    expected = obstacle.kind is ObstacleKind.NOT_DUE
    is_late = obstacle.kind is ObstacleKind.OVERDUE and skill.next_due is not None and skill.next_due > now
    return why_held(decision) if expected or is_late else obstacle


def _unknown(store: "Store", asked: _Asked) -> RunnerError:
    from runner.config.documents import closest
    from runner.store.troubles import TroubleStore

    known = TroubleStore(store).names()
    where = f" of {asked.repository}" if asked.repository else ""
    message = f"no worker has seen a skill {asked.skill}{where} on a default branch"
    hint = (
        closest(asked.skill, known) or "is it committed, and does a worker poll it? skillrunner worker status"
    )
    return RunnerError(Phase.STORE, Reason.SKILL_NOT_FOUND, message, hint=hint)


def _unheard(asked: _Asked, idle: "tuple[SkillFacts, Obstacle] | None") -> RunnerError:
    message = f"no event {asked.event} was decided for {asked.skill}"
    hint = idle[1].message if idle else "skillrunner worker status"
    return RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)


def _document(answer: _Answer) -> dict[str, Any]:
    from runner.store.obstacles import obstacle_document

    decision = asdict(answer.decision) if answer.decision else {"skill": answer.skill}
    waits = obstacle_document(answer.obstacle) if answer.obstacle else None
    return {"repository": answer.repository, **decision, "waits": waits}


def _lines(store: "Store", answer: _Answer) -> Iterator[str]:
    from runner.apps.console import one_line

    if answer.decision is not None:
        yield from _told(store, answer.repository, answer.decision)
    if answer.obstacle is not None:
        message = one_line(answer.obstacle.message, 1000)
        if answer.decision is None:
            yield f"{answer.skill}: {answer.obstacle.kind}: {message}"
            yield f"repository  {answer.repository}"
        elif message not in one_line(answer.decision.message, 1000):
            yield f"it waits    {answer.obstacle.kind}: {message}"


def _told(store: "Store", repository: str, decision: "Decision") -> list[str]:
    from runner.apps.action.report import verdict_text
    from runner.apps.console import one_line

    when = f"{decision.at.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    lines = [f"{decision.skill}: {verdict_text(decision)}: {one_line(decision.message, 1000)}"]
    lines.append(f"decided     {when} for {repository} ({one_line(decision.key, 200)})")
    if decision.due is not None:
        lines.append(f"due         {decision.due.astimezone():%Y-%m-%d %H:%M:%S %Z}")
    if decision.run_id:
        try:
            run = store.run(decision.run_id)
        except RunnerError:
            return [*lines, f"run         {decision.run_id}: it is gone, older than `worker.retention`"]
        end = one_line(run.end.message, 300) if run.end else "it has not ended"
        lines.append(f"run         {run.id} {run.state}: {end}")
        lines.append(f"next: skillrunner show {run.id}")
    return lines
