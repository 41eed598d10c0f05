"""Decides slots and events: (skills, due slots or an event, earlier decisions) -> decisions. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from runner.core.errors import RunnerError
from runner.core.model.decision import (
    Cause,
    Decision,
    Event,
    Facts,
    History,
    Verdict,
    actor_name,
    subject_name,
)
from runner.core.units import span_text
from runner.skills import Skill, inputs_from_words
from runner.triggers import TriggerOptions, actor
from runner.triggers.options import BotNames, CommandArguments
from runner.triggers.schedule import Schedule
from runner.triggers.slots import Slot, line_of, slots

DEFAULT_WINDOW = timedelta(hours=6)
"""How late a slot may start by default; a slot never starts after the next one is due."""

MAX_SLOTS = 10_000
"""Slots of one schedule line that get a decision each; all earlier ones share one decision."""

_SPARE = timedelta(minutes=15)  # for the workspace and for publishing, which the skill's limits do not cover


@dataclass(slots=True)
class _Decider:
    """Makes the decisions of one call. A run that an earlier one of them starts counts as active."""

    history: History
    now: datetime
    facts: Facts = Facts()
    is_requested: bool = False  # a person asks for it, whatever conditions the skill has
    started: dict[str, str] = field(default_factory=dict)
    last_starts: dict[str, datetime] = field(default_factory=dict)  # by skill, of this call
    actor: str = ""  # the login of the event's actor; empty: nobody

    def decide(
        self,
        skill: Skill,
        key: str,
        trigger: str,
        why: str,
        due: datetime | None = None,
        event: Event | None = None,
    ) -> Decision:
        """Start the skill unless it is decided already, paused, over its budget, or at work on that."""
        about = event.subject_key if event else ""
        name, decided = subject_name(skill.name, about), self.history.decisions.get(f"{skill.name} {key}")
        active = self.started.get(name) or getattr(self.history.active.get(name), "run_id", None)
        made = _DecisionMaker(skill, key, trigger, self.now, due, about, self.actor)
        if decided is not None:
            return made.refuse(Cause.DUPLICATE, f"decided before: {decided.message}")
        if paused := _pause_message(skill, self.history):
            return made.refuse(Cause.PAUSED, paused, Verdict.HELD)
        if empty := self.history.budget.refusal(skill.name):
            return made.refuse(Cause.BUDGET, empty, Verdict.HELD)
        if reached := self.facts.limits.get(skill.name):
            return made.refuse(Cause.LIMIT, reached, Verdict.HELD)
        if not self.is_requested and trigger != "manual" and (found := self._condition(skill)):
            return made.refuse(*found)
        if active and skill.options.overlap == "skip":
            whose = f"{skill.name} on {event.subject}" if event and about and event.subject else skill.name
            return made.refuse(Cause.OVERLAP, f"run {active} of {whose} has not ended, and `overlap` is skip")
        self.started[name] = "that was just started"
        self.last_starts[skill.name] = self.now
        goes_on = event and event.subject and skill.options.continues
        before = self.history.latest_runs.get(f"{skill.name} {event.subject}") if event and goes_on else None
        if before is None:
            return made.start(why)
        return replace(made.start(f"{why}, goes on from run {before}"), continues=before)

    def _condition(self, skill: Skill) -> tuple[Cause, str, Verdict] | None:
        """What the skill itself says against a start now; None: nothing."""
        stop, cooldown = skill.options.stop_after, skill.options.cooldown
        if stop is not None and self.now >= stop:
            return (
                Cause.STOPPED,
                f"`stop_after` has nothing start it from {_minute(stop)} on",
                Verdict.SKIPPED,
            )
        last = self._last_start(skill.name) if cooldown is not None else None
        again = last + timedelta(seconds=cooldown) if last is not None and cooldown is not None else None
        if last is not None and again is not None and self.now < again:
            message = f"a run was started at {_minute(last)}, and `cooldown` lasts until {_minute(again)}"
            return Cause.COOLDOWN, message, Verdict.SKIPPED
        if limited := self._actor_limit(skill):
            return Cause.ACTOR_LIMIT, limited, Verdict.SKIPPED
        unmet = self.facts.conditions.get(skill.name)
        if unmet is None:
            return None
        return Cause.CONDITION, unmet.message, Verdict.HELD if unmet.is_unknown else Verdict.SKIPPED

    def _actor_limit(self, skill: Skill) -> str:
        """Why the actor may start no further run now; empty: they may."""
        rate = skill.options.runs_per_actor
        if rate is None or not self.actor:
            return ""
        window = timedelta(seconds=rate.seconds)
        starts = self.history.actor_starts.get(actor_name(skill.name, self.actor), ())
        recent = sorted((at for at in starts if at > self.now - window), reverse=True)
        if len(recent) < rate.count:
            return ""
        again = recent[rate.count - 1] + window
        return (
            f"{self.actor} has started {len(recent)} runs, and `runs_per_actor` is {rate}: the next at"
            f" {_minute(again)} or later"
        )

    def _last_start(self, skill: str) -> datetime | None:
        return self.last_starts.get(skill) or self.history.last_starts.get(skill)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class _DecisionMaker:
    skill: Skill
    key: str
    trigger: str
    now: datetime
    due: datetime | None = None
    subject_key: str = ""
    actor: str = ""

    def start(self, message: str) -> Decision:
        limits = self.skill.options.limits
        longest = timedelta(seconds=(limits.timeout or 45 * 60) * (limits.attempts or 1))
        return self._decision(Verdict.STARTED, None, message, self.now + longest + _SPARE)

    def refuse(self, cause: Cause, message: str, verdict: Verdict = Verdict.SKIPPED) -> Decision:
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
            subject_key=self.subject_key,
            actor=self.actor,
        )


def _pause_message(skill: Skill, history: History) -> str:
    if not skill.options.enabled:
        return f"{skill.file} says `enabled: false`"
    return history.pauses.get(skill.name) or history.pauses.get("*", "")


# --- events -----------------------------------------------------------------------------------------


def listening_skills(skills: Mapping[str, Skill], event: Event) -> list[Skill]:
    """The skills that get a decision on an event, sorted by name."""
    return [
        skill
        for name, skill in sorted(skills.items())
        if event.only in ("", name) and (event.kind == "manual" or event.kind in skill.heard_kinds)
    ]


def required_facts(skills: Mapping[str, Skill], event: Event) -> tuple[bool, bool]:
    """Whether a decision needs the actor's permission, and whether it needs the changed paths."""
    options = [
        option
        for skill in listening_skills(skills, event)
        for option in skill.listeners(event.kind)
        if not option.mismatch(event.payload)
    ]
    return (
        any(option.actor_rule is not None for option in options),
        any(option.has_path_filter for option in options),
    )


