"""A run of a GitHub Actions workflow went on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import text_at, value_at
from runner.core.units import Maybe
from runner.triggers import EventCommit, KeyPart, SkillTrigger
from runner.triggers._commits import checked_commit
from runner.triggers.options import (
    ActivityOptions,
    CommitOptions,
    Conclusion,
    Globs,
    Names,
    Tree,
    glob_mismatch,
    name_mismatch,
)
from runner.triggers.sources.github.cursor import Position, parse_time
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, sender
from runner.triggers.sources.github.lists import Item, Lists, PollSession
from runner.triggers.sources.github.trigger import GitHubTrigger

WorkflowRunType = Literal["completed", "requested", "in_progress"]


class WorkflowRun(CommitOptions, ActivityOptions):
    """A run of a GitHub Actions workflow went on."""

    types: Annotated[Many[WorkflowRunType], Field(min_length=1)] = ("completed",)
    workflows: Maybe[Names] = Field(default=None, description="Only workflows of these names")
    branches: Maybe[Globs] = Field(default=None, description="Only these branches")
    conclusion: Maybe[Annotated[Many[Conclusion], Field(min_length=1)]] = Field(
        default=None, description="Only runs that ended so"
    )

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        return (
            name_mismatch("workflows", value_at(payload, "workflow_run", "name"), self.workflows)
            or glob_mismatch("branches", value_at(payload, "workflow_run", "head_branch"), self.branches)
            or name_mismatch("conclusion", value_at(payload, "workflow_run", "conclusion"), self.conclusion)
        )

    def workflow_filters(self) -> Mapping[str, Sequence[str]]:
        return {"workflows": self.workflows or (), "types": self.types}


def _begin(asking: PollSession) -> Position:
    """From now on; what goes on already will be heard to end."""
    floor, lists = asking.clock(), Lists(asking.api, {})
    rows = lists.newest("/actions/runs", "created_at", floor) or []
    known = _states(rows, lists.first)
    new = {str(row["id"]) for row in rows if parse_time(row["created_at"]) >= parse_time(floor)}
    return Position(floor=floor, known={run: state for run, state in known.items() if run not in new})


def _read(asking: PollSession, position: Position) -> Read:
    """`known` holds a run's attempt and its state: "2 done", "2 open", or "2 apart" for one that goes on, and
    that has left the first page, so that the list may be as it was when that run ends."""
    lists = Lists(asking.api, position.etags)
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
        **sender(run.get("actor")),
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


class WorkflowRunTrigger(GitHubTrigger):
    name = "workflow_run"
    options = WorkflowRun
    subject_path = ("workflow_run", "id")
    key_parts = (
        KeyPart(("workflow_run", "id")),
        KeyPart(("workflow_run", "run_attempt"), optional=True),
        KeyPart(("action",)),
    )
    lists = (EventList(name="runs", begin=_begin, read=_read),)
    polled = frozenset({"requested", "completed"})
    is_privileged = True

    def from_fork(self, payload: Mapping[str, Any], repository: str) -> bool:
        head = text_at(payload, "workflow_run", "head_repository", "full_name")
        return bool(head) and head.lower() != repository.lower()

    def commit(self, payload: Mapping[str, Any], tree: Tree) -> EventCommit | None:
        return checked_commit(payload, "workflow_run")

    def workflow_events(self, skills: Sequence[SkillTrigger]) -> Mapping[str, Any]:
        for one in skills:
            if not one.options.workflow_filters()["workflows"]:
                message = f"{one.file}: `on.workflow_run` names no workflow, and GitHub needs their names"
                hint = "name them: workflow_run: {workflows: [CI]}"
                raise RunnerError(Phase.LOAD, Reason.INVALID_SKILL, message, hint=hint)
        return super().workflow_events(skills)


PLUGINS = (WorkflowRunTrigger,)
