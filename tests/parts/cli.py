"""A team's repository with skills in it, and the command line as its people type it."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.parts import in_process
from tests.parts.in_process import PROCESS_ONLY

GIT = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def clean_environment(home: Path) -> dict[str, str]:
    """What a new user's shell has: nothing of this process but where programs are."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "DOCKER_HOST") if name in os.environ}
    coverage = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    return {**kept, **coverage, **GIT, "HOME": str(home)}


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Project:
    """A clone with a bare `origin`, as a developer has it."""

    root: Path  # the clone
    origin: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.home / "state"

    def git(self, *args: str, cwd: Path | None = None) -> str:
        return subprocess.run(
            ["git", *args],
            cwd=cwd or self.root,
            env=clean_environment(self.home),
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())

    def commit(self, files: Mapping[str, str | bytes], message: str = "Change") -> str:
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def environment(self) -> dict[str, str]:
        return {
            **clean_environment(self.home),
            "SKILLRUNNER_STATE_DIR": str(self.state),
            "COLUMNS": "120",
            **self.variables,
        }

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "runner", *args]

    def skillrunner(self, *args: str, stdin: str = "") -> Done:
        """What a command line prints, and its exit code; in this process, unless a variable needs another."""
        if PROCESS_ONLY & self.variables.keys():
            return self.process(*args, stdin=stdin)
        return Done(*in_process.call(args, self.root, self.environment(), stdin))

    def process(self, *args: str, timeout: float = 120, stdin: str = "") -> Done:
        """The same in a process of its own."""
        done = subprocess.run(
            self.command(*args),
            cwd=self.root,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def branches(self) -> list[str]:
        refs = self.git("for-each-ref", "--format=%(refname:short)", "refs/heads", cwd=self.origin)
        return refs.split()


def make_project(folder: Path, files: Mapping[str, str | bytes]) -> Project:
    """A new project in `folder` whose first commit holds `files`."""
    project = Project(root=folder / "clone", origin=folder / "origin.git", home=folder / "home")
    project.home.mkdir(parents=True)
    project.root.mkdir()
    project.git("init", "-q", "--bare", "-b", "main", str(project.origin))
    project.git("init", "-q", "-b", "main")
    project.git("remote", "add", "origin", str(project.origin))
    project.commit(files, "First commit")
    return project


def skill_files(name: str, yaml: str, prompt: str = "Do the work.\n") -> dict[str, str]:
    """The two files of a skill."""
    template = "template: true\n" if "{{" in prompt or "{%" in prompt else ""
    front = f"---\nname: {name}\ndescription: A skill for tests\n---\n\n"
    return {
        f"skills/{name}/skill.yaml": f"version: 1\n{template}" + textwrap.dedent(yaml),
        f"skills/{name}/SKILL.md": front + prompt,
    }


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = make_project(tmp_path, {"README.md": "# Demo\n", "docs/guide.md": "# Guide\n\nOld text.\n"})
    yield made
    shutil.rmtree(made.state, ignore_errors=True)
