"""The forge's events, under GitHub's names, and the filters that each of them allows.

Activity types are those of GitHub's "Events that trigger workflows".
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.core.globs import matches
from runner.core.units import Maybe

Globs = Annotated[Many[Text], Field(min_length=1)]
Names = Annotated[Many[Text], Field(min_length=1)]
Bot = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}\[bot\]$")]
Command = Annotated[str, Field(pattern=r"^/[a-z0-9][a-z0-9-]{0,38}$")]

ReleaseType = Literal["published", "unpublished", "created", "edited", "deleted", "prereleased", "released"]
IssueType = Literal[
    "opened",
    "edited",
    "deleted",
    "transferred",
    "pinned",
    "unpinned",
    "closed",
    "reopened",
    "assigned",
    "unassigned",
    "labeled",
    "unlabeled",
    "locked",
    "unlocked",
    "milestoned",
    "demilestoned",
    "typed",
    "untyped",
]
CommentType = Literal["created", "edited", "deleted"]
PullRequestType = Literal[
    "assigned",
    "unassigned",
    "labeled",
    "unlabeled",
    "opened",
    "edited",
    "closed",
    "reopened",
    "synchronize",
    "converted_to_draft",
    "ready_for_review",
    "locked",
    "unlocked",
    "milestoned",
    "demilestoned",
    "review_requested",
    "review_request_removed",
    "auto_merge_enabled",
    "auto_merge_disabled",
    "enqueued",
    "dequeued",
]
WorkflowRunType = Literal["completed", "requested", "in_progress"]
CheckRunType = Literal["created", "rerequested", "completed", "requested_action"]
Conclusion = Literal[
    "success",
    "failure",
    "neutral",
    "cancelled",
    "timed_out",
    "action_required",
    "stale",
    "skipped",
    "startup_failure",
]


class Actor(Model):
    """Who may start the skill."""

    permission: Literal["none", "read", "triage", "write", "maintain", "admin"] = Field(
        default="write", description="The least permission on the repository"
    )
    bots: Annotated[Many[Bot], Field(max_length=100)] = Field(
        default=(), description="Bots that may, by their logins", examples=["renovate[bot]"]
    )


class ForgeEvent(Model):
    """What every event of the forge can be filtered by."""

    actor: Actor = Field(default=Actor.model_construct(), description="Who may start the skill")

    def mismatch(self, payload: Mapping[str, Any]) -> str:
        """Why the event is not one that the skill asks for; empty: it is."""
        types, action = getattr(self, "types", None), payload.get("action")
        if types is not None and action not in types:
            return f"`types` holds {', '.join(types)}, and this is `{action}`"
        return self._misses(payload)

    def _misses(self, payload: Mapping[str, Any]) -> str:
        """The same, for what one kind of event has more than its activity type."""
        return ""


def _at(payload: Mapping[str, Any], *names: str) -> Any:
    """What stands at a path of a payload; None where there is nothing. Payloads hold what strangers wrote."""
    here: Any = payload
    for name in names:
        here = here.get(name) if isinstance(here, Mapping) else None
    return here


def _outside(key: str, value: object, globs: Collection[str] | None) -> str:
    if globs is None or matches(str(value), globs):
        return ""
    return f"`{key}` holds {', '.join(globs)}, and this is `{value}`"


def _not_among(key: str, value: object, wanted: Collection[str] | None) -> str:
    if wanted is None or value in wanted:
        return ""
    return f"`{key}` holds {', '.join(wanted)}, and this is `{value}`"


def _unlabeled(payload: Mapping[str, Any], subject: str, wanted: Collection[str] | None) -> str:
    """Where a label came or went, that label counts; elsewhere any label that is there."""
    if wanted is None:
        return ""
    if payload.get("action") in ("labeled", "unlabeled"):
        return _not_among("labels", _at(payload, "label", "name"), wanted)
    labels = _at(payload, subject, "labels")
    names = [_at(label, "name") for label in labels if isinstance(label, Mapping)] if labels else []
    return "" if set(names) & set(wanted) else f"none of the labels {', '.join(wanted)} is there"


class Release(ForgeEvent):
    """A release was published, edited, ..."""

    types: Annotated[Many[ReleaseType], Field(min_length=1)] = ("published",)
    tags: Maybe[Globs] = Field(default=None, description="Only releases whose tag matches")
    prereleases: bool = Field(default=True, description="Whether pre-releases count")

    def _misses(self, payload: Mapping[str, Any]) -> str:
        if not self.prereleases and _at(payload, "release", "prerelease"):
            return "it is a pre-release, and `prereleases` is false"
        return _outside("tags", _at(payload, "release", "tag_name"), self.tags)


class Issues(ForgeEvent):
    """Something happened to an issue."""

    types: Annotated[Many[IssueType], Field(min_length=1)] = ("opened",)
    labels: Maybe[Names] = Field(default=None, description="Only issues that have one of these labels")

    def _misses(self, payload: Mapping[str, Any]) -> str:
        return _unlabeled(payload, "issue", self.labels)


class IssueComment(ForgeEvent):
    """Someone commented on an issue or a pull request."""

    types: Annotated[Many[CommentType], Field(min_length=1)] = ("created",)
    command: Maybe[Command] = Field(
        default=None, description="Only comments that begin with this, such as /docs"
    )
    labels: Maybe[Names] = Field(default=None, description="Only issues that have one of these labels")

    def _misses(self, payload: Mapping[str, Any]) -> str:
        words = str(_at(payload, "comment", "body") or "").split(maxsplit=1)
        if self.command is not None and words[:1] != [self.command]:
            return f"the comment does not begin with {self.command}"
        return _unlabeled(payload, "issue", self.labels)


class Changes(ForgeEvent):
    """Filters on what changed, and where."""

    branches: Maybe[Globs] = Field(default=None, description="Only these branches")
    branches_ignore: Maybe[Globs] = Field(default=None, description="Not these branches")
    paths: Maybe[Globs] = Field(default=None, description="Only if one of these paths changed")
    paths_ignore: Maybe[Globs] = Field(default=None, description="Not if only these paths changed")

    @property
    def has_path_filter(self) -> bool:
        """Whether the changed paths must be known to decide."""
        return self.paths is not None or self.paths_ignore is not None

    def path_mismatch(self, changed: Collection[str]) -> str:
        """Why these changed paths are not those that the skill asks for; empty: they are."""
        if self.paths is not None and not any(matches(path, self.paths) for path in changed):
            return f"no changed path is among `paths`: {', '.join(self.paths)}"
        if self.paths_ignore is not None and all(matches(path, self.paths_ignore) for path in changed):
            return f"every changed path is among `paths_ignore`: {', '.join(self.paths_ignore)}"
        return ""

    def _branch_misses(self, branch: object) -> str:
        if self.branches_ignore is not None and matches(str(branch), self.branches_ignore):
            return f"`branches_ignore` holds `{branch}`"
        return _outside("branches", branch, self.branches)


class PullRequest(Changes):
    """Something happened to a pull request; `branches` are those that it would go to."""

    types: Annotated[Many[PullRequestType], Field(min_length=1)] = ("opened", "synchronize", "reopened")
    labels: Maybe[Names] = Field(default=None, description="Only pull requests that have one of these labels")
    draft: Maybe[bool] = Field(default=None, description="Only drafts (true), only others (false)")

    def _misses(self, payload: Mapping[str, Any]) -> str:
        draft = bool(_at(payload, "pull_request", "draft"))
        if self.draft is not None and draft is not self.draft:
            return f"`draft` is {str(self.draft).lower()}, and the pull request's is {str(draft).lower()}"
        misses = self._branch_misses(_at(payload, "pull_request", "base", "ref"))
        return misses or _unlabeled(payload, "pull_request", self.labels)


class Push(Changes):
    """Commits or a tag were pushed."""

    tags: Maybe[Globs] = Field(default=None, description="Only these tags; without `branches`, no branch")

    def _misses(self, payload: Mapping[str, Any]) -> str:
        """As in GitHub's own filters: who names only branches means no tag, and the other way round."""
        ref = str(payload.get("ref"))
        if payload.get("deleted"):
            return f"{ref} was deleted"
        named_branches = self.branches is not None or self.branches_ignore is not None
        if ref.startswith("refs/tags/"):
            if named_branches and self.tags is None:
                return f"the skill names branches only, and this is {ref}"
            return _outside("tags", ref.removeprefix("refs/tags/"), self.tags)
        if self.tags is not None and not named_branches:
            return f"the skill names tags only, and this is {ref}"
        return self._branch_misses(ref.removeprefix("refs/heads/"))


