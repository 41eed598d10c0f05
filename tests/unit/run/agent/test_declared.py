"""What a harness declares by a file and by a tool: in order, and within limits of both together."""

import json

import pytest

from runner.core.model import DeclaredOutput
from runner.run.agent.declared import MAX_BYTES, MAX_OUTPUTS, Outbox, parse_file


def one(body: object) -> DeclaredOutput:
    return DeclaredOutput(kind="comment", fields={"body": body})


def bodies(found: tuple[DeclaredOutput, ...]) -> list[object]:
    return [item.fields["body"] for item in found]


def test_lines_of_the_file_come_first() -> None:
    outbox, problems = Outbox(), list[str]()
    assert outbox.add(one("c")) == outbox.add(one("d")) == ""
    assert bodies(outbox.merge([one("a"), one("b")], problems.append)) == ["a", "b", "c", "d"]
    assert problems == []


@pytest.mark.parametrize(("body", "each"), [("x", 60), ("x" * (MAX_BYTES // 10), 6)])
def test_together_they_are_within_the_limits(body: str, each: int) -> None:
    outbox, problems = Outbox(), list[str]()
    for _ in range(each):
        assert outbox.add(one(body)) == ""
    kept = outbox.merge([one(body)] * each, problems.append)
    size = sum(len(json.dumps({"kind": item.kind, **item.fields})) + 1 for item in kept)
    assert each < len(kept) <= MAX_OUTPUTS
    assert size <= MAX_BYTES
    assert problems == [f"{2 * each - len(kept)} declared outputs are over the limits, and left out"]


def test_what_is_too_much_is_not_taken() -> None:
    outbox = Outbox()
    assert "there is room for less" in outbox.add(one("x" * MAX_BYTES))
    for _ in range(MAX_OUTPUTS):
        assert outbox.add(one("x")) == ""
    assert "100 outputs" in outbox.add(one("x"))
    assert len(outbox.merge([], lambda _: None)) == MAX_OUTPUTS


def test_a_bad_line_is_a_problem_and_the_others_count() -> None:
    problems = list[str]()
    found = tuple(parse_file(b'{"kind": "comment", "body": 1}\nno\n{"kind": 5}\n\n[]\n', problems.append))
    assert found == (one(1),)
    assert len(problems) == 3


@pytest.mark.parametrize(
    "content",
    [
        b'{"kind": "comment", "body": "a"}{"kind": "comment", "body": "b"}',
        b'\xef\xbb\xbf{"kind": "comment", "body": "a"}\n{\n  "kind": "comment",\n  "body": "b"\n}\n',
        b'{"kind": "comment", "body": "a"}\r\n\x1b[0m{"kind": "comment", "body": "b"}\0\r\n',
        b'{"kind": "comment",\r "body": "a"} {"kind": "comment", "body": "b"}',
    ],
)
def test_objects_that_are_not_one_a_line_count_too(content: bytes) -> None:
    problems = list[str]()
    assert list(parse_file(content, problems.append)) == [one("a"), one("b")]
    assert problems == []


@pytest.mark.parametrize(
    "content",
    [
        b'{"kind": "comment", "body": "a"}\n{"kind": "comment", "body": "half of',
        b'{"kind": "comment", "body": "a"}\n{"kind": "x", "with": [{"kind": "comment", "body": "b"},',
        b'done: {"kind": "comment", "body": "a"}',
    ],
)
def test_what_is_no_whole_object_is_told_and_not_taken(content: bytes) -> None:
    problems = list[str]()
    assert list(parse_file(content, problems.append)) == [one("a")]
    assert len(problems) == 1


def test_an_output_that_the_limit_cuts_is_not_taken() -> None:
    problems = list[str]()
    line = json.dumps({"kind": "comment", "body": "x" * (MAX_BYTES // 2)}).encode() + b"\n"
    assert len(list(parse_file((line * 2)[: MAX_BYTES + 1], problems.append))) == 1
    assert problems == [f"declared outputs are over {MAX_BYTES} bytes: the rest is not read"]
