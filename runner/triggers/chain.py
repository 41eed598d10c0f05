"""The end of another skill's run starts the skill."""

from typing import Annotated, Literal

from pydantic import Field

from runner.documents import Many, Model

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


KINDS = {"run_completed": RunCompleted}
