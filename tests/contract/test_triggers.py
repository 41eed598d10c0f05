"""What every trigger must do, ours and third parties', whatever payload comes."""

import copy
import hashlib
import hmac
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.apps.action.event import read_event
from runner.apps.action.job_input import INPUTS, JobInput
from runner.apps.action.workflow import Use, render
from runner.skills import Skill, load
from runner.triggers import TRIGGERS, SkillTrigger, TriggerKind, action_triggers, kind_of
from runner.triggers.sources import SOURCES, Delivery
from runner.triggers.sources.github.trigger import GitHubTrigger, github_triggers
from tests.parts.need import require

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = "a secret"
USE = Use(action="acme/skillrunner@0123456789abcdef0123456789abcdef01234567 # v0.3.0")
KINDS = TRIGGERS.names()
GITHUB = sorted(github_triggers())
OPTIONS: dict[str, Any] = {
    "schedule": [{"cron": "0 9 * * 1", "timezone": "Europe/Berlin"}],
    "run_completed": {"skill": "docs"},
    "workflow_run": {"workflows": ["CI"]},
    "command": {"name": "docs"},
}
"""Where the least that a skill must say is more than nothing."""

SUBJECTS = {
    "issues": "issue",
    "issue_comment": "comment",
    "pull_request_review": "review",
    "pull_request_review_comment": "comment",
    "discussion_comment": "comment",
}
"""Where a payload's object has another name than the event."""

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def options_of(kind: str) -> Any:
    return OPTIONS.get(kind, {})


def skill_of(kind: str, options: Any = None) -> Skill:
    on = json.dumps({kind: options_of(kind) if options is None else options})
    rest = "harness: {kind: command, command: [make]}\noutput: {none: {}}\n"
    text = f"version: 1\ndescription: x\nprompt: Do it.\non: {on}\n{rest}"
    loaded = load({"skills/docs-again/skill.yaml": text.encode()})
    assert [str(fault) for fault in loaded.faults] == []
    return loaded.skills["docs-again"]


def names_in(trigger: TriggerKind) -> list[str]:
    """The keys of a payload that the trigger looks at, as far as it says."""
    paths = [trigger.subject_path, trigger.time_path, *(part.path for part in trigger.key_parts)]
    paths += trigger.time_paths.values()
    return sorted({name for path in paths for name in path} | {"action", "sender", "labels", "ref", "after"})


def payload_of(kind: str) -> dict[str, Any]:
    """A payload that holds everything that the trigger's key and subject are made of."""
    trigger, payload = TRIGGERS.get(kind), {"action": "created", "repository": {"full_name": "acme/lib"}}
    for path in (trigger.subject_path, *(part.path for part in trigger.key_parts if not part.optional)):
        here: Any = payload
        for name in path[:-1]:
            here = here.setdefault(name, {})
        if path:
            here.setdefault(path[-1], 7)
    return payload


# --- options and filters -------------------------------------------------------------------------


def test_its_options_come_out_as_they_went_in(kind: str) -> None:
    model = TRIGGERS.get(kind).options
    options = model.model_validate_json(json.dumps(options_of(kind)))
    again = model.model_validate_json(options.model_dump_json(exclude_unset=True))
    assert again == options
    assert skill_of(kind).triggers[kind] == options


def test_no_skill_can_say_what_its_options_do_not_know(kind: str) -> None:
    given = options_of(kind)
    extended = [*given, {"unheard_of": 1}] if isinstance(given, list) else {**given, "unheard_of": 1}
    text = json.dumps({"version": 1, "description": "x", "prompt": "x", "on": {kind: extended}})
    faults = load({"skills/x/skill.yaml": text.encode()}).faults
    assert any("unheard_of" in str(fault) for fault in faults)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_payload_is_answered_and_left_as_it_is(kind: str, data: st.DataObject) -> None:
    trigger, options = TRIGGERS.get(kind), skill_of(kind).triggers[kind]
    keys = st.sampled_from([*names_in(trigger), kind])
    payload = data.draw(st.dictionaries(keys, values | st.dictionaries(keys, values, max_size=3), max_size=5))
    before = copy.deepcopy(payload)

    def answers() -> tuple[object, ...]:
        found = (options.mismatch(payload), trigger.key(payload), trigger.subject(payload))
        assert all(isinstance(one, str) for one in found)
        lookups = (trigger.from_fork(payload, "acme/lib"), trigger.commits(payload, "main"))
        return (*found, *lookups, trigger.other_keys(payload), trigger.recognizes(payload))

    assert answers() == answers()
    assert payload == before
    assert options.path_mismatch(()) == "" or options.has_path_filter


