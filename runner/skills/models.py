"""The models of `skill.yaml`, from which the schema and the checks come."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator

from runner.config import network as allow
from runner.config.documents import Many, Model, Text
from runner.config.network import PROVIDER_USES
from runner.config.options import Glob, LimitOptions, ResourceOptions, Variable
from runner.core import model
from runner.core.units import Duration, Maybe, Moment, PerTime, Size
from runner.skills.conditions import Condition

InputName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,63}$")]
Host = Annotated[
    str, AfterValidator(allow.check_allow_entry), WithJsonSchema({"type": "string", "pattern": allow.PATTERN})
]
Folder = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
SkillName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
OtherRepository = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(@[A-Za-z0-9_./+-]+)?$", max_length=300)
]


Head = Annotated[str, Field(pattern=r"^[^\s~^:\\?-][^\s~^:\\]{0,199}$")]
ProviderUse = Literal["web_search", "web_fetch", "urls", "mcp", "code", "images", "stored"]


class Network(Model):
    """What the sandbox reaches besides the harness's model."""

    allow: Annotated[Many[Host], Field(max_length=200)] = Field(
        default=(), description="Named ecosystems (pypi, npm, ...) or exact host names"
    )
    provider: Annotated[Many[ProviderUse], Field(max_length=20)] = Field(
        default=(),
        description="What the model's provider may do for the agent besides answering, past the gateway: "
        + "; ".join(f"{name}: it {does}" for name, does in PROVIDER_USES.items()),
    )


MCP_NAME = r"^(?!skillrunner$)[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"


def _mcp_name(name: str) -> str:
    if re.search(MCP_NAME, name) is None or name.endswith("\n"):
        raise ValueError("should be 1-32 characters of a-z, 0-9 and hyphens, and not `skillrunner`")
    return name


McpName = Annotated[str, AfterValidator(_mcp_name), WithJsonSchema({"type": "string", "pattern": MCP_NAME})]
_URL = r"^https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-~]*)?$"
_ONE_WAY: JsonValue = [
    {"required": ["command"], "not": {"required": ["url"]}},
    {"required": ["url"], "not": {"anyOf": [{"required": ["command"]}, {"required": ["variables"]}]}},
]


