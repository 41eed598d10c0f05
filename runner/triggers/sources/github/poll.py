"""Events by polling, where no webhook reaches: nothing lost between two polls, nothing heard twice."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model.decision import Event
from runner.triggers.sources.github.cursor import Cursor, Position
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read
from runner.triggers.sources.github.lists import PollSession, answer_errors
from runner.triggers.sources.github.trigger import github_triggers


@dataclass(frozen=True, slots=True, kw_only=True)
class ListsRead:
    """The events of one poll of one repository."""

    events: list[Event]  # the oldest first
    cursor: Cursor  # to poll with the next time
    faults: Mapping[str, RunnerError] = field(default_factory=dict)  # lists that failed: read on next time


def wanted_lists(wanted: Collection[str]) -> list[EventList]:
    """The lists that tell of these kinds, each once; those that only tell what follows come last."""
    found = {
        one.name: one
        for kind, trigger in github_triggers().items()
        if kind in wanted
        for one in trigger.lists
    }
    return sorted(found.values(), key=lambda one: (one.follows, one.name))


def poll(api: GitHubApi, cursor: Cursor, wanted: Collection[str], now: datetime) -> ListsRead:
    """The events of the kinds in `wanted` in the repository of `api` since `cursor`.

    The first poll of a list yields no events: it starts at that moment, by GitHub's clock. The cursor of a
    list that nobody wants any more is dropped. Raises RunnerError when the repository itself cannot be read;
    nothing is lost then, because the old cursor stays valid.
    """
    asking = PollSession(api, frozenset(wanted), now)
    positions: dict[str, Position] = {}
    faults: dict[str, RunnerError] = {}
    heard: list[PolledEvent] = []
    for one in wanted_lists(wanted):
        before = cursor.positions.get(one.name)
        try:
            with answer_errors(f"the {one.name} of {api.repository}"):
                found, positions[one.name] = _read(one, asking, before)
            heard += found
        except RunnerError as error:
            faults[one.name] = error
            positions |= {one.name: before} if before is not None else {}
    heard.sort(key=lambda one: one.at)
    with answer_errors(api.repository):
        repository = asking.repository if heard else {}
    triggers = github_triggers()
    events = [triggers[one.kind].event({**one.payload, "repository": repository}, now) for one in heard]
    return ListsRead(events=events, cursor=Cursor(positions=positions), faults=faults)


def _read(one: EventList, asking: PollSession, position: Position | None) -> Read:
    return ([], one.begin(asking)) if position is None else one.read(asking, position)
