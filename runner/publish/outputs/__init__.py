"""What a run may publish: one module per kind, with `KINDS` and a `publish` that is safe to repeat.

`publish(offer, forge, changeset) -> Receipt` raises RunnerError where nothing was published, with the
reason that says why. `FILES = True` marks a kind that publishes changed files, and `PERMISSIONS` says what
GitHub's token must be allowed for it, in the words of a workflow's `permissions:`. `DECLARES` is the model of
what an agent may declare for it; without it: anything.
"""

from collections.abc import Callable
from dataclasses import dataclass

from runner.core.model import Check, Outcome, Proposal, RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class BotIdentity:
    """Who commits."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a run asks to publish, after the policy has allowed it."""

    spec: RunSpec
    run_id: str
    proposal: Proposal
    patch: bytes
    outcome: Outcome
    checks: tuple[Check, ...]
    bot: BotIdentity
    again: bool = False  # propose what was closed unmerged
    say: Callable[[str], None] = lambda _: None  # for what is no failure, and should be known
    stop: Callable[[], None] = lambda: (
        None
    )  # asked before anything is changed: raises when the run has to stop

    @property
    def verified(self) -> bool:
        return all(check.ok for check in self.checks)
