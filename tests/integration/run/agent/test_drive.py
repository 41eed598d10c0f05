"""A harness in an open sandbox: what it finds, what is kept of what it says, and what never is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runner.core.errors import RunnerError
from runner.core.jsonl import LineSplitter
from runner.core.model import DeclaredOutput, HarnessSpec, Limits, Message, Problem, Reason, TranscriptEvent
from runner.harnesses import HARNESSES, Harness, Task
from runner.harnesses.claude_code import ClaudeCode
from runner.harnesses.codex import Codex
from runner.harnesses.command import Command
from runner.harnesses.gemini import Gemini
from runner.run.agent import mailbox
from runner.run.agent import transcript as logs
from runner.run.agent.drive import HarnessResult, drive
from runner.run.agent.mailbox import Mailbox
from runner.sandboxes import SandboxSpec
from runner.sandboxes.process import ProcessKind
from tests.parts.recordings import FOLDER

SECRET = "s3cr3t-value-1234567890"
COMMAND = Command()


class Bench:
    """A workspace, a folder for what is kept, and the events that an observer saw."""

    def __init__(self, folder: Path) -> None:
        self.workspace, self.exchange, self.kept = (folder / name for name in ("w", "x", "kept"))
        for one in (self.workspace, self.exchange, self.kept):
            one.mkdir()
        self.seen: list[TranscriptEvent] = []

    def drive(
        self,
        script: str,
        *,
        harness: Harness = COMMAND,
        options: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        **more: Any,
    ) -> HarnessResult:
        """Run a shell script in the place of the harness's program."""
        program = self.workspace.parent / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        mail = Mailbox()
        spec = SandboxSpec(run_id="r1", workspace=self.workspace, exchange=self.exchange, stop=mail.check)
        with ProcessKind().open(spec) as sandbox:
            task = Task(
                spec=HarnessSpec(kind="x", options={"command": [str(program)], **(options or {})}),
                prompt="Do the work.\n",
                limits=limits or Limits(timeout=30),
                places=sandbox.places,
                program=str(program),
                **more,
            )
            return drive(sandbox, harness, task, self.kept, [SECRET], self.seen.append, mail)

    def texts(self) -> list[str]:
        return [event.text for event in self.seen if isinstance(event, Message)]

    def problems(self) -> list[str]:
        return [event.message for event in self.seen if isinstance(event, Problem)]

    def transcript(self) -> list[Any]:
        return [json.loads(line) for line in (self.kept / "transcript.jsonl").read_text().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_prompt_comes_in_three_ways(bench: Bench) -> None:
    driven = bench.drive('cat; cat "$SKILLRUNNER_PROMPT"; echo "$HOME" > out; pwd >> out')
    assert bench.texts() == ["Do the work.", "Do the work."]
    assert driven.outcome(changed=True).ok
    assert (bench.workspace / "out").read_text().splitlines() == [
        str(bench.exchange / "home"),
        str(bench.workspace),
    ]


def test_the_transcript_is_written_as_it_was_seen(bench: Bench) -> None:
    driven = bench.drive("printf 'one\\ntwo'; echo oops >&2")
    kept = bench.transcript()
    assert {(line["type"], line["role"], line["text"]) for line in kept} == {
        ("message", "assistant", "one"),
        ("message", "assistant", "two"),
        ("message", "system", "oops"),
    }
    assert all(line["at"].endswith("+00:00") for line in kept)
    assert driven.events == 3
    raw, complaints, transcript = driven.files
    assert raw.read_bytes() == b"one\ntwo"
    assert complaints.read_bytes() == b"oops\n"
    assert transcript == bench.kept / "transcript.jsonl"


def test_no_secret_is_kept_or_seen(bench: Bench) -> None:
    spelled = "; ".join(f"printf {letter}" for letter in SECRET)
    bench.drive(
        f"{spelled}; echo; printf {SECRET} | base64; echo {SECRET} >&2; echo token-of-the-run",
        model_token="token-of-the-run",
    )
    for path in bench.kept.iterdir():
        assert SECRET.encode() not in path.read_bytes()
        assert b"token-of-the-run" not in path.read_bytes()
        assert b"***" in path.read_bytes()
    assert all("***" in text for text in bench.texts())


@pytest.mark.parametrize("changed", [True, False])
def test_what_a_program_printed_is_kept_without_secrets(bench: Bench, changed: bool) -> None:
    """In every text of its outcome, whether it changed a file or not."""
    outcome = bench.drive(f"echo the token is {SECRET}").outcome(changed)
    assert SECRET not in repr(outcome)
    assert "the token is ***" in (outcome.printed if changed else outcome.summary)


def test_a_secret_in_the_judgement_is_masked_too(bench: Bench) -> None:
    driven = bench.drive(f"echo {SECRET} >&2; exit 3")
    message = driven.outcome(changed=False).message
    assert message == "the command exited with code 3: ***"
    assert SECRET not in repr(driven)


def test_escaped_secrets_are_masked_after_reading(bench: Bench) -> None:
    escaped = "".join(f"\\\\u{ord(letter):04x}" for letter in SECRET)
    line = f'{{"type":"item.completed","item":{{"type":"agent_message","text":"{escaped}"}}}}'
    bench.drive(f"printf '{line}\\n'", harness=Codex())
    assert bench.texts() == ["***"]
    assert SECRET not in (bench.kept / "transcript.jsonl").read_text()


def test_masking_does_not_break_the_reading(bench: Bench) -> None:
    """A secret that is also a word of the stream's own format."""
    lines = ['{"type":"turn.completed","usage":{"input_tokens":5}}']
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.SECRET", "turn.completed")
        driven = bench.drive(f"echo '{lines[0]}'", harness=Codex())
    assert driven.outcome(changed=True).ok
    assert b"turn.completed" not in (bench.kept / "transcript.raw").read_bytes()


def test_terminal_tricks_are_made_visible(bench: Bench) -> None:
    bench.drive("printf 'a\\033[2Jb\\rc\\n'")
    assert bench.texts() == ["a␛[2Jb␍c"]


def test_declared_outputs(bench: Bench) -> None:
    lines = [
        '{"kind": "comment", "body": "hi"}',
        "not json",
        '{"body": "no kind"}',
        '["kind"]',
        "",
        '{"kind": "labels", "add": ["x"]}',
    ]
    script = "\n".join(f"echo '{line}' >> $SKILLRUNNER_OUTPUTS" for line in lines)
    driven = bench.drive(script)
    assert driven.declared == (
        DeclaredOutput(kind="comment", fields={"body": "hi"}),
        DeclaredOutput(kind="labels", fields={"add": ["x"]}),
    )
    assert driven.outcome(changed=False).ok
    assert bench.problems() == [
        f'declared output {number} is not a JSON object with a "kind"' for number in (2, 3, 4)
    ]


def test_declared_outputs_are_limited(bench: Bench) -> None:
    line = '{"kind": "comment", "body": "' + "x" * 400_000 + '"}'
    (bench.workspace / "line").write_text(line + "\n")
    driven = bench.drive("cat line line line line > $SKILLRUNNER_OUTPUTS")
    assert len(driven.declared) == 2
    assert "over 1048576 bytes" in bench.problems()[0]


def test_too_many_declared_outputs(bench: Bench) -> None:
    driven = bench.drive('for i in $(seq 150); do echo \'{"kind": "x"}\'; done > $SKILLRUNNER_OUTPUTS')
    assert len(driven.declared) == 100
    assert bench.problems() == ["over 100 declared outputs: the rest is not read"]


@pytest.mark.parametrize(
    "script",
    [
        "rm $SKILLRUNNER_OUTPUTS",
        "ln -sf /etc/passwd $SKILLRUNNER_OUTPUTS",
        "rm $SKILLRUNNER_OUTPUTS; mkfifo $SKILLRUNNER_OUTPUTS",
    ],
)
def test_nothing_declared(bench: Bench, script: str) -> None:
    driven = bench.drive(script)
    assert driven.declared == ()
    assert driven.outcome(changed=False).reason is Reason.NO_CHANGES


@pytest.mark.parametrize(
    ("limits", "script", "reason"),
    [
        (Limits(timeout=0.3), "echo on it; sleep 20", Reason.WALL_CLOCK),
        (Limits(idle=0.3), "echo on it; sleep 20", Reason.IDLE),
        (Limits(output=1000), "echo on it; exec cat /dev/zero", Reason.OUTPUT_LIMIT),
    ],
)
def test_limits_end_a_harness_and_keep_what_it_said(
    bench: Bench, limits: Limits, script: str, reason: Reason
) -> None:
    driven = bench.drive(script, limits=limits)
    assert driven.outcome(changed=True).reason is reason
    assert "on it" in bench.texts()


def test_problems_alone_are_no_progress(bench: Bench) -> None:
    """Codex says "waiting for network" again and again, and would do so for ever."""
    line = '{"type":"error","message":"Reconnecting... waiting for network"}'
    driven = bench.drive(
        f"while true; do echo '{line}'; sleep 0.05; done", harness=Codex(), limits=Limits(idle=0.5)
    )
    found = driven.outcome(changed=False)
    assert (found.reason, found.retryable) == (Reason.IDLE, True)
    assert driven.exit.output_bytes > 0


CODEX_END = '{"type":"turn.completed","usage":{}}'
CODEX_FAILED = '{"type":"turn.failed","error":{"message":"no more room"}}'
CODEX_SAID = '{"type":"item.completed","item":{"type":"agent_message","text":"One more thing."}}'


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "_LAST_WORD_GRACE", 0.2)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("noise", ["", "while true; do echo still here >&2; sleep 0.05; done;"])
def test_an_agent_that_does_not_exit_after_its_last_word_is_ended_and_its_work_counts(
    bench: Bench, noise: str
) -> None:
    driven = bench.drive(f"echo made > file; echo '{CODEX_END}'; {noise} exec sleep 20", harness=Codex())
    assert driven.outcome(changed=True).ok
    assert driven.exit.duration < 10
    assert "it did not exit after its last word, and was ended" in bench.problems()


