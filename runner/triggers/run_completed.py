"""The end of another skill's run starts the skill."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many, Model

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


class RunCompleted(Model):
    """A run of another skill ended."""

    skill: SkillName = Field(description="The other skill's name", examples=["docs-after-release"])
    states: Annotated[Many[End], Field(min_length=1)] = Field(
        default=("succeeded",), description="Only if it ended in one of these states"
    )

    def mismatch(self, payload: Mapping[str, Any]) -> str:
        """Why the run that ended is not one that the skill follows; empty: it is."""
        run = payload.get("run", {})
        if run.get("skill") != self.skill:
            return f"it follows {self.skill}, and this was a run of {run.get('skill')}"
        wanted = ", ".join(self.states)
        return "" if run.get("state") in self.states else f"`states` holds {wanted}, not {run.get('state')}"


KINDS = {"run_completed": RunCompleted}
