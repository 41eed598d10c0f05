"""What people ask of the runner itself in a comment: `/approve`, `/refuse` and `/skillrunner VERB`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from runner.core.model.decision import Event
from runner.core.payload import text_at, value_at
from runner.publish.policy.approval import MIN_DIGITS
from runner.triggers._command_lines import CommandLine, command_lines

Verb = Literal["approve", "refuse", "run", "retry", "stop"]
Reaction = Literal["eyes", "+1", "-1", "confused"]
"""By which people see what became of their comment: -1 says that it was not possible."""

MAY_COMMAND = frozenset({"write", "maintain", "admin"})
"""Permissions of people whose commands are carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentCommand:
    """One command, and who gave it where."""

    verb: Verb
    name: str  # of a skill or run, or the digest of a proposal
    login: str
    comment: int
    url: str
    text: str = ""  # what is said besides
    values: Mapping[str, str] = field(default_factory=dict)


def find_command(event: Event, own_login: str) -> CommentCommand | None:
    """The first command in a new comment of a person.

    None for bots, for ourselves, and for a comment that was edited before it was read: what it says now may
    be somebody else's. A command without a name, or with a digest that is too short, is none.
    """
    login, kind = text_at(event.payload, "sender", "login"), text_at(event.payload, "sender", "type")
    is_person = login and kind in ("User", "") and not login.endswith("[bot]") and login != own_login
    is_author = text_at(event.payload, "comment", "user", "login") in ("", login)
    made, changed = (text_at(event.payload, "comment", name) for name in ("created_at", "updated_at"))
    is_new = text_at(event.payload, "action") == "created" and changed in ("", made)
    comment = value_at(event.payload, "comment", "id")
    if event.kind != "issue_comment" or not (is_person and is_author and is_new):
        return None
    if not isinstance(comment, int):
        return None
    for line in command_lines(text_at(event.payload, "comment", "body")):
        if (found := _verb(line)) is not None:
            verb, words = found
            text, url = " ".join(words[1:]), text_at(event.payload, "comment", "html_url")
            return CommentCommand(
                verb=verb,
                name=words[0],
                login=login,
                comment=comment,
                url=url,
                text=text,
                values=line.values,
            )
    return None


def _verb(line: CommandLine) -> tuple[Verb, tuple[str, ...]] | None:
    if line.mention:
        return None
    name, words = line.name, line.words
    if name == "skillrunner" and words:
        name, words = words[0].lower(), words[1:]
    elif name not in ("approve", "refuse"):
        return None
    is_short = name in ("approve", "refuse") and bool(words) and len(words[0]) < MIN_DIGITS
    verb = next((one for one in get_args(Verb) if one == name), None)
    return (verb, words) if verb is not None and words and not is_short else None
