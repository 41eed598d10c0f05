"""Looks up which skills have reached a limit on what they may publish, for the decisions of a host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runner.core.model import Repository
from runner.core.model.decision import Decision, Event, Facts, History, Verdict
from runner.publish.forges import Forge
from runner.run.conditions import unmet_condition
from runner.run.limits import reached_limit
from runner.run.start import trigger_of, work_of
from runner.scheduler.decide import decide_event, decide_slots
from runner.skills import Skill


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLookup:
    """The skills of a repository at one commit, and the forge that knows what they have published."""

    forge: Forge
    repository: Repository
    sha: str
    skills: Mapping[str, Skill]

    def of_slots(self, introduced: Mapping[str, datetime], history: History, now: datetime) -> Facts:
        """The limits and conditions that keep skills from starting whose slots would. Raises RunnerError."""
        return self._facts(decide_slots(self.skills, introduced, history, now), None, now, Facts())

    def of_event(self, event: Event, facts: Facts) -> Facts:
        """The facts, with the limits and conditions that keep skills from starting whom the event would."""
        found = decide_event(self.skills, event, facts, History(), event.at)
        return self._facts(found, event, event.at, facts)

    def _facts(
        self, decisions: Sequence[Decision], event: Event | None, now: datetime, facts: Facts
    ) -> Facts:
        starts = [one for one in decisions if one.verdict is Verdict.STARTED]
        limits = {one.skill: self._of(one, event, now) for one in starts}
        unmet = {
            one.skill: unmet_condition(self.skills[one.skill], self.forge, self.sha)
            for one in starts
            if one.trigger != "manual" and not limits[one.skill]
        }
        return replace(
            facts,
            limits={name: reached for name, reached in limits.items() if reached},
            conditions={name: one for name, one in unmet.items() if one is not None},
        )

    def _of(self, decision: Decision, event: Event | None, now: datetime) -> str:
        skill = self.skills[decision.skill]
        trigger = trigger_of(work_of(decision, event, skill, self.sha))
        return reached_limit(skill, trigger, self.repository, self.forge, now)
