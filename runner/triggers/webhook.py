"""A signed HTTP request starts the skill; its JSON body is the event."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from runner.config.documents import Model


class Webhook(Model):
    """An HTTP request, signed with a shared secret."""

    secret: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")] = Field(
        description="The name of the variable that holds the secret which signs requests",
        examples=["DEPLOY_HOOK_SECRET"],
    )

    def mismatch(self, _: Mapping[str, Any]) -> str:
        """Every request is one that the skill asks for: it names the skill."""
        return ""


KINDS = {"webhook": Webhook}
