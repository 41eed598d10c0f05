"""What a run is about to publish, kept with its patch, so that another attempt needs no agent for it.

A worker that is killed between push and pull request, or a forge that is away, costs nothing twice.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner.core.errors import RunnerError
from runner.core.model import Check, DeclaredOutput, FileChange, Outcome, Proposal, Reason, Usage
from runner.core.payload import parse_json
from runner.run.context import RunContext
from runner.store import Store
from runner.store.approvals import ApprovalStore

_NAME, _PATCH = "publication.json", "patch"
_PASSING = (Reason.FORGE_UNAVAILABLE, Reason.FORGE_RATE_LIMITED, Reason.WORKER_LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A proposal that the policy has allowed, and that was verified."""

    proposal: Proposal
    patch: bytes
    outcome: Outcome
    checks: tuple[Check, ...]
    work_sha256: str = ""  # digest of what is stated about the work; empty: nothing is

    def save(self, context: RunContext) -> None:
        context.record.save_artifact(_NAME, json.dumps(self._document()).encode(), "application/json")

    def dump(self) -> str:
        """All of it as a text, for where the run's files are not."""
        return json.dumps({**self._document(), "patch": base64.b64encode(self.patch).decode()})

    def _document(self) -> dict[str, Any]:
        return {
            "proposal": asdict(self.proposal),
            "usage": asdict(self.outcome.usage),
            "checks": [asdict(check) for check in self.checks],
        }


def discard(context: RunContext, error: RunnerError) -> None:
    """Another attempt begins anew, unless the error passes: what conflicts now would conflict again."""
    if error.reason not in _PASSING:
        context.record.save_artifact(_NAME, b"{}", "application/json")
        ApprovalStore(context.record.store).discard(context.record.run_id)


def is_kept(store: Store, run_id: str) -> bool:
    """Whether a run was about to publish, so that another attempt needs no agent."""
    return _find(store, run_id) is not None


def find(context: RunContext) -> tuple[RunContext, Publication] | None:
    """What an earlier attempt was about to publish, and the context with its base; None: there is nothing."""
    store, run_id = context.record.store, context.record.run_id
    found = _find(store, run_id) if context.attempt > 1 else None
    if found is None:
        return None
    base = found.proposal.base_sha
    try:
        context.parts.mirror.resolve(base)
    except RunnerError:  # it was pushed over, and is gone
        return None
    return replace(context, spec=replace(context.spec, base_sha=base)), found


def _find(store: Store, run_id: str) -> Publication | None:
    return _read(store, run_id) or load(ApprovalStore(store).approved_proposal(run_id))


def load(text: str) -> Publication | None:
    """What `Publication.dump` wrote; None: it is nothing, or is damaged."""
    try:
        told = parse_json(text)
        return _whole(told, base64.b64decode(told["patch"]))
    except (KeyError, TypeError, ValueError):
        return None


def _whole(told: Mapping[str, Any], patch: bytes) -> Publication | None:
    found = _publication(told, patch)
    return found if hashlib.sha256(patch).hexdigest() == found.proposal.patch_sha256 else None


def _read(store: Store, run_id: str) -> Publication | None:
    kept = {one.name: Path(one.path) for one in store.artifacts(run_id) if one.name in (_NAME, _PATCH)}
    try:
        told, patch = parse_json(kept[_NAME].read_bytes()), kept[_PATCH].read_bytes()
        return _whole(told, patch)
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _publication(told: Mapping[str, Any], patch: bytes) -> Publication:
    said = told["proposal"]
    proposal = Proposal(
        **{
            **said,
            "changes": tuple(FileChange(**one) for one in said["changes"]),
            "left_out": tuple(said.get("left_out", ())),
            "declared": tuple(DeclaredOutput(**one) for one in said["declared"]),
        }
    )
    return Publication(
        proposal=proposal,
        patch=patch,
        outcome=Outcome(ok=True, summary=proposal.summary, usage=Usage(**told["usage"])),
        checks=tuple(Check(**one) for one in told["checks"]),
    )
