"""Nothing is published: the record of the run is all that is wanted."""

from typing import TYPE_CHECKING

from runner.config.documents import Model
from runner.core.model import Receipt
from runner.publish.outputs import Offer, Output

if TYPE_CHECKING:
    from runner.publish.forges import Forge
    from runner.workspace.changeset import Changeset


class NoneOptions(Model):
    """The run is kept; nothing leaves the machine."""


class NoneOutput(Output):
    name = "none"
    options = NoneOptions
    files = True
    publishes = False

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """The run itself is the receipt."""
        key = offer.spec.trigger.key
        return Receipt(kind=self.name, key=key, action="created", url=f"run:{offer.run_id}")


PLUGINS = (NoneOutput,)
