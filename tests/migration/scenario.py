"""Put rows into a new database through the store of whichever program is on PYTHONPATH.

Usage: scenario.py STATE_DIR SERVER [open]; `open` opens the database, and writes nothing.
`write_databases.py` runs this with the code of old commits: it asks what that code can do, and does that.
"""

import importlib
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.forges import NewPullRequest
from runner.model import Artifact, Check, End, Phase, Reason, Receipt, Refusal, Run, RunEvent, RunState, Usage

from runner.store import LocalPullRequests, Store, pull_requests

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REPOSITORY = "acme/app"
SUBJECT = "issue 7"
DONE = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)
FAILED = End(
    state=RunState.BLOCKED,
    phase=Phase.POLICY,
    reason=Reason.POLICY_REFUSED,
    message="a path is outside",
    hint="see `skillrunner show`",
)


class Clock(datetime):
    """The time of pull requests, which the store asks for itself."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


def module(name: str) -> Any:
    """A module of the program; None where it had none of that name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def accepted(record: Any, **values: Any) -> Any:
    """A record of those values that the program's class knows."""
    return record(
        **{key: value for key, value in values.items() if key in {one.name for one in fields(record)}}
    )


def run(run_id: str, minute: int, skill: str = "docs", trigger: str = "issues") -> Run:
    return accepted(
        Run,
        id=run_id,
        repository=REPOSITORY,
        skill=skill,
        trigger=trigger,
        trigger_key=f"{trigger}:{run_id}",
        subject=SUBJECT if trigger == "issues" else "",
        base_sha="b" * 40,
        state=RunState.QUEUED,
        created_at=at(minute),
        harness="claude-code",
    )


def spec(trigger: str = "issues") -> dict[str, Any]:
    """The part that matters of what the program stores of a run's specification."""
    subject = SUBJECT if trigger == "issues" else ""
    return {"base_ref": "main", "trigger": {"kind": trigger, "subject": subject, "event": {}}, "prompt": ""}


def write_runs(store: Store) -> None:
    """Two that have ended, with all that belongs to them, and one that somebody carries out by hand."""
    store.create_run(run("261121-aaaaaaaa", 0), spec())
    store.enter("261121-aaaaaaaa", RunState.PREPARING, at(1))
    store.note("261121-aaaaaaaa", image_digest="sha256:" + "d" * 64)
    for minute, state, message in (
        (1, RunState.PREPARING, "it begins"),
        (2, None, "it's “read” — 'ünïcode'"),
    ):
        store.add_event(
            RunEvent(
                run_id="261121-aaaaaaaa",
                at=at(minute),
                phase=Phase.HARNESS,
                state=state,
                message=message,
                data={"n": minute},
            )
        )
    store.add_artifact(
        "261121-aaaaaaaa",
        Artifact(name="patch", path="runs/x/patch", size=12, sha256="a" * 64, media_type="text/x-diff"),
    )
    store.add_checks(
        "261121-aaaaaaaa",
        [
            Check(command="make docs", exit_code=0, duration=1.5, output="ok\nfine", ok=True),
            Check(command="make slow", exit_code=None, duration=60.0, output="", ok=False),
        ],
    )
    store.add_receipt(
        "261121-aaaaaaaa",
        Receipt(
            kind="pull_request",
            key="issue 7",
            action="created",
            url="u",
            number=1,
            sha="c" * 40,
            branch="bot/docs",
        ),
    )
    store.finish("261121-aaaaaaaa", DONE, at(9), Usage(tokens_in=1200, tokens_out=34, cost_usd=0.25))
    store.create_run(run("261121-bbbbbbbb", 3, trigger="schedule"), spec("schedule"))
    store.enter("261121-bbbbbbbb", RunState.PREPARING, at(4))
    store.add_refusals(
        "261121-bbbbbbbb",
        [
            Refusal(rule="path_outside", subject=".github/x", message="outside docs/**"),
            Refusal(rule="secret", subject="a", message="m"),
        ],
    )
    store.finish("261121-bbbbbbbb", FAILED, at(8), Usage())
    store.create_run(run("261121-cccccccc", 5, trigger="manual"), spec("manual"))
    store.enter("261121-cccccccc", RunState.RUNNING, at(6))


def write_pull_requests(store: Store) -> None:
    pull_requests.datetime = Clock  # type: ignore[attr-defined]
    place = getattr(store, "database", store.folder / "skillrunner.db")
    table = LocalPullRequests(store.engine, place, REPOSITORY)
    for number, branch in ((1, "bot/docs"), (2, "bot/old")):
        new = NewPullRequest(branch=branch, base="main", title=f"t{number}", body="line\nline", draft=True)
        assert table.insert(new, "bot")[1]
        assert table.comment(number, "a comment", "marker")
    table.update(1, labels=["documentation"], title="docs: new")
    table.update(2, state="closed")


