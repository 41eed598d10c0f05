"""One contract for every sandbox, ours and third parties'. What a kind does on top of it stands at the end.

One that is installed beside the runner is found as well: `pytest tests/contract/test_sandboxes.py -k NAME`.
"""

import os
import queue
import signal
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.clients.stdio import Clock
from runner.core.errors import RunnerError
from runner.core.model import Caps, Reason
from runner.sandboxes import SANDBOXES
from tests.parts.rig import Rig, opened_rig

KINDS = [
    pytest.param(kind, marks=[pytest.mark.docker] if kind == "docker" else []) for kind in SANDBOXES.names()
]
REAL = [one for one in KINDS if one.values != ("fake",)]


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    image = request.getfixturevalue("local_image") if request.param == "docker" else ""
    with opened_rig(request.param, image, tmp_path) as made:
        yield made


def _forget(stream: str, data: bytes) -> None:
    """A listener that keeps nothing."""


def test_what_is_around_a_sandbox_can_be_asked(rig: Rig) -> None:
    """Nothing of this opens one, and nothing of it may fail where there is nothing to do."""
    said: list[str] = []
    assert rig.kind.resolve(rig.image, said.append) == rig.kind.resolve(rig.image, said.append)
    assert rig.kind.sweep(lambda _: True) == []
    assert all(line.subject and line.message for line in rig.kind.doctor(rig.image))
    assert rig.kind.tools == "" or rig.kind.tools.startswith("/")


def test_streams_and_exit_code(rig: Rig) -> None:
    ended = rig.run(rig.open(), "echo out; echo err >&2; exit 3", ("print:out", "complain:err", "exit:3"))
    assert (ended.cause, ended.code) == ("exited", 3)
    assert (rig.printed(), rig.printed("stderr")) == (b"out\n", b"err\n")
    assert ended.output_bytes == 8


def test_standard_input_arrives_and_ends(rig: Rig) -> None:
    data = os.urandom(3 * 1024 * 1024)
    ended = rig.run(rig.open(), "cat", ("echo",), stdin=data)
    assert ended.code == 0
    assert rig.printed() == data


def test_without_input_a_reader_sees_the_end(rig: Rig) -> None:
    ended = rig.run(rig.open(), "cat; echo done", ("echo", "print:done"), caps=Caps(timeout=20))
    assert (ended.cause, rig.printed()) == ("exited", b"done\n")


def test_input_that_nobody_reads_does_no_harm(rig: Rig) -> None:
    ended = rig.run(rig.open(), "exit 0", ("exit:0",), stdin=b"x" * 5_000_000, caps=Caps(timeout=20))
    assert (ended.cause, ended.code) == ("exited", 0)


def test_a_program_is_answered(rig: Rig) -> None:
    """It asks, and what it is told next depends on it."""
    answers = iter([b"one\n", b"two\n", None])
    asked: list[int] = []

    def say() -> bytes | None:
        if rig.printed().count(b"\n") == len(asked):
            return b""
        asked.append(1)
        return next(answers)

    shell = "echo ready; read a; echo $a; read b; echo $b; cat; echo over"
    script = ("print:ready", "hear", "hear", "echo", "print:over")
    ended = rig.run(rig.open(), shell, script, stdin=say, caps=Caps(timeout=60))
    assert (ended.cause, ended.code, rig.printed()) == ("exited", 0, b"ready\none\ntwo\nover\n")


def test_a_program_hears_what_another_thread_has_for_it(rig: Rig) -> None:
    said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def say() -> bytes | None:
        return b"" if said.empty() else said.get()

    def speak() -> None:
        for piece in (b"he", b"llo\n", None):
            time.sleep(0.1)
            said.put(piece)

    speaker = threading.Thread(target=speak)
    speaker.start()
    ended = rig.run(rig.open(), "cat", ("echo",), stdin=say, caps=Caps(timeout=60))
    speaker.join()
    assert (ended.code, rig.printed()) == (0, b"hello\n")


