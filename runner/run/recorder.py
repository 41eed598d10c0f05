"""Records one run in the store: every state, event, file and finding of it."""

import errno
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
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

Observe = Callable[[RunEvent], None]

_BEGINS = {
    RunState.RUNNING: Phase.HARNESS,
    RunState.VERIFYING: Phase.VERIFY,
    RunState.PUBLISHING: Phase.PUBLISH,
}


@dataclass(slots=True)
class RunRecorder:
    """Writes the events of one run, and passes them to whoever watches it."""

    store: Store
    run_id: str
    folder: Path  # the run's files
    observe: Observe
    phase: Phase = Phase.PLAN
    usage: Usage = Usage()

    def enter_state(self, state: RunState, message: str = "") -> None:
        """Set the run's state from now on."""
        self.phase = _BEGINS.get(state, self.phase)
        told = self._event(message or state.value, state)
        self.store.set_state(self.run_id, state, told.at, told)
        self.observe(told)

    @contextmanager
    def stage(self, phase: Phase, message: str = "") -> Iterator[None]:
        """What happens inside belongs to `phase`; an operating system's error there becomes a RunnerError.

        After a failure the phase stays, so that the end of the run names it.
        """
        before, self.phase = self.phase, phase
        if message:
            self._tell(message)
        try:
            yield
        except OSError as error:
            raise _from_os(phase, error) from error
        self.phase = before

    def add_event(self, message: str, **data: Any) -> None:
        self._tell(message, data=data)

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
            self.add_event(f"refused: {refusal.subject} {refusal.message}")

    def add_checks(self, checks: Sequence[Check]) -> None:
        self.store.add_checks(self.run_id, checks)

    def add_receipt(self, receipt: Receipt) -> None:
        self.store.add_receipt(self.run_id, receipt)

    def finish(self, end: End) -> None:
        """Store the end of the run; nothing changes it afterwards."""
        self.phase = end.phase
        told = self._event(end.message or end.state.value, end.state)
        self.store.finish(self.run_id, end, told.at, self.usage, told)
        self.observe(told)

    def _tell(self, message: str, data: dict[str, Any] | None = None) -> None:
        event = self._event(message, None, data)
        self.store.add_event(event)
        self.observe(event)

    def _event(self, message: str, state: RunState | None, data: dict[str, Any] | None = None) -> RunEvent:
        return RunEvent(
            run_id=self.run_id, at=_now(), phase=self.phase, message=message, state=state, data=data or {}
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _from_os(phase: Phase, error: OSError) -> RunnerError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunnerError(
            phase,
            Reason.DISK_FULL,
            f"no space left: {error}",
            hint="free some space, or move state_dir in skillrunner.yaml to a larger disk",
            retryable=True,
        )
    return RunnerError(phase, Reason.ENGINE_FAILED, f"the {phase} stage could not go on: {error}")
