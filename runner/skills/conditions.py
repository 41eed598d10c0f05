"""What has to be so, or must not be so, for a skill to start: the options, and the judgement. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator

from runner.config.documents import Many, Model, Text
from runner.core.units import Maybe

QUERY = r"^(?!(.*[\s(-])?([Rr][Ee][Pp][Oo]|[Oo][Rr][Gg]|[Uu][Ss][Ee][Rr]|[Oo][Ww][Nn][Ee][Rr]):)\S(.*\S)?$"
"""A search that names no repository, as it is made in the skill's own."""


def _check_query(text: str) -> str:
    """The search itself. Raises ValueError."""
    if re.search(QUERY, text) is None or text.endswith("\n"):
        raise ValueError("should be a search of this repository: without `repo:`, `org:`, `user:`, `owner:`")
    return text


Query = Annotated[
    str,
    Field(max_length=200),
    AfterValidator(_check_query),
    WithJsonSchema({"type": "string", "pattern": QUERY, "maxLength": 200}),
]

_ONE_KIND: JsonValue = [
    {"required": ["query"], "not": {"required": ["failing_check"]}},
    {
        "required": ["failing_check"],
        "not": {"anyOf": [{"required": ["query"]}, {"required": ["min"]}, {"required": ["max"]}]},
    },
]
_FAILED = frozenset({"failure", "error", "timed_out", "cancelled", "startup_failure", "action_required"})
"""How a check or a status ends that did not pass, in GitHub's words."""


class Condition(Model):
    """One question about the repository, asked before anything is paid for."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _ONE_KIND})

    query: Maybe[Query] = Field(
        default=None,
        description="A search among the repository's issues and pull requests, as on GitHub",
        examples=["is:issue is:open label:bug"],
    )
    min: Maybe[Annotated[int, Field(ge=0, le=1_000_000)]] = Field(
        default=None, description="It is met by at least so many; default 1, or 0 where `max` is given"
    )
    max: Maybe[Annotated[int, Field(ge=0, le=1_000_000)]] = Field(
        default=None, description="It is met by at most so many; default: no limit"
    )
    failing_check: Maybe[Annotated[Many[Text], Field(min_length=1, max_length=50)]] = Field(
        default=None,
        description="It is met where one of these checks or statuses fails on the default branch's head",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "Condition":
        if (self.query is None) == (self.failing_check is None):
            raise ValueError("should have either `query` or `failing_check`")
        if self.failing_check is not None and (self.min is not None or self.max is not None):
            raise ValueError("has `min` or `max`, which only a `query` can be given")
        return self

    @property
    def least(self) -> int:
        return self.min if self.min is not None else int(self.max is None)

    def is_met_by_count(self, count: int) -> bool:
        return self.least <= count and (self.max is None or count <= self.max)

    def count_message(self, count: int) -> str:
        """What was found, and what is asked for."""
        most = "" if self.max is None else f", at most {self.max:,}"
        return f"`{self.query}` finds {count:,}, and the condition asks for at least {self.least:,}{most}"

    def failing_checks(self, results: Mapping[str, str]) -> list[str]:
        """The named checks that fail, of the results by name; one that goes on, or is not there, does not."""
        return [name for name in self.failing_check or () if results.get(name, "").lower() in _FAILED]

    def check_message(self, results: Mapping[str, str]) -> str:
        found = (f"{name} is {results.get(name) or 'not there'}" for name in self.failing_check or ())
        return f"on the head of the default branch {', '.join(found)}"
