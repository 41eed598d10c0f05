"""The publication of a proposal by the outputs of its spec."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from runner.core.errors import RunnerError
from runner.core.model import Check, Outcome, Phase, Proposal, Reason, Receipt
from runner.publish.forges import Forge
from runner.publish.outputs import Offer
from runner.publish.outputs._order import held_back, in_order, items
from runner.run.context import RunContext
from runner.run.stages.artifacts import load_file
from runner.run.stages.publication import Publication, discard
from runner.workspace.changeset import Changeset

_REFUSED_FOR_GOOD = (
    Reason.FORGE_DENIED,
    Reason.FORGE_NOT_FOUND,
    Reason.FORGE_REJECTED,
    Reason.UNSUPPORTED,
    Reason.INCOMPLETE,
)
"""What cannot be published of one item, for good, keeps no other from being published."""

_REFUSED_BY_PEOPLE = (Reason.CLOSED_BY_HUMAN, Reason.HUMAN_COMMIT, Reason.LEFT_ALONE)
"""A person's no to one output is none to the others."""


@dataclass(frozen=True, slots=True)
class Published:
    """The receipts of a run's outputs, and what a person refused."""

    receipts: tuple[Receipt, ...]
    refused: tuple[str, ...]  # a sentence each


def publish(context: RunContext, ready: Publication, changeset: Changeset) -> Published:
    """Publish by every output, in the order of the spec; each receipt is recorded before the next begins.

    What a person refused, by closing it or by committing there, is left out, and so is what has no changes.
    The other outputs are published all the same. Raises RunnerError of the first output that fails, or of
    one that was left out, where none was published.
    """
    try:
        return _publish(context, ready, changeset)
    except RunnerError as error:
        discard(context, error)
        raise


def _publish(context: RunContext, ready: Publication, changeset: Changeset) -> Published:
    whole = _offer(context, ready.proposal, ready.patch, ready.outcome, ready.checks)
    whole = replace(whole, work_sha256=ready.work_sha256)
    progress = _Progress(known=context.record.receipts())
    with context.record.stage(Phase.PUBLISH):
        for output in context.spec.outputs:
            if not context.parts.outputs[output.kind].each:
                _publish_one(context, replace(whole, output=output), changeset, progress)
        for offer in in_order(items(whole, context.parts.outputs)):
            _publish_one(context, offer, changeset, progress)
        if progress.left_out and not progress.receipts:
            raise progress.left_out[0]
        if not progress.receipts:
            message = "the agent declared nothing to publish"
            raise RunnerError(Phase.PUBLISH, Reason.NO_CHANGES, message)
    return Published(tuple(progress.receipts), tuple(progress.refused))


@dataclass(slots=True)
class _Progress:
    """What was published until now."""

    known: Sequence[Receipt]  # of the attempts before
    receipts: list[Receipt] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)  # by temporary id
    left_out: list[RunnerError] = field(default_factory=list)  # refused ones before those with nothing
    refused: list[str] = field(default_factory=list)

    def add(self, offer: Offer, receipt: Receipt) -> None:
        self.receipts.append(receipt)
        reference = f"#{receipt.number}" if receipt.number is not None else receipt.url
        declared = (offer.item,) if offer.item else offer.declared
        for name in (offer.output.kind, *(str(one.fields.get("id") or "") for one in declared)):
            self.references.setdefault(name, reference)


def _publish_one(context: RunContext, offer: Offer, changeset: Changeset, progress: _Progress) -> None:
    """Publish by one output, or one item of it, and record the receipt; what an attempt did stays done."""
    context.parts.stop()
    offer = replace(offer, receipts=tuple(progress.receipts), references=progress.references)
    if (done := _find_receipt(offer, progress.known)) is not None:
        progress.add(offer, done)
        return
    try:
        receipt = _held_back(offer) or context.parts.outputs[offer.output.kind].publish(
            offer, _forge(context, offer.output.kind), changeset
        )
    except RunnerError as error:
        _leave_out(context, offer, error, changeset, progress)
    else:
        receipt = replace(receipt, item=_item_name(offer))
        context.record.add_receipt(receipt)
        progress.add(offer, receipt)


