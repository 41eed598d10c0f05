"""The engine itself: images, what a crash leaves, and no engine at all."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner.clients.docker import engine as door
from runner.clients.docker import images
from runner.core.errors import RunnerError
from runner.core.model import Reason
from tests.parts.registry import registry
from tests.parts.rig import Rig

CRASH = """
import os, signal, sys
from pathlib import Path
from runner.sandboxes import SANDBOXES, SandboxSpec
folder = Path(sys.argv[2])
spec = SandboxSpec(run_id=sys.argv[3], image=sys.argv[1], workspace=folder, exchange=folder, gateway=True)
with SANDBOXES.get("docker").open(spec):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.docker
def test_what_a_crashed_runner_left_is_swept(local_image: str, tmp_path: Path, container: Rig) -> None:
    alive = container.open()
    crashed = f"crashed-{tmp_path.name}"
    subprocess.run([sys.executable, "-c", CRASH, local_image, str(tmp_path), crashed], check=False)
    assert door.remove_dead_containers(lambda labels: labels[door.RUN_LABEL] != crashed) == [crashed]
    assert door.remove_dead_containers(lambda labels: labels[door.RUN_LABEL] != crashed) == []
    assert container.run(alive, "true").code == 0


@pytest.mark.docker
def test_a_missing_image_names_the_next_command(engine: None) -> None:
    said: list[str] = []
    with pytest.raises(RunnerError) as caught:
        images.resolve("localhost:1/no/such-image:1", said.append)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert "no/such-image:1" in caught.value.message
    assert caught.value.hint == "docker pull localhost:1/no/such-image:1"
    assert said == ["pulling localhost:1/no/such-image:1"]


@pytest.mark.docker
@pytest.mark.parametrize("tag", [":1", "", "@digest"])
def test_an_image_that_is_not_there_is_pulled_with_progress(engine: None, tag: str) -> None:
    said: list[str] = []
    with registry() as (address, digest):
        image = f"{address}/team/tool" + tag.replace("digest", digest)
        try:
            assert images.resolve(image, said.append) == f"{address}/team/tool@{digest}"
            first = list(said)
            assert images.resolve(image, said.append) == f"{address}/team/tool@{digest}"
        finally:
            door.client().remove_image(door.client().inspect_image(image)["Id"], force=True)
    assert first[0] == f"pulling {image}"
    assert any("Downloaded newer image" in line for line in first)
    assert said == first


@pytest.mark.docker
def test_a_registry_that_does_not_have_the_image_is_quoted(engine: None) -> None:
    with registry() as (address, _), pytest.raises(RunnerError) as caught:
        images.resolve(f"{address}/no/tool:1", lambda _: None)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert f"{address}/no/tool:1" in caught.value.message
    assert "manifest unknown" in caught.value.message


@pytest.mark.docker
def test_a_pull_that_breaks_off_is_quoted(engine: None) -> None:
    with registry() as (address, _), pytest.raises(RunnerError) as caught:
        images.resolve(f"{address}/broken/tool:1", lambda _: None)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert caught.value.hint == f"docker pull {address}/broken/tool:1"
    assert "unknown blob" in caught.value.message


@pytest.mark.docker
def test_a_registry_that_is_asked_too_often_may_answer_later(engine: None) -> None:
    with registry() as (address, _), pytest.raises(RunnerError) as caught:
        images.resolve(f"{address}/limited/tool:1", lambda _: None)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert "too" in caught.value.message
    assert caught.value.retryable


@pytest.mark.docker
@pytest.mark.parametrize("limit", ["PULL_TIMEOUT", "_SILENCE"])
def test_a_pull_has_a_time_limit_of_its_own(
    engine: None, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its own altogether, and for an engine that says nothing while nothing comes."""
    monkeypatch.setattr(images, "_SILENCE", 60.0)
    monkeypatch.setattr(images, limit, 0.0 if limit == "PULL_TIMEOUT" else 2.0)
    with registry() as (address, _), pytest.raises(RunnerError) as caught:
        images.resolve(f"{address}/slow/tool:1", lambda _: None)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert "takes longer" in caught.value.message or "timed out" in caught.value.message
    assert caught.value.retryable


def test_no_image_at_all_is_said() -> None:
    with pytest.raises(RunnerError) as caught:
        images.resolve("", lambda _: None)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert "image:" in caught.value.hint


@pytest.mark.docker
def test_an_image_is_known_by_its_digest(local_image: str) -> None:
    assert images.resolve(local_image, lambda _: None).startswith("sha256:")
    assert images.is_present(local_image)
    assert not images.is_present("skillrunner/never-built:1")


@pytest.mark.docker
def test_removing_what_is_gone_is_fine(engine: None) -> None:
    door.remove("no-such-container")


def test_no_engine_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    error = _failure()
    assert error.reason is Reason.ENGINE_UNAVAILABLE
    assert error.message == ("no Docker engine answers: unix:///nonexistent.sock: No such file or directory")
    assert "--sandbox process, which isolates nothing" in error.hint


@pytest.mark.parametrize("host", ["ssh://user@elsewhere", "https://elsewhere:2376"])
def test_an_engine_that_cannot_see_our_files_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    error = _failure()
    assert error.reason is Reason.UNSUPPORTED
    assert host in error.message


def test_the_users_docker_context_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rootless engines and those of desktop machines are found by their context alone."""
    from docker.context import ContextAPI

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    ContextAPI.create_context("mine", host="unix:///nonexistent-context.sock")
    assert door.address()["base_url"].endswith("unix:///nonexistent-context.sock")


def _failure() -> RunnerError:
    """What connecting fails with. A socket that it leaves open is a warning, and so a failure."""
    with pytest.raises(RunnerError) as caught:
        door.connect()
    found = RunnerError(caught.value.phase, caught.value.reason, caught.value.message, hint=caught.value.hint)
    del caught
    gc.collect()
    return found