def test_a_program_that_does_not_listen_is_not_told_more(rig: Rig) -> None:
    told = 0

    def say() -> bytes:
        nonlocal told
        told += 1
        return b"x" * 65_536

    ended = rig.run(rig.open(), "sleep 0.5", ("sleep:0.5",), stdin=say, caps=Caps(timeout=60))
    assert (ended.cause, ended.code) == ("exited", 0)
    assert told < 500


def test_much_goes_both_ways_at_once(rig: Rig) -> None:
    """Whoever waited until all was said before it listened would wait for ever."""
    pieces = iter([os.urandom(1_000_000) for _ in range(8)])
    shell = "head -c 3000000 /dev/zero; cat; head -c 3000000 /dev/zero"
    script = ("fill:3000000", "echo", "fill:3000000")
    ended = rig.run(
        rig.open(), shell, script, stdin=lambda: next(pieces, None), on_output=_forget, caps=Caps(timeout=60)
    )
    assert (ended.code, ended.output_bytes) == (0, 14_000_000)


def test_a_program_may_end_in_the_middle_of_a_conversation(rig: Rig) -> None:
    ended = rig.run(rig.open(), "exit 4", ("exit:4",), stdin=lambda: b"", caps=Caps(timeout=60))
    assert (ended.cause, ended.code) == ("exited", 4)


def test_what_fails_while_it_speaks_stops_the_command(rig: Rig) -> None:
    def explode() -> bytes:
        raise LookupError("no words")

    with pytest.raises(LookupError):
        rig.run(rig.open(), "sleep 60", ("hear", "sleep:60"), stdin=explode)


def test_several_commands_share_the_workspace(rig: Rig) -> None:
    sandbox = rig.open()
    rig.run(sandbox, "echo x > a", ("write:a:x",))
    assert (rig.folder / "workspace/a").read_text().strip() == "x"
    assert rig.run(sandbox, "test -f a", ("exit:0",)).code == 0


def test_variables(rig: Rig) -> None:
    sandbox = rig.open(variables={"ONE": "1"})
    script = ("variable:ONE", "variable:TWO")
    rig.run(sandbox, "echo $ONE; echo $TWO", script, variables={"TWO": "2"})
    assert rig.printed() == b"1\n2\n"


@pytest.mark.parametrize(
    ("caps", "cause"),
    [
        (Caps(timeout=0.5), "timeout"),
        (Caps(idle=0.5), "idle"),
        (Caps(output=100_000), "output"),
    ],
)
def test_a_cap_stops_everything(rig: Rig, caps: Caps, cause: str) -> None:
    sandbox = rig.open()
    endless = "cat /dev/zero" if cause == "output" else "trap '' TERM; (sleep 61 &) ; sleep 60"
    ended = rig.run(sandbox, endless, ("fill:1000000", "sleep:60"), caps=caps)
    assert (ended.cause, ended.code) == (cause, None)
    with pytest.raises(RunnerError):
        rig.run(sandbox, "true", ("exit:0",))


def test_what_is_held_stands_still_until_it_goes_on(rig: Rig) -> None:
    clock, heard = Clock(), 0

    def listen(stream: str, data: bytes) -> None:
        nonlocal heard
        heard += data.count(b"x")
        if heard == 1:
            clock.pause()
            watcher.start()

    def watch() -> None:
        before, since = -1, time.monotonic()
        while time.monotonic() - since < 0.5:  # for so long nothing has been heard
            if heard != before:
                before, since = heard, time.monotonic()
            time.sleep(0.01)
        stood.append(heard)
        clock.resume()

    watcher, stood = threading.Thread(target=watch), list[int]()
    script = "i=0; while [ $i -lt 200 ]; do echo x; sleep 0.02; i=$((i + 1)); done"
    ended = rig.run(rig.open(clock=clock), script, ("print:x", "sleep:0.02") * 200, on_output=listen)
    watcher.join()
    assert (ended.cause, ended.code, heard) == ("exited", 0, 200)
    assert stood[0] < 200


