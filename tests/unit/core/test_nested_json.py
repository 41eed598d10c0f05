"""JSON that is nested 100,000 deep is refused where it is read: it crashed whoever walked through it."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from runner.apps.action import event, job_input, workflow
from runner.core.errors import RunnerError
from runner.core.jsonl import json_object
from runner.core.partial_json import parts
from runner.core.payload import MAX_DEPTH, is_deep, parse_json
from runner.gateway import mcp
from runner.gateway.model import cassette
from runner.publish.outputs import _marker
from runner.publish.signing import NO_KEY
from runner.run.environment.devcontainer import parse_devcontainer
from runner.run.testing import case_file
from runner.scheduler import ledger
from runner.store import Store, event_tables, work
from runner.store.inbox import Inbox
from runner.triggers.sources import RefusedDelivery
from runner.triggers.sources.github import webhook
from tests.parts.cli import Project, skill_files

LISTS = '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"
OBJECTS = '{"a": ' * 100_000 + "1" + "}" * 100_000
MODERATE = '{"a": ' * 300 + "1" + "}" * 300  # Python reads it, and fails where it is copied
deep = pytest.mark.parametrize("text", [LISTS, OBJECTS, MODERATE], ids=["lists", "objects", "moderate"])


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("raw", [str.encode, str, lambda text: text.encode("utf-16")])
def test_as_deep_as_may_be_and_no_deeper(raw: Any) -> None:
    assert parse_json(raw(nested(MAX_DEPTH))) == json.loads(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match=f"nested too deeply: more than {MAX_DEPTH} levels"):
        parse_json(raw(nested(MAX_DEPTH + 1)))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"a": "[" * 1000, "b": '"\\' + "{" * 1000}),
        json.dumps([[1], {"a": []}] * 1000),
        json.dumps("]" * 500 + "[" * 500),
    ],
)
def test_brackets_in_texts_and_beside_each_other_do_not_count(text: str) -> None:
    assert not is_deep(text)
    assert parse_json(text) == json.loads(text)


@deep
def test_readers_of_lines_take_it_for_no_object(text: str) -> None:
    assert json_object(text.encode()) is None
    assert all(
        isinstance(part, str) or not is_deep(json.dumps(part)) for part in parts(text) if part is not None
    )


@deep
def test_a_webhook_refuses_it(text: str) -> None:
    body = text.encode()
    signed = {"x-hub-signature-256": webhook._signature("s", body).decode(), "x-github-event": "issues"}
    came = webhook.receive(signed, body, ["s"], lambda _: True, None)  # type: ignore[arg-type]
    assert isinstance(came, RefusedDelivery)
    assert came.status == 400


@deep
def test_a_command_line_names_the_file(project: Project, text: str) -> None:
    yaml = "on: {release: {}, manual: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"
    project.commit(skill_files("one", yaml))
    (project.root / "event.json").write_text(text)
    done = project.skillrunner("run", "one", "--event", "event.json", "--dry-run")
    assert done.code == 3
    assert "event.json is not JSON: it is nested too deeply" in done.err


@deep
def test_the_action_names_its_input(tmp_path: Path, text: str) -> None:
    (tmp_path / "event.json").write_text(text)
    with pytest.raises(RunnerError, match="nested too deeply"):
        job_input._payload(tmp_path / "event.json")
    with pytest.raises(RunnerError, match="nested too deeply"):
        event._inputs(text)
    assert workflow.use._read(text) is None


@deep
def test_what_agents_and_people_wrote_is_named(tmp_path: Path, text: str) -> None:
    raw = text.encode()
    (tmp_path / "event.json").write_bytes(raw)
    with pytest.raises(RunnerError, match="nested too deeply"):
        case_file.read_event(tmp_path / "event.json")
    with pytest.raises(RunnerError, match="no JSON"):
        parse_devcontainer("d.json", raw, "/w")
    with pytest.raises(RunnerError, match="no exchange"):
        cassette.load(raw, "traffic.jsonl")
    with pytest.raises(mcp.ProtocolError):
        mcp._message(raw)
    assert _marker.read(f"<!-- skillrunner: {text} -->", NO_KEY) is None


@deep
def test_what_is_stored_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(RunnerError, match="nested too deeply"):
        ledger._parse("runs.jsonl", text.encode())
    with pytest.raises(RunnerError, match="nested too deeply"):
        work.load("r-1", text)
    store = Store(tmp_path / "state")
    try:
        with store.engine.begin() as connection:
            connection.execute(insert(event_tables.cursors).values(repository="o/r", data=text))
        with pytest.raises(RunnerError, match=r"table cursors is damaged .*: it is nested too deeply"):
            Inbox(store).cursor("o/r")
    finally:
        store.close()
