"""The worker's image: what is in it, and a worker that works in it."""

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.parts.cli import Project, clean_environment, skill_files

# One worker makes the image; the other would only wait for it.
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("worker image")]

PATIENCE = 60.0
YAML = """
on: {schedule: [{cron: "* * * * *"}]}
harness: {kind: command, command: [sh, -c, "id -u > docs/often.md"]}
output: {pull_request: {title: "docs: often", paths: ["docs/**"], key: fixed}}
"""
HARDENED: dict[str, Any] = {
    "network_mode": "none",
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}


@pytest.fixture
def docker(engine: None) -> Iterator[DockerClient]:
    client = DockerClient.from_env()
    yield client
    client.close()


@pytest.fixture
def committed(project: Project) -> Project:
    """A repository that anybody may write to, with a skill that is due."""
    project.write(skill_files("often", YAML))
    project.git("add", "-A")
    then = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    late = {**clean_environment(project.home), "GIT_COMMITTER_DATE": then}
    subprocess.run(["git", "commit", "-qm", "Often"], cwd=project.root, env=late, check=True)
    project.git("push", "-q", "origin", "HEAD")
    subprocess.run(["chmod", "-R", "a+rwX", str(project.origin)], check=True)
    return project


@pytest.fixture
def options(
    docker: DockerClient, worker_image: str, committed: Project, tmp_path: Path
) -> Iterator[dict[str, Any]]:
    """The options of a container for a worker of that repository, with a state of its own."""
    config = tmp_path / "skillrunner.yaml"
    config.write_text("sandbox: process\nworker: {repositories: [/srv/origin.git], free_disk: 1m}\n")
    config.chmod(0o644)
    volume = docker.volumes.create()
    mounts = (
        f"{config}:/etc/skillrunner/skillrunner.yaml:ro",
        f"{committed.origin}:/srv/origin.git",
        f"{volume.name}:/var/lib/skillrunner",
    )
    given = {**HARDENED, "volumes": list(mounts)}
    yield given
    # What belongs to the image's user is his to remove: whoever runs the tests may not be root.
    everything = ["/srv/origin.git", "-mindepth", "1", "-delete"]
    docker.containers.run(worker_image, everything, entrypoint="find", remove=True, **given)
    volume.remove(force=True)


def inside(docker: DockerClient, image: str, script: str) -> str:
    said = docker.containers.run(image, ["-c", script], entrypoint="sh", remove=True, **HARDENED)
    return bytes(said).decode().strip()


def test_it_holds_what_a_worker_needs_and_nothing_to_build_with(
    docker: DockerClient, worker_image: str
) -> None:
    config = docker.images.get(worker_image).attrs["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["skillrunner", "worker"]
    assert config["Volumes"] == {"/var/lib/skillrunner": {}}
    assert config["Healthcheck"]["Test"] == ["CMD", "skillrunner", "worker", "status", "--healthy"]
    found = inside(
        docker, worker_image, "command -v git; command -v skillrunner; id -u; ls /opt/skillrunner/bin"
    )
    assert found.splitlines()[:3] == ["/usr/bin/git", "/opt/skillrunner/bin/skillrunner", "10001"]
    assert not {"pip", "pip3", "hatchling"} & set(found.splitlines())
    assert inside(docker, worker_image, "skillrunner --version").startswith("skillrunner")
    assert inside(docker, worker_image, "stat -c '%u %a' /var/lib/skillrunner") == "10001 700"
    assert inside(docker, worker_image, "touch /etc/skillrunner/x 2>/dev/null || echo no") == "no"


def test_what_is_due_runs_in_it_without_being_root(
    docker: DockerClient, worker_image: str, committed: Project, options: dict[str, Any]
) -> None:
    said = docker.containers.run(worker_image, ["--once"], remove=True, stderr=True, **options)
    show = ["git", "-c", "safe.directory=*", "show", "skillrunner/often/fixed:docs/often.md"]
    done = subprocess.run(show, cwd=committed.origin, capture_output=True, text=True, check=False)
    assert done.stdout == "10001\n", done.stderr + bytes(said).decode()


def test_its_health_check_finds_the_worker_and_a_stop_ends_it(
    docker: DockerClient, worker_image: str, options: dict[str, Any]
) -> None:
    seconds = 1_000_000_000  # the engine counts in nanoseconds
    check = {"test": ["CMD", "skillrunner", "worker", "status", "--healthy"], "interval": seconds}
    worker = docker.containers.run(worker_image, detach=True, healthcheck=check, **options)
    try:
        until = time.monotonic() + PATIENCE
        while worker.attrs["State"].get("Health", {}).get("Status") != "healthy":
            assert time.monotonic() < until, (worker.attrs["State"], worker.logs().decode())
            time.sleep(0.2)
            worker.reload()
        worker.stop(timeout=60)
        worker.reload()
        assert worker.attrs["State"]["ExitCode"] == 0, worker.logs().decode()
    finally:
        worker.remove(force=True, v=True)
