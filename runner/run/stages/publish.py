"""The publication of what came out."""

from runner.core.model import Phase, Receipt
from runner.publish.outputs import Offer
from runner.run.context import RunContext
from runner.workspace.changeset import Changeset


def publish(job: RunContext, offer: Offer, changeset: Changeset) -> Receipt:
    """Hand the offer to its output; the receipt is recorded."""
    job.parts.stop()
    with job.record.stage(Phase.PUBLISH):
        receipt: Receipt = job.parts.output.publish(offer, job.parts.forge, changeset)
        job.record.add_receipt(receipt)
        return receipt
