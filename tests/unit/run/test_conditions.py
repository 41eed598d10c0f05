"""A condition has one verdict, whoever asks it, and what cannot be answered is never met."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.apps.action.job_input import INPUTS, JobInput
from runner.apps.action.main import _deciding
from runner.apps.action.trusted import TrustedRepository
from runner.apps.worker.events import EventSources
from runner.apps.worker.repository import RepositorySnapshot
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Remote, Repository
from runner.core.model.decision import Actor, Cause, Decision, Event, Facts, History, UnmetCondition, Verdict
from runner.core.units import parse_moment
from runner.run.conditions import unmet_condition
from runner.run.place import Place
from runner.run.plan import Base
from runner.scheduler.decide import decide_event, decide_slot_again, decide_slots
from runner.scheduler.loop_guard import OwnIdentity
from runner.skills import Skill, SkillSet, load
from runner.workspace.mirror import Mirror

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHA = "a" * 40
RELEASED = {
    "action": "published",
    "release": {"id": 1, "tag_name": "v1"},
    "sender": {"login": "ada", "type": "User"},
}
BROKEN = RunnerError(Phase.PLAN, Reason.FORGE_REJECTED, "GitHub said: no such qualifier")
AWAY = RunnerError(Phase.PLAN, Reason.FORGE_UNAVAILABLE, "502", retryable=True)


class FakeForge:
    """Answers searches with a number, and commits with the results of their checks, or fails."""

    name, repository, holds_ledger, notice = "github", "acme/lib", False, ""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def _found(self, question: str) -> Any:
        self.asked.append(question)
        if isinstance(self.answer, RunnerError):
            raise self.answer
        return self.answer

    def count_issues(self, query: str) -> Any:
        return self._found(query)

    def check_results(self, sha: str) -> Any:
        return self._found(sha)

    def permission(self, login: str) -> str:
        return "write"

    def remote(self) -> Remote:
        return Remote(url="nowhere")

    def without_waiting(self) -> "FakeForge":
        return self


def skill_of(text: str, on: str = "{release: {}}") -> Skill:
    rest = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"
    source = f"version: 1\ndescription: x\nprompt: x\non: {on}\n{text}\n{rest}"
    loaded = load({"skills/docs/skill.yaml": source.encode()})
    assert [str(fault) for fault in loaded.faults] == []
    return loaded.skills["docs"]


def event(number: int = 1, at: datetime = NOW, kind: str = "release") -> Event:
    return Event(kind=kind, key=f"{kind}:{number}", at=at, payload=RELEASED, only="docs")


# --- each condition ---------------------------------------------------------------------------------

QUERY = "`is:open` finds"
CASES: list[tuple[str, Any, str]] = [
    ("run_if: [{query: 'is:open'}]", 1, ""),
    (
        "run_if: [{query: 'is:open'}]",
        0,
        f"`run_if` is not met: {QUERY} 0, and the condition asks for at least 1",
    ),
    ("run_if: [{query: 'is:open', min: 3}]", 2, "`run_if` is not met"),
    ("run_if: [{query: 'is:open', min: 3}]", 3, ""),
    ("run_if: [{query: 'is:open', max: 3}]", 0, ""),
    ("run_if: [{query: 'is:open', max: 3}]", 3, ""),
    ("run_if: [{query: 'is:open', max: 3}]", 4, "asks for at least 0, at most 3"),
    ("run_if: [{query: 'is:open', min: 1, max: 3}]", 0, "`run_if` is not met"),
    ("run_if: [{query: 'is:open', min: 0}]", 0, ""),
    ("skip_if: [{query: 'is:open'}]", 0, ""),
    ("skip_if: [{query: 'is:open'}]", 1, f"`skip_if` is met: {QUERY} 1"),
    ("skip_if: [{query: 'is:open', min: 5}]", 4, ""),
    ("skip_if: [{query: 'is:open', max: 0}]", 0, "`skip_if` is met"),
    ("run_if: [{failing_check: [CI]}]", {"CI": "failure"}, ""),
    ("run_if: [{failing_check: [CI]}]", {"CI": "TIMED_OUT"}, ""),
    ("run_if: [{failing_check: [CI]}]", {"CI": "success"}, "on the head of the default branch CI is success"),
    ("run_if: [{failing_check: [CI]}]", {"CI": "in_progress"}, "CI is in_progress"),
    ("run_if: [{failing_check: [CI]}]", {"lint": "failure"}, "CI is not there"),
    ("run_if: [{failing_check: [CI, lint]}]", {"CI": "success", "lint": "error"}, ""),
    ("skip_if: [{failing_check: [CI]}]", {"CI": "failure"}, "`skip_if` is met"),
    ("skip_if: [{failing_check: [CI]}]", {"CI": "neutral"}, ""),
    ("skip_if: [{failing_check: [CI]}]", {}, ""),
    ("run_if: [{query: 'is:open'}]\nskip_if: [{query: 'is:open'}]", 1, "`skip_if` is met"),
    ("run_if: [{query: 'is:open'}, {query: 'is:open', min: 2}]", 1, "`run_if` is not met"),
    ("run_if: [{query: 'is:open'}]", BROKEN, "could not be answered: GitHub said: no such qualifier"),
    ("skip_if: [{query: 'is:open'}]", BROKEN, "`skip_if` could not be answered"),
    ("skip_if: [{failing_check: [CI]}]", BROKEN, "`skip_if` could not be answered"),
]


def in_worker(skill: Skill, forge: Any, happened: Event) -> Decision:
    skills = SkillSet(skills={"docs": skill}, faults=())
    repository = RepositorySnapshot(
        name="acme/lib",
        place=Place(config=Config(), root=Path(), origin="x"),
        forge=forge,
        mirror=Mirror(Path(), "nowhere"),
        base=Base(repository=REPOSITORY, ref="main", sha=SHA),
        skill_set=skills,
        introduction_times={},
    )
    sources = EventSources(store=None, now=lambda: NOW)  # type: ignore[arg-type]  # nothing is stored
    facts = sources.facts(repository, happened)
    (decision,) = decide_event(skills.skills, happened, facts, History(), NOW)
    return decision


REPOSITORY = Repository(name="acme/lib", url="nowhere", default_branch="main")


def in_action(skill: Skill, forge: Any, happened: Event) -> Decision:
    trusted = TrustedRepository(
        place=Place(config=Config(), root=Path(), origin="x", default_branch="main"),
        runs=None,  # type: ignore[arg-type]  # nothing is stored
        forge=forge,
        mirror=Mirror(Path(), "nowhere"),
        sha=SHA,
        skill_set=SkillSet(skills={"docs": skill}, faults=()),
        identity=OwnIdentity(),
    )
    (decision,) = _deciding(JOB, trusted, happened, NOW)(History())
    return decision


JOB = JobInput(
    event="release",
    payload=RELEASED,
    repository="acme/lib",
    server_url="https://github.com",
    api_url="https://api.github.com",
    workspace=Path(),
    temp=Path(),
    run_id="1",
    actor="ada",
    attempt=1,
    workflow="",
    workflow_sha="",
    action_repository="",
    outputs=None,
    summary=None,
    guarded=(),
    inputs=dict.fromkeys(INPUTS, ""),
)


@pytest.mark.parametrize(("text", "answer", "words"), CASES)
def test_worker_and_action_come_to_one_verdict(text: str, answer: Any, words: str) -> None:
    skill = skill_of(text)
    worker = in_worker(skill, FakeForge(answer), event())
    action = in_action(skill, FakeForge(answer), event())
    assert (worker.verdict, worker.cause, worker.message) == (action.verdict, action.cause, action.message)
    if not words:
        assert worker.verdict is Verdict.STARTED
        return
    assert worker.cause is Cause.CONDITION
    assert worker.verdict is (Verdict.HELD if isinstance(answer, RunnerError) else Verdict.SKIPPED)
    assert words in worker.message


@pytest.mark.parametrize("key", ["run_if", "skip_if"])
@pytest.mark.parametrize("where", [in_worker, in_action])
def test_a_question_that_may_be_answered_later_decides_nothing(key: str, where: Any) -> None:
    with pytest.raises(RunnerError) as caught:
        where(skill_of(f"{key}: [{{query: 'is:open'}}]"), FakeForge(AWAY), event())
    assert caught.value is AWAY


@pytest.mark.parametrize("where", [in_worker, in_action])
def test_a_person_who_asks_is_not_held_up(where: Any) -> None:
    forge = FakeForge(0)
    text = "run_if: [{query: 'is:open'}]\ncooldown: 1h\nstop_after: 2020-01-01"
    assert where(skill_of(text), forge, event(kind="manual")).verdict is Verdict.STARTED
    assert forge.asked == []


def test_nothing_is_asked_for_what_does_not_start_anyway() -> None:
    forge = FakeForge(0)
    skill = skill_of("run_if: [{query: 'is:open'}]", "{release: {tags: ['w*']}}")
    assert in_worker(skill, forge, event()).cause is Cause.FILTER
    assert forge.asked == []


def test_the_first_that_keeps_it_ends_the_questions() -> None:
    forge = FakeForge(0)
    text = "run_if: [{query: a}, {query: b}]\nskip_if: [{query: c}]"
    assert unmet_condition(skill_of(text), forge, SHA) is not None  # type: ignore[arg-type]
    assert forge.asked == ["a"]


def test_slots_ask_too() -> None:
    skill = skill_of("run_if: [{query: a}]", "{schedule: [{cron: '@hourly'}]}")
    facts = Facts(conditions={"docs": UnmetCondition("`run_if` is not met: x")})
    (decision,) = decide_slots({"docs": skill}, {"docs": NOW - timedelta(hours=1)}, History(), NOW, facts)
    assert (decision.cause, decision.message) == (Cause.CONDITION, "`run_if` is not met: x")
    again = decide_slot_again(skill, decision, "k#2", History(), NOW)
    assert again.verdict is Verdict.STARTED


@pytest.mark.parametrize(
    "said",
    [
        "{}",
        "{min: 1}",
        "{query: a, failing_check: [CI]}",
        "{failing_check: [CI], min: 1}",
        "{failing_check: []}",
        "{query: 'is:open repo:acme/other'}",
        "{query: 'Org:acme'}",
        "{query: 'x (user:ada)'}",
        "{query: '-owner:ada'}",
        "{query: ''}",
    ],
)
def test_what_is_no_condition(said: str) -> None:
    text = f"version: 1\ndescription: x\nprompt: x\nrun_if: [{said}]\n"
    rest = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"
    assert load({"skills/docs/skill.yaml": (text + rest).encode()}).faults


# --- times ------------------------------------------------------------------------------------------


def decide(skill: Skill, happened: Event, last: datetime | None) -> Decision:
    starts = {"docs": last} if last else {}
    (decision,) = decide_event({"docs": skill}, happened, Facts(), History(last_starts=starts), happened.at)
    return decision


@given(
    st.lists(st.integers(0, 7200), max_size=40),
    st.sampled_from([60, 1800, 3600, 7260]),
)
def test_starts_keep_their_distance_and_nothing_else_is_refused(gaps: list[int], cooldown: int) -> None:
    skill = skill_of(f"cooldown: {cooldown}s\noverlap: queue")
    at, last = NOW, None
    for number, gap in enumerate(gaps):
        at += timedelta(seconds=gap)
        decision = decide(skill, event(number, at), last)
        is_early = last is not None and at - last < timedelta(seconds=cooldown)
        assert (decision.cause is Cause.COOLDOWN) is is_early
        assert (decision.verdict is Verdict.STARTED) is not is_early
        last = at if decision.verdict is Verdict.STARTED else last


def test_a_cooldown_says_until_when() -> None:
    decision = decide(skill_of("cooldown: 1h"), event(), NOW - timedelta(minutes=20))
    assert (decision.verdict, decision.cause) == (Verdict.SKIPPED, Cause.COOLDOWN)
    assert decision.message == (
        "a run was started at 2026-11-21 11:40 UTC, and `cooldown` lasts until 2026-11-21 12:40 UTC"
    )
    assert decide(skill_of("cooldown: 1h"), event(), NOW - timedelta(hours=1)).verdict is Verdict.STARTED
    ahead = decide(skill_of("cooldown: 1h"), event(), NOW + timedelta(seconds=5))  # another host's clock
    assert ahead.cause is Cause.COOLDOWN


@pytest.mark.parametrize(
    ("stop", "at", "stopped"),
    [
        ("2026-11-21", "2026-11-21T23:59:59", False),  # the day itself is one of those on which it runs
        ("2026-11-21", "2026-11-22T00:00:00", True),
        ("2026-11-21T12:00", "2026-11-21T11:59:59", False),
        ("2026-11-21T12:00", "2026-11-21T12:00:00", True),
        ("2026-11-21T12:00:30+02:00", "2026-11-21T10:00:29", False),
        ("2026-11-21T12:00:30+02:00", "2026-11-21T10:00:30", True),
        ("2028-02-28", "2028-02-29T00:00:00", True),
        ("2026-12-31", "2026-12-31T12:00:00", False),
    ],
)
def test_after_that_time_nothing_starts_it(stop: str, at: str, stopped: bool) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    decision = decide(skill_of(f"stop_after: {stop}"), event(at=moment), None)
    assert (decision.cause is Cause.STOPPED) is stopped
    assert (decision.verdict is Verdict.SKIPPED) is stopped


@pytest.mark.parametrize(
    "text", ["tomorrow", "2026-02-30", "2026-13-01", "2026-11-21T25:00", "2026-1-1", "1999-01-01", ""]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="should be a date"):
        parse_moment(text)


# --- how much one person may start ------------------------------------------------------------------


def by(login: str | None, number: int, at: datetime) -> Event:
    sender = {} if login is None else {"login": login, "type": "User"}
    return Event(kind="release", key=f"release:{number}", at=at, payload={**RELEASED, "sender": sender})


@given(
    st.lists(st.tuples(st.sampled_from(["ada", "Ada", "bob"]), st.integers(0, 1800)), max_size=40),
    st.integers(1, 4),
)
def test_nobody_starts_more_in_any_hour_and_nobody_pays_for_others(
    steps: list[tuple[str, int]], most: int
) -> None:
    skill = skill_of(f"runs_per_actor: {most}/h\noverlap: queue", "{release: {actor: {permission: none}}}")
    at, starts = NOW, dict[str, list[datetime]]()
    for number, (login, gap) in enumerate(steps):
        at += timedelta(seconds=gap)
        mine = starts.setdefault(login.lower(), [])
        history = History(actor_starts={f"docs {name}": times[::-1] for name, times in starts.items()})
        actor = Actor(login=login, bot=False, permission="none")
        (decision,) = decide_event({"docs": skill}, by(login, number, at), Facts(actor=actor), history, at)
        is_full = len([one for one in mine if one > at - timedelta(hours=1)]) >= most
        assert (decision.cause is Cause.ACTOR_LIMIT) is is_full
        assert (decision.verdict is Verdict.STARTED) is not is_full
        assert decision.actor == login
        mine += [] if is_full else [at]


def test_who_reached_the_limit_is_told_until_when() -> None:
    skill = skill_of("runs_per_actor: 2/d")
    starts = {"docs ada": [NOW - timedelta(hours=1), NOW - timedelta(hours=5)]}
    (decision,) = decide_event({"docs": skill}, by("Ada", 1, NOW), Facts(), History(actor_starts=starts), NOW)
    assert (decision.verdict, decision.cause) == (Verdict.SKIPPED, Cause.ACTOR_LIMIT)
    assert decision.message == (
        "Ada has started 2 runs, and `runs_per_actor` is 2/d: the next at 2026-11-22 07:00 UTC or later"
    )


def test_somebody_unknown_is_one_person_and_a_slot_is_nobodys() -> None:
    skill = skill_of(
        "runs_per_actor: 1/d", "{release: {actor: {permission: none}}, schedule: [{cron: '@hourly'}]}"
    )
    unknown = Facts(actor=Actor(login="somebody unknown", bot=False, permission="none"))
    history = History(actor_starts={"docs somebody unknown": [NOW]})
    (decision,) = decide_event({"docs": skill}, by(None, 1, NOW), unknown, history, NOW)
    assert decision.cause is Cause.ACTOR_LIMIT
    (slot,) = decide_slots({"docs": skill}, {"docs": NOW - timedelta(hours=1)}, history, NOW)
    assert (slot.verdict, slot.actor) == (Verdict.STARTED, "")
