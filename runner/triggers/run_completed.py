"""The end of another skill's run starts the skill."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many, Model
from runner.core.payload import value_at
from runner.triggers import KeyPart, TriggerKind
from runner.triggers.options import TriggerOptions

End = Literal[
    "succeeded",
    "nothing_to_do",
    "failed",
    "error",
    "blocked",
    "timed_out",
    "cancelled",
    "lost",
    "superseded",
]
SkillName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]


class RunCompleted(Model, TriggerOptions):
    """A run of another skill ended."""

    skill: SkillName = Field(description="The other skill's name", examples=["docs-after-release"])
    states: Annotated[Many[End], Field(min_length=1)] = Field(
        default=("succeeded",), description="Only if it ended in one of these states"
    )

    def mismatch(self, payload: Mapping[str, Any]) -> str:
        skill, state = (value_at(payload, "run", name) for name in ("skill", "state"))
        if skill != self.skill:
            return f"it follows {self.skill}, and this was a run of {skill}"
        return "" if state in self.states else f"`states` holds {', '.join(self.states)}, not {state}"


class RunCompletedTrigger(TriggerKind):
    """In a workflow the run that follows is in the job of the run that it follows: GitHub starts nothing."""

    name = "run_completed"
    options = RunCompleted
    subject_path = ("run", "id")
    key_parts = (KeyPart(("run", "id")),)

    def subject_key(self, payload: Mapping[str, Any]) -> str:
        """What the run before was about, which its decision knows, and no payload."""
        return ""


PLUGINS = (RunCompletedTrigger,)
