"""A sandbox is alone: the other services on its engine, which the host can reach, are out of its reach."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.clients.docker import engine
from tests.parts.rig import Rig, opened_rig

pytestmark = pytest.mark.docker


@pytest.fixture(scope="session")
def docker_compose_command() -> str:
    return str(Path(sys.executable).parent / "docker-compose")


@pytest.fixture(scope="session")
def docker_compose_file(local_image: str) -> str:
    pytest.MonkeyPatch().setenv("LOCAL_IMAGE", local_image)
    return str(Path(__file__).parents[2] / "compose.yaml")


@pytest.fixture
def neighbour(docker_services: Any, docker_ip: str) -> str:
    """The address of a neighbour inside the engine, once it answers the host."""
    url = f"http://{docker_ip}:{docker_services.port_for('neighbour', 8080)}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    docker_services.wait_until_responsive(check=answers, timeout=30, pause=0.1)
    found = engine.client().containers(filters={"label": "com.docker.compose.service=neighbour"})
    networks = found[0]["NetworkSettings"]["Networks"].values()
    return str(next(iter(networks))["IPAddress"])


@pytest.fixture
def rig(local_image: str, tmp_path: Path) -> Iterator[Rig]:
    with opened_rig("docker", local_image, tmp_path) as made:
        yield made


@pytest.mark.parametrize("gateway", [False, True])
def test_a_sealed_sandbox_does_not_reach_its_neighbours(neighbour: str, rig: Rig, gateway: bool) -> None:
    sandbox = rig.open(gateway=gateway)
    sandbox.seal()
    connect = f"import socket; socket.create_connection(('{neighbour}', 8080), 2)"
    assert rig.run(sandbox, f'python3 -c "{connect}"').code != 0
    assert b"reachable" in rig.printed("stderr") or b"timed out" in rig.printed("stderr")


def test_the_neighbour_is_there_for_others(neighbour: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_connection(('{neighbour}', 8080), 2).close()"],
        check=False,
    )
    assert done.returncode == 0
