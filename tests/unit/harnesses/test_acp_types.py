"""What we say and hear by the Agent Client Protocol, by the types of the package agent-client-protocol."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from acp import AGENT_METHODS, PROTOCOL_VERSION, schema
from pydantic import BaseModel

from runner.core.model import McpServer
from runner.harnesses import _acp, acp
from tests.parts.recordings import FOLDER, task

REQUESTS: Mapping[str, type[BaseModel]] = {
    "initialize": schema.InitializeRequest,
    "session/new": schema.NewSessionRequest,
    "session/prompt": schema.PromptRequest,
    "session/cancel": schema.CancelNotification,
    "session/set_config_option": schema.SetSessionConfigOptionSelectRequest,
}
PERMISSION = {
    "id": "p1",
    "method": "session/request_permission",
    "params": {"options": [{"kind": "allow_once", "name": "Once", "optionId": "o1"}]},
}


def check(model: type[BaseModel], said: Mapping[str, Any]) -> None:
    """The type knows every field that is said, and misses none."""
    assert model.model_validate(said).model_dump(by_alias=True, exclude_unset=True, mode="json") == said


def conversation() -> list[Any]:
    """All that we say in a session with servers, a choice of models, a question and a steered prompt."""
    reader = acp.AcpReader()
    talk, said = reader.speaker(), list[Any]()
    servers = (
        McpServer(name="own", command=("tool", "--x")),
        McpServer(name="far", url="https://mcp.example.com"),
    )
    talk.begin(replace(task("acp", model="m2", command=("agent",)), mcp=servers, variables={"A": "b"}))

    def hear(message: Mapping[str, Any]) -> None:
        said.extend(json.loads(line) for line in (talk.say() or b"").splitlines())
        list(reader.read("stdout", json.dumps({"jsonrpc": "2.0", **message}).encode()))

    hear(
        {"id": 1, "result": {"protocolVersion": 1, "agentCapabilities": {"mcpCapabilities": {"http": True}}}}
    )
    models = [{"value": "m1", "name": "One"}, {"value": "m2", "name": "Two"}]
    option = {"id": "model", "category": "model", "currentValue": "m1", "options": models}
    hear({"id": 2, "result": {"sessionId": "s1", "configOptions": [option]}})
    hear(PERMISSION)
    assert talk.steer("Rather so.")
    hear({"id": 4, "result": {"stopReason": "cancelled"}})
    hear({"method": "session/update", "params": {}})
    return said


def test_the_version_is_that_of_the_package() -> None:
    assert _acp.VERSION == PROTOCOL_VERSION


def test_all_that_we_say_is_of_its_type() -> None:
    said = conversation()
    asked = [one["method"] for one in said if "method" in one]
    assert set(asked) == set(REQUESTS)
    assert asked.count("session/prompt") == 2
    for one in said:
        if "method" in one:
            assert one["method"] in AGENT_METHODS.values()
            check(REQUESTS[one["method"]], one["params"])
    (answer,) = [one for one in said if "result" in one]
    assert answer["id"] == "p1"
    check(schema.RequestPermissionResponse, answer["result"])


def test_the_updates_that_tell_nothing_are_updates() -> None:
    union = schema.SessionNotification.model_fields["update"].annotation
    kinds = {get_args(one.model_fields["session_update"].annotation)[0] for one in get_args(union)}
    assert kinds >= acp._SILENT


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("acp-*.jsonl")))
def test_real_agents_say_what_the_types_allow(name: str) -> None:
    messages = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_bytes().splitlines()]
    updates = [one["params"] for one in messages if one.get("method") == "session/update"]
    assert updates
    for one in updates:
        schema.SessionNotification.model_validate(one)


def _after_session(result: Mapping[str, Any]) -> list[Any]:
    """What we say when a session has begun with this answer, but for the prompt."""
    reader = acp.AcpReader()
    talk = reader.speaker()
    talk.begin(task("acp", command=("agent",)))
    talk.say()
    for number, answer in ((1, {"protocolVersion": 1}), (2, {"sessionId": "s1", **result})):
        list(reader.read("stdout", json.dumps({"jsonrpc": "2.0", "id": number, "result": answer}).encode()))
    said = [json.loads(line) for line in (talk.say() or b"").splitlines()]
    return [one for one in said if one["method"] not in ("session/new", "session/prompt")]


def _modes(current: str, *offered: str) -> dict[str, Any]:
    available = [{"id": one, "name": one} for one in offered]
    return {"modes": {"currentModeId": current, "availableModes": available}}


@pytest.mark.parametrize(
    ("current", "offered", "chosen"),
    [
        ("read-only", ("read-only", "auto", "full-access"), "full-access"),  # codex-acp
        ("auto", ("read-only", "auto", "full-access"), "full-access"),
        ("full-access", ("read-only", "full-access"), None),
        ("plan", ("default", "plan", "bypassPermissions"), "bypassPermissions"),
        ("plan", ("default", "plan"), None),
        ("default", ("default", "autoEdit", "yolo"), None),  # it asks, and is allowed
    ],
)
def test_an_agent_that_may_do_little_gets_a_mode_in_which_it_may_do_all(
    current: str, offered: tuple[str, ...], chosen: str | None
) -> None:
    said = _after_session(_modes(current, *offered))
    params = [one["params"] for one in said if one["method"] == "session/set_mode"]
    assert params == ([{"sessionId": "s1", "modeId": chosen}] if chosen else [])
    for one in params:
        check(schema.SetSessionModeRequest, one)


def test_a_mode_may_be_an_option_of_the_session() -> None:
    values = [{"value": one, "name": one} for one in ("read-only", "full-access")]
    option = {"id": "mode", "category": "mode", "currentValue": "read-only", "options": values}
    (said,) = _after_session({"configOptions": [option]})
    assert said["method"] == "session/set_config_option"
    assert said["params"] == {"sessionId": "s1", "configId": "mode", "value": "full-access"}
