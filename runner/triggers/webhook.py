"""A `repository_dispatch` event of GitHub starts the skill of that name; its client payload is the event."""

from collections.abc import Mapping
from typing import Any

from runner.config.documents import Model


class Webhook(Model):
    """A `repository_dispatch` event whose type is the skill's name; the Action hears it."""

    def mismatch(self, _: Mapping[str, Any]) -> str:
        """Every request is one that the skill asks for: it names the skill."""
        return ""


KINDS = {"webhook": Webhook}
