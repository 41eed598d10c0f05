"""Nothing is published: the record of the run is all that is wanted."""

from runner.changeset import Changeset
from runner.documents import Model
from runner.forges import Forge
from runner.model import Receipt
from runner.outputs import Offer


class Nothing(Model):
    """The run is kept; nothing leaves the machine."""


KINDS = {"none": Nothing}
FILES = True


def publish(offer: Offer, forge: Forge, changeset: Changeset) -> Receipt:
    """The run itself is the receipt."""
    return Receipt(kind="none", key=offer.spec.trigger.key, action="created", url=f"run:{offer.run_id}")
