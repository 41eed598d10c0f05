"""An agent that gave up has not succeeded, however it words its end and whatever its exit code says."""

from typing import Any

import pytest

from runner.core.model import Exit, Outcome, Reason
from runner.harnesses import HARNESSES
from tests.parts.recordings import exited, judged, lines, stopped

Line = dict[str, Any]


def claude(**result: Any) -> list[Line]:
    return [
        {"type": "system", "subtype": "init", "session_id": "s"},
        {"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": "Half of it."}]}},
        {"type": "result", "subtype": "success", "is_error": False, "result": "Half of it.", **result},
    ]


def gemini(*lines: Line, status: str = "success") -> list[Line]:
    edit = {"tool_name": "write_file", "tool_id": "1", "parameters": {"file_path": "a"}}
    return [
        {"type": "init", "session_id": "s", "model": "m"},
        {"type": "tool_use", **edit},
        {"type": "tool_result", "tool_id": "1", "status": "success"},
        *lines,
        {"type": "result", "status": status, "stats": {}},
    ]


def warning(message: str, severity: str = "warning") -> Line:
    return {"type": "error", "severity": severity, "message": message}


def said(text: str) -> Line:
    return {"type": "message", "role": "assistant", "content": text, "delta": True}


def opencode(*reasons: str | None) -> list[Line]:
    return [{"type": "step_finish", "sessionID": "s", "part": {"reason": reason}} for reason in reasons]


def copilot(*lines: Line) -> list[Line]:
    return [*lines, {"type": "result", "sessionId": "s", "exitCode": 0}]


def judge(kind: str, told: list[Line], ended: Exit | None = None) -> Outcome:
    return judged(HARNESSES.get(kind), lines(*told), ended or exited(0), True)


LOOP = "Loop detected, stopping execution"
BLOCKED = "The model response was blocked due to safety settings."
CUT = "Model response was truncated because it exceeded the token limit. Try using /compress."
EMPTY = "The model returned an empty response with no text or thoughts. This may be a transient API issue."
ERROR: Line = {"type": "session.error", "data": {"errorType": "quota", "message": "You are out of quota."}}


@pytest.mark.parametrize(
    ("kind", "told", "reason", "words"),
    [
        ("gemini", gemini(warning(LOOP)), Reason.HARNESS_FAILED, LOOP),
        ("gemini", gemini(warning(LOOP), said("I stop here.")), Reason.HARNESS_FAILED, LOOP),
        ("gemini", gemini(warning("Maximum session turns exceeded")), Reason.HARNESS_FAILED, "turns"),
        ("gemini", gemini(warning("Agent execution blocked: by a hook")), Reason.HARNESS_FAILED, "a hook"),
        ("gemini", gemini(said("Half."), warning("Quota exceeded")), Reason.HARNESS_FAILED, "Quota exceeded"),
        ("gemini", gemini(warning(BLOCKED, "error"), status="error"), Reason.REFUSED, BLOCKED),
        ("gemini", gemini(warning(CUT, "error"), status="error"), Reason.HARNESS_FAILED, "truncated"),
        ("gemini", gemini(warning(EMPTY, "error"), status="error"), Reason.PROVIDER_ERROR, "an empty answer"),
        ("claude-code", claude(terminal_reason="max_turns"), Reason.HARNESS_FAILED, "max_turns"),
        ("claude-code", claude(terminal_reason="blocking_limit"), Reason.HARNESS_FAILED, "blocking_limit"),
        ("claude-code", claude(terminal_reason="hook_stopped"), Reason.HARNESS_FAILED, "hook_stopped"),
        ("claude-code", claude(stop_reason="max_tokens"), Reason.HARNESS_FAILED, "token limit"),
        ("claude-code", claude(stop_reason="refusal"), Reason.REFUSED, "will not do"),
        ("codex", [{"type": "turn.failed", "error": {"message": "Ran out of room in the context window"}}],
         Reason.HARNESS_FAILED, "context window"),
        ("opencode", opencode("length"), Reason.HARNESS_FAILED, "token limit"),
        ("opencode", opencode("content-filter"), Reason.REFUSED, "content filter"),
        ("opencode", opencode("other"), Reason.HARNESS_FAILED, "unknown"),
        ("opencode", opencode(None), Reason.HARNESS_FAILED, "unknown"),
        ("copilot", copilot(ERROR), Reason.HARNESS_FAILED, "out of quota"),
        ("copilot", copilot({"type": "abort", "data": {"reason": "limit"}}), Reason.HARNESS_FAILED, "limit"),
        ("qwen", claude(result="[API Error: 429 slow down]"), Reason.PROVIDER_ERROR, "slow down"),
    ],
)  # fmt: skip
def test_an_end_that_means_giving_up_is_no_success(
    kind: str, told: list[Line], reason: Reason, words: str
) -> None:
    found = judge(kind, told)
    assert (found.ok, found.reason) == (False, reason)
    assert words in found.message


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("gemini", gemini(warning("Slow answer, another model is used"), said("Done."))),
        ("claude-code", claude(terminal_reason="completed", stop_reason="end_turn")),
        ("claude-code", claude(terminal_reason=None, stop_reason=None)),
        ("claude-code", claude(stop_reason="a_new_reason")),
        ("opencode", opencode("tool-calls", "unknown", "stop")),
        ("copilot", copilot(ERROR, {"type": "assistant.message", "data": {"content": "Done."}})),
        ("codex", [{"type": "error", "message": "Reconnecting... 1/5"}, {"type": "turn.completed"}]),
    ],
)
def test_what_an_agent_got_over_does_not_count(kind: str, told: list[Line]) -> None:
    assert judge(kind, told).ok


