"""How a worker hears of what happens: where heads are, what GitHub's lists and webhooks tell."""

from runner.hearing.backoff import Backoff
from runner.hearing.cursor import Cursor, Position
from runner.hearing.heads import heads, moved
from runner.hearing.poll import Polled, heard_by_polling, poll
from runner.hearing.repositories import Repositories
from runner.hearing.webhook import Delivery, Ignored, Ping, Refused, receive

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
