"""How a worker hears of what happens: where heads are, what GitHub's lists and webhooks tell."""

from runner.triggers.sources.github.backoff import Backoff
from runner.triggers.sources.github.cursor import Cursor, Position
from runner.triggers.sources.github.heads import heads, moved
from runner.triggers.sources.github.poll import Polled, heard_by_polling, poll
from runner.triggers.sources.github.repositories import Repositories
from runner.triggers.sources.github.webhook import Delivery, Ignored, Ping, Refused, receive

__all__ = [
    "Backoff",
    "Cursor",
    "Delivery",
    "Ignored",
    "Ping",
    "Polled",
    "Position",
    "Refused",
    "Repositories",
    "heads",
    "heard_by_polling",
    "moved",
    "poll",
    "receive",
]
