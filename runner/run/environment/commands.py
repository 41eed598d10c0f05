"""The skill's own commands: set-up, and verification on a clean tree with the patch applied."""

from collections import deque
from collections.abc import Callable, Mapping

from runner.core.errors import RunnerError
from runner.core.model import Check, Limits, Phase, Reason, Stream
from runner.core.redact import escape_invisible
from runner.sandboxes import Sandbox

_TAIL_BYTES = 16 * 1024  # bytes of a command's output, from its end


def run_setup(
    sandbox: Sandbox,
    commands: tuple[str, ...],
    limits: Limits,
    say: Callable[[str], None],
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run the skill's set-up commands. Raises RunnerError SETUP_FAILED."""
    for command in commands:
        say(f"set up: {command}")
        check = run_command(sandbox, command, limits, variables)
        if not check.ok:
            raise RunnerError(
                Phase.SETUP,
                Reason.SETUP_FAILED,
                f"the set-up command `{command}` {_how(check)}\n{check.output}".rstrip(),
                hint="try it in the image by hand, then correct `environment.setup`",
            )


def run_checks(
    sandbox: Sandbox, commands: tuple[str, ...], limits: Limits, say: Callable[[str], None]
) -> tuple[Check, ...]:
    """Run each command in a fresh sandbox without secrets. A command that fails does not end the list.

    `ready` sets the sandbox up, and cuts its network.
    """
    checks = []
    for command in commands:
        check = run_command(sandbox, command, limits)
        say(f"{'passed' if check.ok else 'FAILED'}: {command} ({_how(check)})")
        checks.append(check)
        if check.exit_code is None:
            break  # the sandbox died with it
    return tuple(checks)


def run_command(
    sandbox: Sandbox, command: str, limits: Limits, variables: Mapping[str, str] | None = None
) -> Check:
    """Run one shell command; the check has the end of its output."""
    tail = _Tail()
    argv = ("sh", "-c", command)
    ended = sandbox.exec(argv, on_output=tail.take, caps=limits.caps, variables=variables)
    return Check(
        command=command,
        exit_code=ended.code,
        duration=round(ended.duration, 3),
        output=escape_invisible(tail.text()),
        ok=ended.cause == "exited" and ended.code == 0,
    )


def _how(check: Check) -> str:
    took = f"after {check.duration:.1f} s"
    return f"was stopped {took}" if check.exit_code is None else f"exit {check.exit_code} {took}"


class _Tail:
    """Keeps the end of an output of any length."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def take(self, _: Stream, data: bytes) -> None:
        self._pieces.append(data[-_TAIL_BYTES:])
        self._size += len(self._pieces[-1])
        while self._size - len(self._pieces[0]) >= _TAIL_BYTES:
            self._size -= len(self._pieces.popleft())

    def text(self) -> str:
        return b"".join(self._pieces)[-_TAIL_BYTES:].decode(errors="replace")
