"""What a skill says of its pull request, and what its agent may declare for it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.config.zones import Zone
from runner.core.model import OutputSpec
from runner.core.units import Duration, Maybe
from runner.publish.outputs._item import ID

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS = r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


class WindowOptions(Model):
    """When pull requests may come."""

    days: Annotated[Many[Day], Field(min_length=1, max_length=7)] = Field(
        default=DAYS, description="On which days"
    )
    hours: Annotated[str, Field(pattern=HOURS)] = Field(
        default="00:00-24:00",
        description="Between which times; one that ends before it begins goes on into the next day",
        examples=["09:00-17:00"],
    )
    timezone: Zone = Field(default="UTC", description="An IANA time zone such as Europe/Berlin")


class PullRequestOptions(Model):
    """A pull request with the changed files."""

    title: Text = Field(description="Template of the title", examples=["docs: update"])
    body: Maybe[Text] = Field(default=None, description="Template of a text that stands before ours")
    key: Maybe[Text] = Field(
        default=None,
        description="Template: runs of equal keys share one pull request; default: what the event is about",
    )
    base: Maybe[Text] = Field(
        default=None,
        description="Template: the branch that it goes to and starts from; default: the default branch",
    )
    labels: Annotated[Many[Text], Field(max_length=100)] = Field(default=(), description="Labels")
    reviewers: Annotated[Many[Text], Field(max_length=30)] = Field(
        default=(), description='Who is asked for a review: "login", or "org/team"'
    )
    draft: bool | Literal["until_checks"] = Field(
        default=True,
        description="Whether it opens as a draft; `until_checks`: until a run finds its checks passed",
    )
    commit: Maybe[Text] = Field(
        default=None, description="Template of the first line of the commit; default: the title"
    )
    co_authors: Annotated[Many[Text], Field(max_length=20)] = Field(
        default=(), description='Templates of who gets a Co-authored-by: "Name <mail@example.com>"'
    )
    signoff: bool = Field(
        default=False, description="Whether the commit has a Signed-off-by of the bot that commits (DCO)"
    )
    commits: Literal["git", "api"] = Field(
        default="git",
        description="Who makes the commit: git, unsigned, or the forge by its API, which signs it for an App",
    )
    rebase: Literal["conflict", "behind", "never"] = Field(
        default="conflict",
        description="When the same change is made anew on a base that has moved: where the two conflict,"
        " as soon as the branch is behind, or never",
    )
    stop_after: Maybe[Duration] = Field(
        default=None,
        description="How long after its opening it is kept up to date; default: always",
    )
    close_after: Maybe[Duration] = Field(
        default=None,
        description="How long one of the skill stays open that nobody has touched; default: for ever",
    )
    max_open: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=5, description="How many of the skill's may be open in the repository before no run starts"
    )
    max_hourly: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=5, description="How many of the skill's may be opened in an hour before no run starts"
    )
    window: Maybe[WindowOptions] = Field(default=None, description="When runs may start; default: always")
    limits_for: Literal["schedule", "all"] = Field(
        default="schedule",
        description="Which runs `max_open`, `max_hourly` and `window` hold: those of a schedule, or all",
    )
    security: bool = Field(
        default=False, description="Whether it is so urgent that no limit and no window holds it"
    )


def options_of(output: OutputSpec) -> PullRequestOptions:
    """The options of a planned output, whose texts are rendered: empty ones too, so nothing is checked again.

    The plan of an older program lacks the newer ones, which then have their defaults.
    """
    given: dict[str, Any] = dict(output.options)
    if window := given.get("window"):
        given["window"] = WindowOptions.model_validate(window)
    return PullRequestOptions.model_construct(**given)


class Declaration(Model):
    """What the agent may declare for it."""

    id: Maybe[Annotated[str, Field(pattern=ID)]] = Field(
        default=None, description='a name by which other texts of this run refer to it, as "#id:NAME"'
    )
    body: Text = Field(description="your words to the reviewer, in Markdown: what you did, and why")
