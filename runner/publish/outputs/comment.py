"""A comment on an issue or a pull request: one that is kept up to date, or a new one each time."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from runner.config.documents import Text
from runner.core.model import DeclaredOutput, OutputSpec, Receipt, RunSpec
from runner.core.units import Maybe
from runner.publish.outputs import Offer, Output, _item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.publish.forges import Forge
    from runner.publish.forges._threads import ThreadComment
    from runner.workspace.changeset import Changeset


class CommentOptions(_item.TargetOptions):
    """A comment on an issue or a pull request."""

    mode: Literal["sticky", "new"] = Field(
        default="sticky",
        description=(
            "`sticky`: one comment for each skill and thread, which later runs rewrite;"
            " `new`: another each time"
        ),
    )
    key: Maybe[Text] = Field(
        default=None, description="Template: tells several sticky comments of one skill apart"
    )
    hide_older: bool = Field(default=False, description="With `new`: minimise the earlier ones as outdated")


class CommentDeclaration(_item.TargetDeclaration):
    """A comment."""

    body: Text = Field(description="the comment, in Markdown")


class CommentOutput(Output):
    name = "comment"
    options = CommentOptions
    declares = CommentDeclaration
    each = True
    permissions: ClassVar = {"issues": "write", "pull-requests": "write"}

    def check(self, item: DeclaredOutput, spec: RunSpec, output: OutputSpec) -> "Sequence[str]":
        return _item.target_faults(item, spec, output)

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Write the comment, or rewrite the one that is there. Raises as `Output.publish` does."""
        thread, threads = _item.find_thread(offer, forge), forge.threads()
        key = _key(offer, thread.number)
        body = _item.signed(offer, str(_fields(offer).body), self.name, key)

        def find() -> "ThreadComment | None":
            return next((one for one in threads.comments(thread.number) if _is_it(one, key)), None)

        offer.stop()
        comment, created = _item.create_once(find, lambda: threads.comment(thread.number, body))
        action = (
            "created"
            if created
            else "unchanged"
            if _item.without_foot(comment.body) == _item.without_foot(body)
            else "updated"
        )
        if action == "updated":
            threads.edit_comment(comment, body)
        if offer.output.options.get("hide_older"):
            _hide_older(offer, forge, thread.number, comment)
        return _item.receipt(offer, key, action, comment.url, thread.number)


PLUGINS = (CommentOutput,)


def _fields(offer: Offer) -> CommentDeclaration:
    return CommentDeclaration.model_validate(dict(offer.item.fields if offer.item else {}))


def _key(offer: Offer, number: int) -> str:
    """A sticky comment is the skill's on the thread, whatever the cause; the place tells several apart."""
    if offer.output.options.get("mode", "sticky") == "new":
        return f"{_item.item_key(offer)}@{number}"
    own = offer.output.options.get("key") or "sticky"
    return _item.item_key(offer, f"{own}#{offer.position}@{number}")


def _is_it(comment: "ThreadComment", key: str) -> bool:
    return comment.is_own and _item.is_marked(comment.body, "comment", key)


def _hide_older(offer: Offer, forge: "Forge", number: int, newest: "ThreadComment") -> None:
    skill = offer.spec.skill.name
    for one in forge.threads().comments(number):
        is_older = one.is_own and one.id != newest.id and not one.minimised
        if is_older and _item.is_of_skill(one.body, "comment", skill):
            _item.attempt(offer, partial(forge.threads().minimise_comment, one, "outdated"))
