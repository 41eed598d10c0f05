"""A person's yes: a proposal that needs one waits, and what was approved is what is published."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from runner.core.errors import RunnerError
from runner.core.model import ApprovalRecord, ApprovalRules, Phase, Proposal, Reason, RunSpec
from runner.publish.policy import approval as rules
from runner.run.context import RunContext
from runner.run.stages.publication import Publication
from runner.store.approvals import ApprovalStore, Question


def require_approval(context: RunContext, ready: Publication) -> None:
    """Go on where nobody has to approve this, or somebody has. Raises RunnerError APPROVAL_AWAITED.

    What was approved counts for exactly that: a proposal that differs in anything is shown once more.
    """
    if context.spec.approval == ApprovalRules():
        return
    store, run_id = context.record.store, context.record.run_id
    if (last := ApprovalStore(store).last(run_id)) is not None and last.verdict == "approved":
        if _digest(context, ready, last.attempt) == last.digest:
            return
        context.record.add_event("what was approved is not what it would publish now: it is shown once more")
    if not (why := _reasons(context, ready.proposal)):
        return
    question = _question(context, ready, why)
    context.record.question = question
    message = (
        f"it waits for somebody's approval: {why} (digest {question.approval.digest[: rules.MIN_DIGITS]})"
    )
    hint = f"look at it: skillrunner diff {run_id}; then: skillrunner approve {run_id}"
    raise RunnerError(Phase.APPROVAL, Reason.APPROVAL_AWAITED, message, hint=hint)


def _reasons(context: RunContext, proposal: Proposal) -> str:
    """Why somebody has to approve it; empty: nobody has to."""
    spec, skill = context.spec, context.spec.skill
    is_known = context.record.store.has_published(spec.repository.name, skill.name, skill.digest)
    kinds = _published(context, proposal)
    return "; ".join(rules.reasons(spec.approval, proposal, kinds, is_known_skill=is_known))


def _published(context: RunContext, proposal: Proposal) -> Sequence[str]:
    """The kinds of output by which something is published."""
    declared = {one.kind for one in proposal.declared}
    outputs = context.parts.outputs.items()
    return [kind for kind, one in outputs if one.publishes and (not one.each or kind in declared)]


def _question(context: RunContext, ready: Publication, why: str) -> Question:
    now = datetime.now(UTC)
    approval = ApprovalRecord(
        run_id=context.record.run_id,
        attempt=context.attempt,
        digest=_digest(context, ready, context.attempt),
        why=why,
        asked_at=now,
        expires_at=now + timedelta(seconds=context.spec.approval.expires),
    )
    return Question(approval=approval, target=_target(context.spec), proposal=ready.dump())


def _digest(context: RunContext, ready: Publication, attempt: int) -> str:
    proposal: Proposal = ready.proposal
    return rules.digest_of(context.spec, proposal, context.record.run_id, attempt)


def _target(spec: RunSpec) -> str:
    """What the proposal would be published to: by the outputs' keys, else by what the event is about."""
    return " ".join(f"{one.kind}:{one.options.get('key') or spec.trigger.subject}" for one in spec.outputs)
