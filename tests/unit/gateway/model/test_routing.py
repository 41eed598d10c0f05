"""Which model a request gets with `model: auto`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason, Route
from runner.gateway.model.routing import RequestFacts, choose_model, request_facts, with_model

FACTS = RequestFacts(prompt_tokens=1000, turns=3, tools=True, spent=0.4)
REST = Route(model="rest")


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"prompt_tokens_over": 999}, True),
        ({"prompt_tokens_over": 1000}, False),
        ({"turns_over": 2}, True),
        ({"turns_over": 3}, False),
        ({"first": False}, True),
        ({"first": True}, False),
        ({"tools": True}, True),
        ({"tools": False}, False),
        ({"spent_over": 0.39}, True),
        ({"spent_over": 0.4}, False),
        ({"tools": True, "turns_over": 2}, True),
        ({"tools": True, "turns_over": 3}, False),
    ],
)
def test_a_rule_fits_when_all_that_it_says_holds(rule: dict[str, Any], fits: bool) -> None:
    assert choose_model((Route(model="this", **rule), REST), FACTS) == ("this" if fits else "rest")


def test_the_first_rule_that_fits_decides_and_the_last_fits_always() -> None:
    rules = (Route(model="a", first=True), Route(model="b", tools=True), Route(model="c", tools=True), REST)
    assert choose_model(rules, FACTS) == "b"
    assert choose_model(rules, replace(FACTS, turns=0)) == "a"
    assert choose_model(rules, replace(FACTS, tools=False)) == "rest"


CALL = {"type": "function_call", "name": "x"}
RESULT = {"type": "function_call_output", "output": "y"}


@pytest.mark.parametrize(
    ("asked", "turns"),
    [
        ({}, 0),
        ({"messages": [{"role": "user", "content": "hi"}]}, 0),
        ({"messages": [{"role": "user"}, {"role": "assistant"}, {"role": "user"}, {"role": "assistant"}]}, 2),
        ({"messages": [{"role": "system"}, {"role": "assistant"}, {"role": "tool"}, {"role": "user"}]}, 1),
        ({"input": "hi"}, 0),
        ({"input": [{"role": "user"}, {"type": "reasoning"}, CALL, CALL, RESULT, RESULT, CALL, RESULT]}, 2),
        ({"contents": [{"role": "user"}, {"role": "model"}, {"role": "user"}]}, 1),
        ({"messages": ["?", None, {"type": 3}]}, 1),
    ],
)
def test_turns_of_each_api(asked: dict[str, Any], turns: int) -> None:
    assert request_facts(asked, 0, 0).turns == turns


def test_what_else_is_looked_at() -> None:
    assert request_facts({"tools": [{"name": "x"}]}, 4003, 0.5) == RequestFacts(
        prompt_tokens=1000, turns=0, tools=True, spent=0.5
    )
    assert not request_facts({"tools": []}, 0, 0).tools


def test_the_models_name_is_replaced_where_it_stands() -> None:
    path, body = with_model("/v1/messages", {"stream": True, "model": "a", "max_tokens": 5}, "b")
    assert (path, body) == ("/v1/messages", {"stream": True, "model": "b", "max_tokens": 5})
    path, body = with_model("/v1beta/models/gemini-2.5-pro:streamGenerateContent", {}, "gemini-2.5-flash")
    assert (path, body) == ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", {})


@pytest.mark.parametrize("body", [{}, {"input": "x"}, {"model": "b"}])
def test_what_names_no_other_model_stays_as_it_is(body: dict[str, Any]) -> None:
    assert with_model("/v1/messages", body, "b") == ("/v1/messages", body)


def configured(folder: Path, text: str) -> Any:
    (folder / "skillrunner.yaml").write_text(f"harnesses:\n  claude-code:\n    {text}\n")
    return load_config(folder, environ={}).harnesses["claude-code"]


def test_rules_are_configured(tmp_path: Path) -> None:
    two = "{when: {tools: false}, model: s}, {when: {spent_over: 0.5, first: true}, model: m}"
    text = f"routes: [{two}, {{model: l}}]"
    assert [one.route for one in configured(tmp_path, text).routes] == [
        Route(model="s", tools=False),
        Route(model="m", spent_over=0.5, first=True),
        Route(model="l"),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("routes: [{when: {tools: false}, model: a}]", "the last rule should have no `when`"),
        ("routes: [{model: a}, {model: b}]", "rule 1 has no `when`"),
        ("routes: [{when: {}, model: a}, {model: b}]", "at least one condition"),
        ("routes: [{when: {tool: false}, model: a}, {model: b}]", "did you mean `tools`?"),
        ("routes: [{when: {spent_over: 50}, model: a}, {model: b}]", "should be at most 1"),
        ("routes: [{when: {tools: false}}, {model: b}]", "`model` is missing"),
        ("fallback: [{upstream: 'http://models.example.com', key: K}]", "should be an https address"),
        ("fallback: [{upstream: 'https://u:p@models.example.com', key: K}]", "should be an https address"),
        ("fallback: [{upstream: 'https://models.example.com'}]", "`key` is missing"),
        ("fallback: [{upstream: 'https://models.example.com', key: sk-real}]", "should be a variable's name"),
    ],
)
def test_faults_are_told_with_their_place(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(RunnerError) as caught:
        configured(tmp_path, text)
    assert caught.value.reason is Reason.INVALID_CONFIG
    assert f"{tmp_path / 'skillrunner.yaml'}:3:" in caught.value.message
    assert fault in f"{caught.value.message} {caught.value.hint}"
