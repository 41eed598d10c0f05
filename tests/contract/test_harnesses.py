"""What every harness must do, ours and third parties', whatever its program prints.

One that is installed beside the runner is found as well: `pytest tests/contract/test_harnesses.py -k NAME`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.model import Finish, UsageReport
from runner.harnesses import HARNESSES, Harness
from runner.skills.kinds import skill_model
from tests.parts.recordings import exited, read, stopped, task

KINDS = HARNESSES.names()
CAUSES = ("timeout", "idle", "output", "memory", "cancelled")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
words = st.sampled_from(
    ["assistant", "user", "system", "result", "turn.failed", "turn.completed", "item.completed", "error"]
)
keys = st.sampled_from(["message", "item", "usage", "error", "content", "modelUsage", "subtype", "errors"])
objects = st.builds(lambda kind, rest: {**rest, "type": kind}, words, st.dictionaries(keys, values))


RESUMING = [kind for kind, harness in HARNESSES.all().items() if harness.resumes]
KEEPING = [kind for kind, harness in HARNESSES.all().items() if harness.sessions is not None]
SPEAKING = [kind for kind, harness in HARNESSES.all().items() if harness.reader().speaker() is not None]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def harness(kind: str) -> Harness:
    return HARNESSES.get(kind)


def written(kind: str) -> Mapping[str, Any]:
    """What a skill file at least has to say of a kind: a command, or a text, with its first example."""
    fields = HARNESSES.get(kind).options.model_fields
    return {
        name: (field.examples or ["true"])[0] if field.annotation is str else ("true",)
        for name, field in fields.items()
        if field.is_required()
    }


def options(kind: str) -> Mapping[str, Any]:
    """What a run then has of it."""
    return HARNESSES.get(kind).options.model_validate(written(kind)).model_dump()


def test_it_says_what_it_needs(harness: Harness, kind: str) -> None:
    assert harness.name == kind
    assert harness.options.model_config["extra"] == "forbid"
    assert harness.options.__doc__, "the schema of skill files describes it by this"
    assert harness.program is None or harness.program
    assert harness.package is None or harness.program
    assert harness.mcp in ("any", "ours", "")
    assert harness.model is None or not harness.models
    for access in filter(None, (harness.model, *harness.models.values())):
        assert access.upstream.startswith("https://")
        assert access.endpoints
        assert all(re.fullmatch("(GET|HEAD|POST) /[^ ]+", one) for one in access.endpoints)


def test_it_is_a_choice_of_the_skill_file(kind: str) -> None:
    file = {"description": "x", "harness": {"kind": kind, **written(kind)}, "output": {"none": None}}
    assert skill_model().model_validate({"version": 1, **file}).harness.kind == kind


def test_neither_prompt_nor_token_is_on_the_command_line(harness: Harness, kind: str) -> None:
    asked = task(kind, model="m", **options(kind))
    launch = harness.launch(asked)
    shown = " ".join(launch.argv)
    if harness.reader().speaker() is None:
        assert asked.prompt.encode() == launch.stdin
    assert asked.prompt.strip() not in shown
    assert asked.model_token not in shown
    assert launch == harness.launch(asked)
    if harness.program:
        assert launch.argv[0] == harness.program
        assert harness.launch(replace(asked, program="/opt/it")).argv[0] == "/opt/it"


@pytest.mark.parametrize("kind", RESUMING, indirect=True)
def test_a_session_goes_on_with_another_prompt(harness: Harness, kind: str) -> None:
    asked = task(kind, **options(kind))
    first, after = harness.launch(asked), harness.launch(replace(asked, resume="session-1"))
    assert set(after.argv) - set(first.argv) >= {"session-1"}
    assert after.stdin == asked.prompt.encode()
    assert after.variables == first.variables


@pytest.mark.parametrize("keeping", KEEPING)
@given(content=st.lists(objects | values).map(lambda lines: "\n".join(map(json.dumps, lines)).encode()))
def test_a_session_that_is_kept_goes_on_elsewhere(keeping: str, content: bytes) -> None:
    harness = HARNESSES.get(keeping)
    assert harness.sessions is not None
    asked = task(keeping, **options(keeping))
    assert "session-1" in harness.launch(replace(asked, resume="session-1")).argv
    typed = harness.sessions.command("session-1", "m")
    assert typed[0] == harness.program
    assert {"session-1", "m"} <= set(typed)
    files = {f"{harness.sessions.folder}/{name}": content for name in ("here/x.jsonl", "there/y/z")}
    moved = harness.sessions.moved(files, "/elsewhere")
    assert len(moved) >= len(files)
    assert harness.sessions.moved(moved, "/elsewhere") == moved
    assert not any(path.startswith("/") or ".." in path.split("/") for path in moved)


@pytest.mark.parametrize("kind", SPEAKING, indirect=True)
def test_a_speaker_says_something_and_can_be_stopped(harness: Harness, kind: str) -> None:
    speaker = harness.reader().speaker()
    assert speaker is not None
    speaker.begin(task(kind, **options(kind)))
    assert (speaker.say() or b"").endswith(b"\n")
    assert speaker.say() == b""
    assert speaker.steer("More, please.")
    speaker.interrupt()
    assert not speaker.steer("Too late.")


def test_no_output_and_no_change_is_no_success(harness: Harness) -> None:
    outcome = harness.reader().outcome(exited(0), False)
    assert not outcome.ok
    assert outcome.reason is not None
    assert outcome.message


@pytest.mark.parametrize("code", [1, 127, 143, -9])
def test_a_bad_exit_is_never_a_success(harness: Harness, code: int) -> None:
    assert not harness.reader().outcome(exited(code), True).ok


@pytest.mark.parametrize("cause", CAUSES)
def test_what_was_stopped_is_never_a_success(harness: Harness, cause: str) -> None:
    assert not harness.reader().outcome(stopped(cause), True).ok


def test_each_cause_of_a_stop_has_its_own_reason(harness: Harness) -> None:
    assert len({harness.reader().outcome(stopped(cause), True).reason for cause in CAUSES}) == len(CAUSES)


@pytest.mark.parametrize("printing", KINDS)
@given(
    lines=st.lists(objects.map(lambda data: json.dumps(data).encode()) | st.binary(max_size=40), max_size=6)
)
def test_nothing_that_it_prints_breaks_the_reader(printing: str, lines: list[bytes]) -> None:
    reader = HARNESSES.get(printing).reader()
    events = read(reader, b"\n".join(lines), b"\n".join(lines))
    outcome = reader.outcome(exited(0), True)
    assert outcome.usage.tokens_in >= 0
    assert all(event.usage.tokens_out >= 0 for event in events if isinstance(event, UsageReport))
    ends = [event for event in events if isinstance(event, Finish)]
    if outcome.ok and ends:
        assert ends[-1].ok
