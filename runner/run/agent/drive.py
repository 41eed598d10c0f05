"""Runs one harness in an open sandbox: writes the files that it needs, and records its stream."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.core.errors import RunnerError
from runner.core.model import DeclaredOutput, Exit, NextInput, Outcome, Phase, Places, Reason, Usage
from runner.core.redact import Redactor, escape_invisible
from runner.gateway.model.refusals import BudgetError
from runner.harnesses import Harness, Launch, Reader, Speaker, Task
from runner.run.agent.declared import MAX_BYTES, parse_file
from runner.run.agent.mailbox import FinishedError, Mailbox, StoppedError
from runner.run.agent.transcript import ObserveTranscript, StallMonitor, TranscriptLog
from runner.sandboxes import Sandbox

PROMPT = "prompt.md"
OUTPUTS = "outputs.jsonl"
ARTIFACTS = "artifacts"
_ARTIFACTS_README = b"Files that the run declares as `artifact` are read from here.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessResult:
    """The result of a harness after its last turn, before the runner looks at the tree."""

    exit: Exit
    declared: tuple[DeclaredOutput, ...]  # unmasked: the policy has to see them as they are
    files: tuple[Path, ...]  # the raw stream, the complaints and the transcript; secrets are masked
    events: int
    seconds: float  # that it worked, in all turns
    earlier_usage: Usage = Usage()  # as it reported it in the turns before
    cuts: tuple[str, ...] = ()  # what of the stream is not in the files, in words
    reader: Reader = field(repr=False)
    redactor: Redactor

    @property
    def session_id(self) -> str:
        """The harness's own id of its session; empty: it reported none."""
        return self.reader.outcome(self.exit, bool(self.declared)).session_id or ""

    def outcome(self, changed: bool) -> Outcome:
        """The outcome as the harness reports it. `changed`: it changed the tree, or declared an output."""
        found = self.reader.outcome(self.exit, changed or bool(self.declared))
        return replace(
            found,
            message=self._masked(found.message),
            summary=self._masked(found.summary),
            printed=self._masked(found.printed),
            usage=self.earlier_usage + found.usage,
        )

    def _masked(self, text: str) -> str:
        return escape_invisible(self.redactor.redact(text))


def drive(
    sandbox: Sandbox,
    harness: Harness,
    task: Task,
    folder: Path,
    secrets: Collection[str],
    observe: ObserveTranscript,
    mail: Mailbox | None = None,
    goes_on: bool = False,
) -> HarnessResult:
    """Run the harness, record its stream in `folder`, and pass every event to `observe` as it comes.

    `goes_on`: the record of the turns before is in `folder`, and stays. Messages of `mail` go to an agent
    that accepts any. No file and no event contains one of `secrets`. Raises RunnerError when the sandbox
    breaks; a harness that fails is an outcome.
    """
    masked = {*secrets, task.model_token} - {""}
    launch, mail = harness.launch(task), mail or Mailbox()
    variables = _put(sandbox, task, launch)
    caps = task.limits.caps
    reader = harness.reader()
    idle = task.limits.idle

    def note_end(is_last: bool) -> None:
        if is_last:
            mail.note_last_word(idle)
        else:
            mail.note_work()

    with TranscriptLog(folder, reader, masked, observe, idle, mail.clock, note_end, goes_on) as log:
        stdin: bytes | NextInput = launch.stdin
        if (speaker := reader.speaker()) is not None:
            speaker.begin(task)
            stdin = _say_function(speaker, mail, log)
        try:
            ended = sandbox.exec(launch.argv, on_output=log.feed, stdin=stdin, variables=variables, caps=caps)
            while (after := _continue_session(harness, reader, task, ended, mail, log)) is not None:
                mail.note_work()
                left = replace(caps, timeout=max(1.0, task.limits.timeout - log.age))
                ended = sandbox.exec(
                    after.argv, on_output=log.feed, stdin=after.stdin, variables=variables, caps=left
                )
        except StallMonitor as stalled:
            ended = stalled.exit
        except (StoppedError, RunnerError, KeyboardInterrupt) as cause:
            if isinstance(cause, RunnerError) and not _is_wanted(cause):
                raise
            mail.is_interrupted = isinstance(cause, KeyboardInterrupt)
            ended = log.exit_of_stop("cancelled")  # why is told when the work until now is judged
        except FinishedError:
            log.add_problem("it did not exit after its last word, and was ended")
            ended = replace(log.exit_of_stop("exited"), code=0)
        log.flush()
        if log.has_ended and ended.cause in ("idle", "timeout"):
            ended = replace(ended, cause="exited", code=0)  # it had said its last word before
        declared = tuple(parse_file(sandbox.get(OUTPUTS, MAX_BYTES + 1) or b"", log.add_problem))
    return HarnessResult(
        exit=ended,
        declared=declared,
        files=log.files,
        events=log.events,
        seconds=log.age,
        cuts=tuple(log.cuts),
        reader=log.reader,
        redactor=Redactor(masked),
    )