def decide_event(
    skills: Mapping[str, Skill], event: Event, facts: Facts, history: History, now: datetime
) -> list[Decision]:
    """One decision for each skill that listens for events of this kind."""
    who = facts.actor.login if facts.actor else actor(event.payload) or ""
    decider = _Decider(history, now, facts, actor=who)
    return [_decide_event(skill, event, facts, decider) for skill in listening_skills(skills, event)]


def _decide_event(skill: Skill, event: Event, facts: Facts, decider: _Decider) -> Decision:
    made = _DecisionMaker(skill, event.key, event.kind, decider.now, actor=decider.actor)
    said: CommandArguments | None = None
    inputs: Mapping[str, str] = {}
    if f"{skill.name} {event.key}" not in decider.history.decisions:
        option, mismatch = _listener(skill, event, facts)
        if mismatch:
            return made.refuse(Cause.FILTER, mismatch)
        if refused := _actor_refusal(skill, option, facts):
            return made.refuse(Cause.ACTOR, refused)
        said = option.arguments(event.payload, _bot_names(facts)) if option is not None else None
        try:
            inputs = inputs_from_words(skill, said.words, said.values) if said is not None else {}
        except RunnerError as error:
            return made.refuse(Cause.INVALID, error.message)
    by = f" by {facts.actor.login}" if facts.actor else ""
    why = f"{event.kind} {event.subject}".rstrip() + by + (f": {said.what}" if said is not None else "")
    return replace(decider.decide(skill, event.key, event.kind, why, event=event), inputs=inputs)


def _listener(skill: Skill, event: Event, facts: Facts) -> tuple[TriggerOptions | None, str]:
    """(the options under which the skill takes the event, empty), or why it takes it under none."""
    found = [(option, _mismatch(option, event, facts)) for option in skill.listeners(event.kind)]
    fitting = next((option for option, mismatch in found if not mismatch), None)
    return fitting, "" if fitting is not None or not found else found[-1][1]


def _bot_names(facts: Facts) -> BotNames:
    return BotNames(mention=facts.mention, commands=facts.commands)


