"""What the worker is installed by, held against the programs that will read it."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from runner.config.settings import config_faults
from runner.config.worker import WorkerConfig
from runner.core.units import parse_duration
from tests.parts.need import require

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
UNIT = ROOT / "packaging/systemd/skillrunner-worker.service"
MANIFESTS = sorted((ROOT / "packaging/kubernetes").glob("*.yaml"))
VERSIONS = ("1.33", "1.35", "1.37")
DRAIN = WorkerConfig().drain
CAREFUL = {"readOnlyRootFilesystem": True, "runAsNonRoot": True, "allowPrivilegeEscalation": False}


def say(*argv: str | Path, cwd: Path = ROOT, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **variables}
    return subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_dockerfile_keeps_the_rules_of_its_linter() -> None:
    done = say(BIN / "hadolint", "Dockerfile")
    assert done.returncode == 0, done.stdout


# --- compose ------------------------------------------------------------------------------------


@pytest.fixture
def composed(tmp_path: Path) -> dict[str, Any]:
    """The services as Compose itself understands them."""
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    done = say(BIN / "docker-compose", "config", "--format", "json", cwd=tmp_path, DOCKER_GID="999")
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


def test_every_service_is_kept_small(composed: dict[str, Any]) -> None:
    assert set(composed) == {"worker", "database"}
    for name, service in composed.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert not [key for key in service["environment"] if key.endswith(("TOKEN", "PASSWORD", "KEY"))], name


def test_the_engine_finds_workspaces_by_the_path_that_the_worker_says(composed: dict[str, Any]) -> None:
    worker = composed["worker"]
    state = worker["environment"]["SKILLRUNNER_STATE_DIR"]
    mounts = {one["target"]: one["source"] for one in worker["volumes"]}
    assert mounts[state] == state
    assert "network_mode" not in worker


def test_the_worker_waits_for_a_database_without_a_network(composed: dict[str, Any]) -> None:
    worker, database = composed["worker"], composed["database"]
    assert worker["depends_on"]["database"]["condition"] == "service_healthy"
    assert database["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    assert database["network_mode"] == "none"
    assert "ports" not in database
    sockets = [
        one["source"]
        for service in (worker, database)
        for one in service["volumes"]
        if one["type"] == "volume"
    ]
    assert sorted(sockets) == ["database", "database-socket", "database-socket"]


def test_a_container_is_not_stopped_before_it_has_drained(composed: dict[str, Any]) -> None:
    assert parse_duration(composed["worker"]["stop_grace_period"].removesuffix("0s")) > DRAIN


def test_compose_says_what_has_to_be_set(tmp_path: Path) -> None:
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    done = say(BIN / "docker-compose", "config", cwd=tmp_path, DOCKER_GID="")
    assert done.returncode != 0
    assert "stat -c %g /run/docker.sock" in done.stderr


# --- systemd ------------------------------------------------------------------------------------


def analyze(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    require(shutil.which("systemd-analyze"), "systemd-analyze", "apt-get install systemd")
    return say("systemd-analyze", *args)


def test_the_unit_is_read_without_a_complaint(tmp_path: Path) -> None:
    """systemd wants to see the program: any will do."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/skillrunner/bin/skillrunner", "/bin/true"))
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_little_exposed() -> None:
    """In tenths, of ten: what remains is the network, the group of the engine, and no root of its own."""
    done = analyze("security", "--offline=true", "--threshold=20", UNIT)
    assert done.returncode == 0, done.stdout[-500:]


def test_the_unit_drains_and_is_watched() -> None:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert parse_duration(service["WatchdogSec"].removesuffix("in")) > 0
    assert service["KillMode"] == "mixed"  # git in the midst of a push is not told to end
    assert parse_duration(service["TimeoutStopSec"].removesuffix("in")) > DRAIN


# --- Kubernetes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid(version: str) -> None:
    done = say(BIN / "kubernetes-validate", "-k", version, "--strict", *MANIFESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(" passed ") == 4


def documents(name: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(ROOT / "packaging/kubernetes" / f"{name}.yaml"))


def pod(name: str) -> dict[str, Any]:
    """What a manifest's pods are made of."""
    found: dict[str, Any] = documents(name)[0]["spec"]
    if name == "cronjob":
        found = found["jobTemplate"]["spec"]
    made: dict[str, Any] = found["template"]["spec"]
    return made


@pytest.mark.parametrize("name", ["worker", "cronjob"])
def test_a_pod_is_kept_small_and_drains(name: str) -> None:
    spec = pod(name)
    (worker,), (engine,) = spec["containers"], spec["initContainers"]
    assert CAREFUL.items() <= worker["securityContext"].items()
    assert worker["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    assert spec["terminationGracePeriodSeconds"] > DRAIN
    assert engine["restartPolicy"] == "Always"  # or the worker would wait for its end
    for container in (worker, engine):
        assert {"name": "state", "mountPath": "/var/lib/skillrunner"} in container["volumeMounts"]
        assert set(container["resources"]) == {"requests", "limits"}
        assert {one["name"] for one in container["volumeMounts"]} <= {one["name"] for one in spec["volumes"]}
    assert not [one for one in worker["env"] if one["name"].endswith(("TOKEN", "KEY", "URL"))]


def test_only_the_daemon_is_probed_and_the_job_ends() -> None:
    assert {"startupProbe", "livenessProbe"} <= set(pod("worker")["containers"][0])
    once = pod("cronjob")
    assert once["containers"][0]["args"] == ["--once"]
    assert once["restartPolicy"] == "Never"


def test_the_configuration_in_the_manifests_is_valid() -> None:
    _, settings = documents("common")
    assert faults(settings["data"]["skillrunner.yaml"]) == []


# --- the page about it --------------------------------------------------------------------------


def faults(text: str) -> list[str]:
    return [str(fault) for fault in config_faults("skillrunner.yaml", text.encode())]


def test_the_page_shows_valid_configuration_and_files_that_are_there() -> None:
    page = (ROOT / "docs/worker-install.md").read_text()
    examples = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    assert [faults(text) for text in examples] == [[], []]
    named = re.findall(r"\bpackaging/[\w/.-]+\b", page)
    assert len(named) == 3
    assert all((ROOT / name).is_file() for name in named)