def test_what_is_held_can_be_stopped(rig: Rig) -> None:
    clock = Clock()

    def stop() -> None:
        if clock.is_paused and time.monotonic() > until[0]:
            raise LookupError("stop")

    def listen(stream: str, data: bytes) -> None:
        clock.pause()
        until[0] = time.monotonic() + 0.3

    until = [0.0]
    with pytest.raises(LookupError):
        rig.run(
            rig.open(clock=clock, stop=stop), "echo x; sleep 60", ("print:x", "sleep:60"), on_output=listen
        )


def test_a_failing_listener_stops_the_command(rig: Rig) -> None:
    def explode(stream: str, data: bytes) -> None:
        raise LookupError("no more")

    with pytest.raises(LookupError):
        rig.run(rig.open(), "echo x; sleep 60", ("print:x", "sleep:60"), on_output=explode)


def test_a_background_child_does_not_hold_up_the_end(rig: Rig) -> None:
    ended = rig.run(rig.open(), "sleep 60 & echo x", ("print:x",), caps=Caps(timeout=20))
    assert (ended.cause, ended.code) == ("exited", 0)


def test_a_talkative_child_does_not_hold_up_the_end(rig: Rig) -> None:
    ended = rig.run(
        rig.open(),
        "while :; do echo y; done & echo x",
        ("print:x",),
        on_output=_forget,
        caps=Caps(timeout=60),
    )
    assert (ended.cause, ended.code) == ("exited", 0)


def test_the_last_words_reach_a_slow_listener(rig: Rig) -> None:
    heard: list[bytes] = []

    def slowly(stream: str, data: bytes) -> None:
        time.sleep(0.3 if not heard else 0)
        heard.append(data)

    script = ("fill:300000", "print:last words")
    rig.run(rig.open(), "head -c 300000 /dev/zero; echo last words", script, on_output=slowly)
    assert b"".join(heard).endswith(b"last words\n")


