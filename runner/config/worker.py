"""What a worker does: the `worker:` section of the configuration."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.config.options import Variable
from runner.core.units import Duration, Maybe, PerTime, Size

RepositorySelector = Annotated[str, Field(pattern=r"^!?([\w.*?-]+/[\w.*?-]+|[./~][^\s]*)$")]


SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
_GITHUB = "github"


class ConcurrencyOptions(Model):
    """How many runs at a time."""

    worker: Annotated[int, Field(ge=1, le=1000)] = Field(default=2, description="In one worker process")
    total: Maybe[Annotated[int, Field(ge=1)]] = Field(default=None, description="In all workers together")
    repository: Maybe[Annotated[int, Field(ge=1)]] = Field(default=None, description="Of one repository")
    skill: Annotated[int, Field(ge=1)] = Field(default=1, description="Of one skill")


class RateOptions(Model):
    """How many runs may begin in any minute, hour or day, in all workers together."""

    total: Maybe[PerTime] = Field(default=None, description="Of all skills", examples=["20/h"])
    repository: Maybe[PerTime] = Field(default=None, description="Of one repository")
    skill: Maybe[PerTime] = Field(default=None, description="Of one skill")


class BudgetOptions(Model):
    """What may be spent in one day, in UTC. What is due after that is held."""

    daily_usd: Maybe[Annotated[float, Field(gt=0)]] = Field(default=None, description="By all skills")
    skill_daily_usd: Maybe[Annotated[float, Field(gt=0)]] = Field(default=None, description="By one skill")


class AppOptions(Model):
    """A GitHub App to work as, in place of a token."""

    id: Text = Field(description="The App's id")
    private_key_file: Maybe[Text] = Field(default=None, description="A file with its private key")
    private_key_env: Maybe[Variable] = Field(default=None, description="A variable that holds the key")


RepositoryPattern = Annotated[str, Field(pattern=r"^([\w.*?-]+/[\w.*?-]+|[./~][^\s]*|\*)$")]

Scope = Annotated[
    str,
    Field(pattern=r"^([\w.*?-]+/[\w.*?-]+|[./~][^\s:]*|\*)(:[a-z0-9*?-]+)?$", examples=["acme/app:docs-*"]),
]


class WorkerConfig(Model):
    """The daemon that polls repositories and runs what is due."""

    repositories: Many[RepositorySelector] = Field(
        default=(),
        description="owner/name, globs such as acme/*, or folders; !owner/name leaves one out",
        examples=[["acme/*", "!acme/archive"]],
    )
    database: Maybe[Variable] = Field(
        default=None,
        description="The variable with the URL of a PostgreSQL database; default: a file, for one worker",
    )
    poll: Duration = Field(
        default=30.0, description="How often repositories are looked at", validate_default=False
    )
    concurrency: ConcurrencyOptions = Field(
        default=ConcurrencyOptions.model_construct(), description="How many runs at a time"
    )
    rate: RateOptions = Field(
        default=RateOptions.model_construct(), description="How many runs begin in a stretch of time"
    )
    budget: BudgetOptions = Field(default=BudgetOptions.model_construct(), description="What may be spent")
    app: Maybe[AppOptions] = Field(default=None, description="A GitHub App to work as")
    drain: Duration = Field(default=600.0, description="How long a worker that is to end waits for its runs")
    silence: Duration = Field(
        default=30.0, description="Without a word for so long a worker counts as dead, and others take over"
    )
    on_worker_lost: Literal["fail", "retry"] = Field(
        default="fail", description="What becomes of the runs of a worker that died"
    )
    circuit: Annotated[int, Field(ge=0)] = Field(
        default=5,
        description="Failures in a row after which a skill is paused until a human resumes it; 0: never",
    )
    grace: Duration = Field(
        default=900.0,
        description="A slot without a decision, or a repository that cannot be read, for so long is told",
    )
    alert: Maybe[Variable] = Field(
        default=None, description="The variable with a URL that is told of what is wrong"
    )
    retention: Duration = Field(default=90 * 86_400.0, description="How long ended runs are kept")
    runs_size: Size = Field(
        default=20 * 1024**3,
        description="How large the files of runs may be together; the oldest runs go first",
    )
    free_disk: Size = Field(default=2 * 1024**3, description="Nothing is started where less is free")
    secrets: dict[Scope, Many[Variable]] = Field(
        default={},
        description="By repository, or repository:skill, or globs: variables that may be had as secrets",
    )
    reads: dict[Scope, Many[RepositoryPattern]] = Field(
        default={},
        description="By repository, or repository:skill, or globs: other repositories that may be read",
    )
    listen: Maybe[Annotated[str, Field(pattern=r"^[^\s:]+:[0-9]{1,5}$")]] = Field(
        default=None, description="Where webhooks are heard, such as 127.0.0.1:8080"
    )
    webhook_secrets: Many[Variable] = Field(
        default=(), description="Variables that hold the secrets which sign GitHub's webhooks"
    )
    source_secrets: dict[SourceName, Many[Variable]] = Field(
        default={}, description="The same for other event sources, by their names"
    )

    def secret_names(self) -> Mapping[str, Sequence[str]]:
        """The variables that hold the secrets of webhooks, by event source."""
        github = (*self.webhook_secrets, *self.source_secrets.get(_GITHUB, ()))
        return {**self.source_secrets, _GITHUB: github}
