"""What a container may do: pure, a spec in, the engine's options out."""

import os
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from runner.clients.docker.engine import RUN_LABEL
from runner.core.model import Places
from runner.sandboxes import Origin, SandboxSpec
from runner.sandboxes.docker import seccomp

USER = (os.getuid(), os.getgid()) if os.getuid() else (1000, 1000)
TOOLS = "/opt/skillrunner/bin"
"""The folder, on the PATH inside, for programs of this machine."""

PLACES = Places(workspace="/workspace", exchange="/skillrunner", home="/skillrunner/home")
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NO_NAMES = ["127.0.0.1"]
"""Nobody for the engine to ask for a name: the container itself, where nothing answers."""

_NAP = 15  # seconds
_IDLE = 'n=$1; while [ "$n" -gt 0 ]; do sleep "$2"; n=$((n - 1)); done'
_TMP = "rw,exec,nosuid,nodev,size=1g,mode=1777"
_RUN = "rw,nosuid,nodev,size=16m,mode=1777"
_HOST = "skillrunner"  # the same for every run: an agent prints it, and a case compares that
_SECURITY = ["no-new-privileges", f"seccomp={seccomp.profile()}"]


def labels(spec: SandboxSpec) -> dict[str, str]:
    """By these a later runner knows whose a container or network is."""
    return {
        RUN_LABEL: spec.run_id,
        "skillrunner.attempt": str(spec.attempt),
        "skillrunner.worker": spec.worker,
        "skillrunner.purpose": spec.purpose,
    }


def origin(labels: Mapping[str, str]) -> Origin:
    """Whose a container or network is."""
    attempt = labels.get("skillrunner.attempt", "")
    return Origin(
        run_id=labels[RUN_LABEL],
        attempt=int(attempt) if attempt.isdecimal() else 1,
        worker=labels.get("skillrunner.worker", ""),
    )


def options(spec: SandboxSpec) -> dict[str, Any]:
    """The options of "create a container" but for those of the host."""
    nap = max(1, min(_NAP, int(spec.lifetime)))
    return {
        "image": spec.image,
        # Idle, and not for ever: should the runner be gone, the container ends by itself. In many short
        # sleeps, because the time of one goes on while the container is held.
        "command": ["sh", "-c", _IDLE, "sh", str(ceil(spec.lifetime / nap)), str(nap)],
        "entrypoint": "",
        "hostname": _HOST,
        "user": f"{USER[0]}:{USER[1]}",
        "working_dir": PLACES.workspace,
        "labels": labels(spec),
    }


def variables(image: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a command besides those that its image sets: `image` holds these, as NAME=VALUE.

    The PATH is the one that is given, or the image's own, behind the folder of this machine's programs.
    """
    own = dict(one.partition("=")[::2] for one in image)
    path = given.get("PATH") or own.get("PATH") or _USUAL_PATH
    usual = {"HOME": PLACES.home, "LANG": "C.UTF-8", "TMPDIR": "/tmp"}  # noqa: S108 - the container's own
    return {**usual, **given, "PATH": f"{TOOLS}:{path}"}


def host_options(spec: SandboxSpec, names: list[str]) -> dict[str, Any]:
    """Limits, and what is seen of the host. `names` are the servers to ask for names."""
    return {
        "auto_remove": True,
        "cap_drop": ["ALL"],
        "cpu_period": 100_000,
        "cpu_quota": int(spec.resources.cpus * 100_000),
        "dns": names,
        # A look-up that cannot succeed should not take the ten seconds that are usual.
        "dns_opt": ["timeout:1", "attempts:1"] if names == NO_NAMES else None,
        "init": True,
        "ipc_mode": "private",
        "mem_limit": spec.resources.memory,
        "memswap_limit": spec.resources.memory,
        "mounts": _mounts(spec),
        "network_mode": "bridge" if spec.setup_network else "none",
        "pids_limit": spec.resources.pids,
        "read_only": True,
        "security_opt": _SECURITY,
        "ulimits": [{"Name": "fsize", "Soft": spec.resources.disk, "Hard": spec.resources.disk}],
        "tmpfs": {"/tmp": _TMP, "/run": _RUN},  # noqa: S108 - the container's own
    }


def helper_options(
    spec: SandboxSpec, container: str, command: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same two for a helper that shares a container's network and exchange folder, for one command."""
    mine: dict[str, Any] = {"image": spec.helper, "command": list(command), "working_dir": "/"}
    host = {
        "cap_drop": ["ALL"],
        "mounts": [_mount(str(spec.exchange), PLACES.exchange, False)],
        "network_mode": f"container:{container}",
        "read_only": True,
        "security_opt": _SECURITY,
    }
    own = {name: value for name, value in options(spec).items() if name != "hostname"}
    return own | mine, host  # the name of the host is the other container's


def _mounts(spec: SandboxSpec) -> list[dict[str, Any]]:
    """As "mounts", not as "binds": these would split paths at colons, and create a source that is missing."""
    writable = ((spec.workspace, PLACES.workspace), (spec.exchange, PLACES.exchange))
    return [
        *(_mount(str(source), target, False) for source, target in writable),
        *(_mount(str(mount.source), mount.target, True) for mount in spec.mounts),
    ]


def _mount(source: str, target: str, read_only: bool) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only}