def test_memory_stays_flat_while_output_flows(rig: Rig) -> None:
    sandbox = rig.open()
    size = 50_000_000
    tracemalloc.start()
    try:
        ended = rig.run(sandbox, f"head -c {size} /dev/zero", (f"fill:{size}",), on_output=lambda *_: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ended.output_bytes == size
    assert peak < 5_000_000


def test_files_go_in_and_come_out(rig: Rig) -> None:
    sandbox = rig.open()
    path = sandbox.put("prompt.md", b"hello")
    assert path == f"{sandbox.places.exchange}/prompt.md"
    if rig.kind.name != "fake":
        rig.run(sandbox, f"cat {path} > $HOME/../answer")
        assert sandbox.get("answer", 3) == b"hel"
    assert sandbox.get("prompt.md", 100) == b"hello"
    assert sandbox.get("nothing", 100) is None


@pytest.mark.parametrize(
    "trap",
    ["ln -s /etc/passwd trap", "mkfifo trap", "mkdir trap", "ln -s /dev/zero trap", "ln -s trap trap"],
)
def test_traps_in_the_exchange_folder_are_not_touched(rig: Rig, trap: str) -> None:
    sandbox = rig.open()
    subprocess.run(trap, shell=True, cwd=rig.folder / "exchange", check=True)
    assert sandbox.get("trap", 100) is None


@pytest.mark.parametrize(
    "trap", ["mkdir -p trap/deep", "ln -s elsewhere trap", "mkfifo trap", "echo x > trap", "ln -s / trap"]
)
def test_what_lies_in_the_way_of_a_file_is_replaced_and_never_followed(rig: Rig, trap: str) -> None:
    sandbox = rig.open()
    subprocess.run(trap, shell=True, cwd=rig.folder / "exchange", check=True)
    sandbox.put("trap", b"ours")
    assert sandbox.get("trap", 100) == b"ours"
    assert not (rig.folder / "exchange/elsewhere").exists()


def test_files_go_into_the_home(rig: Rig) -> None:
    sandbox = rig.open()
    sandbox.put("home/.agent/settings.json", b"{}")
    if rig.kind.name != "fake":
        ended = rig.run(sandbox, "cat ~/.agent/settings.json && touch ~/.agent/mine")
        assert ended.code == 0
    assert (rig.folder / "exchange/home/.agent/settings.json").read_bytes() == b"{}"


@pytest.mark.parametrize("trap", ["ln -s / home/x", "echo x > home/x"])
def test_no_link_is_followed_into_the_home(rig: Rig, trap: str) -> None:
    sandbox = rig.open()
    subprocess.run(f"mkdir -p home; {trap}", shell=True, cwd=rig.folder / "exchange", check=True)
    with pytest.raises(OSError, match=r"\[Errno"):
        sandbox.put("home/x/never", b"ours")
    with pytest.raises(ValueError, match="plain file name"):
        sandbox.put("home/../never", b"ours")


@pytest.mark.parametrize("name", ["../x", "a/../b", "/a", "a/", "", "..", "a\0b"])
def test_only_plain_names_are_exchanged(rig: Rig, name: str) -> None:
    sandbox = rig.open()
    with pytest.raises(ValueError, match="plain file name"):
        sandbox.get(name, 1)


def test_closing_twice_and_after_a_failure(rig: Rig) -> None:
    opened = rig.kind.open(rig.spec())
    with pytest.raises(KeyError), opened as sandbox:
        raise KeyError
    with pytest.raises(RunnerError):
        rig.run(sandbox, "true", ("exit:0",))


def test_seal_can_be_called_in_any_sandbox(rig: Rig) -> None:
    sandbox = rig.open(setup_network=True)
    sandbox.seal()
    sandbox.seal()
    assert rig.run(sandbox, "true", ("exit:0",)).code == 0


@pytest.mark.parametrize("rig", REAL, indirect=True)
def test_a_program_that_is_missing_is_named(rig: Rig) -> None:
    with pytest.raises(RunnerError) as caught:
        rig.open().exec(("no-such-program",), on_output=_forget)
    assert caught.value.reason is Reason.HARNESS_MISSING
    assert "no-such-program" in caught.value.message


@pytest.mark.parametrize("rig", REAL, indirect=True)
def test_a_signal_is_told_from_an_exit(rig: Rig) -> None:
    ended = rig.run(rig.open(), "kill -TERM $$")
    assert ended.cause == "exited"
    assert ended.code in (-signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.mark.parametrize("rig", REAL, indirect=True)
def test_children_die_with_the_sandbox(rig: Rig) -> None:
    """Something that goes on writing would change the workspace while it is looked at."""
    beat = rig.folder / "workspace/beat"
    with rig.kind.open(rig.spec()) as sandbox:
        rig.run(sandbox, "(while :; do date +%N > beat; sleep 0.02; done) >/dev/null 2>&1 & sleep 0.1")
    last = beat.read_bytes()
    time.sleep(0.2)
    assert beat.read_bytes() == last


# --- process ------------------------------------------------------------------------------------


def test_process_hands_on_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with opened_rig("process", "", tmp_path) as rig:
        rig.run(rig.open(), "env")
    names = {line.split("=")[0] for line in rig.printed().decode().splitlines()}
    assert names <= {"PATH", "HOME", "TMPDIR", "LANG", "PWD", "SHLVL", "_", "OLDPWD", "SKILLRUNNER_RUN"}


def test_process_says_that_it_isolates_nothing() -> None:
    said: list[str] = []
    assert SANDBOXES.get("process").resolve("x", said.append) == ""
    assert "isolates NOTHING" in said[0]