@pytest.mark.parametrize(
    ("reason", "found"),
    [("max_output_tokens", Reason.HARNESS_FAILED), ("content_filter", Reason.REFUSED)],
)
def test_an_answer_that_codex_calls_incomplete_is_no_outage(reason: str, found: Reason) -> None:
    message = f"stream disconnected before completion: Incomplete response returned, reason: {reason}"
    outcome = judge("codex", [{"type": "turn.failed", "error": {"message": message}}], exited(1))
    assert (outcome.reason, outcome.retryable) == (found, False)
    assert reason in outcome.message


REFUSAL = (
    "API Error: Claude Code is unable to respond to this request, which appears to violate our Usage Policy"
)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("claude-code", claude(is_error=True, result=REFUSAL, terminal_reason="api_error")),
        ("claude-code", claude(is_error=True, stop_reason="refusal", terminal_reason="api_error")),
        ("codex", [{"type": "turn.failed", "error": {"message": '{"error":{"message":"x","code":"y"}}'}}]),
        ("opencode", [{"type": "error", "error": {"name": "ContentFilterError", "data": {
            "message": "The response was blocked by the provider's content filter"}}}]),
        ("gemini", gemini(warning("It was blocked due to recitation/copyright filters."), status="error")),
    ],
)  # fmt: skip
def test_a_refusal_is_its_own_reason_and_not_tried_again(kind: str, told: list[Line]) -> None:
    found = judge(kind, told, exited(1))
    wanted = Reason.PROVIDER_ERROR if kind == "codex" else Reason.REFUSED
    assert (found.ok, found.reason, found.retryable) == (False, wanted, False)
    assert "could not be reached" not in found.message


def test_a_refused_connection_is_no_refusal() -> None:
    told = claude(is_error=True, result="API Error: connect ECONNREFUSED", terminal_reason="api_error")
    assert judge("claude-code", told, exited(1)).retryable


def call(tool: str, **arguments: Any) -> Line:
    part = {"type": "tool_use", "id": "1", "name": tool, "input": arguments}
    return {"type": "assistant", "message": {"content": [part]}}


RESULT: Line = {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "1"}]}}


def test_idle_names_the_tool_that_hangs() -> None:
    told = [*claude()[:1], call("Bash", command="sleep 1000")]
    found = judge("claude-code", told, stopped("idle"))
    assert found.reason is Reason.IDLE
    assert 'its tool Bash {"command": "sleep 1000"} had not ended' in found.message


@pytest.mark.parametrize("cause", ["idle", "timeout"])
def test_idle_names_the_model_that_does_not_answer(cause: str) -> None:
    for told in (claude()[:1], [*claude()[:1], call("Bash", command="ls"), RESULT]):
        assert "it waited for an answer of its model" in judge("claude-code", told, stopped(cause)).message


def test_idle_says_no_more_than_it_knows() -> None:
    assert (
        judge("command", [], stopped("idle")).message == "the command printed nothing for too long after 60 s"
    )


def unchanged(kind: str, told: list[Line]) -> Outcome:
    return judged(HARNESSES.get(kind), lines(*told), exited(0), False)


def test_the_agents_question_is_quoted() -> None:
    asked = claude(result="I see two files.\n\nWhich one do you mean, a.md or b.md?\nI wait for your answer.")
    found = unchanged("claude-code", asked)
    assert found.reason is Reason.NO_EVIDENCE
    assert found.message.endswith('; it asked: "Which one do you mean, a.md or b.md?"')


def test_why_an_agent_had_no_tool_is_told() -> None:
    problem = "Code Mode is unavailable because codex-code-mode-host was not found"
    told = [
        {"type": "item.completed", "item": {"type": "error", "message": problem}},
        {"type": "turn.completed"},
    ]
    assert f"it called no tool ({problem})" in unchanged("codex", told).message


def test_the_agents_last_words_are_quoted_where_nothing_changed() -> None:
    told = claude(result="All is up to\ndate.")
    told[1:1] = [call("Bash", command="ls"), RESULT]
    found = unchanged("claude-code", told)
    assert found.reason is Reason.NO_CHANGES
    assert found.message == 'claude worked and found nothing to change; it said: "All is up to date."'


def test_tokens_and_cost_that_the_last_line_does_not_tell_are_not_lost() -> None:
    message = {"id": "m", "content": [], "usage": {"input_tokens": 4000, "output_tokens": 200}}
    found = judge("claude-code", [{"type": "assistant", "message": message}, *claude()])
    assert (found.usage.tokens_in, found.usage.tokens_out, found.usage.cost_usd) == (4000, 200, None)
