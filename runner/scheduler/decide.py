"""(skills, what is due or has happened, what was decided before) -> decisions. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runner.core.errors import RunnerError
from runner.core.model.decision import Cause, Decision, Event, Facts, History, Verdict
from runner.skills import Skill
from runner.triggers.schedule import Schedule
from runner.triggers.slots import Slot, line_of, slots

DEFAULT_WINDOW = timedelta(hours=6)
"""How late a slot may start where its skill says nothing; never later than the slot after it."""

MAX_SLOTS = 10_000
"""Slots of one schedule line that are decided one by one; those before them are told in one decision."""

_RANKS = {name: rank for rank, name in enumerate(("none", "read", "triage", "write", "maintain", "admin"))}
_SPARE = timedelta(minutes=15)  # for the workspace and for publishing, which no limit of the skill counts


@dataclass(slots=True)
class _Book:
    """The decisions of one call: what was started here counts as active for what comes after it."""

    history: History
    now: datetime
    started: dict[str, str] = field(default_factory=dict)

    def settle(
        self,
        skill: Skill,
        key: str,
        trigger: str,
        why: str,
        due: datetime | None = None,
        subject: str = "",
    ) -> Decision:
        """Nothing speaks against it but what is decided already, a pause, or a run that has not ended."""
        decided = self.history.decided.get(f"{skill.name} {key}")
        active = self.started.get(skill.name) or getattr(self.history.active.get(skill.name), "run_id", None)
        made = _Maker(skill, key, trigger, self.now, due)
        if decided is not None:
            return made.no(Cause.DUPLICATE, f"decided before: {decided.message}")
        if paused := _paused(skill, self.history):
            return made.no(Cause.PAUSED, paused, Verdict.HELD)
        if empty := self.history.purse.refusal(skill.name):
            return made.no(Cause.BUDGET, empty, Verdict.HELD)
        if active and skill.options.overlap == "skip":
            return made.no(
                Cause.OVERLAP, f"run {active} of {skill.name} has not ended, and `overlap` is skip"
            )
        self.started[skill.name] = "that was just started"
        goes_on = subject and skill.options.continues
        before = self.history.latest.get(f"{skill.name} {subject}") if goes_on else None
        if before is None:
            return made.yes(why)
        return replace(made.yes(f"{why}, goes on from run {before}"), continues=before)


@dataclass(frozen=True, slots=True)
class _Maker:
    skill: Skill
    key: str
    trigger: str
    now: datetime
    due: datetime | None = None

    def yes(self, message: str) -> Decision:
        limits = self.skill.options.limits
        longest = timedelta(seconds=(limits.timeout or 45 * 60) * (limits.attempts or 1))
        return self._decision(Verdict.STARTED, None, message, self.now + longest + _SPARE)

    def no(self, cause: Cause, message: str, verdict: Verdict = Verdict.SKIPPED) -> Decision:
        return self._decision(verdict, cause, message, None)

    def _decision(
        self, verdict: Verdict, cause: Cause | None, message: str, expires: datetime | None
    ) -> Decision:
        return Decision(
            key=self.key,
            skill=self.skill.name,
            trigger=self.trigger,
            verdict=verdict,
            cause=cause,
            message=message,
            at=self.now,
            due=self.due,
            expires=expires,
        )


def _paused(skill: Skill, history: History) -> str:
    if not skill.options.enabled:
        return f"{skill.file} says `enabled: false`"
    paused = {skill.name, "*"} & history.paused
    return "somebody paused it: `skillrunner worker resume` goes on" if paused else ""


# --- events -----------------------------------------------------------------------------------------


def listening_skills(skills: Mapping[str, Skill], event: Event) -> list[Skill]:
    """The skills that an event of this kind is decided for, by name."""
    return [
        skill
        for name, skill in sorted(skills.items())
        if event.only in ("", name) and (event.kind == "manual" or event.kind in skill.triggers)
    ]


def required_facts(skills: Mapping[str, Skill], event: Event) -> tuple[bool, bool]:
    """Whether deciding needs the actor's permission, and whether it needs the changed paths."""
    options = [
        option
        for skill in listening_skills(skills, event)
        if (option := skill.triggers.get(event.kind)) is not None and not option.mismatch(event.payload)
    ]
    return (
        any(hasattr(option, "actor") for option in options),
        any(getattr(option, "has_path_filter", False) for option in options),
    )


def on_event(
    skills: Mapping[str, Skill], event: Event, facts: Facts, history: History, now: datetime
) -> list[Decision]:
    """One decision for each skill that asks for events of this kind."""
    book = _Book(history, now)
    return [_on_event(skill, event, facts, book) for skill in listening_skills(skills, event)]


