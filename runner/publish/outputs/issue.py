"""An issue, opened once for its key: one that is open is brought up to date, one that was closed stays so."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.core.errors import RunnerError
from runner.core.model import DeclaredOutput, OutputSpec, Phase, Reason, Receipt, RunSpec
from runner.core.units import Maybe
from runner.publish.outputs import Offer, Output, _item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.publish.forges import Forge
    from runner.publish.forges._threads import Thread
    from runner.workspace.changeset import Changeset


class IssueOptions(_item.ItemOptions):
    """An issue."""

    title_prefix: str = Field(default="", description="What all titles begin with")
    labels: Annotated[Many[Text], Field(max_length=100)] = Field(
        default=(), description="Labels that every one gets"
    )
    allowed_labels: Annotated[Many[Text], Field(max_length=100)] = Field(
        default=(), description="Further labels that the agent may choose from"
    )
    assignees: Annotated[Many[Text], Field(max_length=10)] = Field(default=(), description="Who is assigned")
    close_older: bool = Field(
        default=False, description="Close the skill's earlier open issues once this one is there"
    )


class IssueDeclaration(_item.ItemDeclaration):
    """An issue."""

    title: Text = Field(description="its title")
    body: Text = Field(description="its text, in Markdown")
    key: Maybe[Text] = Field(
        default=None,
        description="what it is about, in a few words that stay the same: issues of equal keys are one",
    )
    labels: Many[Text] = Field(default=(), description="labels, of those that the skill allows")


class IssueOutput(Output):
    name = "issue"
    options = IssueOptions
    declares = IssueDeclaration
    each = True
    permissions: ClassVar = {"issues": "write"}

    def labels(self, options: Model) -> "Sequence[str]":
        return options.labels if isinstance(options, IssueOptions) else ()

    def check(self, item: DeclaredOutput, spec: RunSpec, output: OutputSpec) -> "Sequence[str]":
        allowed = {one.casefold() for one in (*output.options["allowed_labels"], *output.options["labels"])}
        refused = [one for one in item.fields.get("labels", ()) if one.casefold() not in allowed]
        names = ", ".join(output.options["allowed_labels"]) or "none"
        return [f"has the label {one!r}, and the skill allows {names}" for one in refused]

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Open the issue, or bring the open one up to date.

        Raises RunnerError CLOSED_BY_HUMAN where it was closed, and as `Output.publish` does.
        """
        said, threads = _fields(offer), forge.threads()
        key = _key(offer, said)
        title = _item.title(offer, said.title, str(offer.output.options.get("title_prefix") or ""))
        body = _item.signed(offer, said.body, self.name, key)

        def find() -> "Thread | None":
            return next((one for one in threads.own("all") if _item.is_marked(one.body, "issue", key)), None)

        offer.stop()
        thread, created = _item.create_once(find, lambda: threads.create(title, body))
        if thread.state == "closed":
            _respect(offer, thread)
        action = "created" if created else _bring_up_to_date(offer, forge, thread, title, body)
        _attach(offer, forge, thread, said)
        if offer.output.options.get("close_older"):
            _close_older(offer, forge, thread)
        return _item.receipt(offer, key, action, thread.url, thread.number)


PLUGINS = (IssueOutput,)


def _fields(offer: Offer) -> IssueDeclaration:
    return IssueDeclaration.model_validate(dict(offer.item.fields if offer.item else {}))


def _key(offer: Offer, said: IssueDeclaration) -> str:
    return _item.item_key(offer, f"key:{said.key.strip().casefold()}" if said.key else "")


def _respect(offer: Offer, thread: "Thread") -> None:
    message = f"{thread.url} said this and was closed, so it is not opened again"
    raise RunnerError(
        Phase.PUBLISH, Reason.CLOSED_BY_HUMAN, message, hint="open that one again to go on with it"
    )


def _bring_up_to_date(offer: Offer, forge: "Forge", thread: "Thread", title: str, body: str) -> str:
    """A title that a person has changed stays theirs; what says the same already is left alone."""
    from runner.publish.forges._threads import ThreadChange

    if _item.without_foot(thread.body) == _item.without_foot(body):
        return "unchanged"
    forge.threads().update(thread.number, ThreadChange(body=body))
    return "updated"


def _attach(offer: Offer, forge: "Forge", thread: "Thread", said: IssueDeclaration) -> None:
    """Labels and assignees that it does not have yet; they fail nothing."""
    wanted = dict.fromkeys((*offer.output.options.get("labels", ()), *said.labels))
    has = {label.casefold() for label in thread.labels}
    new = [label for label in wanted if label.casefold() not in has]
    if new and (labels := _item.existing_labels(offer, forge, new)):
        _item.attempt(offer, lambda: forge.add_labels(thread.number, labels))
    assignees = [one for one in offer.output.options.get("assignees", ()) if one not in thread.assignees]
    if assignees:
        _item.attempt(offer, lambda: _assign(offer, forge, thread, assignees))


def _assign(offer: Offer, forge: "Forge", thread: "Thread", logins: "Sequence[str]") -> None:
    assigned = {one.casefold() for one in forge.threads().assign(thread.number, logins)}
    for login in logins:
        if login.casefold() not in assigned:
            offer.warn(f"{login} was not assigned to {thread.url}: they may not be, there")


def _close_older(offer: Offer, forge: "Forge", newest: "Thread") -> None:
    from runner.publish.forges._threads import ThreadChange

    for one in forge.threads().own("open"):
        if one.number != newest.number and _item.is_of_skill(one.body, "issue", offer.spec.skill.name):
            change = ThreadChange(state="closed", state_reason="not_planned")
            _item.attempt(offer, partial(forge.threads().update, one.number, change))
