"""What a run may publish: one file for each kind of output.

A run publishes every output that its skill names, one after the other; see `Output`.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from runner.config.documents import Model
from runner.core.model import Check, DeclaredOutput, Outcome, OutputSpec, Proposal, Receipt, RunSpec, Trigger
from runner.core.plugins import Family, Plugin
from runner.publish.signing import NO_KEY, Signer

if TYPE_CHECKING:  # what only publishing needs is not loaded to check a skill
    from runner.publish.forges import Forge
    from runner.workspace.changeset import Changeset

RUN_TRAILER = "Skillrunner-Run"
"""The trailer of every commit of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotIdentity:
    """Who commits."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a run asks to publish by one of its outputs, after the policy has allowed it."""

    spec: RunSpec
    output: OutputSpec  # the one of `spec` that is to be published
    run_id: str
    proposal: Proposal
    patch: bytes
    outcome: Outcome
    checks: tuple[Check, ...]
    bot: BotIdentity
    signer: Signer = NO_KEY  # of the hidden marks in this repository
    work_sha256: str = ""  # digest of what the run states about its work; empty: it states nothing
    again: bool = False  # propose what was closed unmerged
    item: DeclaredOutput | None = None  # the one to publish, of an output with `each`
    position: int = 0  # of the item among those of its kind
    references: Mapping[str, str] = field(default_factory=dict)  # by temporary id: "#12", or an address
    receipts: tuple[Receipt, ...] = ()  # of the outputs that this run has published until now
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # by name: those that outputs use
    load: Callable[[str], bytes | None] = lambda _: None  # a file of the run, by name; None: there is none
    # Writes a file of the run: its name, content and media type.
    save: Callable[[str, bytes, str], object] = lambda *_: None
    say: Callable[[str], None] = lambda _: None  # what it does, for the log
    warn: Callable[[str], None] = lambda _: None  # what did not go, and fails nothing; people are shown it
    stop: Callable[[], None] = lambda: (
        None
    )  # asked before anything is changed: raises when the run has to stop

    @property
    def verified(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def declared(self) -> tuple[DeclaredOutput, ...]:
        """What the agent declared for this output."""
        return tuple(one for one in self.proposal.declared if one.kind == self.output.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A run that is about to start, before anything is paid for it."""

    skill: str
    trigger: Trigger
    now: datetime


class Output(Plugin, Protocol):
    """One kind of output: what it is called in a skill file, and how it is published.

    When a skill is read, its options are checked against `options`; for a workflow `permissions` is read;
    when the run is planned, `base_branch`; while the agent works, `declares`; after the policy has allowed
    the proposal, `publish` is called once for each attempt at the run.
    """

    options: type[Model]
    """The model of its options in a skill file. Texts in them are templates, rendered before `publish`."""

    declares: type[Model] | None = None
    """What the agent may declare for it with the tool `declare_output`; None: any fields."""

    files: bool = False
    """Whether it publishes changed files. Its options in a skill file then say as well which may change."""

    each: bool = False
    """Whether `publish` is called for each thing that the agent declares, with `Offer.item`; else once a run.

    Its options are then an `ItemOptions`, and what the agent declares an `ItemDeclaration`.
    """

    publishes: bool = True
    """Whether anything leaves the runner. An output that publishes nothing is the only one of its skill."""

    permissions: ClassVar[Mapping[str, str]] = {}
    """What GitHub's token must be allowed for it, in the words of a workflow's `permissions:`."""

    def permissions_for(self, options: Model) -> Mapping[str, str]:
        """The same for these options of a skill file."""
        return self.permissions

    def base_branch(self, options: Model) -> str | None:
        """The branch that the work has to start from, as the file says it: a template; None: the default."""
        return None

    def secrets(self, options: Mapping[str, Any]) -> Sequence[str]:
        """The names of secrets that it needs to publish, by its options in a run. No agent gets them."""
        return ()

    def labels(self, options: Model) -> Sequence[str]:
        """Labels that it sets, and that must be in the repository before."""
        return ()

    def check(self, item: DeclaredOutput, spec: RunSpec, output: OutputSpec) -> Sequence[str]:
        """Everything that is wrong with what the agent declared, in sentences; its fields are valid by then.

        It is asked while the agent works, which can correct itself, and again before anything is published.
        """
        return ()

    def check_there(
        self, item: DeclaredOutput, spec: RunSpec, output: OutputSpec, forge: "Forge"
    ) -> Sequence[str]:
        """What is wrong with it as the forge is now, in sentences; `check` found nothing.

        It is asked while the agent works, and fails nothing where the forge does not answer: `publish` looks
        again, and does what is right then.
        """
        return ()

    def preview(self, spec: RunSpec, output: OutputSpec) -> Sequence[tuple[str, str]]:
        """What a dry run tells of it besides its kind, in lines of a name and a value."""
        return ()

    def hold(self, output: OutputSpec, start: Start, forge: "Forge") -> str:
        """Why no run may start now that would publish this, in a sentence; empty: it may.

        Asked before anything is paid for. Raises RunnerError of the forge.
        """
        return ""

    @abstractmethod
    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Publish it, or find that it is published. Killed anywhere and called again, it ends the same.

        Raises RunnerError where nothing was published, with the reason that says why. The run's other outputs
        are published all the same after NO_CHANGES, where there is nothing to publish, and CLOSED_BY_HUMAN,
        HUMAN_COMMIT or LEFT_ALONE, where a person refused it; after what the forge refused for good where
        `each` is set.
        """
        ...

    def withdraw(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt | None:
        """Take back what earlier runs published, as this one found nothing to do; None: there is nothing.

        Safe to repeat. Raises RunnerError as `publish` does.
        """
        return None


OUTPUTS: Family[Output] = Family("outputs", "runner.publish.outputs", Output)


def publishing_order(kinds: Sequence[str]) -> tuple[str, ...]:
    """The order in which a run publishes: the output with the changed files first, the others by name."""
    return tuple(sorted(kinds, key=lambda kind: (not OUTPUTS.get(kind).files, kind)))
