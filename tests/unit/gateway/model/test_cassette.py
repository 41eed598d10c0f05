"""Cassettes: what is compared of a request, what is left out, and how a difference is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import RunnerError
from runner.gateway.model.cassette import (
    Exchange,
    Placeholders,
    commit_names,
    comparable_lines,
    dump,
    from_traffic,
    join_deltas,
    load,
)
from runner.gateway.model.matching import difference

NAMES = Placeholders(
    places={"/workspace": "workspace", "/exchange": "exchange", "/exchange/home": "home"},
    others={"261121-abcdefgh": "run"},
)


def lines(**asked: Any) -> tuple[str, ...]:
    return comparable_lines(json.dumps(asked).encode(), NAMES)


def exchange(*asked: str, answer: str = "{}", path: str = "/v1/messages") -> Exchange:
    return Exchange(
        method="POST", path=path, asked=asked, status=200, content_type="application/json", answer=answer
    )


def test_what_a_request_says_becomes_lines() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "one\ntwo"}]}
    assert lines(messages=[message], system="Be brief.", model="m", max_tokens=3, stream=True) == (
        "model: m",
        "system: Be brief.",
        "messages[0].role: user",
        "messages[0].content:",
        "  one",
        "  two",
    )


@pytest.mark.parametrize(
    "tools",
    [
        [{"name": "b", "description": "x"}, {"name": "a"}],
        [{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}],
        [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}],
        [{"type": "b"}, {"type": "a"}],
    ],
)
def test_of_tools_their_names_count(tools: Any) -> None:
    assert lines(tools=tools) == ("tools: a, b",)


@pytest.mark.parametrize("key", ["messages", "input", "contents"])
def test_each_api_is_read(key: str) -> None:
    assert lines(**{key: [{"text": "x"}]}) == (f"{key}[0].text: x",)


def test_what_the_cache_and_signatures_hold_does_not_count() -> None:
    held = {"text": "x", "cache_control": {"type": "ephemeral"}, "signature": "abc"}
    assert lines(system=[held, {"type": "text"}])[0] == "system[0].text: x"


def test_a_text_is_the_same_alone_and_in_a_list() -> None:
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    assert lines(system=[part]) == lines(system="x") == ("system: x",)
    assert lines(system=[part, part]) != lines(system="x")
    assert lines(system=[{**part, "citations": []}]) != lines(system="x")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("in /workspace/docs", "in <<workspace>>/docs"),
        ("/exchange/home/.x and /exchange", "<<home>>/.x and <<exchange>>"),
        ("https://x.example/workspace", "https://x.example/workspace"),
        ("/workspaces", "/workspaces"),
        ("run 261121-abcdefgh", "run <run>"),
        ("Today is 2026-11-21.", "Today is 2026-11-21."),
        ("2026-10-01 stays", "2026-10-01 stays"),
        ("at 2026-10-01T10:00:00.123Z", "at <time>"),
        ("at 2026-11-21 10:00", "at <time>"),
        ("~/.claude/projects/-tmp-x-261121-abcdefgh-tree/x", "~/.claude/projects/<workspace>/x"),
        ("at 2026-10-01 10:00 +0200", "at <time> +0200"),
        ("0f0e0d0c-0102-4304-8506-0708090a0b0c", "<uuid>"),
        ("msg_7d770094-24a3-5db5-b455-1429dcfa4fc8", "msg_<uuid>"),
        ("Chunk ID: dc7979\nWall time: 0.0531 seconds", "Chunk ID: <chance>\nWall time: <time> seconds"),
        ("http://127.0.0.1:40123/x", "http://<address>/x"),
        ("cc_version=2.1.329.abc; cch=0a1b2;", "cc_version=<build>; cch=<build>;"),
        ("/tmp/claude-1000/-workspace/x", "/tmp/claude-<user>/x"),
        ("<untrusted-0123456789abcdef0123>x", "<untrusted-<chance>>x"),
    ],
)
def test_what_differs_gets_a_name(text: str, hidden: str) -> None:
    assert NAMES.generalize(text) == hidden


def test_places_are_put_back() -> None:
    here = Placeholders(places={"/tmp/x/tree": "workspace", "/tmp/x/e": "exchange", "/tmp/x/e/home": "home"})
    assert here.restore(NAMES.generalize_paths("cat /workspace/a /exchange/home/b")) == (
        "cat /tmp/x/tree/a /tmp/x/e/home/b"
    )


def test_commits_have_names_in_each_length() -> None:
    sha = "0123456789abcdef0123456789abcdef01234567"
    names = Placeholders(others=commit_names([sha]))
    assert names.generalize(f"{sha} and {sha[:12]} and {sha[:7]}") == (
        "<commit 1> and <commit 1> and <commit 1>"
    )


def test_a_difference_is_short_and_names_the_line() -> None:
    before = ("model: m", *(f"line {number}" for number in range(300)))
    now = ("model: m", *(f"line {number}" for number in range(299)), "line x")
    told = difference(before, now)
    assert "-line 299" in told
    assert "+line x" in told
    assert len(told.splitlines()) < 8
    assert difference(before, before) == ""
    assert "more lines" in difference(before, ())


def test_a_difference_far_to_the_right_is_seen() -> None:
    told = difference(("x" * 1000 + "one",), ("x" * 1000 + "two",))
    assert "one" in told
    assert "two" in told
    assert max(map(len, told.splitlines())) <= 121


texts = st.text(max_size=20)
exchanges = st.builds(
    Exchange,
    method=st.sampled_from(["POST", "GET"]),
    path=texts,
    asked=st.lists(st.sampled_from(["a", "b", "c"]) | texts, max_size=6).map(tuple),
    status=st.integers(0, 599),
    content_type=texts,
    answer=texts,
)


@given(st.lists(exchanges, max_size=6))
def test_a_cassette_is_read_as_it_was_written(made: list[Exchange]) -> None:
    assert load(dump(made), "x") == tuple(made)


def test_bytes_that_are_no_text_stay() -> None:
    made = [exchange(answer=b"\xff\xfe".decode("utf-8", "surrogateescape"))]
    assert load(dump(made), "x") == tuple(made)


def test_what_is_repeated_is_written_once() -> None:
    long = tuple(f"line {number}" for number in range(1000))
    raw = dump([exchange(*long), exchange(*long, "more")])
    assert len(raw.splitlines()[1]) < 300


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"method": "POST"}', b"null", b'{"same": "x"}'])
def test_a_broken_cassette_names_its_line(raw: bytes) -> None:
    with pytest.raises(RunnerError) as caught:
        load(dump([exchange("a")]) + raw + b"\n", "cases/x/traffic.jsonl")
    assert "cases/x/traffic.jsonl:2" in caught.value.message
    assert "skillrunner record" in caught.value.hint


def test_traffic_becomes_a_cassette_in_the_order_of_requests() -> None:
    def told(number: int) -> bytes:
        body = json.dumps({"model": f"m{number}"})
        one = {"method": "POST", "path": "/v1/messages", "status": 200, "content_type": "x"}
        return json.dumps({**one, "number": number, "body": body, "answer": "in /workspace"}).encode()

    made = from_traffic(b"\n".join([told(2), told(1), b"cut"]), NAMES)
    assert [one.asked for one in made] == [("model: m1",), ("model: m2",)]
    assert made[0].answer == "in <<workspace>>"


# --- streams -------------------------------------------------------------------------------------


def frame(**data: Any) -> str:
    return f"event: {data.get('type', 'x')}\ndata: {json.dumps(data)}\n\n"


def messages(key: str, kind: str, *pieces: str, index: int = 1) -> str:
    return "".join(
        frame(type="content_block_delta", index=index, delta={"type": kind, key: piece}) for piece in pieces
    )


def responses(*pieces: str) -> str:
    kind = "response.function_call_arguments.delta"
    return "".join(
        frame(type=kind, item_id="i", delta=piece, sequence_number=number, obfuscation="x" * number)
        for number, piece in enumerate(pieces)
    )


def chat(*pieces: str) -> str:
    def chunk(piece: str) -> dict[str, Any]:
        return {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}

    return "".join(f"data: {json.dumps({'id': 'c', 'choices': [chunk(piece)]})}\n\n" for piece in pieces)


PATH = ('{"path": "/wo', "rkspa", 'ce/a"}')


@pytest.mark.parametrize(
    "stream",
    [
        messages("partial_json", "input_json_delta", *PATH),
        messages("text", "text_delta", *PATH),
        responses(*PATH),
        chat(*PATH),
    ],
    ids=["arguments", "text", "responses", "chat"],
)
def test_a_path_in_pieces_is_found(stream: str) -> None:
    start, end = frame(type="message_start"), frame(type="message_stop")
    whole = join_deltas(start + stream + end)
    assert "/workspace/a" in whole
    assert whole.count("data:") == 3
    assert whole.startswith(start)
    assert whole.endswith(end)
    assert "<<workspace>>/a" in NAMES.generalize_paths(whole)


def test_pieces_of_different_texts_stay_apart() -> None:
    one = messages("text", "text_delta", "/work", index=0)
    other = messages("text", "text_delta", "space", index=1)
    assert join_deltas(one + other) == one + other


@pytest.mark.parametrize("stream", ["", "data: [DONE]\n\n", "data: {\n\n", ": ping\n\nx", "\r\n\r\n"])
def test_a_stream_without_pieces_stays_as_it_is(stream: str) -> None:
    assert join_deltas(stream).replace("\r", "") == stream.replace("\r", "")
