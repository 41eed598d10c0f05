"""What exit code, end marker and evidence of work together mean. Exit 0 alone proves nothing."""

import json
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from runner.core.model import (
    Exit,
    Finish,
    Message,
    Outcome,
    Problem,
    Reason,
    Reasoning,
    SessionStart,
    ToolCall,
    ToolResult,
    TranscriptEvent,
    Usage,
    UsageReport,
)

_STOPPED = {
    "timeout": (Reason.WALL_CLOCK, "reached its time limit"),
    "idle": (Reason.IDLE, "printed nothing for too long"),
    "output": (Reason.OUTPUT_LIMIT, "printed more than it may"),
    "memory": (Reason.OUT_OF_MEMORY, "needed more memory than it may have"),
    "disk": (Reason.DISK_LIMIT, "filled more of the disk than `resources.disk` allows"),
    "cancelled": (Reason.CANCELLED, "was cancelled"),
}
_NOT_FOUND = (126, 127)  # a shell's exit codes for a program that cannot be run
_LONGEST = 500  # characters of a message
_REFUSAL = re.compile(
    r"usage polic|content[-_ ]?(filter|policy|management)|safety (settings|system|filter)|recitation"
    r"|prohibited[-_ ]content|violat\w+ .{0,60}polic|cyber_policy|invalid_prompt"
    r"|blocked (by|due to) .{0,60}(polic|safety|filter)",
    re.IGNORECASE,
)
_QUOTED = 300  # characters of an agent's words in a message


@dataclass(slots=True)
class Tally:
    """What the stream has said so far, as far as it matters for the end."""

    session_id: str | None = None
    calls: int = 0
    completed_calls: int = 0  # tool calls that ran: a command that failed ran too, a refused one did not
    finish: Finish | None = None
    problem: Problem | None = None  # the last one; a fatal one stays
    stuck: Problem | None = None  # the last one, if nothing else came after it
    last_fatal: Problem | None = None  # the fatal one after which the agent did nothing more
    open_calls: dict[str, ToolCall] = field(default_factory=dict)  # without a result, the oldest first
    _is_told: bool = False  # an end marker has followed `last_fatal`: a further one is another end
    awaits_model: bool = False  # what came last is something on which the model has the next word
    metered: Usage = Usage()  # the sum of single calls
    total: Usage | None = None  # what the harness itself says of the whole
    complaints: deque[str] = field(default_factory=lambda: deque(maxlen=10))  # the end of standard error

    def count(self, events: Iterable[TranscriptEvent]) -> list[TranscriptEvent]:
        """The events, now counted."""
        events = list(events)
        for event in events:
            self._add(event)
        return events

    def _add(self, event: TranscriptEvent) -> None:
        self.stuck = event if isinstance(event, Problem) else None
        self._note_course(event)
        match event:
            case SessionStart():
                self.session_id = event.session_id or self.session_id
            case ToolCall():
                self.calls += 1
            case ToolResult():
                self.completed_calls += event.ok or event.exit_code is not None
            case Problem() if event.fatal or self.problem is None or not self.problem.fatal:
                self.problem = event
            case UsageReport(total=True):
                self.total = event.usage
            case UsageReport():
                self.metered += event.usage
            case Finish():
                self.finish = event
            case Message(role="system"):
                self.complaints.append(event.text)
            case _:
                pass

    def _note_course(self, event: TranscriptEvent) -> None:
        """Note what the agent waits for, and whether it goes on after what looked like its end."""
        match event:
            case SessionStart() | Message(role="user"):
                self.awaits_model = True
            case Message(role="assistant") | Reasoning():
                self.last_fatal = None
            case ToolCall():
                self.open_calls[event.call_id] = event
                self.last_fatal, self.awaits_model = None, False
            case ToolResult():
                self.open_calls.pop(event.call_id, None)
                self.last_fatal, self.awaits_model = None, True
            case Problem(fatal=True):
                self.last_fatal, self._is_told = event, False
            case Finish():
                self.last_fatal = None if self._is_told else self.last_fatal
                self._is_told, self.awaits_model = True, False
            case _:
                pass

    @property
    def usage(self) -> Usage:
        """Tokens and cost; of a harness that does not tell the whole, what its single calls add up to."""
        return self.metered if self.total is None else self.total.completed(self.metered)


def judge(tally: Tally, program: str, ended: Exit, changed: bool) -> Outcome:
    """The outcome of an agent: it must end by itself, with exit 0 and a good end marker, and have worked.

    `changed`: it left a changed tree, or declared an output.
    """
    if (stopped := outcome_of_stop(program, ended)) is not None:
        return _made(tally, _explained(stopped, tally))
    if tally.finish is None or not tally.finish.ok or tally.last_fatal is not None or ended.code != 0:
        return _made(tally, _failure(tally, program, ended.code))
    return _made(tally, Outcome(ok=True) if changed else _nothing(tally, program))


def outcome_of_stop(program: str, ended: Exit) -> Outcome | None:
    """What it means that the runner stopped the program; None when it ended by itself."""
    if ended.cause == "exited":
        return None
    reason, words = _STOPPED[ended.cause]
    return Outcome(ok=False, reason=reason, message=f"{program} {words} after {ended.duration:.0f} s")


