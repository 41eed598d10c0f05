"""GitHub Actions on this machine: the real `act`, with our action.yml in a workflow of a test's project."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.parts.cli import Project
from tests.parts.github import CACHE, OWNER, TOKEN, GitHub, npm_install, repository
from tests.parts.need import require

ROOT = Path(__file__).parent.parent.parent
ACTION = "acme/skillrunner@0123456789abcdef0123456789abcdef01234567"
FILE = ".github/workflows/skillrunner.yml"
UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02"
UPLOAD_STUB = """
name: upload-artifact
inputs: {name: {required: true}, path: {required: true}, if-no-files-found: {default: warn}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: "${{ inputs.name }}", WHAT: "${{ inputs.path }}"}
      run: mkdir -p "$LEFT/artifacts" && cp -r "$WHAT" "$LEFT/artifacts/$NAME"
"""
EXAMPLES = "@octokit/webhooks-examples@7.6.1"


def examples() -> dict[str, list[dict[str, Any]]]:
    """GitHub's published example payloads, by event."""
    wanted = "node_modules/@octokit/webhooks-examples/api.github.com/index.json"
    found = json.loads(npm_install(CACHE / "webhooks", EXAMPLES, wanted).read_text())
    return {entry["name"]: entry["examples"] for entry in found}


def example(event: str, activity: str | None = None) -> dict[str, Any]:
    """The first published example of an event."""
    return next(one for one in examples()[event] if activity in (None, one.get("action")))


def happened_in(payload: dict[str, Any], project: Project, sender: str = OWNER) -> dict[str, Any]:
    """A published example as it would have come from the project's own repository."""
    name_of = repository(project)
    text = json.dumps(payload).replace(payload["repository"]["full_name"], name_of)
    moved: dict[str, Any] = json.loads(text)
    for commit in (moved.get("pull_request", {}).get("head", {}), moved.get("workflow_run", {})):
        for name in {"sha", "head_sha"} & commit.keys():  # one that is there
            commit[name] = project.git("rev-parse", "HEAD")
        if "head_repository" in commit:
            commit["head_repository"]["full_name"] = name_of
    moved["sender"] = {**payload["sender"], "login": sender, "type": "User"}
    return moved


@dataclass(frozen=True, slots=True)
class Step:
    """What a workflow run left."""

    code: int
    log: str
    outputs: dict[str, str]
    left: Path

    @property
    def verdicts(self) -> dict[str, str]:
        found: list[dict[str, str]] = json.loads(self.outputs["decisions"])
        return {one["skill"]: ": ".join(filter(None, (one["verdict"], one.get("cause")))) for one in found}

    def said(self, words: str) -> bool:
        return words in self.log


def workflow(inputs: Mapping[str, str], on: str) -> str:
    """A dispatcher written by hand: one job, one step."""
    said = {"token": "${{ secrets.GITHUB_TOKEN }}"} | dict(inputs)
    given = "".join(f"          {name}: {json.dumps(value)}\n" for name, value in said.items())
    return f"""
name: Skillrunner {os.getpid()}
on: {on}
permissions: {{}}
jobs:
  skills:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    permissions:
      contents: write
      pull-requests: write
    steps:
      - id: skillrunner
        uses: {ACTION}
        with:
{given}      - if: always()
        shell: bash
        env:
          OUTPUTS: ${{{{ toJSON(steps.skillrunner.outputs) }}}}
        run: echo "$OUTPUTS" > "$LEFT/outputs.json"
"""


@pytest.fixture(scope="session")
def action_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our repository as the runner would have checked it out, with the environment that `make setup` made."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".", ":!tests"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    checkout = tmp_path_factory.mktemp("action")
    for name in filter(None, os.fsdecode(listed).split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return checkout


@dataclass
class Act:
    """The real `act` in a project's clone."""

    project: Project
    github: GitHub
    action: Path
    image: str = ""  # of the job's container; empty: the job runs on the host itself
    checked: bool = False  # whether the workflow's file is committed, as FILE
    runs: int = 0

    def __call__(self, event: str, payload: Mapping[str, Any] | None = None, **inputs: str) -> Step:
        """Let `event` start a workflow with our action in it. Underscores in `inputs` stand for hyphens."""
        given = {"sandbox": "process"} | {name.replace("_", "-"): value for name, value in inputs.items()}
        return self.run(event, payload, workflow(given, event))

    def run(self, event: str, payload: Mapping[str, Any] | None, text: str, *more: str) -> Step:
        """Let `event` start the workflow `text`."""
        self.runs += 1
        folder = self.project.home / f"act-{self.runs}"
        left = folder / "left"
        left.mkdir(parents=True)
        (folder / "workflow.yml").write_text(text)
        (folder / "event.json").write_text(json.dumps(payload or {}))
        done = subprocess.run(
            [*self._command(event, folder), *more],
            cwd=self.project.root,
            env={**self.project.environment(), "XDG_CACHE_HOME": str(folder / "cache")},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        told = left / "outputs.json"
        return Step(
            done.returncode,
            done.stdout + done.stderr,
            json.loads(told.read_text()) if told.exists() else {},
            left,
        )

    def _upload(self, folder: Path) -> Path:
        """In place of GitHub's own action: what it is given lies in `left/artifacts` then."""
        stub = folder / "upload"
        stub.mkdir()
        (stub / "action.yml").write_text(UPLOAD_STUB)
        return stub

    def _command(self, event: str, folder: Path) -> list[str]:
        program = shutil.which("act", path=str(Path(sys.executable).parent))
        require(program, "act", "make setup")
        variables = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": self.github.url,
            "GITHUB_REPOSITORY": repository(self.project),
            "GITHUB_RUN_ID": str(self.runs),
            "GITHUB_WORKFLOW_REF": f"{repository(self.project)}/{FILE}@refs/heads/main"
            if self.checked
            else "",
            "RUNNER_TEMP": str(folder / "temp"),
            "LEFT": str(folder / "left"),
        }
        command = [
            str(program), event, "-W", str(folder / "workflow.yml"), "-e", str(folder / "event.json"),
            "-P", f"ubuntu-latest={self.image or '-self-hosted'}", "--pull=false", "--action-offline-mode",
            "--local-repository", f"{ACTION}={self.action}",
            "--local-repository", f"{UPLOAD}={self._upload(folder)}", "-s", f"GITHUB_TOKEN={TOKEN}", "--rm",
        ]  # fmt: skip
        for name, value in variables.items():
            command += ["--env", f"{name}={value}"]
        if self.image:
            # Our environment is links into these; an image made for the job would have it installed.
            needed = dict.fromkeys((ROOT, Path(sys.prefix), Path(sys.base_prefix)))
            shares = [f"-v {folder}/left:{folder}/left", *(f"-v {path}:{path}:ro" for path in needed)]
            command += ["--network", "host", "--container-options", " ".join(shares)]
        return command


@pytest.fixture
def act(github_project: Project, github: GitHub, action_checkout: Path) -> Act:
    return Act(github_project, github, action_checkout)
