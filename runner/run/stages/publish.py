"""The publication of a proposal by the outputs of its spec."""

from dataclasses import replace

from runner.core.errors import RunnerError
from runner.core.model import Check, Outcome, Phase, Proposal, Reason, Receipt
from runner.publish.outputs import Offer
from runner.run.context import RunContext
from runner.workspace.changeset import Changeset


def publish(
    context: RunContext,
    proposal: Proposal,
    patch: bytes,
    outcome: Outcome,
    checks: tuple[Check, ...],
    changeset: Changeset,
) -> tuple[Receipt, ...]:
    """Publish by every output, in the order of the spec; each receipt is recorded before the next begins.

    Raises RunnerError of the first output that fails, or NO_CHANGES when none had anything to publish.
    """
    offer = Offer(
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
        stop=context.parts.stop,
    )
    receipts: list[Receipt] = []
    nothing: RunnerError | None = None
    with context.record.stage(Phase.PUBLISH):
        for output in context.spec.outputs:
            context.parts.stop()
            own = replace(offer, output=output, receipts=tuple(receipts))
            try:
                receipt = context.parts.outputs[output.kind].publish(own, context.parts.forge, changeset)
            except RunnerError as error:
                if error.reason is not Reason.NO_CHANGES:
                    raise
                nothing = nothing or error
                context.record.add_event(f"no {output.kind.replace('_', ' ')}: {error.message}")
            else:
                context.record.add_receipt(receipt)
                receipts.append(receipt)
        if nothing and not receipts:
            raise nothing
    return tuple(receipts)
