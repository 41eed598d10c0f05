"""The publication of what came out."""

from dataclasses import replace

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Receipt
from runner.publish.outputs import Offer
from runner.run.context import RunContext
from runner.workspace.changeset import Changeset


def publish(job: RunContext, offer: Offer, changeset: Changeset) -> tuple[Receipt, ...]:
    """Publish by every output, in the order of the spec; each receipt is recorded before the next begins.

    Raises RunnerError of the first output that fails, or NO_CHANGES when none had anything to publish.
    """
    receipts: list[Receipt] = []
    nothing: RunnerError | None = None
    with job.record.stage(Phase.PUBLISH):
        for output in job.spec.outputs:
            job.parts.stop()
            own = replace(offer, output=output, receipts=tuple(receipts))
            try:
                receipt = job.parts.outputs[output.kind].publish(own, job.parts.forge, changeset)
            except RunnerError as error:
                if error.reason is not Reason.NO_CHANGES:
                    raise
                nothing = nothing or error
                job.record.add_event(f"no {output.kind.replace('_', ' ')}: {error.message}")
            else:
                job.record.add_receipt(receipt)
                receipts.append(receipt)
        if nothing and not receipts:
            raise nothing
    return tuple(receipts)
