"""JSON lines as programs really print them: whatever is around, in or missing of an object, it is read."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.jsonl import MAX_LINE
from runner.core.model import Finish, Message, TranscriptEvent, Unknown
from runner.core.partial_json import PartialObject, parts, repair_object, strip_terminal_codes
from runner.harnesses import HARNESSES
from runner.harnesses.claude_code import ClaudeCodeReader
from tests.parts.recordings import exited, read

USAGE = {"input": 5, "output": 2, "cache": {"read": 0, "write": 0}}
ENDS: dict[str, Any] = {
    "claude-code": {"type": "result", "subtype": "success", "is_error": False, "result": "Done."},
    "codex": {"type": "turn.completed", "usage": {"input_tokens": 5}},
    "copilot": {"type": "result", "sessionId": "s", "exitCode": 0},
    "gemini": {"type": "result", "status": "success", "stats": {}},
    "opencode": {"type": "step_finish", "sessionID": "s", "part": {"reason": "stop", "tokens": USAGE}},
    "qwen": {"type": "result", "subtype": "success", "is_error": False, "result": "Done."},
}


def judged_line(kind: str, line: bytes) -> tuple[bool, list[TranscriptEvent]]:
    reader = HARNESSES.get(kind).reader()
    events = read(reader, line)
    return reader.outcome(exited(0), True).ok, events


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\x1b[?25h\x1b[0m", b""),
        (b"\x1b]0;a title\x07", b""),
        (b"\xef\xbb\xbf", b"\r"),
        (b"\0\0", b"\0"),
        (b"Attempt 1 failed with status 429. Retrying with backoff... ", b""),
        (b"50 %\r100 %\r", b" (node:12) Warning: x"),
        (b'{"level":"warn","msg":"x"}', b""),
        (b"{a: 1} [2026-11-29] {", b"}"),
        (b"\xff\xfe", b"\x1b[0m"),
        (b'{"type":"assistant","message":{"content":[{"type":"text","text":"a"},{"type":"te', b""),
        (b"", b'{"type":"unknown"}'),
    ],
)
def test_an_end_marker_is_read_whatever_stands_around_it(kind: str, before: bytes, after: bytes) -> None:
    ok, events = judged_line(kind, before + json.dumps(ENDS[kind]).encode() + after + b"\n")
    assert ok
    assert any(isinstance(event, Finish) for event in events)


@pytest.mark.parametrize("kind", ENDS)
def test_codes_of_a_terminal_inside_an_object_do_not_lose_it(kind: str) -> None:
    line = json.dumps(ENDS[kind]).replace(": ", ":\x1b[32m ").replace(", ", "\0, \x1b[0m")
    assert judged_line(kind, line.encode())[0]


@pytest.mark.parametrize("kind", ENDS)
def test_an_object_on_several_lines_is_read(kind: str) -> None:
    assert judged_line(kind, json.dumps(ENDS[kind], indent=2).encode())[0]
    whole = json.dumps(ENDS[kind]).encode()
    assert judged_line(kind, whole[:20] + b"\n" + whole[20:])[0]


def test_the_text_around_an_object_is_kept() -> None:
    line = b"retrying... " + json.dumps(ENDS["claude-code"]).encode() + b" bye\n"
    _, events = judged_line("claude-code", line)
    assert Unknown(text="retrying...") in events
    assert Unknown(text="bye") in events


def test_a_torn_object_tells_what_is_whole_of_it() -> None:
    message = {"type": "assistant", "message": {"content": [{"type": "text", "text": "I was working on"}]}}
    line = json.dumps(message).encode()[:-9]
    assert read(ClaudeCodeReader(), line) == [Message(text="I was workin")]


def test_an_end_marker_that_is_torn_before_its_verdict_is_no_good_end() -> None:
    line = json.dumps(ENDS["claude-code"]).encode()
    verdict = line.index(b'"is_error": false') + len(b'"is_error": false')
    assert not judged_line("claude-code", line[: verdict - 1])[0]
    assert judged_line("claude-code", line[: verdict + 1])[0]


def test_a_piece_of_a_torn_object_is_not_taken_for_an_object() -> None:
    """The arguments of a tool may look like an end marker."""
    call = {"type": "tool_use", "id": "1", "name": "t", "input": ENDS["claude-code"]}
    line = json.dumps({"type": "assistant", "message": {"content": [call], "model": "m"}, "uuid": "u"})
    ok, events = judged_line("claude-code", line[:-9].encode())
    assert not ok
    assert not any(isinstance(event, Finish) for event in events)


@pytest.mark.parametrize("kind", ["claude-code", "qwen"])
def test_an_end_marker_over_the_limit_of_a_line_is_read(kind: str) -> None:
    told = {"total_cost_usd": 0.5, "usage": {"input_tokens": 7, "output_tokens": 1}}
    end = {**ENDS[kind], "result": "x" * (MAX_LINE + 2_000_000), **told}
    reader = HARNESSES.get(kind).reader()
    read(reader, json.dumps(end).encode())
    outcome = reader.outcome(exited(0), True)
    assert outcome.ok
    assert outcome.usage.tokens_in == 7
    assert "bytes are left out" in outcome.summary


def test_half_a_surrogate_and_numbers_out_of_range_are_read() -> None:
    end = (
        json.dumps({**ENDS["claude-code"], "result": "\ud83d"})[:-1] + ', "total_cost_usd": NaN, "x": 1e999}'
    )
    assert judged_line("claude-code", end.encode())[0]


@given(st.text(max_size=30), st.text(max_size=30))
def test_an_object_is_found_between_any_texts(before: str, after: str) -> None:
    found = list(
        parts(
            strip_terminal_codes(
                f'{before} {{"type": "x", "n": [1, {{}}]}} {after}'.encode("utf-8", "replace")
            )
        )
    )
    wanted = {"type": "x", "n": [1, {}]}
    assert wanted in found or any(isinstance(part, PartialObject) for part in found) or '{"' in before


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers() | st.lists(st.text(max_size=3)))
)
def test_a_mended_object_never_tells_what_was_not_there(data: dict[str, Any]) -> None:
    text = json.dumps(data)
    for end in range(1, len(text)):
        for key, value in (repair_object(text[:end]) or {}).items():
            whole = data[key]
            cut = isinstance(value, str | list) and len(value) <= len(whole)
            assert value == whole or cut


@pytest.mark.parametrize(
    "line",
    [
        '{"' * 1_000_000,
        '{"a":' * 500_000,
        '{"a":1,' * 300_000,
        '{"a":"' + "x" * 8_000_000,
        '{"a":[' + "1," * 2_000_000,
    ],
)
def test_no_line_takes_long(line: str) -> None:
    began = time.process_time()
    list(parts(line))
    assert time.process_time() - began < 5