def _mismatch(option: TriggerOptions, event: Event, facts: Facts) -> str:
    """Why the event is not one that the skill asks for; empty: it is."""
    mismatch = option.mismatch(event.payload)
    if mismatch := mismatch or option.address_mismatch(event.payload, _bot_names(facts)):
        return mismatch
    if not option.has_path_filter:
        return ""
    if facts.paths is None:
        return "`paths` is asked for, and which paths changed is not known"
    return option.path_mismatch(facts.paths)


def _actor_refusal(skill: Skill, option: TriggerOptions | None, facts: Facts) -> str:
    """Why the event's actor may not start the skill; empty: they may."""
    if facts.own_cause:
        return f"{facts.own_cause}: what skillrunner does starts no skill (`run_completed` chains them)"
    who, wanted = facts.actor, option.actor_rule if option else None
    if who is None or wanted is None:
        return ""
    if refused := wanted.refusal(who):
        return refused
    if facts.is_fork and skill.publishes and not {*skill.outputs} & {*skill.options.outputs_for_strangers}:
        outputs = " and ".join(skill.outputs)
        return f"the commit comes from a fork: its runs may only read, and the output is {outputs}"
    return ""


# --- slots ------------------------------------------------------------------------------------------


def schedule_line(skill: Skill, schedule: Schedule) -> str:
    """The name of one line of a skill's schedule, under which the last decided slot is stored."""
    return f"{skill.name} {line_of(schedule)}"


def decide_slots(
    skills: Mapping[str, Skill],
    introduction_times: Mapping[str, datetime],
    history: History,
    now: datetime,
    facts: Facts = Facts(),  # noqa: B008 - it is frozen
) -> list[Decision]:
    """One decision for each slot that came due since the last decided one.

    `introduction_times` is by skill: when the trusted ref got its present version. No earlier slot is due.
    `facts` holds the limits that are reached, and the conditions that are not met.
    """
    decider = _Decider(history, now, facts)
    return [
        decision
        for _, skill in sorted(skills.items())
        for schedule in skill.schedules
        for decision in _decide_line(skill, schedule, introduction_times[skill.name], decider)
    ]


def _decide_line(
    skill: Skill, schedule: Schedule, introduced: datetime, decider: _Decider
) -> Iterator[Decision]:
    after = max(decider.history.decided_until.get(schedule_line(skill, schedule), introduced), introduced)
    due = list(slots(schedule, after, decider.now))
    if len(due) > MAX_SLOTS:
        first, before = due[0], len(due) - MAX_SLOTS
        made = _DecisionMaker(
            skill, f"{first.key}+{before}", "schedule", decider.now, due[-MAX_SLOTS - 1].due
        )
        message = f"{before:,} slots from {first.due:%Y-%m-%d %H:%M} UTC on came too late"
        yield made.refuse(Cause.WINDOW, message, Verdict.MISSED)
        due = due[-MAX_SLOTS:]
    for slot in due:
        yield _decide_slot(skill, slot, slot is due[-1], decider)


def _decide_slot(skill: Skill, slot: Slot, is_last: bool, decider: _Decider) -> Decision:
    made = _DecisionMaker(skill, slot.key, "schedule", decider.now, slot.due)
    late = decider.now - slot.due
    at = f"the slot of {slot.due:%Y-%m-%d %H:%M} UTC"
    window = window_of(slot.schedule)
    if late > window:
        message = f"{at} came up {span_text(late)} late, and its window is {span_text(window)}"
        return made.refuse(Cause.WINDOW, message, Verdict.MISSED)
    if not is_last:
        return made.refuse(Cause.DUPLICATE, f"{at} was missed, and the one after it runs in its place")
    why = f"{at}, {span_text(late)} late" if late > timedelta(minutes=1) else at
    return decider.decide(skill, slot.key, "schedule", why, slot.due)


def decide_slot_again(
    skill: Skill, decision: Decision, key: str, history: History, now: datetime
) -> Decision:
    """The decision on a slot that was started before, and that somebody asks for again."""
    at = f"{decision.due:%Y-%m-%d %H:%M} UTC" if decision.due else decision.key
    why = f"the slot of {at}, which somebody asked for again"
    decider = _Decider(history, now, is_requested=True)
    return decider.decide(skill, key, decision.trigger, why, decision.due)


def window_of(schedule: Schedule) -> timedelta:
    """How late a slot may start."""
    return DEFAULT_WINDOW if schedule.catch_up is None else timedelta(seconds=schedule.catch_up)


def failed_to_start(decision: Decision, error: RunnerError) -> Decision:
    """The decision that replaces a decision to start when no run could be started."""
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    return replace(
        decision, verdict=Verdict.FAILED_TO_START, cause=Cause.INVALID, message=message, expires=None
    )
