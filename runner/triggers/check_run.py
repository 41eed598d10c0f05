"""A check of a GitHub repository went on. No list tells of checks: polling does not hear them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.core.payload import value_at
from runner.core.units import Maybe
from runner.triggers import EventCommit, KeyPart
from runner.triggers._commits import checked_commit
from runner.triggers.options import (
    ActivityOptions,
    CommitOptions,
    Conclusion,
    Names,
    Tree,
    name_mismatch,
)
from runner.triggers.sources.github.trigger import GitHubTrigger

CheckRunType = Literal["created", "rerequested", "completed", "requested_action"]


class CheckRun(CommitOptions, ActivityOptions):
    """A check went on."""

    types: Annotated[Many[CheckRunType], Field(min_length=1)] = ("completed",)
    names: Maybe[Names] = Field(default=None, description="Only checks of these names")
    conclusion: Maybe[Annotated[Many[Conclusion], Field(min_length=1)]] = Field(
        default=None, description="Only checks that ended so"
    )

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        return name_mismatch("names", value_at(payload, "check_run", "name"), self.names) or name_mismatch(
            "conclusion", value_at(payload, "check_run", "conclusion"), self.conclusion
        )


class CheckRunTrigger(GitHubTrigger):
    name = "check_run"
    options = CheckRun
    subject_path = ("check_run", "id")
    key_parts = (KeyPart(("check_run", "id")), KeyPart(("action",)))
    time_path = ("check_run", "completed_at")  # the same check may run, and be asked for, again
    time_paths: Mapping[str, tuple[str, ...]] = {"created": ()}

    def commit(self, payload: Mapping[str, Any], tree: Tree) -> EventCommit | None:
        return checked_commit(payload, "check_run")


PLUGINS = (CheckRunTrigger,)