def _leave_out(
    context: RunContext, offer: Offer, error: RunnerError, changeset: Changeset, progress: _Progress
) -> None:
    """Go on without what people refused or what has no changes. Raises every other error again."""
    lasting = (*_REFUSED_FOR_GOOD, *_REFUSED_BY_PEOPLE) if offer.item else _REFUSED_BY_PEOPLE
    if error.reason not in (Reason.NO_CHANGES, *lasting):
        raise error
    told = f"no {offer.output.kind.replace('_', ' ')}: {error.message}"
    if error.reason is Reason.NO_CHANGES:
        context.record.add_event(told)
        progress.left_out.append(_told(error, _withdraw(context, offer, changeset)))
        return
    note = context.record.add_warning if error.reason in _REFUSED_FOR_GOOD else context.record.add_event
    note(told)
    progress.left_out.insert(0, error)
    progress.refused.append(told)


def _find_receipt(offer: Offer, known: Sequence[Receipt]) -> Receipt | None:
    """The receipt of this item from an earlier attempt; outputs without items look for themselves."""
    name = _item_name(offer)
    return next((one for one in known if name and (one.kind, one.item) == (offer.output.kind, name)), None)


def _item_name(offer: Offer) -> str:
    return f"{offer.position}" if offer.item else ""


def _held_back(offer: Offer) -> Receipt | None:
    """The receipt of an item that is shown and not published; None: it is to be published."""
    if offer.item is None or not (action := held_back(offer.item, offer.output)):
        return None
    key = f"{offer.spec.trigger.key}#{offer.position}"
    offer.say(f"{action}: {offer.output.kind} {json.dumps(dict(offer.item.fields))[:4_000]}")
    return Receipt(kind=offer.output.kind, key=key, action=action, url=f"run:{offer.run_id}")


def withdraw(
    context: RunContext, error: RunnerError, proposal: Proposal, outcome: Outcome, changeset: Changeset
) -> RunnerError:
    """Take back what earlier runs published, as this one found nothing to do; the error that says so."""
    offer = _offer(context, proposal, b"", outcome, ())
    with context.record.stage(Phase.PUBLISH):
        for output in context.spec.outputs:
            error = _told(error, _withdraw(context, replace(offer, output=output), changeset))
    return error


def _offer(
    context: RunContext, proposal: Proposal, patch: bytes, outcome: Outcome, checks: tuple[Check, ...]
) -> Offer:
    return Offer(
        spec=context.spec,
        output=context.spec.outputs[0],
        run_id=context.record.run_id,
        proposal=proposal,
        patch=patch,
        outcome=outcome,
        checks=checks,
        bot=context.options.bot,
        signer=context.options.signer.of_repository(context.spec.repository.name),
        again=context.options.propose_again,
        secrets=context.options.output_secrets,
        load=partial(load_file, context),
        save=context.record.save_artifact,
        say=context.record.add_event,
        warn=context.record.add_warning,
        stop=context.parts.stop,
    )


def _forge(context: RunContext, kind: str) -> Forge:
    """The forge with what this output needs, and no more."""
    return context.parts.forge.limited_to(context.parts.outputs[kind].permissions)


def _withdraw(context: RunContext, offer: Offer, changeset: Changeset) -> Receipt | None:
    """What cannot be taken back now is told, and tried again by the next run that finds nothing to do."""
    kind = offer.output.kind
    try:
        receipt = context.parts.outputs[kind].withdraw(offer, _forge(context, kind), changeset)
    except RunnerError as error:
        if error.reason is Reason.CANCELLED:
            raise
        context.record.add_warning(f"the {kind.replace('_', ' ')} is needed no more, but: {error.message}")
        return None
    if receipt is not None:
        context.record.add_receipt(receipt)
    return receipt


def _told(error: RunnerError, receipt: Receipt | None) -> RunnerError:
    """The error, with what was taken back in its message."""
    if receipt is None:
        return error
    message = f"{error.message}; {receipt.text}"
    return RunnerError(error.phase, Reason.NO_CHANGES, message, hint=error.hint)