class McpOptions(Model):
    """A server of the Model Context Protocol: a program in the sandbox, or an address."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _ONE_WAY})

    command: Maybe[Annotated[Many[Text], Field(min_length=1)]] = Field(
        default=None,
        description="A program that the harness starts in the sandbox, and its arguments",
        examples=[["docs-server", "--stdio"]],
    )
    variables: Maybe[dict[Variable, str]] = Field(
        default=None, description="Environment variables of the program, besides those of the harness"
    )
    url: Maybe[Annotated[str, Field(pattern=_URL)]] = Field(
        default=None, description="An https address; `network.allow` has to name its host"
    )

    @model_validator(mode="after")
    def _one_way(self) -> "McpOptions":
        if (self.command is None) == (self.url is None):
            raise ValueError("should have either `command` or `url`")
        if self.url is not None and self.variables is not None:
            raise ValueError("has `variables`, which only a `command` can be given")
        return self


_TWO_BASES: JsonValue = [
    {"required": ["image", "dockerfile"]},
    {"required": ["image", "devcontainer"]},
    {"required": ["dockerfile", "devcontainer"]},
]


class EnvironmentOptions(Model):
    """Where the harness works. Without an image, a dockerfile or a devcontainer, in the configured image."""

    model_config = ConfigDict(json_schema_extra={"not": {"anyOf": _TWO_BASES}})

    image: Maybe[Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]{0,254}$")]] = Field(
        default=None, description="A container image", examples=["python:3.12-slim"]
    )
    dockerfile: Maybe[Glob] = Field(
        default=None, description="A Dockerfile in the repository, which is the context of the build"
    )
    build_timeout: Duration = Field(default=30 * 60, description="How long the image may take to build")
    devcontainer: Maybe[Glob] = Field(
        default=None, description="A devcontainer.json; its safe subset is read"
    )
    sandbox: Maybe[Text] = Field(default=None, description="What isolates the harness; default docker")
    setup: Many[Text] = Field(default=(), description="Shell commands that run first, with network access")
    setup_key: Many[Glob] = Field(
        default=(),
        description="Globs of the files that set-up reads, or `lockfiles`: with them, its result is kept",
    )
    setup_again: bool = Field(
        default=False,
        description="Whether verification runs set-up once more when the change is there, with no other way"
        " out than `network.allow`",
    )
    variables: dict[Variable, str] = Field(default={}, description="Environment variables")
    secrets: Many[Variable] = Field(
        default=(), description="Names of secrets that the sandbox sees; a missing one fails the run"
    )
    skills: Annotated[Many[SkillName], Field(max_length=50)] = Field(
        default=(), description="Further skills for the agent: names of folders beside this one"
    )
    repositories: Annotated[dict[Folder, OtherRepository], Field(max_length=20)] = Field(
        default={},
        description="Other repositories to read, by the folder below /repositories that each gets",
        examples=[{"docs": "acme/docs", "api": "acme/api@v2"}],
    )
    fetch: Annotated[Many[Head], Field(max_length=20)] = Field(
        default=(),
        description="Further heads for git in the workspace: globs of branches, or `own_pull_requests`",
        examples=[["own_pull_requests", "release/*"]],
    )
    network: Network = Field(default=Network.model_construct(), description="What may be reached")
    mcp: dict[McpName, McpOptions] = Field(
        default={}, description="Servers of the Model Context Protocol that the harness may use, by name"
    )
    resources: ResourceOptions = Field(
        default=ResourceOptions.model_construct(), description="How much may be used"
    )

    @model_validator(mode="after")
    def _one_base(self) -> "EnvironmentOptions":
        named = [name for name in ("image", "dockerfile", "devcontainer") if getattr(self, name)]
        if len(named) > 1:
            raise ValueError(f"names {' and '.join(named)}: keep one of them")
        return self


class AllowanceOptions(Model):
    """What may come out. Everything else is refused."""

    paths: Annotated[Many[Glob], Field(min_length=1)] = Field(
        default=("**",), description="Globs of the paths that may change"
    )
    exclude: Many[Glob] = Field(default=(), description="Globs of paths among those that may not change")
    protected: Many[Glob] = Field(
        default=(),
        description="Globs of protected paths (CI, skills, ...) that may change",
    )
    max_files: Annotated[int, Field(ge=1, le=10_000)] = Field(default=100, description="Changed files")
    max_file_size: Maybe[Size] = Field(default=None, description="Bytes of one file; default 1m")
    max_patch_size: Maybe[Size] = Field(default=None, description="Bytes of the whole patch; default 2m")
    symlinks: bool = Field(default=False, description="Whether symbolic links may be added or changed")
    submodules: bool = Field(default=False, description="Whether submodules may be added or changed")
    mode_changes: bool = Field(default=False, description="Whether file modes may change")
    binaries: bool = Field(default=False, description="Whether binary files may change")
    deletions: bool = Field(default=True, description="Whether files may be deleted")
    on_refused: Literal["fail", "issue", "leave_out"] = Field(
        default="fail",
        description=(
            "What becomes of changes that the policy refuses: the run is blocked, an issue gets the patch"
            " besides, or the rest is verified and published without them"
        ),
    )


def allowance(options: AllowanceOptions) -> model.Allowance:
    """The record that the policy reads."""
    defaults = model.Allowance()
    return model.Allowance(
        paths=options.paths,
        exclude=options.exclude,
        protected=options.protected,
        max_files=options.max_files,
        max_file_bytes=options.max_file_size or defaults.max_file_bytes,
        max_patch_bytes=options.max_patch_size or defaults.max_patch_bytes,
        symlinks=options.symlinks,
        submodules=options.submodules,
        mode_changes=options.mode_changes,
        binaries=options.binaries,
        deletions=options.deletions,
        on_refused=options.on_refused,
    )


class _Input(Model):
    description: str = Field(default="", description="What it is for")
    required: bool = Field(default=False, description="Whether a run without it is refused")


class StringInput(_Input):
    """A text."""

    type: Literal["string"]
    default: Maybe[str] = None


class NumberInput(_Input):
    """A number."""

    type: Literal["number"]
    default: Maybe[float] = None


class BooleanInput(_Input):
    """True or false."""

    type: Literal["boolean"]
    default: Maybe[bool] = None


class ChoiceInput(_Input):
    """One of several texts."""

    type: Literal["choice"]
    options: Annotated[Many[Text], Field(min_length=1)] = Field(
        description="The texts to choose from", examples=[["short", "long"]]
    )
    default: Maybe[str] = None

    @model_validator(mode="after")
    def _default_is_an_option(self) -> "ChoiceInput":
        if self.default is not None and self.default not in self.options:
            raise ValueError(f"default `{self.default}` is not one of the options")
        return self


RunTool = Literal["declare_output", "note", "read_notes", "read_messages", "ask_human"]
"""See runner/run/stages/tools.py."""

Input = Annotated[StringInput | NumberInput | BooleanInput | ChoiceInput, Field(discriminator="type")]


def _version(number: int) -> int:
    if number != 1:
        raise ValueError("should be 1, the version that this runner reads")
    return number


Version = Annotated[int, AfterValidator(_version), WithJsonSchema({"type": "integer", "const": 1})]


class SkillFile(Model):
    """What every skill file says; `on`, `harness` and `output` are added from the installed kinds."""

    version: Version = Field(description="The version of this format", examples=[1])
    description: Maybe[Annotated[Text, Field(max_length=1024)]] = Field(
        default=None, description="What the skill is for; default: the description in SKILL.md"
    )
    enabled: bool = Field(default=True, description="Whether triggers start it; it can still be run by hand")
    on: Any = None
    overlap: Literal["skip", "queue", "cancel_running"] = Field(
        default="skip", description="When it is due while it still runs"
    )
    run_if: Annotated[Many[Condition], Field(max_length=10)] = Field(
        default=(), description="Start only if each of these conditions is met"
    )
    skip_if: Annotated[Many[Condition], Field(max_length=10)] = Field(
        default=(), description="Do not start if one of these conditions is met"
    )
    cooldown: Maybe[Duration] = Field(
        default=None, description="Do not start before so much time has passed since the last start"
    )
    runs_per_actor: Maybe[PerTime] = Field(
        default=None,
        description="How many runs one person may start in any stretch of time, such as 5/d",
    )
    stop_after: Maybe[Moment] = Field(
        default=None,
        description="After this nothing starts it: a date, or a time, in UTC unless it says so",
        examples=["2027-01-31"],
    )
    priority: Literal["high", "normal", "low"] = Field(
        default="normal", description="Which of the runs that wait for a worker go first"
    )
    inputs: dict[InputName, Input] = Field(default={}, description="What a run may be given")
    environment: EnvironmentOptions = Field(
        default=EnvironmentOptions.model_construct(), description="Where the harness works"
    )
    harness: Any
    tools: Many[RunTool] = Field(
        default=(), description="Tools of the run itself that the agent may call; default: none"
    )
    limits: LimitOptions = Field(default=LimitOptions.model_construct(), description="When a run is stopped")
    prompt: Maybe[Text] = Field(
        default=None, description="The instructions, in place of SKILL.md; always a template"
    )
    template: bool = Field(
        default=False, description="Whether SKILL.md is a template, in which `{{ ... }}` is filled in"
    )
    verify: Many[Text] = Field(
        default=(), description="Shell commands that must pass on a clean tree with the patch"
    )
    on_verify_failure: Literal["refuse", "draft"] = Field(
        default="refuse", description="Publish nothing, or a draft that says so"
    )
    approval: Any = None
    output: Any

    @property
    def continues(self) -> bool:
        """What the file says under `continue`, which is no name in Python; `runner.skills.kinds` adds it."""
        return bool(getattr(self, "continue", False))

    @property
    def outputs_for_strangers(self) -> tuple[str, ...]:
        """What the file says under `strangers`, whose choices are the installed outputs."""
        return tuple(getattr(self, "strangers", ()))


def present_kinds(choice: Model) -> Mapping[str, Any]:
    """The kinds that an `on` or `output` mapping names, with their options."""
    named = {name: getattr(choice, name) for name in type(choice).model_fields}
    return {name: options for name, options in named.items() if options is not None}