def write_decisions(store: Store, decision_module: Any) -> None:
    """Decisions, with runs that wait: two of them, and two that a worker takes."""
    decisions = module("runner.store.decisions")
    book = decisions.Decisions(store, REPOSITORY)
    made = [
        ("261121-dddddddd", 20, "docs", 5),
        ("261121-eeeeeeee", 21, "docs", 3),
        ("261121-ffffffff", 22, "flags", 7),
        ("261121-gggggggg", 23, "flags", 5),
    ]

    def decision(key: str, skill: str, verdict: str, minute: int, **more: Any) -> Any:
        trigger = key.split(":")[0]
        facts = {"verdict": decision_module.Verdict(verdict), "message": f"{verdict}, as a test says"}
        return accepted(
            decision_module.Decision,
            key=key,
            skill=skill,
            trigger=trigger,
            at=at(minute),
            host="here",
            **facts,
            **more,
        )

    for run_id, minute, skill, priority in made:
        key = f"issues:{run_id}"
        started = decision(
            key, skill, "started", minute, run_id=run_id, expires=at(minute + 60), continues="261121-aaaaaaaa"
        )
        data = {
            "commit": "b" * 40,
            "path": f"skills/{skill}",
            "key": key,
            "kind": "issues",
            "at": at(minute).isoformat(),
            "due": None,
            "subject": SUBJECT,
            "event": {"action": "opened"},
            "inputs": {},
            "continues": "261121-aaaaaaaa",
        }
        work = decisions.Work(run=run(run_id, minute, skill), data=data, priority=priority)
        book.settle(lambda _, one=started: [one], lambda _, one=work: one)
    cause = decision_module.Cause
    slot = {"due": at(-60)}
    others = [
        decision(
            "schedule:0 9 * * 1@UTC:2026-11-21T11:00", "docs", "missed", 24, cause=cause("window"), **slot
        ),
        decision("release:v1", "docs", "skipped", 25, cause=cause("filter")),
    ]
    book.settle(lambda _: others, lambda _: None)
    take(store)


def take(store: Store) -> None:
    """A worker begins one run; another, that has died, had begun one."""
    workers, waiting = module("runner.store.workers"), module("runner.store.waiting")
    roster = workers.Workers(store)
    for name, run_id in (("dead", "261121-ffffffff"), ("alive", "261121-gggggggg")):
        roster.register(
            workers.Worker(
                id=name,
                host="here",
                place="p",
                pid=7,
                version="1",
                capacity=2,
                silence=30.0,
                state="running",
                started_at=at(30),
                seen_at=at(30),
            )
        )
        assert waiting.Line(store).admit(name, 9, lambda *_, one=run_id: [one], at(31)) == {run_id: 1}
    assert roster.bury([one for one in roster.living() if one.id == "dead"]) == ["dead"]
    roster.beat("alive", at(32))
    if hasattr(roster, "ask_to_leave"):
        roster.ask_to_leave(["alive"])


def write_pauses(store: Store) -> None:
    pauses = module("runner.store.pauses")
    pauses.pause(store, REPOSITORY, "docs", "a person's reason", at(40))
    pauses.resume(store, REPOSITORY, "docs", at(41))
    pauses.pause(store, "", "other", "it failed, I think", at(42))
    reason = "it failed 3 times in a row, the last time: 100% of the disk is full"
    knows = "circuit" in pauses.pause.__kwdefaults__ if pauses.pause.__kwdefaults__ else False
    pauses.pause(store, REPOSITORY, "flags", reason, at(43), **({"circuit": True} if knows else {}))


def write_events(store: Store, decision_module: Any) -> None:
    inbox = module("runner.store.inbox").Inbox(store)
    heard = [
        decision_module.Event(kind="issues", key=f"issues:{n}", at=at(n), payload={"n": n}, subject=SUBJECT)
        for n in (1, 2)
    ]
    assert inbox.put(REPOSITORY, heard, "webhook", {"etag": "W/1"}) == 2


def write_watching(store: Store, watching_module: Any) -> None:
    watching, trouble = watching_module.Watching(store), module("runner.trouble")
    watching.looked("alive", {REPOSITORY: "", "acme/gone": "it is not there"}, at(50))
    watching.expect(REPOSITORY, {"docs": at(60)}, decided=True)
    told = trouble.Trouble(
        kind=trouble.Kind("circuit"),
        repository=REPOSITORY,
        skill="flags",
        message="it is paused",
        since=at(43),
    )
    assert watching.tell(told)


def write_messages(store: Store, messages: Any) -> None:
    says = "stop" in (messages.send.__kwdefaults__ or {})
    stop: dict[str, Any] = {"stop": True} if says else {"act": "stop"}
    messages.send(store, "261121-cccccccc", "look at the tests", at(51))
    messages.delivered(store, messages.waiting(store, "261121-cccccccc"), at(52))
    messages.send(store, "261121-cccccccc", "enough", at(53), **stop)
    if not says:
        messages.send(store, "261121-cccccccc", "", at(54), act="pause")


def write_notes(store: Store, notes: Any) -> None:
    for text in ("the docs are in German", "émoji 🙂"):
        notes.add(store, REPOSITORY, "docs", text, "261121-aaaaaaaa", at(55))


def write(store: Store) -> None:
    write_runs(store)
    write_pull_requests(store)
    decision_module = module("runner.model.decision")
    if module("runner.store.decisions"):
        write_decisions(store, decision_module)
        write_pauses(store)
        write_events(store, decision_module)
    if watching := module("runner.store.watching"):
        write_watching(store, watching)
    if messages := module("runner.store.messages"):
        write_messages(store, messages)
    if notes := module("runner.store.notes"):
        write_notes(store, notes)


def main(folder: str, server: str = "", only: str = "") -> None:
    store = Store(Path(folder), server) if server else Store(Path(folder))
    if not only:
        write(store)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
