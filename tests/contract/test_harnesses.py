"""What every harness must do, ours and third parties', whatever its program prints."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import plugins
from runner.core.model import Finish, UsageReport
from runner.harnesses import ModelAccess, Speaker
from tests.parts.recordings import exited, read, stopped, task

OPTIONS: dict[str, dict[str, Any]] = {"command": {"command": ("true",)}, "acp": {"command": ("true",)}}
KINDS = plugins.names("harnesses")
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


MODULES = {kind: plugins.module("harnesses", kind) for kind in KINDS}
RESUMING = [kind for kind, module in MODULES.items() if getattr(module, "RESUMES", False)]
KEEPING = [kind for kind, module in MODULES.items() if hasattr(module, "SESSIONS")]
SPEAKING = [kind for kind, module in MODULES.items() if issubclass(module.Reader, Speaker)]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def module(kind: str) -> Any:
    return plugins.module("harnesses", kind)


def test_it_says_what_it_needs(module: Any, kind: str) -> None:
    assert module.KINDS[kind].model_config["extra"] == "forbid"
    assert module.PROGRAM is None or module.PROGRAM
    assert module.MODEL is None or isinstance(module.MODEL, ModelAccess)
    for access in [*([module.MODEL] if module.MODEL else []), *getattr(module, "MODELS", {}).values()]:
        assert access.upstream.startswith("https://")
        assert access.paths
        assert all(path.startswith("/") for path in access.paths)


def test_neither_prompt_nor_token_is_on_the_command_line(module: Any, kind: str) -> None:
    asked = task(kind, model="m", **OPTIONS.get(kind, {}))
    launch = module.launch(asked)
    shown = " ".join(launch.argv)
    if not issubclass(module.Reader, Speaker):
        assert asked.prompt.encode() == launch.stdin
    assert asked.prompt.strip() not in shown
    assert asked.model_token not in shown
    assert launch == module.launch(asked)
    if module.PROGRAM:
        assert launch.argv[0] == module.PROGRAM


@pytest.mark.parametrize("kind", RESUMING, indirect=True)
def test_a_session_goes_on_with_another_prompt(module: Any, kind: str) -> None:
    asked = task(kind, **OPTIONS.get(kind, {}))
    first, after = module.launch(asked), module.launch(replace(asked, resume="session-1"))
    assert set(after.argv) - set(first.argv) >= {"session-1"}
    assert after.stdin == asked.prompt.encode()
    assert after.variables == first.variables


@pytest.mark.parametrize("keeping", KEEPING)
@given(content=st.lists(objects | values).map(lambda lines: "\n".join(map(json.dumps, lines)).encode()))
def test_a_session_that_is_kept_goes_on_elsewhere(keeping: str, content: bytes) -> None:
    module = MODULES[keeping]
    asked = task(keeping, **OPTIONS.get(keeping, {}))
    assert "session-1" in module.launch(replace(asked, resume="session-1")).argv
    typed = module.SESSIONS.command("session-1", "m")
    assert typed[0] == module.PROGRAM
    assert {"session-1", "m"} <= set(typed)
    files = {f"{module.SESSIONS.folder}/{name}": content for name in ("here/x.jsonl", "there/y/z")}
    moved = module.SESSIONS.moved(files, "/elsewhere")
    assert len(moved) >= len(files)
    assert module.SESSIONS.moved(moved, "/elsewhere") == moved
    assert not any(path.startswith("/") or ".." in path.split("/") for path in moved)


@pytest.mark.parametrize("kind", SPEAKING, indirect=True)
def test_a_speaker_says_something_and_can_be_stopped(module: Any, kind: str) -> None:
    reader = module.Reader()
    reader.begin(task(kind, **OPTIONS.get(kind, {})))
    assert (reader.say() or b"").endswith(b"\n")
    assert reader.say() == b""
    assert reader.steer("More, please.")
    reader.interrupt()
    assert not reader.steer("Too late.")


def test_no_output_and_no_change_is_no_success(module: Any) -> None:
    outcome = module.Reader().outcome(exited(0), False)
    assert not outcome.ok
    assert outcome.reason is not None
    assert outcome.message


@pytest.mark.parametrize("code", [1, 127, 143, -9])
def test_a_bad_exit_is_never_a_success(module: Any, code: int) -> None:
    assert not module.Reader().outcome(exited(code), True).ok


@pytest.mark.parametrize("cause", CAUSES)
def test_what_was_stopped_is_never_a_success(module: Any, cause: str) -> None:
    assert not module.Reader().outcome(stopped(cause), True).ok


def test_each_cause_of_a_stop_has_its_own_reason(module: Any) -> None:
    assert len({module.Reader().outcome(stopped(cause), True).reason for cause in CAUSES}) == len(CAUSES)


@pytest.mark.parametrize("harness", KINDS)
@given(
    lines=st.lists(objects.map(lambda data: json.dumps(data).encode()) | st.binary(max_size=40), max_size=6)
)
def test_nothing_that_it_prints_breaks_the_reader(harness: str, lines: list[bytes]) -> None:
    reader = plugins.module("harnesses", harness).Reader()
    events = read(reader, b"\n".join(lines), b"\n".join(lines))
    outcome = reader.outcome(exited(0), True)
    assert outcome.usage.tokens_in >= 0
    assert all(event.usage.tokens_out >= 0 for event in events if isinstance(event, UsageReport))
    ends = [event for event in events if isinstance(event, Finish)]
    if outcome.ok and ends:
        assert ends[-1].ok