# --- keys ----------------------------------------------------------------------------------------


def test_the_key_is_of_the_kind_and_of_nothing_but_the_payload(kind: str) -> None:
    trigger, payload = TRIGGERS.get(kind), payload_of(kind)
    turned = json.loads(json.dumps(dict(reversed(payload.items()))))
    assert trigger.key(payload) == trigger.key(turned)
    assert trigger.key(payload).startswith(f"{kind}:")
    event = trigger.event(payload, NOW, "guid")
    assert (event.kind, event.at, event.delivery, event.payload) == (kind, NOW, "guid", payload)
    assert event.key == trigger.key(payload)


def test_each_part_of_its_key_tells_two_happenings_apart(kind: str) -> None:
    trigger, payload = TRIGGERS.get(kind), payload_of(kind)
    for part in trigger.key_parts:
        other = copy.deepcopy(payload)
        here: Any = other
        for name in part.path[:-1]:
            here = here.setdefault(name, {})
        here[part.path[-1]] = "different"
        assert trigger.key(other) != trigger.key(payload), part


@pytest.mark.parametrize("kind", GITHUB)
def test_its_payload_is_taken_for_no_other_kind(kind: str) -> None:
    payload = payload_of(kind) | ({"issue": {"number": 7}} if kind == "issue_comment" else {})
    payload.setdefault(SUBJECTS.get(kind, kind), {})
    assert kind_of(payload) == kind
    foreign = {"action": "milestoned", "issue": {"number": 1}, "milestone": {"title": "one"}}
    assert kind_of(foreign) == "issues"


# --- heard by webhook and in the Action -----------------------------------------------------------


def job(event: str, payload: dict[str, Any]) -> JobInput:
    return JobInput(
        event=event,
        payload=payload,
        repository="acme/lib",
        server_url="https://github.com",
        api_url="https://api.github.com",
        workspace=Path(),
        temp=Path(),
        run_id="1",
        actor="octocat",
        attempt=1,
        workflow=".github/workflows/skillrunner.yml",
        workflow_sha="",
        action_repository="",
        outputs=None,
        summary=None,
        guarded=(),
        inputs=dict.fromkeys(INPUTS, ""),
    )


@pytest.mark.parametrize("kind", GITHUB)
def test_a_webhook_and_the_action_hear_the_same_event(kind: str) -> None:
    payload = payload_of(kind)
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-github-event": kind, "x-hub-signature-256": signature, "x-github-delivery": "guid"}
    received = SOURCES.get("github").receive(headers, body, [SECRET], lambda name: name == "acme/lib", NOW)
    assert isinstance(received, Delivery)
    assert received.event == TRIGGERS.get(kind).event(payload, NOW, "guid")
    for name in TRIGGERS.get(kind).action_events():
        heard = read_event(job(name, payload), NOW)
        assert heard is not None
        assert (heard.kind, heard.key) == (kind, received.event.key)
        assert heard.subject == received.event.subject
        assert action_triggers()[name].name == kind


def test_the_workflow_of_a_skill_listens_to_it_and_is_valid(kind: str, tmp_path: Path) -> None:
    skill = skill_of(kind)
    use = SkillTrigger(skill=skill.name, file=skill.file, options=skill.triggers[kind])
    listened = TRIGGERS.get(kind).workflow_events([use])
    assert TRIGGERS.get(kind).workflow_events([]) == {}
    text = render({skill.name: skill}, USE)
    assert all(f"\n  {event}:" in text for event in listened)
    if kind in GITHUB:
        assert set(listened) <= set(TRIGGERS.get(kind).action_events())
        assert listened
    (tmp_path / "workflow.yml").write_text(text)
    program = Path(sys.executable).with_name("actionlint")
    require(program.exists(), "actionlint", "make setup")
    checked = [program, "-shellcheck=", "-pyflakes=", "-no-color", tmp_path / "workflow.yml"]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- heard by polling -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GITHUB)
def test_what_polling_hears_is_what_a_skill_can_ask_for(kind: str) -> None:
    trigger = github_triggers()[kind]
    assert isinstance(trigger, GitHubTrigger)
    assert bool(trigger.polled) == bool(trigger.lists)
    for activity in trigger.polled - {""}:
        assert skill_of(kind, {**options_of(kind), "types": [activity]})
    others = [one for name, other in github_triggers().items() if name != kind for one in other.lists]
    for mine in trigger.lists:
        assert all(one is mine for one in others if one.name == mine.name), "a list's name is one list's"
