"""Writes a run to the store: its states, events, files and findings."""

import errno
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.core.errors import RunnerError
from runner.core.model import (
    Artifact,
    Check,
    End,
    Phase,
    Reason,
    Receipt,
    Refusal,
    RunEvent,
    RunState,
    Usage,
)
from runner.store import Store
from runner.store.approvals import ApprovalStore, Question

Observe = Callable[[RunEvent], None]

_BEGINS = {
    RunState.RUNNING: Phase.HARNESS,
    RunState.VERIFYING: Phase.VERIFY,
    RunState.PUBLISHING: Phase.PUBLISH,
}


@dataclass(slots=True)
class RunRecorder:
    """Records what happens in one run, and passes each event to an observer."""

    store: Store
    run_id: str
    folder: Path  # the run's files
    observe: Observe
    phase: Phase = Phase.PLAN
    earlier_usage: Usage = Usage()  # of the attempts before
    attempt_usage: Usage = Usage()  # of the attempt that is under way, as far as it is known
    question: Question | None = None  # the proposal that people are to be shown
    charged: Decimal = Decimal(0)  # what all attempts count for against `limits.cost_usd`, in US dollars

    @property
    def usage(self) -> Usage:
        """The usage of all attempts until now."""
        return self.earlier_usage + self.attempt_usage

    def begin_attempt(self) -> None:
        """What is known of the usage from now on is that of another attempt."""
        self.earlier_usage, self.attempt_usage = self.usage, Usage()

    def enter_state(self, state: RunState, message: str = "") -> None:
        """The run enters `state`."""
        self.phase = _BEGINS.get(state, self.phase)
        told = self._event(message or state.value, state)
        self.store.set_state(self.run_id, state, told.at, told)
        self.observe(told)

    @contextmanager
    def stage(self, phase: Phase, message: str = "") -> Iterator[None]:
        """The body belongs to `phase`; an error of the operating system in it becomes a RunnerError.

        After a failure the phase stays, so that the end of the run names it.
        """
        before, self.phase = self.phase, phase
        if message:
            self._add(message)
        try:
            yield
        except OSError as error:
            raise _os_failure(phase, error) from error
        self.phase = before

    def add_event(self, message: str, **data: Any) -> None:
        self._add(message, data=data)

    def add_warning(self, message: str) -> None:
        """Record what fails nothing, and people should know: reports of the run name it."""
        self._add(message, data={"warning": True})

    def save_artifact(self, name: str, content: bytes, media_type: str = "text/plain") -> Artifact:
        """Store `content` as the run's file `name`."""
        path = self.folder / name
        path.write_bytes(content)
        return self.register_artifact(name, path, media_type)

    def register_artifact(self, name: str, path: Path, media_type: str = "text/plain") -> Artifact:
        """Register a file that is already in the run's folder."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        artifact = Artifact(
            name=name, path=str(path), size=path.stat().st_size, sha256=digest, media_type=media_type
        )
        self.store.add_artifact(self.run_id, artifact)
        return artifact

    def add_refusals(self, refusals: Sequence[Refusal]) -> None:
        self.store.add_refusals(self.run_id, refusals)
        for refusal in refusals:
            self.add_event(f"refused: {refusal.subject} {refusal.message}", refusal=asdict(refusal))

    def add_checks(self, checks: Sequence[Check]) -> None:
        self.store.add_checks(self.run_id, checks)

    def add_receipt(self, receipt: Receipt) -> None:
        self.store.add_receipt(self.run_id, receipt)

    def receipts(self) -> Sequence[Receipt]:
        """Those of the run until now, of earlier attempts too."""
        return self.store.receipts(self.run_id)

    def finish(self, end: End) -> None:
        """The run has ended, and nothing changes its record any more; or it waits for a person."""
        self.phase = end.phase
        told = self._event(end.message or end.state.value, end.state)
        if end.state is RunState.WAITING and self.question is not None:
            ApprovalStore(self.store).ask(self.question, told, self.usage)
            self.observe(told)
            return
        self.store.finish(self.run_id, end, told.at, self.usage, told)
        self.observe(told)

    def _add(self, message: str, data: dict[str, Any] | None = None) -> None:
        event = self._event(message, None, data)
        self.store.add_event(event)
        self.observe(event)

    def _event(self, message: str, state: RunState | None, data: dict[str, Any] | None = None) -> RunEvent:
        return RunEvent(
            run_id=self.run_id, at=_now(), phase=self.phase, message=message, state=state, data=data or {}
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _os_failure(phase: Phase, error: OSError) -> RunnerError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunnerError(
            phase,
            Reason.DISK_FULL,
            f"no space left: {error}",
            hint="free some space, or move state_dir in skillrunner.yaml to a larger disk",
            retryable=True,
        )
    return RunnerError(phase, Reason.ENGINE_FAILED, f"the {phase} stage could not go on: {error}")
