"""A signed HTTP request starts the skill; its JSON body is the event."""

from typing import Annotated

from pydantic import Field

from runner.documents import Model


class Webhook(Model):
    """An HTTP request, signed with a shared secret."""

    secret: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")] = Field(
        description="The name of the variable that holds the secret which signs requests",
        examples=["DEPLOY_HOOK_SECRET"],
    )


KINDS = {"webhook": Webhook}
