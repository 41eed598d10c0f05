"""Runs of GitHub Actions: a list by the time of their start, of which each goes on for a while."""

from collections.abc import Iterable, Sequence

from runner.triggers.sources.github.cursor import Position, parse_time
from runner.triggers.sources.github.lists import Item, Lists, PollSession
from runner.triggers.sources.github.streams import PolledEvent, Read


def begin(asking: PollSession) -> Position:
    """From now on; what goes on already will be heard to end."""
    floor, lists = asking.clock(), Lists(asking.door, {})
    rows = lists.newest("/actions/runs", "created_at", floor) or []
    known = _states(rows, lists.first)
    new = {str(row["id"]) for row in rows if parse_time(row["created_at"]) >= parse_time(floor)}
    return Position(floor=floor, known={run: state for run, state in known.items() if run not in new})


def workflow_runs(asking: PollSession, position: Position) -> Read:
    """`known` holds a run's attempt and its state: "2 done", "2 open", or "2 apart" for one that goes on, and
    that has left the first page, so that the list may be as it was when that run ends."""
    lists = Lists(asking.door, position.etags)
    listed = lists.newest("/actions/runs", "created_at", position.floor)
    rows = {str(row["id"]): row for row in listed or ()}
    unlisted = ("apart",) if listed is None else ("apart", "open")
    going_on = [
        run for run, state in position.known.items() if state.split()[1] in unlisted and run not in rows
    ]
    apart = {run: lists.one(f"/actions/runs/{run}") for run in going_on}
    heard: list[PolledEvent] = []
    for run, row in (*rows.items(), *apart.items()):
        state = position.known.get(run)
        if row and (state or position.news(run, row["created_at"])):
            heard += _steps(asking, row, state)
    known = dict(position.known) if listed is None else _states(listed, lists.first)
    known |= {run: position.known[run] for run, row in apart.items() if row is None}
    known |= _states([row for row in apart.values() if row], 0)
    gone = {run for run, row in apart.items() if row == {}}
    known = {run: state for run, state in known.items() if run not in gone}
    times = [(run, row["created_at"]) for run, row in rows.items()]
    return heard, position.after(times, lists.etags, known=known)


def _steps(asking: PollSession, row: Item, before: str | None) -> Iterable[PolledEvent]:
    """What a run did since `before`; earlier attempts are asked for one by one."""
    attempt, state = before.split() if before else ("1", "open")
    for number in range(int(attempt) + (state == "done"), row["run_attempt"] + 1):
        last = number == row["run_attempt"]
        run = row if last else asking.detail(f"/actions/runs/{row['id']}/attempts/{number}")
        if run is None:
            continue
        if before is None and number == 1:  # GitHub: a run that is run again is not requested again
            yield _heard("requested", run, run["created_at"])
        if run["status"] == "completed":
            yield _heard("completed", run, run["updated_at"])


def _heard(action: str, run: Item, at: str) -> PolledEvent:
    """`actor` is who started the run: another's re-run of it has no more rights than theirs."""
    payload = {
        "action": action,
        "workflow_run": run,
        "workflow": {"id": run.get("workflow_id"), "name": run.get("name"), "path": run.get("path")},
        "sender": run.get("actor") or {},
    }
    return PolledEvent("workflow_run", at, payload)


def _states(rows: Sequence[Item], first: int) -> dict[str, str]:
    """What to remember: the first page, and whatever goes on. `first` is how many stand on that page."""
    states = {}
    for place, row in enumerate(rows):
        if row["status"] != "completed":
            states[str(row["id"])] = f"{row['run_attempt']} {'open' if place < first else 'apart'}"
        elif place < first:
            states[str(row["id"])] = f"{row['run_attempt']} done"
    return states