@pytest.mark.usefixtures("short_grace")
def test_what_an_agent_said_last_is_not_its_last_word_while_it_works(bench: Bench) -> None:
    script = f"echo '{CODEX_END}'; echo '{CODEX_SAID}'; sleep 0.6; touch late; echo '{CODEX_END}'"
    driven = bench.drive(script, harness=Codex())
    assert driven.outcome(changed=True).ok
    assert (bench.workspace / "late").exists()


@pytest.mark.parametrize(("end", "ok"), [(CODEX_END, True), (CODEX_FAILED, False)])
@pytest.mark.parametrize("limits", [Limits(timeout=0.5), Limits(idle=0.3)])
def test_a_limit_that_is_reached_after_the_last_word_does_not_count(
    bench: Bench, limits: Limits, end: str, ok: bool
) -> None:
    driven = bench.drive(f"echo '{end}'; exec sleep 20", harness=Codex(), limits=limits)
    found = driven.outcome(changed=True)
    assert found.ok is ok
    assert found.reason is (None if ok else Reason.HARNESS_FAILED)


def test_what_a_harness_prints_is_kept_from_both_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_RAW_TAIL", 1000)
    monkeypatch.setattr(logs, "_RAW_HEAD", 2000)
    driven = bench.drive("seq 100000")
    (cut,) = driven.cuts
    assert cut.startswith("transcript.raw has not all that was printed: ")
    raw = (bench.kept / "transcript.raw").read_text()
    assert len(raw) < 5000
    assert raw.startswith("1\n2\n3\n")
    assert raw.endswith("99999\n100000\n")
    assert "bytes are not kept]" in raw


