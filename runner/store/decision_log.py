"""The decision log of one repository: the worker's own store, and the ledger that all hosts share.

On GitHub other hosts decide for the same repository: Actions, and workers with other stores. So a decision
goes to the shared ledger first and then to the store. After a crash between the two it is found again,
because the ledger names this store as the host of each run that it started.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runner.core.model import End
from runner.core.model.decision import Budget, Decision, History, Verdict
from runner.scheduler.ledger import Ledger
from runner.store import new_run_id
from runner.store.decisions import DecisionStore, QueueEntry

DecideFunction = Callable[[History], Sequence[Decision]]
MakeEntry = Callable[[Decision], QueueEntry]


@dataclass(frozen=True, slots=True)
class DecisionLog:
    """Decides and stores in both places. `host` is the store's name, equal on all machines that share it."""

    local: DecisionStore
    shared: Ledger | None
    host: str
    budget: Callable[[], Budget] = Budget

    def decide(self, decide: DecideFunction, entry: MakeEntry, now: datetime) -> list[Decision]:
        """Call `decide` with the history, store its decisions, and queue the runs that they start."""

        budget = self.budget()

        def with_ids(known: History) -> list[Decision]:
            return [self._with_id(one, now) for one in decide(replace(known, budget=budget))]

        if self.shared is None:
            return self.local.decide(with_ids, entry)
        before = self.local.history()
        told: dict[str, Decision] = {}

        def both(known: History) -> list[Decision]:
            active = {**known.active, **before.active}
            merged = replace(known, active=active, pauses=before.pauses)
            made = with_ids(replace(merged, latest_runs=before.latest_runs))
            told.update((one.name, known.decisions[one.name]) for one in made if one.name in known.decisions)
            return made

        settled = self.shared.decide(both, now)
        # A decision of ours that a crash kept out of the store is stored now, as it was decided then.
        self.local.decide(lambda _: [self._recover(told.get(one.name), one) for one in settled], entry)
        return settled

    def history(self, now: datetime) -> History:
        """What is decided, and how far, on this host or any other."""
        own = self.local.history()
        if self.shared is None:
            return own
        known = self.shared.history(now)
        return replace(known, active={**known.active, **own.active}, pauses=own.pauses)

    def add_end(self, decision: Decision, end: End, url: str, now: datetime) -> None:
        if self.shared is not None:
            self.shared.add_end(decision, end, url, now)

    def adopt(self, decision: Decision, entry: QueueEntry) -> None:
        """Store a decision of the shared ledger in our store, and queue its run."""
        self.local.decide(lambda _: [decision], lambda _: entry)

    def orphans(self, now: datetime) -> list[Decision]:
        """Decisions to start that the shared ledger has for this store as host, and that the store lacks."""
        if self.shared is None:
            return []
        active = self.shared.history(now).active.values()
        return [one for one in active if one.host == self.host and not self.local.contains(one)]

    def _recover(self, before: Decision | None, now: Decision) -> Decision:
        ours = before is not None and before.host == self.host and before.verdict is Verdict.STARTED
        return replace(before, inputs=now.inputs) if ours and before is not None else now

    def _with_id(self, decision: Decision, now: datetime) -> Decision:
        if decision.verdict is not Verdict.STARTED:
            return decision
        return replace(decision, run_id=new_run_id(now), host=self.host)
