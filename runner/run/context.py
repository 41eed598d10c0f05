"""What one attempt at a run is made with, and what it has come to."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from runner.core.errors import RunnerError
from runner.core.model import Phase, Places, Reason, Remote, RunSpec
from runner.gateway.factory import ModelRouteOptions
from runner.gateway.model.budget import Account
from runner.gateway.model.prices import Prices
from runner.gateway.model.provider import Fallback
from runner.harnesses import Harness
from runner.publish.forges import Forge
from runner.publish.outputs import BotIdentity, Output
from runner.run.agent.declared import Outbox
from runner.run.agent.mailbox import Mailbox
from runner.run.agent.resume import EarlierRun
from runner.run.agent.session import AgentSession
from runner.run.agent.transcript import ObserveTranscript
from runner.run.environment.install import Install, Program
from runner.run.recorder import RunRecorder
from runner.sandboxes import Mount, SandboxKind
from runner.workspace.mirror import Mirror

ModelEnd = Callable[[ModelRouteOptions, Places], AbstractContextManager[ModelRouteOptions]]
"""Puts something else in the model's place, for a sandbox that has these places."""


def _nowhere(name: str) -> Remote:
    message = f"nobody says where {name} is"
    raise RunnerError(Phase.CHECKOUT, Reason.FORGE_NOT_FOUND, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a run is made with. `wire.py` chooses them; tests hand in others."""

    sandbox: SandboxKind
    harness: Harness
    outputs: Mapping[str, Output]  # by kind: those of the spec
    forge: Forge
    mirror: Mirror
    bot: BotIdentity
    secrets: Mapping[str, str]  # by name: what the skill asked for
    model_key: str = ""
    model_upstream: str = ""
    fallback: tuple[Fallback, ...] = ()  # providers of the model besides
    model_end: ModelEnd | None = None
    record: bool = False  # keep what is said to the model and by it
    program: Program | None = None  # the harness's, on this machine, for a sandbox that lacks it
    install: Install | None = None  # how it comes to be there
    variables: Mapping[str, str]  # of the harness, as configured
    helper: str = ""  # an image with Python, for sandboxes whose own has none
    remote_of: Callable[[str], Remote] = _nowhere  # another repository by its name; may raise RunnerError
    private_hosts: tuple[str, ...] = ()  # that may be named though their addresses are not public
    watch: ObserveTranscript
    prices: Prices = field(default_factory=dict)  # the user's own, by model
    again: bool = False
    stop: Callable[[], None] = lambda: None  # raises RunnerError when the run has to stop
    worker: str = ""  # the worker that carries the run out
    earlier: EarlierRun | None = None  # the run that it goes on from

    @property
    def confidential(self) -> set[str]:
        """What nothing that is kept may hold."""
        return {*self.secrets.values(), self.model_key, *(one.key for one in self.fallback)} - {""}


@dataclass(frozen=True, slots=True)
class RunContext:
    """One attempt at one run."""

    spec: RunSpec
    record: RunRecorder
    parts: Parts
    attempt: int
    account: Account
    image_digest: str = ""  # once it is known
    mail: Mailbox = field(default_factory=Mailbox)
    mounts: tuple[Mount, ...] = ()  # what else its sandboxes see
    beside: Mapping[str, str] = field(default_factory=dict)  # other repositories: folder -> commit
    outbox: Outbox = field(default_factory=Outbox)

    def check_stop(self) -> None:
        """Raises RunnerError, or StoppedError, when what runs has to stop."""
        self.parts.stop()
        self.account.check()
        self.mail.check()

    @property
    def resumed_session(self) -> AgentSession | None:
        """The session of an earlier run that the harness goes on with."""
        return self.parts.earlier.session_for(self.spec.harness.kind) if self.parts.earlier else None

    @property
    def name(self) -> str:
        """No other attempt's, so that one whose process hangs holds nobody up."""
        return self.record.run_id if self.attempt == 1 else f"{self.record.run_id}-{self.attempt}"