def outcome_of_exit(program: str, code: int | None, complaint: str) -> Outcome:
    """A program that ended with a code other than 0."""
    how = f"died by signal {-code}" if code is not None and code < 0 else f"exited with code {code}"
    message = f"{program} {how}" + (f": {complaint}" if complaint else "")
    return Outcome(ok=False, reason=Reason.HARNESS_FAILED, message=message[:_LONGEST])


def _explained(stopped: Outcome, tally: Tally) -> Outcome:
    """What it waited for. An agent that waited in vain for its model is worth another attempt."""
    if stopped.reason not in (Reason.IDLE, Reason.WALL_CLOCK):
        return stopped
    if (stuck := tally.stuck) is not None and stuck.provider:
        message = f"{stopped.message}; its last words: {stuck.message}"[:_LONGEST]
        return replace(stopped, message=message, retryable=worth_retrying(stuck.status), status=stuck.status)
    return replace(stopped, message=f"{stopped.message}{_waited(tally)}"[:_LONGEST])


def _waited(tally: Tally) -> str:
    if tally.open_calls:
        each = [_call_text(call) for call in tally.open_calls.values()]
        more = f" and {len(each) - 1} more" if len(each) > 1 else ""
        return f": its tool {each[0]}{more} had not ended"
    return ": it waited for an answer of its model" if tally.awaits_model else ""


def _call_text(call: ToolCall) -> str:
    if call.arguments in (None, {}, ""):
        return call.tool
    given = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, default=str)
    return f"{call.tool} {_shortened(given, _QUOTED)}"


def _shortened(text: str, longest: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[:longest]}…"


def _failure(tally: Tally, program: str, code: int | None) -> Outcome:
    problem, finish = tally.last_fatal or tally.problem, tally.finish
    complaint = "\n".join(tally.complaints)[-_LONGEST:]
    if problem is not None and problem.fatal:
        return _fatal(program, problem)
    if finish is not None and not finish.ok:
        return _told(program, finish.text or complaint)
    if code in _NOT_FOUND and tally.session_id is None:
        message = f"{program} could not be started in the sandbox (exit {code}): {complaint}"[:_LONGEST]
        return Outcome(ok=False, reason=Reason.HARNESS_MISSING, message=message)
    if code != 0:
        return outcome_of_exit(program, code, complaint)
    message = f"{program} exited with code 0, but its output has no end marker: it did not finish"
    return Outcome(ok=False, reason=Reason.NO_END_MARKER, message=message)


def _fatal(program: str, problem: Problem) -> Outcome:
    if problem.refusal or (problem.status in (None, 400) and _REFUSAL.search(problem.message)):
        message = f"the model refused: {problem.message}"[:_LONGEST]
        return Outcome(ok=False, reason=Reason.REFUSED, message=message)
    return _provider(problem) if problem.provider else _told(program, problem.message)


def _told(program: str, words: str) -> Outcome:
    message = f"{program} says that it failed" + (f": {words}" if words else "")
    return Outcome(ok=False, reason=Reason.HARNESS_FAILED, message=message[:_LONGEST])


def _provider(problem: Problem) -> Outcome:
    silent = "gave an empty answer" if "empty response" in problem.message else "could not be reached"
    what = f"answered {problem.status}" if problem.status else silent
    message = f"the model's provider {what}: {problem.message}"[:_LONGEST]
    retryable = worth_retrying(problem.status)
    return Outcome(
        ok=False,
        reason=Reason.PROVIDER_ERROR,
        message=message,
        retryable=retryable,
        status=problem.status,
    )


def worth_retrying(status: int | None) -> bool:
    """Whether another attempt may see another answer: overload and outages pass, a wrong key does not."""
    return status is None or status in (408, 409, 425, 429) or status >= 500


def _nothing(tally: Tally, program: str) -> Outcome:
    """Nothing came of it: what the agent said last is why, a question perhaps that nobody answers."""
    said = tally.finish.text if tally.finish else ""
    if tally.completed_calls:
        message = f"{program} worked and found nothing to change{_quote(said)}"
        return Outcome(ok=False, reason=Reason.NO_CHANGES, message=message)
    why = f"all of its {tally.calls} tool calls failed" if tally.calls else "it called no tool"
    if tally.problem is not None:
        why += f" ({_shortened(tally.problem.message, _QUOTED)})"
    message = f"{program} says that it is done, but nothing changed and {why}{_quote(said)}"
    return Outcome(ok=False, reason=Reason.NO_EVIDENCE, message=message)


def _quote(words: str) -> str:
    """The agent's last words; of a question, its own words rather than what stood before it."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    asked = next((line for line in reversed(lines) if line.endswith("?")), "")
    if asked:
        return f'; it asked: "{_shortened(asked, _QUOTED)}"'
    return f'; it said: "{_shortened(words, _QUOTED)}"' if lines else ""


def _made(tally: Tally, verdict: Outcome) -> Outcome:
    return replace(
        verdict,
        summary=tally.finish.text if tally.finish else "",
        session_id=tally.session_id,
        usage=tally.usage,
    )
