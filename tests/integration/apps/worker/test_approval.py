"""A worker's run that waits for approval: it takes no place, survives the worker, and is published once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from runner.apps.worker.comment_commands import obey
from runner.apps.worker.credentials import Credentials
from runner.apps.worker.daemon import Daemon
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repositories import RepositoryList
from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Answer, Run, RunState
from runner.core.model.decision import Event
from runner.store import Store
from runner.store.approvals import ApprovalStore
from runner.store.inbox import Inbox
from tests.parts.cli import Project

YAML = """
version: 1
description: d
on: {webhook: {}}
overlap: queue
approval: required
harness: {kind: command, command: [sh, -c, "echo x >> COUNTER; cat > docs/new.md"]}
output: {pull_request: {title: "docs: new", paths: ["docs/**"], key: "{{ event.n }}"}}
prompt: "write"
"""


class Shop:
    """A project, and workers that look at it once each."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.store = Store(project.state)
        self.counter = project.home / "count"
        project.commit({"skills/docs/skill.yaml": YAML.replace("COUNTER", str(self.counter))})

    def work(self) -> None:
        """One pass of a new worker."""
        text = (
            f"sandbox: process\npolicy: {{approval: {{paths: [never]}}}}\n"
            f"worker: {{repositories: ['{self.project.origin}'], free_disk: 1m}}\n"
        )
        flags = {"state_dir": str(self.project.state)}
        config = load_config(self.project.home, read=lambda _: text.encode(), flags=flags)
        listed = RepositoryList(config, Credentials(config), ErrorLog())
        Daemon(config=config, store=self.store, repository_list=listed).run(once=True)

    def hear(self, number: int) -> None:
        event = Event(
            kind="webhook", key=f"webhook:{number}", at=datetime.now(UTC), payload={"n": number}, only="docs"
        )
        Inbox(self.store).put(str(self.project.origin), [event], "webhook")

    @property
    def runs(self) -> list[Run]:
        return self.store.runs()[::-1]

    @property
    def agents(self) -> int:
        """How often an agent worked."""
        return len(self.counter.read_text().splitlines()) if self.counter.exists() else 0


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    made = Shop(project)
    yield made
    made.store.close()


def _yes(who: str = "ada", digest: str = "") -> Answer:
    return Answer(digest=digest, approves=True, who=who, via="a test")


def test_another_worker_publishes_what_was_approved_and_no_agent_works_again(shop: Shop) -> None:
    for number in (1, 2):
        shop.hear(number)
    shop.work()
    shop.work()  # a second one leaves them alone
    run, other = shop.runs
    assert (run.state, other.state) == (RunState.WAITING, RunState.WAITING)  # `concurrency.skill` is 1
    assert (shop.agents, shop.project.branches()) == (2, ["main"])
    ApprovalStore(shop.store).answer(run.id, _yes(), datetime.now(UTC))
    for file in shop.store.run_folder(run.id).iterdir():
        file.unlink()  # the other worker may be on another machine
    shop.work()
    run, other = shop.runs
    assert (run.state, run.attempt, shop.agents) == (RunState.SUCCEEDED, 2, 2), run.end
    assert other.state is RunState.WAITING
    assert shop.project.branches() == ["main", "skillrunner/docs/1"]


def test_of_many_people_who_approve_at_once_one_does(shop: Shop) -> None:
    shop.hear(1)
    shop.work()
    (run,) = shop.runs

    def approve(number: int) -> bool:
        store = Store(shop.project.state)
        try:
            return ApprovalStore(store).answer(run.id, _yes(f"person-{number}"), datetime.now(UTC)).is_new
        finally:
            store.close()

    with ThreadPoolExecutor(8) as people:
        assert sum(people.map(approve, range(8))) == 1
    shop.work()
    shop.work()
    assert shop.project.branches() == ["main", "skillrunner/docs/1"]
    assert [run.attempt for run in shop.runs] == [2]


def test_a_worker_ends_what_nobody_approved_in_time(shop: Shop) -> None:
    shop.hear(1)
    shop.work()
    (run,) = shop.runs
    late = datetime.now(UTC) + timedelta(days=8)
    assert ApprovalStore(shop.store).expire(datetime.now(UTC)) == []
    with pytest.raises(RunnerError, match="expired at"):
        ApprovalStore(shop.store).answer(run.id, _yes(), late)
    assert shop.runs[0].state is RunState.BLOCKED
    assert shop.project.branches() == ["main"]


class _Forge:
    """A forge that knows two people, and keeps the reactions."""

    repository = "acme/app"

    def __init__(self) -> None:
        self.reactions: list[tuple[int, str]] = []

    def without_waiting(self) -> "_Forge":
        return self

    def permission(self, login: str) -> str:
        return {"ada": "write", "tri": "triage"}.get(login, "none")

    def react(self, comment: int, reaction: str) -> None:
        self.reactions.append((comment, reaction))


def test_a_comment_of_somebody_who_may_write_approves_what_waits(shop: Shop) -> None:
    shop.hear(1)
    shop.work()
    (run,) = shop.runs
    (waiting,) = ApprovalStore(shop.store).waiting()
    forge = _Forge()
    repository: Any = SimpleNamespace(
        name=run.repository, forge=forge, skills={"docs": None}, hears_commands=lambda verb: True
    )

    def say(number: int, login: str, body: str) -> None:
        user = {"login": login, "type": "User"}
        comment = {"id": number, "body": body, "user": user, "html_url": f"https://example.com/{number}"}
        payload = {"action": "created", "comment": comment, "sender": user}
        event = Event(kind="issue_comment", key=f"c:{number}", at=datetime.now(UTC), payload=payload)
        obey(shop.store, repository, event, "our-app[bot]", datetime.now(UTC))

    digest = waiting.approval.digest
    for number, login in enumerate(("eve", "tri", "our-app[bot]")):  # who may not gets no answer
        say(number, login, f"/approve {digest[:12]}")
    assert (shop.runs[0].state, forge.reactions) == (RunState.WAITING, [])
    say(10, "ada", f"/approve {'0' * 12}")
    say(11, "ada", f"/approve {digest[:12]} checked")
    say(11, "ada", f"/approve {digest[:12]} checked")  # delivered once more
    say(12, "ada", f"/refuse {digest[:12]} no")
    assert forge.reactions == [(10, "-1"), (11, "+1"), (11, "+1"), (12, "-1")]
    found = ApprovalStore(shop.store).last(run.id)
    assert found is not None
    assert (found.who, found.via, found.reason) == ("ada", "https://example.com/11", "checked")
    assert (shop.runs[0].state, shop.runs[0].attempt) == (RunState.QUEUED, 2)

    say(20, "ada", "/skillrunner run docs package=core")
    say(21, "ada", "/skillrunner run nothing")
    say(22, "ada", f"/skillrunner stop {run.id}")
    asked = [one for _, _, one in Inbox(shop.store).waiting([run.repository])]
    assert [(one.only, one.inputs, one.payload["sender"]["login"]) for one in asked] == [
        ("docs", {"package": "core"}, "ada")
    ]
    assert forge.reactions[4:] == [(20, "+1"), (21, "-1"), (22, "+1")]
    assert shop.runs[0].state is RunState.CANCELLED
    say(23, "ada", f"/skillrunner retry {run.id}")
    say(23, "ada", f"/skillrunner retry {run.id}")
    assert [one.trigger_key for one in shop.runs[1:]] == [f"retry:{run.id}:comment-23"]
