"""The forge's events, under GitHub's names, and the filters that each of them allows.

Activity types are those of GitHub's "Events that trigger workflows".
"""

from typing import Annotated, Literal

from pydantic import Field

from runner.documents import Many, Model, Text
from runner.units import Maybe

Globs = Annotated[Many[Text], Field(min_length=1)]
Names = Annotated[Many[Text], Field(min_length=1)]
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
    bots: bool = Field(default=False, description="Whether bots may")


class Event(Model):
    """What every event of the forge can be filtered by."""

    actor: Actor = Field(default=Actor(), description="Who may start the skill")


class Release(Event):
    """A release was published, edited, ..."""

    types: Annotated[Many[ReleaseType], Field(min_length=1)] = ("published",)
    tags: Maybe[Globs] = Field(default=None, description="Only releases whose tag matches")
    prereleases: bool = Field(default=True, description="Whether pre-releases count")


class Issues(Event):
    """Something happened to an issue."""

    types: Annotated[Many[IssueType], Field(min_length=1)] = ("opened",)
    labels: Maybe[Names] = Field(default=None, description="Only issues that have one of these labels")


class IssueComment(Event):
    """Someone commented on an issue or a pull request."""

    types: Annotated[Many[CommentType], Field(min_length=1)] = ("created",)
    command: Maybe[Command] = Field(
        default=None, description="Only comments that begin with this, such as /docs"
    )
    labels: Maybe[Names] = Field(default=None, description="Only issues that have one of these labels")


class Changes(Event):
    """Filters on what changed, and where."""

    branches: Maybe[Globs] = Field(default=None, description="Only these branches")
    branches_ignore: Maybe[Globs] = Field(default=None, description="Not these branches")
    paths: Maybe[Globs] = Field(default=None, description="Only if one of these paths changed")
    paths_ignore: Maybe[Globs] = Field(default=None, description="Not if only these paths changed")


class PullRequest(Changes):
    """Something happened to a pull request; `branches` are those that it would go to."""

    types: Annotated[Many[PullRequestType], Field(min_length=1)] = ("opened", "synchronize", "reopened")
    labels: Maybe[Names] = Field(default=None, description="Only pull requests that have one of these labels")
    draft: Maybe[bool] = Field(default=None, description="Only drafts (true), only others (false)")


class Push(Changes):
    """Commits or a tag were pushed."""

    tags: Maybe[Globs] = Field(default=None, description="Only these tags; without `branches`, no branch")


class WorkflowRun(Event):
    """A run of a GitHub Actions workflow went on."""

    types: Annotated[Many[WorkflowRunType], Field(min_length=1)] = ("completed",)
    workflows: Maybe[Names] = Field(default=None, description="Only workflows of these names")
    branches: Maybe[Globs] = Field(default=None, description="Only these branches")
    conclusion: Maybe[Annotated[Many[Conclusion], Field(min_length=1)]] = Field(
        default=None, description="Only runs that ended so"
    )


class CheckRun(Event):
    """A check went on."""

    types: Annotated[Many[CheckRunType], Field(min_length=1)] = ("completed",)
    names: Maybe[Names] = Field(default=None, description="Only checks of these names")
    conclusion: Maybe[Annotated[Many[Conclusion], Field(min_length=1)]] = Field(
        default=None, description="Only checks that ended so"
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
