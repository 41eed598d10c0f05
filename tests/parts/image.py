"""The worker's image, from the real Dockerfile: on a base of this machine, with packages that pip has."""

import ensurepip
import hashlib
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from docker.errors import APIError

from runner.clients.docker import engine as docker
from runner.clients.docker import images
from tests.parts.engine import CACHE, ROOT, _alone
from tests.parts.need import missing

REPOSITORY = "skillrunner/worker"
MADE_OF = (
    "Dockerfile",
    ".dockerignore",
    "constraints.txt",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "runner",
)


@pytest.fixture(scope="session")
def worker_image(engine: None) -> str:
    """The tag of the image; what has not changed is not built again, and what has is not kept."""
    with _alone("image"):
        base = _base()
        tag = f"{REPOSITORY}:{_digest(base)}"
        if not images.is_present(tag):
            with index(_wheels()) as url:
                _build(tag, {"BASE": base, "PIP_INDEX_URL": url})
    return tag


def _digest(base: str) -> str:
    total = hashlib.sha256(base.encode())
    for path in (ROOT / name for name in MADE_OF):
        for file in sorted(path.rglob("*.*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(f"{file.relative_to(ROOT)}".encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


def _build(tag: str, arguments: Mapping[str, str]) -> None:
    client, said = docker.client(), ""
    before = client.images(name=REPOSITORY, quiet=True)
    options = {"buildargs": arguments, "network_mode": "host", "forcerm": True}
    for line in client.build(path=str(ROOT), tag=tag, rm=True, decode=True, **options):
        said += str(line.get("stream") or line.get("error") or "")
        if "error" in line:
            pytest.fail(said[-4000:], pytrace=False)
    stages = re.findall(r"^ ---> ([0-9a-f]{12})$", said, re.MULTILINE)
    for old in (*before, *reversed(stages)):
        with suppress(APIError):  # it is part of what was built, or somebody else's tests use it
            if old in before or not client.inspect_image(old)["RepoTags"]:
                client.remove_image(old)


def _base() -> str:
    """An image like Python's own: with what `python -m venv` needs."""
    folder, version = Path(ensurepip.__path__[0]), f"python{sys.version_info.major}.{sys.version_info.minor}"
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    inside = f"/usr/local/lib/{version}/ensurepip"
    given = [part for path in files for part in ("--with", f"{path}:{inside}/{path.relative_to(folder)}")]
    build = [sys.executable, str(ROOT / "scripts/local_image.py"), *given]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode:
        missing("a base image of this machine", done.stderr.strip()[-500:])
    return done.stdout.strip()


def _wheels() -> Path:
    """A folder per package, as in an index, with all that an installation needs."""
    asked = (ROOT / "constraints.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    folder = CACHE / f"wheels-{hashlib.sha256(asked).hexdigest()[:16]}"
    if folder.exists():
        return folder
    unsorted = folder.with_suffix(".new")
    shutil.rmtree(unsorted, ignore_errors=True)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(unsorted / "all")]
    wanted = ["--constraint", "constraints.txt", ".", "hatchling"]
    done = subprocess.run([*download, *wanted], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        missing("the packages for an image", done.stderr.strip()[-500:])
    for wheel in (unsorted / "all").glob("*.whl"):
        home = unsorted / re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        home.mkdir(exist_ok=True)
        wheel.rename(home / wheel.name)
    unsorted.rename(folder)
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - named so by the library


@contextmanager
def index(folder: Path) -> Iterator[str]:
    """A package index of this machine's own, for as long as the context lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
