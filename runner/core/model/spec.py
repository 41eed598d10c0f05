"""The RunSpec: everything that a run needs, resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.core.model.approval import ApprovalRules
from runner.core.model.process import Caps


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository as the runner knows it."""

    name: str  # "owner/name" on a forge, else the folder's name
    url: str  # what git fetches from: an https URL or a local path; never holds credentials
    default_branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillRef:
    """The skill that a run follows, and its version."""

    name: str
    path: str  # of the folder, inside the repository
    commit: str | None  # that it was read from; None: its files are not committed
    digest: str  # sha256 over the skill's files
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What started a run."""

    kind: str  # "manual", "schedule", "release", ...
    key: str  # the deduplication key: equal keys are one cause
    subject: str = ""  # the event's subject as people name it: a tag, an issue's number
    actor: str | None = None
    at: datetime
    event: Mapping[str, Any] = field(default_factory=dict)  # the payload; untrusted data
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    cpus: float = 2.0
    memory: int = 4 * 1024**3
    pids: int = 512
    disk: int = 6 * 1024**3  # bytes that the workspace and the home inside may take


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """A server of the Model Context Protocol, for the harness to use: a program, or an address."""

    name: str
    command: tuple[str, ...] = ()  # empty: it is at `url`
    variables: Mapping[str, str] = field(default_factory=dict)  # of the program, besides the harness's own
    url: str = ""  # spoken to by streamable HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where the harness works."""

    sandbox: str  # "docker", "process", "fake"
    image: str  # empty: the sandbox has no images, or it is still to be built
    dockerfile: str = ""  # a path in the repository
    devcontainer: str = ""  # a path in the repository
    build_timeout: float = 30 * 60  # seconds
    setup: tuple[str, ...] = ()
    setup_key: tuple[str, ...] = ()  # globs of the files that set-up reads; empty: its result is not cached
    setup_again: bool = False  # in verification, once the change is there
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()  # names; values never enter a record
    skills: tuple[str, ...] = ()  # names of further skills that the agent can use
    repositories: Mapping[str, str] = field(default_factory=dict)  # others: folder -> "owner/name@ref"
    fetch: tuple[str, ...] = ()  # further heads: globs of branches, or `own_pull_requests`
    network: tuple[str, ...] = ()  # hosts and ecosystems that the gateway lets through
    provider: tuple[str, ...] = ()  # what the model's provider may do besides answering
    mcp: tuple[McpServer, ...] = ()
    resources: Resources = Resources()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A rule of `model: auto`: the model of requests that meet all conditions; None: no condition."""

    model: str
    prompt_tokens_over: int | None = None  # by an estimate
    turns_over: int | None = None  # turns of the model in the request's history
    first: bool | None = None  # the model has had no turn yet
    tools: bool | None = None  # the request offers the model any
    spent_over: float | None = None  # spent share of the run's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessSpec:
    kind: str  # "claude-code", "gemini", "command"
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # as the harness's own model validated them
    routes: tuple[Route, ...] = ()  # which model a request gets, with `model: auto`; the last fits always


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    timeout: float = 45 * 60
    idle: float = 10 * 60  # without a byte of output
    output: int = 4 * 1024**3  # bytes that a harness may print before it is stopped
    cost_usd: float | None = None
    attempts: int = 1
    repairs: int = 1  # how often what failed in verification goes back to the agent

    @property
    def caps(self) -> Caps:
        """The caps of each of a run's commands."""
        return Caps(timeout=self.timeout, idle=self.idle, output=self.output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a proposal may contain; everything else is refused."""

    paths: tuple[str, ...] = ("**",)  # globs that a changed path must match
    exclude: tuple[str, ...] = ()  # globs of paths among those that must not change
    protected: tuple[str, ...] = ()  # protected paths that the skill names, and so may change
    guarded: tuple[str, ...] = ()  # protected besides what always is: the skills, and what is configured
    locked: tuple[str, ...] = ()  # what no skill may change, whatever it names
    max_files: int = 100
    max_file_bytes: int = 1024**2
    max_patch_bytes: int = 2 * 1024**2
    symlinks: bool = False
    submodules: bool = False
    mode_changes: bool = False
    binaries: bool = False
    deletions: bool = True
    on_refused: str = "fail"  # or "issue", or "leave_out": what becomes of what the policy refuses


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """One output that the skill publishes, its templates already rendered."""

    kind: str  # "pull_request", "none"
    options: Mapping[str, Any] = field(default_factory=dict)  # as the output's own model validated them


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything a run needs, resolved. Two equal specs mean the same work."""

    repository: Repository
    base_ref: str  # the branch that a pull request goes to
    base_sha: str  # the tree that the run stands on
    skill: SkillRef
    trigger: Trigger
    prompt: str
    environment: Environment
    harness: HarnessSpec
    tools: tuple[str, ...] = ()  # of the run itself, that the harness may call
    limits: Limits
    allowance: Allowance
    verify: tuple[str, ...] = ()
    draft_on_failed_verify: bool = False
    approval: ApprovalRules = ApprovalRules()
    outputs: tuple[OutputSpec, ...]  # in the order in which they are published; at least one
    tree: str = ""  # what `base_sha` is, as people name it; empty: the head of `base_ref`
    trusted_sha: str = ""  # where set-up, image and the harness's settings come from; empty: `base_sha`
    is_strangers: bool = False  # the tree, or the event, is of somebody who may not write here
    digest: str = ""  # sha256 over all of the above

    @property
    def setup_sha(self) -> str:
        """The commit whose files set-up and builds may run: a branch's of ours, never an event's."""
        return self.trusted_sha or self.base_sha

    @property
    def strangers(self) -> str:
        """What of the run is a stranger's, as a sentence; empty: nothing is."""
        if not self.is_strangers:
            return ""
        return f"{self.tree} is a stranger's" if self.tree else "the event is from a fork"
