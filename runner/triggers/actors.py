"""Who may start a skill: an actor -> why they may not. Pure; what is not known is no yes."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from runner.config.documents import Many, Model
from runner.core.model.decision import Actor
from runner.core.payload import text_at
from runner.core.units import Maybe

Permission = Literal["none", "read", "triage", "write", "maintain", "admin"]
Association = Literal[
    "owner",
    "member",
    "collaborator",
    "contributor",
    "first_time_contributor",
    "first_timer",
    "mannequin",
    "none",
]
"""What GitHub says of somebody who wrote something, in small letters."""

UNKNOWN = "unknown"
"""In the place of a permission that a forge cannot tell."""

Bot = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}\[bot\]$")]
Login = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}(\[bot\])?$")]

_PERMISSIONS: tuple[Permission, ...] = ("none", "read", "triage", "write", "maintain", "admin")
_RANKS: dict[str, int] = {name: rank for rank, name in enumerate(_PERMISSIONS)}
_WITHIN: JsonValue = [
    {
        "if": {"required": ["max_permission"], "properties": {"max_permission": {"const": most}}},
        "then": {"properties": {"permission": {"enum": list(_PERMISSIONS[: rank + 1])}}},
    }
    for rank, most in enumerate(_PERMISSIONS)
]


class PeopleOptions(Model):
    """Which people may start the skill. Of several rules all have to hold."""

    model_config = ConfigDict(json_schema_extra={"allOf": _WITHIN})

    permission: Permission = Field(
        default="write",
        description="The least permission on the repository; with `max_permission` the default is none",
    )
    max_permission: Maybe[Permission] = Field(
        default=None, description="The greatest permission; with `read` or `none` only outsiders may"
    )
    logins: Maybe[Annotated[Many[Login], Field(min_length=1, max_length=200)]] = Field(
        default=None, description="Only these, by their logins"
    )
    __annotations__["not"] = Annotated[  # which is no name in Python
        Many[Login], Field(default=(), max_length=200, description="Never these, by their logins")
    ]
    association: Maybe[Annotated[Many[Association], Field(min_length=1)]] = Field(
        default=None,
        description="Only who has one of these relations to the repository, as the forge says of whoever"
        " wrote what the event is about",
    )

    @model_validator(mode="after")
    def _somebody_may(self) -> "PeopleOptions":
        if self.max_permission and _RANKS[self.least_permission] > _RANKS[self.max_permission]:
            raise ValueError(f"has `permission: {self.permission}` and a lower `max_permission`")
        return self

    @property
    def excluded_logins(self) -> tuple[str, ...]:
        """What the file says under `not`."""
        return tuple(getattr(self, "not", ()))

    @property
    def least_permission(self) -> Permission:
        stated = "permission" in self.model_fields_set or self.max_permission is None
        return self.permission if stated else "none"

    def refusal(self, actor: Actor) -> str:
        """Why the actor may not start the skill; empty: they may."""
        if _is_among(actor.login, self.excluded_logins):
            return f"{actor.login} is among those that `actor.not` names"
        if self.logins is not None and not _is_among(actor.login, self.logins):
            return f"`actor.logins` holds {', '.join(self.logins)}, and this is {actor.login}"
        if actor.bot:
            return self._bot_refusal(actor.login) or self._outsider_refusal(actor)
        return self._permission_refusal(actor) or self._outsider_refusal(actor)

    def _bot_refusal(self, login: str) -> str:
        return f"{login} is a bot, and bots give no commands"

    def _permission_refusal(self, actor: Actor) -> str:
        if _RANKS.get(actor.permission, 0) >= _RANKS[self.least_permission]:
            return ""
        has = f"{actor.login} has the permission `{actor.permission}`"
        return f"{has}, and `{self.least_permission}` is needed"

    def _outsider_refusal(self, actor: Actor) -> str:
        if self.max_permission is not None:
            rank = _RANKS.get(actor.permission) if actor.is_permission_known else None
            if rank is None:
                return f"what {actor.login} may do is not known, and `actor.max_permission` asks for it"
            if rank > _RANKS[self.max_permission]:
                has = f"{actor.login} has the permission `{actor.permission}`"
                return f"{has}, and at most `{self.max_permission}` may start it"
        if self.association is not None and actor.association not in self.association:
            relation = f"is `{actor.association}`" if actor.association else "is not known"
            wanted = ", ".join(self.association)
            return f"`actor.association` holds {wanted}, and that of {actor.login} {relation}"
        return ""


class ActorOptions(PeopleOptions):
    """Who may start the skill."""

    bots: Annotated[Many[Bot], Field(max_length=100)] = Field(
        default=(), description="Bots that may, by their logins", examples=[["renovate[bot]"]]
    )

    def _bot_refusal(self, login: str) -> str:
        return "" if login in self.bots else f"{login} is a bot: allow it with `actor: {{bots: ['{login}']}}`"


def association_of(payload: Mapping[str, object]) -> str:
    """The relation of the event's actor to the repository; empty: nobody says it of them.

    GitHub says it of whoever wrote the comment, the review, or what else an event is about: of the actor only
    where that is the same one.
    """
    sender = text_at(payload, "sender", "login")
    holders = ("comment", "review", "issue", "pull_request", "discussion")
    holder = next((name for name in holders if isinstance(payload.get(name), Mapping)), "")
    if not sender or text_at(payload, holder, "user", "login").lower() != sender.lower():
        return ""
    return text_at(payload, holder, "author_association").lower()


def _is_among(login: str, names: tuple[str, ...]) -> bool:
    """GitHub's logins are the same in capitals and small letters."""
    return login.lower() in {name.lower() for name in names}