def test_a_transcript_has_a_limit_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_TRANSCRIPT_BYTES", 2000)
    end = '{"type":"turn.completed","usage":{}}'
    driven = bench.drive(f"seq 1000; echo '{end}'", harness=Codex())
    assert driven.outcome(changed=True).ok
    (cut,) = driven.cuts
    assert cut.startswith("transcript.jsonl is over")
    kept = bench.transcript()
    assert kept[-2]["type"] == "end"
    assert kept[-1]["message"].endswith("further events are not in this transcript")
    assert len(kept) < 40


def test_long_and_deep_values_are_cut(bench: Bench) -> None:
    deep = '{"a":' * 80 + "1" + "}" * 80
    long = "x" * 100_000
    for name, arguments in (("deep", deep), ("long", json.dumps(long))):
        part = f'{{"type":"tool_use","id":"i","name":"t","input":{arguments}}}'
        (bench.workspace / name).write_text(f'{{"type":"assistant","message":{{"content":[{part}]}}}}\n')
    bench.drive("cat deep long", harness=ClaudeCode())
    first, second = bench.transcript()
    assert "…" in json.dumps(first["arguments"], ensure_ascii=False)
    assert second["arguments"].endswith("… (34464 more characters)")


def test_long_lists_nested_too_deeply(bench: Bench) -> None:
    part = '{"type":"tool_use","id":"i","name":"t","input":' + "[" * 60 + "]" * 60 + "}"
    (bench.workspace / "line").write_text(f'{{"type":"assistant","message":{{"content":[{part}]}}}}\n')
    bench.drive("cat line", harness=ClaudeCode())
    assert "…" in json.dumps(bench.transcript()[0]["arguments"], ensure_ascii=False)


