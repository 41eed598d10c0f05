"""What a call may cost at most, before it is made: from its size and from how long its answer may be. Pure.

The tokens of text in a prompt are never above the number of its bytes, and rarely above a third of it; each
picture has at most so many, and a document as many as a model can read at all. Calls side by side are counted
by the most, so that together they stay in the limit whatever they hold; a call that is alone by what is
likely, so that one large prompt does not end a run that could well pay for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from runner.gateway.model.answer_size import asked_size, number_of_answers, usual_size, with_size
from runner.gateway.model.media import media_of
from runner.gateway.model.prices import Price, highest_cost, tier
from runner.gateway.model.request import write_request
from runner.gateway.model.usage import Dialect

_LIKELY = 3  # bytes of a prompt for each of its tokens
_HIDDEN = 500  # tokens that providers add: instructions for tools
_BROUGHT = 50_000  # tokens of what the provider brings in itself, for each kind of it
_SEARCHES = 10  # of the web in one call, where the request does not say how many
_SHORTEST = 1_024  # tokens of an answer that is worth its prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """A call that is about to be made."""

    api: Dialect
    content: Mapping[str, Any]
    model: str
    host: str
    price: Price
    brought: int = 0  # kinds of things that the provider brings into the prompt
    searches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is left of the limit."""

    left: Decimal  # US dollars that are not spent
    held: Decimal  # of them, for calls that are under way
    alone: bool  # none is
    factor: Decimal = Decimal(1)  # by how much calls went over their reservations
    longest_answer: int = 0  # tokens of the longest answer until now


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """US dollars that are held for a call until it ends, and the request that is sent."""

    amount: Decimal
    needed: Decimal  # what has to be left for the call when it is alone
    content: Mapping[str, Any]

    def fits(self, room: Room) -> bool:
        """Whether the call may be made."""
        return self.needed <= room.left if room.alone else room.held + self.amount <= room.left


def reserve(call: PlannedCall, room: Room) -> Reservation:
    """What a call needs. Where its request does not say how long an answer may be, it does from now on.

    Raises RequestError when it says so in no way that could be understood, or holds an unknown part.
    """
    body = write_request(call.content)
    fixed = _HIDDEN + call.brought * _BROUGHT
    media = media_of(call.api, call.content)
    surely = media.most_tokens(call.model, len(body) + fixed)
    likely = media.likely_tokens(len(body) // _LIKELY + fixed)
    answers, size, told = (
        number_of_answers(call.api, call.content),
        asked_size(call.api, call.content),
        call.content,
    )
    for_an_hour = b'"1h"' in body
    searched = _searches(call) * (call.price.search or Decimal(0)).scaleb(-3)

    def priced(prompt: int, output: int) -> Decimal:
        tokens = highest_cost(call.price, prompt, output * answers, for_an_hour=for_an_hour)
        return (tokens + searched) * room.factor

    if size is None:
        size = usual_size(call.model)
        if room.alone:
            each = tier(call.price, likely).output.scaleb(-6) * answers * room.factor
            size = _affordable(room, priced(likely, 0), each, size)
        told = with_size(call.api, call.content, size, call.host)
    return Reservation(amount=priced(surely, size), needed=priced(likely, size), content=told)


def _affordable(room: Room, prompt: Decimal, each: Decimal, usual: int) -> int:
    """As long an answer as can be paid for, but none so short that it would probably be cut off."""
    if not each:
        return usual
    return min(usual, max(int((room.left - prompt) / each), _SHORTEST, room.longest_answer))


def _searches(call: PlannedCall) -> int:
    """How often the provider may search the web in the call."""
    if not call.searches:
        return 0
    tools = call.content.get("tools")
    asked = [
        tool.get("max_uses") for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, dict)
    ]
    return sum(one for one in asked if isinstance(one, int) and one > 0) or _SEARCHES
