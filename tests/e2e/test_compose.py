"""The compose file's worker, on a real engine and a real PostgreSQL server: a skill runs in its sandbox."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.parts.cli import Project, clean_environment, skill_files
from tests.parts.need import missing

# One worker makes the image; the other would only wait for it.
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("worker image")]

ROOT = Path(__file__).parent.parent.parent
SOCKET = Path("/var/run/docker.sock")
YAML = """
on: {{schedule: [{{cron: "* * * * *"}}]}}
environment: {{image: "{image}", network: {{allow: [pypi]}}}}
harness: {{kind: command, command: [sh, -c, "pwd > docs/often.md; id -u >> docs/often.md"]}}
output: {{pull_request: {{title: "docs: often", paths: ["docs/**"], key: fixed}}}}
"""
HERE = """
services:
  worker:
    network_mode: host # the tests' server listens on this machine's loopback device alone
    environment: {{DATABASE_URL: "{database}"}}
    volumes: ["{origin}:{origin}"]
"""


@pytest.fixture
def prepared(project: Project, local_image: str, postgres: str, tmp_path: Path) -> Project:
    """A folder with all that docs/worker-install.md asks for, and a skill that is due."""
    if not SOCKET.exists():
        missing("a Docker engine behind a socket", f"{SOCKET} is not there")
    project.write(skill_files("often", YAML.format(image=local_image)))
    project.git("add", "-A")
    then = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    late = {**clean_environment(project.home), "GIT_COMMITTER_DATE": then}
    subprocess.run(["git", "commit", "-qm", "Often"], cwd=project.root, env=late, check=True)
    project.git("push", "-q", "origin", "HEAD")
    subprocess.run(["chmod", "-R", "a+rwX", str(project.origin)], check=True)
    shutil.copy(ROOT / "compose.yaml", project.home)
    files = {
        "skillrunner.yaml": f"worker: {{repositories: ['{project.origin}'], free_disk: 1m}}\n",
        "here.yaml": HERE.format(database=postgres, origin=project.origin),
        "secrets/github_token": "t",
        "secrets/anthropic_api_key": "k",
        "secrets/postgres_password": "p",
    }
    for name, text in files.items():
        path = project.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    project.state.mkdir()
    project.state.chmod(0o777)
    return project


def compose(project: Project, image: str, *args: str) -> "subprocess.CompletedProcess[str]":
    variables = {
        "SKILLRUNNER_IMAGE": image,
        "SKILLRUNNER_STATE": str(project.state),
        "DOCKER_SOCKET": str(SOCKET),
        "DOCKER_GID": str(SOCKET.stat().st_gid),
        "COMPOSE_PROJECT_NAME": f"skillrunner-test-{project.home.parent.name}".lower(),
    }
    return subprocess.run(
        [Path(sys.executable).parent / "docker-compose", "-f", "compose.yaml", "-f", "here.yaml", *args],
        cwd=project.home,
        env={**clean_environment(project.home), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_composed_worker_runs_what_is_due_in_a_sandbox(prepared: Project, worker_image: str) -> None:
    run = ("run", "--rm", "--no-deps", "--no-TTY")
    try:
        done = compose(prepared, worker_image, *run, "worker", "--once")
        assert done.returncode == 0, done.stderr
        show = ["git", "-c", "safe.directory=*", "show", "skillrunner/often/fixed:docs/often.md"]
        found = subprocess.run(show, cwd=prepared.origin, capture_output=True, text=True, check=False)
        assert found.stdout == "/workspace\n10001\n", found.stderr + done.stdout + done.stderr
    finally:
        # What belongs to the image's user is his to remove: whoever runs the tests may not be root.
        folders = (str(prepared.state), str(prepared.origin))
        find = ("--entrypoint", "find", "worker", *folders, "-mindepth", "1", "-delete")
        compose(prepared, worker_image, *run, *find)
        down = compose(prepared, worker_image, "down", "--volumes")
        assert down.returncode == 0, down.stderr
