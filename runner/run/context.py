"""The objects, the options and the state of one attempt at a run."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from runner.core.errors import RunnerError
from runner.core.model import Phase, Places, Reason, Remote, RunSpec
from runner.gateway.factory import ModelRouteOptions
from runner.gateway.model.budget import Account
from runner.gateway.model.model_log import ModelLog
from runner.gateway.model.prices import Prices
from runner.gateway.model.provider import Fallback
from runner.harnesses import Harness
from runner.publish.attestation.signers import StatementSigner
from runner.publish.forges import Forge
from runner.publish.outputs import BotIdentity, Output
from runner.publish.signing import NO_KEY, Signer
from runner.run.agent.declared import Outbox
from runner.run.agent.mailbox import Mailbox
from runner.run.agent.resume import EarlierRun
from runner.run.agent.session import AgentSession
from runner.run.agent.transcript import ObserveTranscript
from runner.run.agent.turns import Turn
from runner.run.environment.install import Install, Program
from runner.run.recorder import RunRecorder
from runner.sandboxes import Mount, SandboxKind
from runner.workspace.mirror import Mirror

ModelSubstitute = Callable[[ModelRouteOptions, Places], AbstractContextManager[ModelRouteOptions]]
"""Replaces the model by something else, for a sandbox with these places."""


def _no_remote(name: str) -> Remote:
    message = f"nobody says where {name} is"
    raise RunnerError(Phase.CHECKOUT, Reason.FORGE_NOT_FOUND, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The objects that do the work of a run. `bootstrap.py` chooses them; tests pass others."""

    sandbox: SandboxKind
    harness: Harness
    outputs: Mapping[str, Output]  # by kind: those of the spec
    forge: Forge
    mirror: Mirror
    install: Install | None = None  # makes the harness's program available on this machine
    remote_of: Callable[[str], Remote] = _no_remote  # another repository by its name; may raise RunnerError
    model_substitute: ModelSubstitute | None = None
    observe: ObserveTranscript
    stop: Callable[[], None] = lambda: None  # raises RunnerError when the run has to stop


SkillFiles = Mapping[str, tuple[int, bytes]]
"""By path in the repository: git's mode and the content of each file in a skill's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The values that a run is configured with, besides its spec."""

    bot: BotIdentity
    signer: Signer = NO_KEY  # of hidden marks, in any repository
    statement_signer: StatementSigner | None = (
        None  # of what the run states about its work; None: it states nothing
    )
    secrets: Mapping[str, str] = field(repr=False)  # by name: those that the skill asked for
    output_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # by name; no agent gets them
    model_key: str = field(default="", repr=False)
    model_upstream: str = ""
    fallback: tuple[Fallback, ...] = ()  # further providers of the model
    prices: Prices = field(default_factory=dict)  # the user's own, by model
    record_traffic: bool = False  # keep the requests to the model and its answers
    program: Program | None = None  # the harness's, on this machine, for a sandbox that lacks it
    harness_variables: Mapping[str, str] = field(default_factory=dict)
    helper_image: str = ""  # an image with Python, for sandboxes whose own image has none
    build_registries: tuple[
        str, ...
    ] = ()  # those that get this machine's credentials for a Dockerfile's FROM
    image_digests: Mapping[str, str] = field(default_factory=dict)  # by image: the content to use
    max_duration: float | None = None  # seconds that an attempt may take until it publishes
    private_hosts: tuple[str, ...] = ()  # hosts that a skill may name although their addresses are private
    propose_again: bool = False  # propose again what people closed unmerged
    only_publishes: bool = False  # the work is done and was approved: no agent works
    worker: str = ""  # the worker that executes the run
    earlier_run: EarlierRun | None = None  # the run that this one continues
    skill_files: SkillFiles | None = None  # of a skill read from a working tree; None: its commit has them
    file_time: int | None = None  # when the files of its workspace were last changed; None: when it began

    @property
    def confidential(self) -> set[str]:
        """Every secret value: no record may contain one."""
        keys = (self.model_key, self.signer.key.decode(), *(one.key for one in self.fallback))
        return {*self.secrets.values(), *self.output_secrets.values(), *keys} - {""}


@dataclass(frozen=True, slots=True)
class RunContext:
    """One attempt at one run."""

    spec: RunSpec
    record: RunRecorder
    parts: Parts
    options: RunOptions
    attempt: int
    account: Account
    model_log: ModelLog = field(default_factory=ModelLog)
    image_digest: str = ""  # once it is known
    mailbox: Mailbox = field(default_factory=Mailbox)
    mounts: tuple[Mount, ...] = ()  # what else its sandboxes see
    other_repositories: Mapping[str, str] = field(
        default_factory=dict
    )  # other repositories: folder -> commit
    outbox: Outbox = field(default_factory=Outbox)
    turn: Turn | None = None  # of the agent, after its first one
    started_at: float = field(default_factory=time.monotonic)

    def check_time(self) -> None:
        """Raises RunnerError when somebody stopped the run, or its attempt has taken as long as any may."""
        self.parts.stop()
        longest = self.options.max_duration
        if longest is not None and time.monotonic() - self.started_at >= longest:
            message = f"it has taken {longest:.0f} s, which is the most that a run may take here (maxima.run)"
            hint = "make it do less, or ask whoever runs skillrunner for more: maxima.run"
            raise RunnerError(self.record.phase, Reason.WALL_CLOCK, message, hint=hint)

    def check_stop(self) -> None:
        """Raises RunnerError, or StoppedError, when the run has to stop."""
        self.check_time()
        self.account.check()
        self.mailbox.check()

    @property
    def earlier_session(self) -> AgentSession | None:
        """The session that the harness continues, whose files are not in the sandbox yet."""
        if self.turn is not None:
            return self.turn.session
        return (
            self.options.earlier_run.session_for(self.spec.harness.kind) if self.options.earlier_run else None
        )

    @property
    def name(self) -> str:
        """A name that no other attempt has, so that one whose process hangs blocks none."""
        return self.record.run_id if self.attempt == 1 else f"{self.record.run_id}-{self.attempt}"
