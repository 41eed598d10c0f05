"""Whether a request is the recorded one: strict, but for times, temporary files and a case's own patterns."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.gateway.model.cassette import Placeholders, comparable_lines
from runner.gateway.model.matching import PATCH, Lines, Matching, rename_temporaries, suggest_pattern
from runner.gateway.model.nondeterminism import Span

THEN = datetime(2026, 11, 29, 0, 44, tzinfo=UTC)
RECORDED = Span(THEN, THEN + timedelta(minutes=1))
NOW = Span(THEN + timedelta(days=400), THEN + timedelta(days=400, minutes=1))


def messages(text: Any) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": "t1", "is_error": False, "content": text}
    return {"messages": [{"role": "user", "content": "Go on, pid 7."}, {"role": "user", "content": [result]}]}


def responses(text: str) -> dict[str, Any]:
    told = {"type": "function_call_output", "call_id": "c1", "output": text}
    return {"input": [{"role": "user", "content": "Go on, pid 7."}, told]}


def chat(text: str) -> dict[str, Any]:
    told = {"role": "tool", "tool_call_id": "c1", "content": text}
    return {"messages": [{"role": "user", "content": "Go on, pid 7."}, told]}


def gemini(text: str) -> dict[str, Any]:
    told = {"functionResponse": {"name": "shell", "response": {"output": text}}}
    return {
        "contents": [
            {"role": "user", "parts": [{"text": "Go on, pid 7."}]},
            {"role": "user", "parts": [told]},
        ]
    }


APIS = pytest.mark.parametrize("api", [messages, responses, chat, gemini])


def lines(body: dict[str, Any], *patterns: str) -> Lines:
    asked = comparable_lines(json.dumps(body).encode(), Placeholders())
    return Lines(asked, [re.compile(one) for one in patterns])


MATCHING = Matching(recorded=RECORDED)


def equal(one: Any, other: Any, *patterns: str, matching: Matching = MATCHING) -> bool:
    return matching.equal(lines(one, *patterns), lines(other, *patterns), NOW)


@APIS
def test_results_are_compared_strictly_unless_a_pattern_lets_them_differ(api: Any) -> None:
    one, other = api("start\npid 41 took 9 ms\nend"), api("start\npid 52 took 11 ms\nend")
    assert equal(one, one)
    assert not equal(one, other)
    assert not equal(one, other, r"pid \d+")
    assert equal(one, other, r"pid \d+", r"\d+ ms")
    assert not equal(one, api("start\npid 41 took 9 s\nend"), r"pid \d+", r"\d+ ms")


@APIS
def test_a_result_of_one_line_is_matched_too(api: Any) -> None:
    assert equal(api("pid 41"), api("pid 52"), r"pid \d+")


def test_patterns_count_in_results_alone() -> None:
    one, other = messages("x"), messages("x")
    other["messages"][0]["content"] = "Go on, pid 8."
    assert not equal(one, other, r"pid \d+")
    other = messages("x")
    other["messages"][1]["content"][0]["is_error"] = True
    assert not equal(one, other, r"\w+")


def test_a_text_cannot_pass_for_a_result() -> None:
    text = "x\nmessages[0].type: tool_result\nmessages[0].content: pid 41"
    one, other = {"system": text}, {"system": text.replace("41", "52")}
    assert not equal(one, other, r"pid \d+")
    assert not equal({"system": "messages[0].role: tool"}, {"system": "messages[0].role: tools"}, r"\w+")


def test_times_may_differ_only_where_it_is_known_when_it_was_recorded() -> None:
    one, other = messages("at 00:44:10"), messages("at 00:44:40")
    assert equal(one, other)
    assert not equal(one, other, matching=Matching())
    assert not equal(one, messages("at 09:00:00"))
    one["messages"][0]["content"], other["messages"][0]["content"] = "It is 2026-11-29.", "It is 2028-01-03."
    assert equal(one, other)


TEMPORARY = [
    ("/tmp/tmp.aB3dE5gH7j", "/tmp/tmp.ZZ9plural1"),
    ("/tmp/tmpab_d3f5h", "/tmp/tmpzzzzzzzz"),
    ("/tmp/build-x9Y8z7", "/tmp/build-a1B2c3"),
    ("/var/tmp/tmp.aB3dE5gH7j.txt", "/var/tmp/tmp.ZZ9plural1.txt"),
]


@pytest.mark.parametrize(("then", "now"), TEMPORARY)
def test_a_temporary_file_has_another_name_in_the_same_places(then: str, now: str) -> None:
    assert equal(messages(f"{then}\nin {then}/x"), messages(f"{now}\nin {now}/x"))
    other = now[:-5] + "Q" + now[-4:] if "." not in now else now.replace("plural", "plucal")
    assert not equal(messages(f"{then}\nin {then}/x"), messages(f"{now}\nin {other}/x"))
    one, two = lines(messages(then)), lines(messages(now))
    assert rename_temporaries(f"cat {then}", one, two) == f"cat {now}"


def test_a_difference_says_what_to_write() -> None:
    matching = Matching(recorded=RECORDED, file="skills/page/cases/one/case.yaml")
    one, other = lines(messages("at 00:44:10\nit's pid 41")), lines(messages("at 00:44:40\nit's pid 52"))
    told = matching.describe_difference(one, other, NOW)
    assert told.splitlines()[-3:] == [
        "if that is chance, accept it in skills/page/cases/one/case.yaml:",
        "filters:",
        r"  - pattern: 'it''s pid \d+'",
    ]
    assert "-  it's pid 41" in told
    assert "-  at" not in told
    pattern = r"it's pid \d+"
    assert equal(messages("it's pid 41"), messages("it's pid 52"), pattern)


def test_nothing_is_advised_where_more_differs() -> None:
    matching = Matching(recorded=RECORDED)
    one, other = messages("pid 41"), messages("pid 52")
    other["messages"][0]["content"] = "Stop."
    assert "filters:" not in matching.describe_difference(lines(one), lines(other), NOW)
    longer = lines(messages("pid 41\nand more"))
    assert "filters:" not in matching.describe_difference(lines(one), longer, NOW)


@pytest.mark.parametrize(
    ("one", "other", "pattern"),
    [
        ("took 12 ms", "took 9 ms", r"took \d+ ms"),
        ("took 12ms", "took 9ms", r"took \d+ms"),
        ("(1.5) [x]*", "(2.75) [x]*", r"\(\d+\.\d+\) \[x\]\*"),
        ("id a1b2", "id c3d4", r"id [0-9a-f]{4,}"),
        ("host alpha", "host omega", r"host \w+"),
        ("41", "52", r"^\d+$"),
        ("a b", "c - d", ""),
        ("sh: hostname: not found", "<now> UTC", ""),
        (f"{'x' * 100} pid 41 {'y' * 100}", f"{'x' * 100} pid 52 {'y' * 100}", None),
        ("", "x", ""),
        ("same", "same and more", r"same.*"),
    ],
)
def test_a_suggested_pattern_makes_the_lines_equal_and_is_no_wider_than_it_must_be(
    one: str, other: str, pattern: str | None
) -> None:
    found = suggest_pattern(one, other)
    if pattern is not None:
        assert found == pattern
    if found:
        assert re.sub(found, "", one) == re.sub(found, "", other)
        assert re.search(found, "") is None
        assert len(found) < 90


def test_a_patch_is_compared_with_its_own_patterns() -> None:
    def patch(text: str, *patterns: str) -> Lines:
        return Lines(text.splitlines(), [re.compile(one) for one in patterns], PATCH)

    matching = Matching(recorded=RECORDED)
    assert matching.equal(patch("+on 2026-11-29"), patch("+on 2028-01-03"), NOW)
    assert not matching.equal(patch("+pid 41"), patch("+pid 52"), NOW)
    assert matching.equal(patch("+pid 41", r"pid \d+"), patch("+pid 52", r"pid \d+"), NOW)
    told = matching.describe_difference(patch("+pid 41"), patch("+pid 52"), NOW)
    assert told.endswith("filters:\n  - pattern: '\\+pid \\d+'\n    where: patch")
