"""Every happening is heard exactly once, however polls, webhooks, clocks and faults fall together."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.core.model.decision import Event
from runner.triggers import TRIGGERS
from runner.triggers.sources.github import lists
from runner.triggers.sources.github.cursor import Cursor
from runner.triggers.sources.github.poll import poll
from runner.triggers.sources.github.trigger import github_triggers
from tests.parts.hearing import EPOCH, NAME, Inbox, Scripted, door, iso, user
from tests.parts.patience import examples

NOW = datetime(2001, 1, 1, tzinfo=UTC)  # our clock is wrong, and it does not matter
ALL = frozenset(github_triggers())


def event(kind: str, payload: dict[str, Any], now: datetime) -> Event:
    return TRIGGERS.get(kind).event(payload, now)


class Listener:
    """Polls as a worker does: the cursor is stored as JSON between two polls."""

    def __init__(self, github: Scripted, wanted: frozenset[str] = ALL) -> None:
        self.github, self.door, self.wanted = github, door(github), wanted
        self.stored = "{}"
        self.inbox = Inbox()
        self.polled: set[str] = set()
        self.again: list[str] = []  # what polling alone told twice

    def poll(self, now: datetime = NOW) -> list[Event]:
        try:
            polled = poll(self.door, Cursor.load(json.loads(self.stored)), self.wanted, now)
        except RunnerError as error:
            if error.reason is not Reason.FORGE_UNAVAILABLE:
                raise
            return []
        self.stored = json.dumps(polled.cursor.dump())
        keys = [one.key for one in polled.events]
        self.again += [key for key in keys if key in self.polled]
        self.polled |= set(keys)
        return [one for one in polled.events if self.inbox.deliver(one)]

    def told(self) -> list[str]:
        return [f"{one.kind} {one.payload.get('action', '')}".strip() for one in self.poll()]


@pytest.fixture
def github() -> Scripted:
    return Scripted()


@pytest.fixture
def listener(github: Scripted) -> Listener:
    github.open_issue()
    github.open_pull("a" * 40)
    github.release(0)
    github.start_run()
    github.clock += 60
    listener = Listener(github)
    assert listener.poll() == []
    github.hooks.clear()
    github.clock += 60
    return listener


def test_the_first_poll_hears_nothing_old(listener: Listener) -> None:
    assert listener.poll() == []


def test_an_unchanged_repository_costs_nothing(listener: Listener) -> None:
    listener.poll()
    listener.github.requests.clear()
    assert listener.poll() == []
    statuses = [status for _, status in listener.github.requests]
    assert statuses
    assert set(statuses) == {304}


def test_each_kind_is_heard_in_the_shape_of_its_webhook(listener: Listener, github: Scripted) -> None:
    github.open_issue()
    github.comment(0)
    github.happen(0, "labeled", label={"name": "bug"})
    github.release(10_000_000)
    github.push("refs/heads/main", "b" * 40)
    github.end_run(0)
    github.open_pull("c" * 40)
    github.happen(1, "review_requested", requested_reviewer=user("bob"), review_requester=user("cy"))
    github.review(0, "CHANGES_REQUESTED")
    github.comment_on_line(0)
    events = {(one.kind, one.payload.get("action")): one for one in listener.poll()}
    hooks = {(kind, payload.get("action")): event(kind, payload, NOW) for kind, payload in github.hooks}
    assert set(events) == set(hooks)
    for name, heard in events.items():
        assert (heard.key, heard.other_keys) == (hooks[name].key, hooks[name].other_keys)
        assert heard.subject == hooks[name].subject
        assert heard.payload["repository"] == {"full_name": NAME, "default_branch": "main"}
    assert events["push", None].payload["head_commit"]["author"]["email"] == "ann@example.com"
    assert events["pull_request", "review_requested"].payload["sender"]["login"] == "cy"
    assert events["issue_comment", "created"].payload["issue"]["number"] == 1
    review = events["pull_request_review", "submitted"].payload
    assert (review["review"]["state"], review["pull_request"]["head"]["sha"]) == (
        "changes_requested",
        "a" * 40,
    )
    assert review["sender"]["login"] == "ann"
    assert events["pull_request_review_comment", "created"].payload["comment"]["body"] == "Why this?"


def test_only_pull_requests_that_changed_are_asked_for_their_reviews(github: Scripted) -> None:
    for _ in range(5):
        github.open_pull("a" * 40)
        github.clock += 600
    listener = Listener(github, frozenset({"pull_request_review"}))
    listener.poll()
    github.clock += 600
    github.review(2)
    github.requests.clear()
    assert listener.told() == ["pull_request_review submitted"]
    asked = [
        url.split("?")[0].removeprefix(f"https://api.example/repos/{NAME}") for url, _ in github.requests
    ]
    assert [path for path in asked if path.endswith("/reviews")] == ["/pulls/3/reviews"]


def test_a_review_that_shows_after_its_pull_request_changed_is_heard(
    listener: Listener, github: Scripted
) -> None:
    github.late = 200
    github.review(0)
    assert listener.told() == []
    github.clock += 210
    assert listener.told() == ["pull_request_review submitted"]
    assert listener.told() == []


def test_a_review_that_is_not_submitted_is_nobodys_business(listener: Listener, github: Scripted) -> None:
    github.review(0)
    github.lists["reviews"][-1] |= {"state": "PENDING", "submitted_at": None}
    assert listener.told() == []


@pytest.mark.usefixtures("small_pages")
def test_more_than_a_page_of_reviews_is_heard_whole(listener: Listener, github: Scripted) -> None:
    for _ in range(7):
        github.clock += 1
        github.review(0)
        github.comment_on_line(0)
    assert len(listener.poll()) == 14
    github.review(0)
    assert listener.told() == ["pull_request_review submitted"]


def test_who_assigned_is_told_and_not_who_was_assigned(listener: Listener, github: Scripted) -> None:
    github.happen(0, "assigned", assignee=user("bob"), assigner=user("cy"))
    github.lists["events"][-1]["actor"] = user("bob")
    (heard,) = listener.poll()
    assert heard.payload["sender"]["login"] == "cy"
    assert heard.payload["assignee"]["login"] == "bob"


def test_a_push_to_a_pull_request_is_told_with_who_pushed(listener: Listener, github: Scripted) -> None:
    github.push_pull(0, "d" * 40)
    heard = {one.kind: one for one in listener.poll()}
    assert heard["pull_request"].payload["sender"]["login"] == "ann"
    assert heard["pull_request"].payload["before"] == "a" * 40
    assert heard["pull_request"].key == event(*github.hooks[-1], NOW).key


def test_who_pushed_to_a_fork_is_nobody_known(listener: Listener, github: Scripted) -> None:
    github.open_pull("e" * 40, repo="stranger/lib")
    listener.poll()
    github.clock += 60
    github.push_pull(1, "f" * 40)
    (heard,) = listener.poll()
    assert heard.payload["action"] == "synchronize"
    assert heard.payload["sender"] == {}


def test_every_attempt_of_a_run_is_heard(listener: Listener, github: Scripted) -> None:
    github.end_run(0)
    github.run_again(0)
    github.end_run(0)
    github.run_again(0)
    assert listener.told() == ["workflow_run completed", "workflow_run completed"]
    github.end_run(0)
    assert listener.told() == ["workflow_run completed"]


def test_a_run_that_left_the_first_page_is_heard_to_end(listener: Listener, github: Scripted) -> None:
    listener.poll()
    for _ in range(120):
        github.clock += 60
        github.start_run()
    assert len(listener.poll()) == 120
    github.end_run(0)
    assert listener.told() == ["workflow_run completed"]
    listener.poll()
    github.requests.clear()
    assert listener.poll() == []
    assert {status for _, status in github.requests} == {304}


def test_more_than_a_page_is_heard_whole(listener: Listener, github: Scripted) -> None:
    for number in range(250):
        github.clock += number % 2
        github.open_issue()
        github.release(number * 1000)
    assert len(listener.poll()) == 500
    assert listener.poll() == []


def test_what_nobody_wants_is_not_asked_for(github: Scripted) -> None:
    listener = Listener(github, frozenset({"release"}))
    listener.poll()
    github.requests.clear()
    listener.poll()
    assert [url.split("?")[0].rsplit("/", 1)[-1] for url, _ in github.requests] == ["releases"]


def test_what_is_wanted_again_begins_anew(listener: Listener, github: Scripted) -> None:
    listener.wanted = frozenset({"release"})
    listener.poll()
    github.open_issue()
    github.clock += 60
    listener.wanted = ALL
    assert listener.poll() == []


def test_a_list_that_fails_keeps_its_place_and_the_others_go_on(listener: Listener, github: Scripted) -> None:
    listener.poll()
    github.open_issue()
    github.release(0)
    github.broken = "/releases"
    polled = poll(listener.door, Cursor.load(json.loads(listener.stored)), ALL, NOW)
    assert [one.kind for one in polled.events] == ["issues"]
    assert {name: error.reason for name, error in polled.faults.items()} == {
        "releases": Reason.FORGE_UNAVAILABLE
    }
    listener.stored, github.broken = json.dumps(polled.cursor.dump()), ""
    assert listener.told() == ["release published"]


def test_a_repository_that_is_gone_is_an_error(listener: Listener) -> None:
    listener.github.broken = NAME
    polled = poll(listener.door, Cursor.load(json.loads(listener.stored)), ALL, NOW)
    assert polled.events == []
    assert len(polled.faults) == 9
    assert polled.cursor == Cursor.load(json.loads(listener.stored))


def test_an_answer_that_is_not_githubs_is_an_error_that_passes(listener: Listener, github: Scripted) -> None:
    github.page = b"<html>Log in to the proxy</html>"
    polled = poll(listener.door, Cursor.load(json.loads(listener.stored)), ALL, NOW)
    assert len(polled.faults) == 9
    assert all(error.retryable and "proxy" in error.hint for error in polled.faults.values())
    assert polled.cursor == Cursor.load(json.loads(listener.stored))
    github.page = b""
    github.open_issue()
    assert listener.told() == ["issues opened"]


def test_what_becomes_visible_late_is_heard(listener: Listener, github: Scripted) -> None:
    github.lag = 100
    github.open_issue()
    assert listener.poll() == []
    github.clock += 60
    github.lag = 0
    github.open_issue()
    assert len(listener.poll()) == 2


def test_what_becomes_visible_after_what_came_later_is_heard(listener: Listener, github: Scripted) -> None:
    listener.poll()
    github.late = 200
    github.open_issue()
    github.clock += 60
    github.late = 0
    github.open_issue()
    assert len(listener.poll()) == 1
    github.clock += 200
    assert len(listener.poll()) == 1


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_FULL", 3)


@pytest.mark.usefixtures("small_pages")
def test_a_first_page_that_is_as_it_was_hides_no_later_one(listener: Listener, github: Scripted) -> None:
    for _ in range(4):
        github.open_issue()
        github.comment(0)
    assert len(listener.poll()) == 8
    github.open_issue()
    github.comment(0)
    assert len(listener.poll()) == 2


@pytest.mark.usefixtures("small_pages")
def test_what_moves_while_pages_are_read_hides_nothing(listener: Listener, github: Scripted) -> None:
    listener.wanted = frozenset({"issues"})
    for _ in range(8):
        github.clock += 1
        github.open_issue()
    github.clock += 1
    github.meanwhile = lambda: github.happen(2, "subscribed")  # of the first page: now it is the last of all
    assert len(listener.poll()) == 8


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("before", [5, 6, 7])
@pytest.mark.parametrize("age", [0, 3_500_000, 90_000_000])
def test_a_release_of_an_old_commit_is_heard(github: Scripted, before: int, age: int) -> None:
    for number in range(before):
        github.release(number * 1_000_000)
    github.clock += 60
    listener = Listener(github)
    listener.poll()
    listener.poll()
    github.clock += 60
    github.release(age)
    assert listener.told() == ["release published"]


@pytest.mark.parametrize("apart", [-2, -1, 1, 2])
def test_two_times_of_one_happening_are_one_event(listener: Listener, github: Scripted, apart: int) -> None:
    for _ in range(70):  # over every second of a minute
        github.clock += 121
        github.happen(0, "labeled", skew=apart, label={"name": "bug"})
        assert listener.inbox.deliver(event(*github.hooks[-1], NOW))
        assert listener.poll() == []


def test_what_only_webhooks_tell_is_told_apart_by_the_second() -> None:
    edits = [
        {"action": "edited", "comment": {"id": 1, "updated_at": iso(EPOCH + second)}, "issue": {"number": 1}}
        for second in (0, 1)
    ]
    inbox = Inbox()
    assert [inbox.deliver(event("issue_comment", edit, NOW)) for edit in (*edits, *edits)] == [
        True,
        True,
        False,
        False,
    ]


def test_what_cannot_be_heard_is_told() -> None:
    polled = {name: trigger.polled for name, trigger in github_triggers().items()}
    assert "published" in polled["release"]
    assert "edited" not in polled["release"]
    assert "labeled" in polled["issues"]
    assert "synchronize" in polled["pull_request"]
    assert "edited" not in polled["pull_request"]
    assert polled["push"] == {""}
    assert polled["pull_request_review"] == {"submitted"}
    assert polled["check_run"] == frozenset()


def activities(kind: str) -> set[str]:
    """What a skill can name of a kind."""
    types = TRIGGERS.get(kind).options.model_fields.get("types")
    found = re.findall(r"'([a-z_]+)'", str(types.annotation)) if types else []
    return set(found)


def test_the_docs_tell_of_every_activity_whether_it_is_heard() -> None:
    page = (Path(__file__).parents[5] / "docs/worker.md").read_text()
    rows = {}
    for line in page.splitlines():
        cells = [set(re.findall(r"`([a-z_]+)`", cell)) for cell in line.split("|")[1:-1]]
        if len(cells) == 3 and len(cells[0]) == 1 and cells[0] <= ALL:
            rows[cells[0].pop()] = (cells[1], cells[2])
    assert set(rows) == ALL
    for kind, (heard, unheard) in rows.items():
        assert heard == github_triggers()[kind].polled - {""}
        if kind != "check_run":
            assert heard | unheard == activities(kind)


# --- any interleaving ----------------------------------------------------------------------------

Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("issue", "pull", "comment", "label", "close", "push", "push_pull", "release"),
                *(
                    "review",
                    "line",
                    "start",
                    "end",
                    "again",
                    "poll",
                    "poll",
                    "fail",
                    "hook",
                    "hook",
                    "hooks",
                    "wait",
                    "late",
                ),
            )
        ),
        st.integers(0, 9),
        st.integers(0, 2),
    ),
    max_size=40,
)


class History:
    """Does the steps, and keeps what must have been heard in the end."""

    def __init__(self, github: Scripted, listener: Listener) -> None:
        self.github, self.listener, self.sha = github, listener, 0
        self.delivered = 0

    def new_sha(self) -> str:
        self.sha += 1
        return f"{self.sha:040x}"

    def step(self, name: str, index: int, skew: int) -> None:
        self.github.clock += 1 + index * 7
        getattr(self, name)(index, skew)

    def issue(self, *_: int) -> None:
        self.github.open_issue()

    def pull(self, index: int, _: int) -> None:
        self.github.open_pull(self.new_sha(), NAME if index % 2 else "stranger/lib")

    def comment(self, index: int, _: int) -> None:
        self.github.comment(index)

    def review(self, index: int, _: int) -> None:
        self.github.review(index)

    def line(self, index: int, _: int) -> None:
        self.github.comment_on_line(index)

    def label(self, index: int, skew: int) -> None:
        self.github.clock += 70  # within a minute it would count as the same
        self.github.happen(index, "labeled", skew, label={"name": "a: b"})

    def close(self, index: int, skew: int) -> None:
        self.github.clock += 70
        self.github.happen(index, "closed", skew)
        self.github.clock += 70
        self.github.happen(index, "reopened", skew)

    def push(self, *_: int) -> None:
        self.github.push("refs/heads/main", self.new_sha())

    def push_pull(self, index: int, _: int) -> None:
        """Between two polls only the last head shows."""
        self.poll(0, 0)
        self.github.push_pull(index, self.new_sha())
        self.poll(0, 0)

    def release(self, index: int, _: int) -> None:
        self.github.release(index * 100_000)

    def start(self, *_: int) -> None:
        self.github.start_run()

    def end(self, index: int, _: int) -> None:
        self.github.end_run(index)

    def again(self, index: int, _: int) -> None:
        """A run that began long ago and goes through between two polls does not show."""
        self.poll(0, 0)
        self.github.run_again(index % 3)
        self.poll(0, 0)

    def poll(self, index: int, _: int) -> None:
        self.listener.poll(NOW + timedelta(days=index - 5))

    def fail(self, index: int, _: int) -> None:
        self.github.fail_from = index
        self.poll(0, 0)
        self.github.fail_from = None

    def hook(self, index: int, _: int) -> None:
        """Any webhook so far, maybe late, maybe again; those that never come are lost."""
        if self.github.hooks:
            self.listener.inbox.deliver(event(*self.github.hooks[-1 - index % len(self.github.hooks)], NOW))

    def hooks(self, *_: int) -> None:
        for one in self.github.hooks:
            self.listener.inbox.deliver(event(*one, NOW))

    def late(self, index: int, _: int) -> None:
        self.github.late = index * 20

    def wait(self, index: int, skew: int) -> None:
        self.github.clock += index * 3000
        self.github.lag = skew * 30

    def settle(self) -> None:
        """What a first page does not show yet is heard at the latest with whatever comes next."""
        self.github.lag = self.github.late = 0
        self.github.clock += 200
        self.github.push("refs/heads/main", self.new_sha())
        self.github.start_run()
        self.label(0, 0)
        self.poll(0, 0)


@settings(max_examples=examples(150))
@given(STEPS)
def test_any_interleaving_is_heard_exactly_once(steps: list[Step]) -> None:
    github = Scripted()
    github.open_issue()
    github.open_pull("f" * 40)
    github.clock += 60
    github.hooks.clear()
    with patch.object(lists, "_FULL", 3):
        listener = Listener(github)
        listener.poll()
        github.clock += 60
        history = History(github, listener)
        for step in steps:
            history.step(*step)
        history.settle()
    happened = [event(*hook, NOW) for hook in github.hooks]
    taken = listener.inbox.taken
    for one in happened:
        keys = {one.key, *one.other_keys}
        assert len([True for other in taken if keys & {other.key, *other.other_keys}]) == 1, one.key
    assert len(taken) == len({one.key for one in happened})
    assert listener.again == []
