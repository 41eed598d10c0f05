"""How a worker hears of what happens: what GitHub's lists and webhooks tell."""

from runner.triggers.sources.github.cursor import Cursor, Position
from runner.triggers.sources.github.poll import PollResult, is_polled, poll
from runner.triggers.sources.github.repositories import Repositories
from runner.triggers.sources.github.webhook import Delivery, IgnoredDelivery, Ping, RefusedDelivery, receive

__all__ = [
    "Cursor",
    "Delivery",
    "IgnoredDelivery",
    "Ping",
    "PollResult",
    "Position",
    "RefusedDelivery",
    "Repositories",
    "is_polled",
    "poll",
    "receive",
]