class WorkflowRun(ForgeEvent):
    """A run of a GitHub Actions workflow went on."""

    types: Annotated[Many[WorkflowRunType], Field(min_length=1)] = ("completed",)
    workflows: Maybe[Names] = Field(default=None, description="Only workflows of these names")
    branches: Maybe[Globs] = Field(default=None, description="Only these branches")
    conclusion: Maybe[Annotated[Many[Conclusion], Field(min_length=1)]] = Field(
        default=None, description="Only runs that ended so"
    )

    def _misses(self, payload: Mapping[str, Any]) -> str:
        return (
            _not_among("workflows", _at(payload, "workflow_run", "name"), self.workflows)
            or _outside("branches", _at(payload, "workflow_run", "head_branch"), self.branches)
            or _not_among("conclusion", _at(payload, "workflow_run", "conclusion"), self.conclusion)
        )


class CheckRun(ForgeEvent):
    """A check went on."""

    types: Annotated[Many[CheckRunType], Field(min_length=1)] = ("completed",)
    names: Maybe[Names] = Field(default=None, description="Only checks of these names")
    conclusion: Maybe[Annotated[Many[Conclusion], Field(min_length=1)]] = Field(
        default=None, description="Only checks that ended so"
    )

    def _misses(self, payload: Mapping[str, Any]) -> str:
        return _not_among("names", _at(payload, "check_run", "name"), self.names) or _not_among(
            "conclusion", _at(payload, "check_run", "conclusion"), self.conclusion
        )


KINDS = {
    "release": Release,
    "issues": Issues,
    "issue_comment": IssueComment,
    "pull_request": PullRequest,
    "push": Push,
    "workflow_run": WorkflowRun,
    "check_run": CheckRun,
}
