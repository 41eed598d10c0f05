"""The watchman of a worker: what is due and is not decided is told once, and once when that is over."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.apps.worker.alerts import Alerts, check_alert
from runner.config.settings import Config, load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.scheduler.obstacles import Pause
from runner.skills import load
from runner.store import Store
from runner.store.alerts import AlertStore
from runner.store.pauses import pause, resume
from tests.parts.cli import skill_files
from tests.parts.listener import Listener

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"


def config(tmp_path: Path) -> Config:
    text = b"worker: {alert: HOOK, grace: 15m, repositories: [o/r]}\n"
    return load_config(tmp_path, read=lambda _: text, flags={"state_dir": str(tmp_path / "state")})


def repository(**crons: str) -> Any:
    files: dict[str, bytes] = {}
    for name, cron in crons.items():
        made = skill_files(name, f"on: {{schedule: [{{cron: '{cron}'}}]}}\n{REST}")
        files |= {path: text.encode() for path, text in made.items()}
    loaded = load(files)
    return SimpleNamespace(name="o/r", skills=loaded.skills, skill_set=loaded)


def broken(reason: str) -> Pause:
    return Pause(repository="o/r", skill="docs", reason=reason, at=NOW, circuit=True)


class Days:
    """A watchman, his store and his calendar."""

    def __init__(self, tmp_path: Path) -> None:
        self.at = NOW
        loaded = config(tmp_path)
        self.store = Store(loaded.state)
        self.store.worker = "w"
        self.watchman = Alerts(loaded, self.store, lambda: self.at)
        self.watchman.set_served(("o/r",))

    def pass_by(self, minutes: int) -> None:
        """Each half minute he looks."""
        for _ in range(2 * minutes):
            self.at += MINUTE / 2
            self.watchman.send()

    def close(self) -> None:
        """Once all is sent."""
        if self.watchman._sender is not None:
            self.watchman._sender.shutdown()
        self.store.close()


@pytest.fixture
def days(tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Iterator[Days]:
    monkeypatch.setenv("HOOK", listener.url)
    made = Days(tmp_path)
    made.watchman.note_read("o/r", "")
    yield made
    made.close()


def test_what_is_decided_in_time_is_not_worth_a_word(days: Days, listener: Listener) -> None:
    found = repository(often="* * * * *", daily="0 9 * * *")
    days.watchman.note_skills(found)
    for _ in range(40):
        days.watchman.note_decided_until(found, days.at)
        days.pass_by(1)
    days.close()
    assert listener.heard == []


def test_an_overdue_skill_is_told_once_and_once_when_it_is_over(
    days: Days, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    found = repository(often="*/10 * * * *", daily="0 9 * * *")
    days.watchman.note_skills(found)
    days.watchman.note_decided_until(found, days.at)
    days.pass_by(24)
    assert listener.heard == []
    days.pass_by(60)
    days.watchman.note_decided_until(found, days.at)
    days.pass_by(5)
    days.close()
    assert listener.facts() == [("overdue", "began", "often"), ("overdue", "over", "often")]
    began, over = listener.heard
    message = "o/r often: the slot of 2026-11-21 12:10 UTC has no decision after 15 min"
    assert (began["message"], began["text"]) == (message, f"skillrunner: {message}")
    assert (began["repository"], began["since"]) == ("o/r", "2026-11-21T12:10:00+00:00")
    assert over["text"] == f"skillrunner: over: {message}"
    assert [one.getMessage() for one in caplog.records] == [message, f"it is over: {message}"]


def test_a_skill_that_came_and_was_never_decided_is_overdue_as_well(days: Days, listener: Listener) -> None:
    days.watchman.note_skills(repository(often="*/10 * * * *"))
    days.pass_by(30)
    days.watchman.note_skills(repository())
    days.pass_by(1)
    days.close()
    assert listener.facts() == [("overdue", "began", "often"), ("overdue", "over", "often")]


def test_what_came_due_while_nobody_lived_waits_for_the_one_who_comes(days: Days, listener: Listener) -> None:
    """It had no chance to decide yet; but if it does not, that is told."""
    AlertStore(days.store).set_expected("o/r", {"often": NOW - 300 * MINUTE}, decided=True)
    days.watchman.note_skills(repository(often="*/10 * * * *"))
    days.pass_by(15)
    assert listener.heard == []
    days.at += 600 * MINUTE  # the machine was suspended
    days.pass_by(15)
    assert listener.heard == []
    days.pass_by(1)
    days.close()
    assert listener.facts() == [("overdue", "began", "often")]


def test_what_is_decided_at_the_second_try_is_decided(days: Days, listener: Listener) -> None:
    """The forge was away when the worker came: what was kept by then is what the one before awaited."""
    AlertStore(days.store).set_expected("o/r", {"daily": NOW - 300 * MINUTE}, decided=True)
    found = repository(daily="0 9 * * *")
    days.watchman.note_skills(found)
    days.pass_by(10)
    days.watchman.note_decided_until(found, days.at)
    days.pass_by(10)
    days.close()
    assert listener.heard == []
    assert AlertStore(days.store).alerts(days.at, MINUTE) == []


def test_circuits_and_repositories_out_of_reach_are_told(days: Days, listener: Listener) -> None:
    pause(days.store, broken("it failed 5 times in a row"))
    for _ in range(20):
        days.watchman.note_read("o/r", "o/r: the token expired")
        days.pass_by(1)
    resume(days.store, "o/r", "docs", days.at)
    days.watchman.note_read("o/r", "")
    days.pass_by(1)
    days.close()
    told = next(one["message"] for one in listener.heard if one["kind"] == "unread")
    assert told == "o/r could not be read for 15 min: the token expired"
    assert sorted(listener.facts()) == [
        ("circuit", "began", "docs"),
        ("circuit", "over", "docs"),
        ("unread", "began", ""),
        ("unread", "over", ""),
    ]


@pytest.mark.parametrize(("answers", "told"), [([302], "302"), ([500] * 3, "500"), ([404], "404")])
def test_a_url_that_does_not_take_it_is_told_in_the_log_without_itself(
    days: Days,
    listener: Listener,
    caplog: pytest.LogCaptureFixture,
    answers: list[int],
    told: str,
) -> None:
    listener.answers = list(answers)
    pause(days.store, broken("it failed"))
    days.pass_by(1)
    days.close()
    assert listener.paths == ["/secret-hook"] * len(answers)
    said = [one.getMessage() for one in caplog.records if "HOOK" in one.getMessage()]
    alert = f"skillrunner: o/r docs: {broken('it failed').message}"
    assert said == [f"the URL in HOOK did not take the alert: it answered {told}: {alert}"]
    assert "secret-hook" not in caplog.text


def test_a_url_that_is_busy_for_a_moment_is_told_again(days: Days, listener: Listener) -> None:
    listener.answers = [503]
    pause(days.store, broken("it failed"))
    days.pass_by(1)
    days.close()
    assert len(listener.heard) == 2


def test_a_url_that_nobody_answers_holds_up_nothing(
    days: Days, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/secret-hook")
    pause(days.store, broken("it failed"))
    days.pass_by(1)
    days.close()
    assert "the URL in HOOK did not take the alert: ConnectionError" in caplog.text
    assert "secret-hook" not in caplog.text


@pytest.mark.parametrize("value", [None, "", "ftp://example.com", "example.com/hook"])
def test_an_alert_that_leads_nowhere_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    if value is not None:
        monkeypatch.setenv("HOOK", value)
    with pytest.raises(RunnerError) as caught:
        check_alert(config(tmp_path))
    assert caught.value.reason is Reason.INVALID_CONFIG
    monkeypatch.setenv("HOOK", "https://example.com/hook")
    check_alert(config(tmp_path))
