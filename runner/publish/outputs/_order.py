"""Which item is published after which, and which are only shown. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from runner.core.model import DeclaredOutput, OutputSpec
from runner.publish.outputs import Offer, Output
from runner.publish.outputs._item import references_of

_CONFIDENCE = ("low", "medium", "high")


def items(whole: Offer, outputs: Mapping[str, Output]) -> Sequence[Offer]:
    """An offer for each declared item, in the order of the spec's outputs and of the declarations."""
    return [
        replace(whole, output=output, item=item, position=position)
        for output in whole.spec.outputs
        if outputs[output.kind].each
        for position, item in enumerate(one for one in whole.proposal.declared if one.kind == output.kind)
    ]


def in_order(offers: Sequence[Offer]) -> Iterator[Offer]:
    """The offers so that what an item names by a temporary id comes before it, as far as that can be.

    Of items that name each other the first comes first, and its reference stays unresolved.
    """
    left = list(offers)
    while left:
        missing = {name for offer in left for name in _names(offer)}
        ready = (offer for offer in left if not (_needs(offer) - set(_names(offer))) & missing)
        chosen = next(ready, left[0])
        left.remove(chosen)
        yield chosen


def _names(offer: Offer) -> tuple[str, ...]:
    own = str(offer.item.fields.get("id") or "") if offer.item else ""
    return tuple(filter(None, (own, offer.output.kind)))


def _needs(offer: Offer) -> set[str]:
    return references_of(offer.item.fields) if offer.item else set()


def held_back(item: DeclaredOutput, output: OutputSpec) -> Literal["staged", "suggested", ""]:
    """Why an item is shown and not published; empty: it is published."""
    if output.options.get("staged"):
        return "staged"
    least, told = output.options.get("min_confidence"), item.fields.get("confidence")
    if least and _CONFIDENCE.index(str(told or "low")) < _CONFIDENCE.index(str(least)):
        return "suggested"
    return ""
