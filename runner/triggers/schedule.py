"""The schedule: instants at which a skill is due, as cron expressions in named time zones."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, RootModel

from runner.config.documents import Many, Model
from runner.config.zones import Zone
from runner.core.units import Duration, Maybe
from runner.triggers import SkillTrigger, TriggerKind
from runner.triggers._cron_lines import cron_lines
from runner.triggers.cron import Cron
from runner.triggers.options import TriggerOptions


class Schedule(Model):
    """One line of a timetable."""

    cron: Cron = Field(
        description="Five cron fields, or @hourly, @daily, @weekly, @monthly, @yearly",
        examples=["0 9 * * 1"],
    )
    timezone: Zone = Field(default="UTC", description="An IANA time zone such as Europe/Berlin")
    catch_up: Maybe[Duration] = Field(
        default=None,
        description="A missed slot still runs, once, when no more than this has passed"
        " (default: until the next slot, at most 6h)",
    )
    jitter: Maybe[Duration] = Field(
        default=None, description="Start up to this much later, the same for a slot"
    )


class Schedules(RootModel[Annotated[Many[Schedule], Field(min_length=1)]], TriggerOptions):
    """When the skill is due."""


class ScheduleTrigger(TriggerKind):
    """Which slots are due `slots.py` computes: GitHub's cron only wakes the workflow."""

    name = "schedule"
    options = Schedules

    def workflow_events(self, skills: Sequence[SkillTrigger]) -> Mapping[str, Any]:
        schedules = [
            line for one in skills if isinstance(one.options, Schedules) for line in one.options.root
        ]
        lines = sorted(
            {line for schedule in schedules for line in cron_lines(schedule.cron, schedule.timezone)}
        )
        return {"schedule": [{"cron": line} for line in lines]} if lines else {}


PLUGINS = (ScheduleTrigger,)
