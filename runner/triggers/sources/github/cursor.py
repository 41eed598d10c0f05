"""A repository's poll cursor: how far each list was read, and so which items are new. Pure.

Only GitHub's own times and ids count, so that nobody's clock matters but GitHub's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

_OVERLAP = timedelta(minutes=5)
"""An item may show in a list after one with a later time: GitHub answers from copies of its database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far one list has been read."""

    floor: str  # GitHub's time: what is older is no news
    seen: Mapping[str, str] = field(default_factory=dict)  # by id: the times of what is no older
    etags: Mapping[str, str] = field(default_factory=dict)  # by request
    known: Mapping[str, str] = field(default_factory=dict)  # what the list itself must remember

    def news(self, item: object, at: str | None) -> bool:
        """Whether an item with this id and time is new; the same release may be published twice."""
        before = self.seen.get(str(item))
        again = before is None or (at is not None and parse_time(at) > parse_time(before))
        return at is not None and again and parse_time(at) >= parse_time(self.floor)

    def after(
        self,
        items: Iterable[tuple[object, str | None]],
        etags: Mapping[str, str],
        *,
        latest: Iterable[str] = (),
        known: Mapping[str, str] | None = None,
    ) -> "Position":
        """The position once `items` (id and time) are read; `latest` are further times of theirs."""
        seen = {**self.seen, **{str(item): at for item, at in items if at is not None}}
        reached = max([*map(parse_time, (*seen.values(), *latest))], default=parse_time(self.floor))
        floor = parse_time(stamp(max(parse_time(self.floor), reached - _OVERLAP)))
        return Position(
            floor=stamp(floor),
            seen={item: at for item, at in seen.items() if parse_time(at) >= floor},
            etags=dict(etags),
            known=dict(self.known if known is None else known),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far one repository has been heard. To be stored with the events of the poll that gave it, or after
    them: heard again, they have the same keys."""

    positions: Mapping[str, Position] = field(default_factory=dict)  # by list

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {name: asdict(position) for name, position in self.positions.items()}

    @staticmethod
    def load(data: Mapping[str, Any]) -> "Cursor":
        return Cursor(positions={name: Position(**position) for name, position in data.items()})


def parse_time(text: str) -> datetime:
    """A time as GitHub writes it; what is none is older than everything."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def stamp(at: datetime) -> str:
    """As GitHub writes a time, to the second below."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
