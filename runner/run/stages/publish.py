"""The publication of a proposal by the outputs of its spec."""

from dataclasses import dataclass, replace

from runner.core.errors import RunnerError
from runner.core.model import Check, Outcome, Phase, Proposal, Reason, Receipt
from runner.publish.outputs import Offer
from runner.run.context import RunContext
from runner.run.stages.publication import Publication, discard
from runner.workspace.changeset import Changeset

_REFUSED_BY_PEOPLE = (Reason.CLOSED_BY_HUMAN, Reason.HUMAN_COMMIT)
"""A person's no to one output is none to the others."""


@dataclass(frozen=True, slots=True)
class Published:
    """The receipts of a run's outputs, and what a person refused."""

    receipts: tuple[Receipt, ...]
    refused: tuple[str, ...]  # a sentence each


def publish(context: RunContext, ready: Publication, changeset: Changeset) -> Published:
    """Publish by every output, in the order of the spec; each receipt is recorded before the next begins.

    What a person refused, by closing it or by committing there, is left out, and so is what has no changes.
    The other outputs are published all the same. Raises RunnerError of the first output that fails, or of
    one that was left out, where none was published.
    """
    try:
        return _publish(context, ready, changeset)
    except RunnerError as error:
        discard(context, error)
        raise


def _publish(context: RunContext, ready: Publication, changeset: Changeset) -> Published:
    offer = _offer(context, ready.proposal, ready.patch, ready.outcome, ready.checks)
    receipts: list[Receipt] = []
    nothing: list[RunnerError] = []
    refused: list[str] = []
    with context.record.stage(Phase.PUBLISH):
        for output in context.spec.outputs:
            context.parts.stop()
            own = replace(offer, output=output, receipts=tuple(receipts))
            try:
                receipt = context.parts.outputs[output.kind].publish(own, context.parts.forge, changeset)
            except RunnerError as error:
                if error.reason not in (Reason.NO_CHANGES, *_REFUSED_BY_PEOPLE):
                    raise
                told = f"no {output.kind.replace('_', ' ')}: {error.message}"
                context.record.add_event(told)
                if error.reason is Reason.NO_CHANGES:
                    nothing.append(_told(error, _withdraw(context, own, changeset)))
                else:
                    nothing.insert(0, error)
                    refused.append(told)
            else:
                context.record.add_receipt(receipt)
                receipts.append(receipt)
        if nothing and not receipts:
            raise nothing[0]
    return Published(tuple(receipts), tuple(refused))


def withdraw(
    context: RunContext, error: RunnerError, proposal: Proposal, outcome: Outcome, changeset: Changeset
) -> RunnerError:
    """Take back what earlier runs published, as this one found nothing to do; the error that says so."""
    offer = _offer(context, proposal, b"", outcome, ())
    with context.record.stage(Phase.PUBLISH):
        for output in context.spec.outputs:
            error = _told(error, _withdraw(context, replace(offer, output=output), changeset))
    return error


def _offer(
    context: RunContext, proposal: Proposal, patch: bytes, outcome: Outcome, checks: tuple[Check, ...]
) -> Offer:
    return Offer(
        spec=context.spec,
        output=context.spec.outputs[0],
        run_id=context.record.run_id,
        proposal=proposal,
        patch=patch,
        outcome=outcome,
        checks=checks,
        bot=context.options.bot,
        again=context.options.propose_again,
        say=context.record.add_event,
        warn=context.record.add_warning,
        stop=context.parts.stop,
    )


def _withdraw(context: RunContext, offer: Offer, changeset: Changeset) -> Receipt | None:
    """What cannot be taken back now is told, and tried again by the next run that finds nothing to do."""
    kind = offer.output.kind
    try:
        receipt = context.parts.outputs[kind].withdraw(offer, context.parts.forge, changeset)
    except RunnerError as error:
        if error.reason is Reason.CANCELLED:
            raise
        context.record.add_warning(f"the {kind.replace('_', ' ')} is needed no more, but: {error.message}")
        return None
    if receipt is not None:
        context.record.add_receipt(receipt)
    return receipt


def _told(error: RunnerError, receipt: Receipt | None) -> RunnerError:
    """The error, with what was taken back in its message."""
    if receipt is None:
        return error
    message = f"{error.message}; {receipt.text}"
    return RunnerError(error.phase, Reason.NO_CHANGES, message, hint=error.hint)