def test_a_line_without_end_is_cut_and_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LineSplitter", lambda: LineSplitter(max_bytes=1000))
    bench.drive("head -c 5000 /dev/zero | tr '\\0' x; echo; echo next")
    assert bench.texts() == [f"{'x' * 1000} ... (3875 bytes are left out) ... {'x' * 125}", "next"]
    assert bench.problems() == ["1 lines of stdout were longer than 1000 bytes"]


@pytest.mark.parametrize("recording", sorted(path.name for path in FOLDER.iterdir()))
def test_transcripts_follow_their_schema(bench: Bench, recording: str) -> None:
    schema = json.loads((FOLDER.parent.parent / "schemas/transcript.schema.json").read_text())
    agent = recording.partition("-")[0]
    harness = HARNESSES.get("claude-code" if agent == "claude" else agent)
    bench.drive(f"cat {FOLDER / recording}", harness=harness)
    kept = bench.transcript()
    told = kept[:2] if agent != "copilot" else kept  # it tells its session in the end, if it comes to that
    assert any(line["type"] == "session" for line in told) or recording == "copilot-hang.jsonl"
    for line in kept:
        Draft202012Validator(schema).validate(line)


def test_a_harness_finds_its_files_in_the_home(bench: Bench) -> None:
    driven = bench.drive(
        'cat "$HOME/.gemini/GEMINI.md" >&2', harness=Gemini(), options={"append_system_prompt": "Be brief."}
    )
    assert driven.exit.code == 0
    assert bench.texts() == ["Be brief."]


def test_a_home_that_is_in_the_way_is_told(bench: Bench) -> None:
    (bench.exchange / "home").mkdir()
    (bench.exchange / "home/.gemini").symlink_to(bench.workspace)
    with pytest.raises(RunnerError, match=r"~/\.gemini/settings\.json cannot be written") as caught:
        bench.drive("true", harness=Gemini())
    assert caught.value.end.reason is Reason.SETUP_FAILED
    assert list(bench.workspace.iterdir()) == []


def test_an_observer_that_fails_stops_the_harness(bench: Bench) -> None:
    def refuse(event: TranscriptEvent) -> None:
        raise ZeroDivisionError

    bench.seen = type("Seen", (), {"append": staticmethod(refuse)})()  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        bench.drive("echo x; sleep 20; touch late")
    assert not (bench.workspace / "late").exists()