def _on_event(skill: Skill, event: Event, facts: Facts, book: _Book) -> Decision:
    made = _Maker(skill, event.key, event.kind, book.now)
    if f"{skill.name} {event.key}" not in book.history.decided:
        option = skill.triggers.get(event.kind)
        if option is not None and (misses := _misses(option, event, facts)):
            return made.no(Cause.FILTER, misses)
        if refused := _refused(skill, option, facts):
            return made.no(Cause.ACTOR, refused)
    by = f" by {facts.actor.login}" if facts.actor else ""
    why = f"{event.kind} {event.subject}".rstrip() + by
    return book.settle(skill, event.key, event.kind, why, subject=event.subject)


def _misses(option: Any, event: Event, facts: Facts) -> str:
    misses: str = option.mismatch(event.payload)
    if misses or not getattr(option, "has_path_filter", False):
        return misses
    if facts.paths is None:
        return "`paths` is asked for, and which paths changed is not known"
    told: str = option.path_mismatch(facts.paths)
    return told


def _refused(skill: Skill, option: Any, facts: Facts) -> str:
    """Why who did it may not start the skill; empty: they may."""
    if facts.ours:
        return f"{facts.ours}: what skillrunner does starts no skill (`run_completed` chains them)"
    if facts.actor is None or not hasattr(option, "actor"):
        return ""
    who, wanted = facts.actor, option.actor
    if who.bot and who.login not in wanted.bots:
        return f"{who.login} is a bot: allow it with `actor: {{bots: ['{who.login}']}}`"
    if not who.bot and _RANKS.get(who.permission, 0) < _RANKS[wanted.permission]:
        return f"{who.login} has the permission `{who.permission}`, and `{wanted.permission}` is needed"
    if facts.fork and skill.publishes:
        outputs = " and ".join(skill.outputs)
        return f"the pull request comes from a fork: its runs may only read, and the output is {outputs}"
    return ""


# --- slots ------------------------------------------------------------------------------------------


def schedule_line(skill: Skill, schedule: Schedule) -> str:
    """The name of one line of a skill's timetable, under which is kept how far it was decided."""
    return f"{skill.name} {line_of(schedule)}"


def on_slots(
    skills: Mapping[str, Skill], introduced: Mapping[str, datetime], history: History, now: datetime
) -> list[Decision]:
    """One decision for each slot that has come since the last one that was decided.

    `introduced` tells when each skill came to the trusted ref as it is: no slot before that was ever due.
    """
    book = _Book(history, now)
    return [
        decision
        for _, skill in sorted(skills.items())
        for schedule in _timetable(skill)
        for decision in _line(skill, schedule, introduced[skill.name], book)
    ]


def _timetable(skill: Skill) -> Sequence[Schedule]:
    timetable = skill.triggers.get("schedule")
    return timetable.root if timetable is not None else ()


def _line(skill: Skill, schedule: Schedule, introduced: datetime, book: _Book) -> Iterator[Decision]:
    after = max(book.history.since.get(schedule_line(skill, schedule), introduced), introduced)
    due = list(slots(schedule, after, book.now))
    if len(due) > MAX_SLOTS:
        first, before = due[0], len(due) - MAX_SLOTS
        made = _Maker(skill, f"{first.key}+{before}", "schedule", book.now, due[-MAX_SLOTS - 1].due)
        message = f"{before:,} slots from {first.due:%Y-%m-%d %H:%M} UTC on came too late"
        yield made.no(Cause.WINDOW, message, Verdict.MISSED)
        due = due[-MAX_SLOTS:]
    for slot in due:
        yield _slot(skill, slot, slot is due[-1], book)


def _slot(skill: Skill, slot: Slot, is_last: bool, book: _Book) -> Decision:
    made = _Maker(skill, slot.key, "schedule", book.now, slot.due)
    late = book.now - slot.due
    at = f"the slot of {slot.due:%Y-%m-%d %H:%M} UTC"
    window = window_of(slot.schedule)
    if late > window:
        message = f"{at} came up {_told(late)} late, and its window is {_told(window)}"
        return made.no(Cause.WINDOW, message, Verdict.MISSED)
    if not is_last:
        return made.no(Cause.DUPLICATE, f"{at} was missed, and the one after it runs in its place")
    why = f"{at}, {_told(late)} late" if late > timedelta(minutes=1) else at
    return book.settle(skill, slot.key, "schedule", why, slot.due)


def window_of(schedule: Schedule) -> timedelta:
    """How late a slot may start."""
    return DEFAULT_WINDOW if schedule.catch_up is None else timedelta(seconds=schedule.catch_up)


def _told(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def failed_to_start(decision: Decision, error: RunnerError) -> Decision:
    """What becomes of a decision to start when no run came to be."""
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    return replace(
        decision, verdict=Verdict.FAILED_TO_START, cause=Cause.INVALID, message=message, expires=None
    )