def _is_wanted(error: RunnerError) -> bool:
    """Whether somebody wanted the end and nothing is broken: the runner then looks at the work so far."""
    return isinstance(error, BudgetError) or error.reason is Reason.CANCELLED


def _continue_session(
    harness: Harness, reader: Reader, task: Task, ended: Exit, mail: Mailbox, log: TranscriptLog
) -> Launch | None:
    """The launch that continues an ended session with new messages; None: there are none."""
    if ended.cause != "exited" or not harness.resumes:
        return None
    session = reader.outcome(ended, True).session_id
    if not session:
        return None
    messages = mail.take()
    for message in messages:
        log.add_message(message.text)
        mail.note_delivered(message)
    prompt = "\n\n".join(message.text for message in messages)
    return harness.launch(replace(task, prompt=prompt, resume=session)) if messages else None


def _say_function(speaker: Speaker, mail: Mailbox, log: TranscriptLog) -> NextInput:
    """The function that gives the speaker its messages and returns what it writes to standard input."""

    def say() -> bytes | None:
        for message in mail.take():
            if message.act == "stop":
                speaker.interrupt()
                mail.note_delivered(message)
            elif speaker.steer(message.text):
                log.add_message(message.text)
                mail.note_delivered(message)
            else:
                mail.note_late(message)
        said = speaker.say()
        if said is None:
            mail.note_last_turn()
        return said

    return say


def _put(sandbox: Sandbox, task: Task, launch: Launch) -> dict[str, str]:
    """Write the files that the harness reads, and return its variables."""
    for name, content in launch.files.items():
        sandbox.put(name, content)
    _put_home(sandbox, launch)
    return _common_variables(sandbox.places) | {
        **task.variables,
        **launch.variables,
        "SKILLRUNNER_PROMPT": sandbox.put(PROMPT, task.prompt.encode()),
        "SKILLRUNNER_OUTPUTS": sandbox.put(OUTPUTS, b"", 0o666),
        "SKILLRUNNER_ARTIFACTS": _artifacts(sandbox),
    }


def _artifacts(sandbox: Sandbox) -> str:
    """The folder for files that are kept with the run and stand in no patch."""
    return sandbox.put(f"{ARTIFACTS}/README", _ARTIFACTS_README).rpartition("/")[0]


def _put_home(sandbox: Sandbox, launch: Launch) -> None:
    """Write the files of the home. Set-up commands may have put anything there before."""
    for name, content in launch.home.items():
        try:
            sandbox.put(f"home/{name}", content)
        except OSError as error:
            message = f"~/{name} cannot be written in the sandbox: {error.strerror}"
            hint = "look at what `environment.setup` puts into the home"
            raise RunnerError(Phase.HARNESS, Reason.SETUP_FAILED, message, hint=hint) from error


def _common_variables(places: Places) -> dict[str, str]:
    return {"HOME": places.home, "NO_COLOR": "1", "TERM": "dumb"}
