"""Looks up which skills have reached a limit on what they may publish, for the decisions of a host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runner.core.model import Repository
from runner.core.model.decision import Decision, Event, Facts, History, Verdict
from runner.publish.forges import Forge
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

    def of_slots(
        self, introduced: Mapping[str, datetime], history: History, now: datetime
    ) -> Mapping[str, str]:
        """By skill with a slot that would start a run: the limit that is reached. Raises RunnerError."""
        return self._reached(decide_slots(self.skills, introduced, history, now), None, now)

    def of_event(self, event: Event, facts: Facts) -> Facts:
        """The facts, with the limits that are reached by the skills that the event would start."""
        found = decide_event(self.skills, event, facts, History(), event.at)
        return replace(facts, limits=self._reached(found, event, event.at))

    def _reached(
        self, decisions: Sequence[Decision], event: Event | None, now: datetime
    ) -> Mapping[str, str]:
        starts = [one for one in decisions if one.verdict is Verdict.STARTED]
        found = {one.skill: self._of(one, event, now) for one in starts}
        return {name: reached for name, reached in found.items() if reached}

    def _of(self, decision: Decision, event: Event | None, now: datetime) -> str:
        skill = self.skills[decision.skill]
        trigger = trigger_of(work_of(decision, event, skill, self.sha))
        return reached_limit(skill, trigger, self.repository, self.forge, now)
