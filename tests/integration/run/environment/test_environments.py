"""An environment is made of a commit's files, by the engine that runs the sandbox."""

import base64
import io
import json
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from runner.clients.docker import build, engine, images
from runner.clients.docker.build import Build
from runner.core.errors import RunnerError
from runner.core.model import Reason, Resources
from runner.run.environment.context import DOCKERFILE, BuildContext, build_context
from tests.parts.repos import Content, Scene, commit, scene

# `prune` removes what another test has built.
pytestmark = pytest.mark.xdist_group("built images")

FILES: dict[str, Content] = {
    "env/Dockerfile": b"FROM scratch\nCOPY a.txt tool /\n",
    "a.txt": b"one\n",
    "tool": (0o100755, b"#!/bin/sh\n"),
    "other.txt": b"not seen\n",
}


def found(made: Scene, trusted: str = "main", base: str = "main", **options: Any) -> BuildContext:
    made.mirror.fetch(made.remote)
    commits = [made.mirror.resolve(one) for one in (trusted, base)]
    return build_context(
        made.mirror, *commits, options.get("path", "env/Dockerfile"), options.get("folder", "")
    )


def packed(one: BuildContext) -> dict[str, tuple[int, bytes]]:
    file = io.BytesIO()
    one.write(file)
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        found = [(entry, tar.extractfile(entry)) for entry in tar]
        return {entry.name: (entry.mode, content.read()) for entry, content in found if content}


def test_the_context_holds_what_the_dockerfile_names(tmp_path: Path) -> None:
    made = packed(found(scene(tmp_path, FILES)))
    assert made == {
        "a.txt": (0o644, b"one\n"),
        "tool": (0o755, b"#!/bin/sh\n"),
        DOCKERFILE: (0o644, FILES["env/Dockerfile"]),
    }


def test_the_key_is_that_of_what_is_seen(tmp_path: Path) -> None:
    made = scene(tmp_path, FILES)
    first = found(made).key
    commit(made.source, {"other.txt": b"changed\n"})
    assert found(made).key == first
    commit(made.source, {"tool": b"#!/bin/sh\n"})  # no program any more
    second = found(made).key
    commit(made.source, {"env/Dockerfile": b"FROM scratch\nCOPY a.txt tool /x/\n"})
    assert len({first, second, found(made).key}) == 3


def test_the_dockerfile_is_that_of_the_trusted_commit(tmp_path: Path) -> None:
    made = scene(tmp_path, FILES)
    theirs = {"env/Dockerfile": b"FROM evil\n", "a.txt": b"two\n", "tool": b""}
    commit(made.source, theirs, branch="theirs")
    one = packed(found(made, base="theirs"))
    assert one[DOCKERFILE][1] == FILES["env/Dockerfile"]
    assert one["a.txt"][1] == b"two\n"


def test_what_is_ignored_is_not_sent(tmp_path: Path) -> None:
    files = {
        **FILES,
        "env/Dockerfile": b"FROM scratch\nCOPY . /\n",
        ".dockerignore": b"# no\n*.txt\n!a.txt\n",
    }
    assert set(packed(found(scene(tmp_path, files)))) == {
        ".dockerignore",
        "a.txt",
        "tool",
        "env/Dockerfile",
        DOCKERFILE,
    }


def test_a_folder_is_a_context_of_its_own(tmp_path: Path) -> None:
    files = {"env/Dockerfile": b"FROM scratch\nCOPY . /\n", "env/x": b"x", "env2/y": b"y", "z": b"z"}
    assert set(packed(found(scene(tmp_path, files), folder="env"))) == {"Dockerfile", "x", DOCKERFILE}


@pytest.mark.parametrize("path", ["env/None", "env", "../Dockerfile"])
def test_a_missing_dockerfile_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(RunnerError) as caught:
        found(scene(tmp_path, FILES), path=path)
    assert caught.value.reason in (Reason.IMAGE_BUILD_FAILED, Reason.GIT_FAILED)
    assert path in caught.value.message


def test_a_commit_that_was_not_pushed_is_said(tmp_path: Path) -> None:
    made = scene(tmp_path, FILES)
    made.mirror.fetch(made.remote)
    with pytest.raises(RunnerError) as caught:
        build_context(made.mirror, "1" * 40, made.mirror.resolve("main"), "env/Dockerfile")
    assert caught.value.hint.startswith("git push")


@pytest.fixture
def wanted(tmp_path: Path, local_image: str) -> Iterator[Any]:
    """A build whose context is nothing but its Dockerfile; its image is removed afterwards."""
    made: list[Build] = []

    def want(script: str, **options: Any) -> Build:
        # A layer of its own, or a test that removes its image takes away what another builds upon.
        text = f"FROM {local_image}\nENV OF_THE_TEST={tmp_path}\n{script}\n"

        def write(file: Any) -> None:
            content = text.encode()
            with tarfile.open(fileobj=file, mode="w") as tar:
                info = tarfile.TarInfo("Dockerfile")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))

        said = {"timeout": 120.0, "resources": Resources(), **options}
        key = f"test-{abs(hash(tmp_path)):x}"
        said = {"text": text, "write": write, **said}
        made.append(Build(key=key, name="env/Dockerfile", dockerfile="Dockerfile", **said))
        return made[-1]

    yield want
    for one in made:
        if images.is_present(tag := f"{build.REPOSITORY}:{one.key}"):
            engine.client().remove_image(tag, force=True)


@pytest.mark.docker
def test_an_image_is_built_once(wanted: Any) -> None:
    said: list[str] = []
    log: list[str] = []
    one = wanted("RUN echo made > /made && echo it prints this")
    tag = build.build(one, said.append, log.append)
    assert "it prints this" in log
    assert any(line.startswith("Step 2/") for line in said)
    assert engine.client().inspect_image(tag)["Config"]["Labels"][build.LABEL] == one.key
    log.clear()
    assert build.build(one, said.append, log.append) == tag
    assert log == []
    assert said[-1].endswith(f"is there already: {tag}")


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of this test alone: others use the same engine."""
    name = f"h{uuid.uuid4().hex[:12]}"
    monkeypatch.setattr(build, "REPOSITORY", f"skillrunner/{name}")
    monkeypatch.setattr(build, "LABEL", f"skillrunner.{name}")


@pytest.mark.docker
@pytest.mark.usefixtures("apart")
def test_an_image_that_nobody_uses_is_removed(wanted: Any) -> None:
    tag = build.build(wanted("RUN echo made > /made"), print, print)
    assert build.prune() == []
    assert images.is_present(tag)
    assert build.prune(unused_for=-10) == [tag]
    assert not images.is_present(tag)


@pytest.mark.docker
@pytest.mark.usefixtures("apart")
def test_every_use_of_an_image_counts(wanted: Any) -> None:
    one = wanted("RUN echo made > /made")
    tag = build.build(one, print, print)

    def named() -> str:
        return str(engine.client().inspect_image(tag)["Metadata"]["LastTagTime"])

    before = named()
    build.build(one, print, print)
    assert named() > before


@pytest.mark.docker
@pytest.mark.usefixtures("apart")
def test_an_image_that_a_container_has_stays(wanted: Any) -> None:
    tag = build.build(wanted("RUN echo made > /made"), print, print)
    container = engine.client().create_container(tag, ["true"])["Id"]
    try:
        assert build.prune(unused_for=-10) == []
        assert images.is_present(tag)
    finally:
        engine.remove(container)


@pytest.mark.docker
@pytest.mark.usefixtures("apart")
def test_the_next_build_clears_away_what_is_unused(wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old = build.build(wanted("RUN echo made > /made"), print, print)
    monkeypatch.setattr(build, "_age", lambda tag: build.UNUSED_AFTER + 1)
    said: list[str] = []
    new = build.build(replace(wanted("RUN echo other > /made"), key="other"), said.append, print)
    try:
        assert f"no run has used {old} for long: it is removed" in said
        assert (images.is_present(old), images.is_present(new)) == (False, True)
    finally:
        engine.client().remove_image(new)


@pytest.mark.docker
def test_a_build_that_fails_shows_its_last_words(wanted: Any) -> None:
    with pytest.raises(RunnerError) as caught:
        build.build(wanted("RUN echo the reason; exit 3"), lambda _: None, lambda _: None)
    assert caught.value.reason is Reason.IMAGE_BUILD_FAILED
    assert "env/Dockerfile" in caught.value.message
    assert "the reason" in caught.value.message
    assert "returned a non-zero code: 3" in caught.value.message


@pytest.mark.docker
def test_a_build_has_a_time_limit(wanted: Any) -> None:
    with pytest.raises(RunnerError) as caught:
        build.build(wanted("RUN sleep 600", timeout=1.0), lambda _: None, lambda _: None)
    assert caught.value.reason is Reason.WALL_CLOCK
    assert "build_timeout" in caught.value.hint


@pytest.mark.docker
def test_a_build_ends_when_the_run_has_to_stop(wanted: Any) -> None:
    begun = Event()

    def stop() -> None:
        if begun.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build.build(wanted("RUN sleep 600", stop=stop), lambda _: begun.set(), lambda _: None)


@pytest.fixture
def host_service() -> Iterator[tuple[str, list[str]]]:
    """A service on the host's loopback address, and the paths that it was asked for."""
    asked: list[str] = []

    class Secrets(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"of the host")

        def log_message(self, *args: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Secrets) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.docker
@pytest.mark.parametrize("script", ["ADD {url}/add /stolen", "ARG U={url}/arg\nADD $U /stolen"])
def test_a_build_does_not_read_the_hosts_loopback(
    wanted: Any, host_service: tuple[str, list[str]], script: str
) -> None:
    """The engine fetches what ADD names, and its network is the host's."""
    url, asked = host_service
    with pytest.raises(RunnerError) as caught:
        build.build(wanted(script.format(url=url)), print, print)
    assert (caught.value.reason, asked) == (Reason.IMAGE_BUILD_FAILED, [])
    assert "has the engine fetch" in caught.value.message


@pytest.mark.docker
def test_a_base_image_has_the_engine_fetch_nothing_either(
    wanted: Any, local_image: str, host_service: tuple[str, list[str]]
) -> None:
    url, asked = host_service
    base = f"skillrunner/onbuild-{uuid.uuid4().hex[:12]}"
    made = engine.client().create_container(local_image, ["true"])["Id"]
    engine.client().commit(made, base, "test", changes=f"ONBUILD ADD {url}/onbuild /stolen")
    try:
        text = f"ARG TAG=test\nFROM {base}:${{TAG}}\n"
        with pytest.raises(RunnerError) as caught:
            build.build(replace(wanted(""), text=text), print, print)
        assert f"the image {base}:test, from which env/Dockerfile begins" in caught.value.message
        assert asked == []
    finally:
        engine.remove(made)
        engine.client().remove_image(f"{base}:test", force=True)


@pytest.mark.docker
def test_a_sealed_build_has_no_network(wanted: Any) -> None:
    log: list[str] = []
    build.build(wanted("RUN ls /sys/class/net | xargs echo devices:", network=False), print, log.append)
    assert "devices: lo" in log


@pytest.mark.docker
@pytest.mark.parametrize(("registries", "expected"), [((), []), (("PLACE",), ["ann"])])
def test_registries_get_the_credentials_that_the_operator_names(
    wanted: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    registries: tuple[str, ...],
    expected: list[str],
) -> None:
    """A registry that wants to know who asks, and is told so by those who may say."""
    told: list[str] = []

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = self.headers["Authorization"] or ""
            if said.startswith("Basic "):
                told.append(base64.b64decode(said[6:]).decode().partition(":")[0])
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{server.server_port}"
        auths = {place: {"auth": base64.b64encode(b"ann:her-password").decode()}}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        named = tuple(one.replace("PLACE", place) for one in registries)
        one = replace(wanted(""), text=f"FROM {place}/team/secret:1\n", registries=named)
        with pytest.raises(RunnerError) as caught:
            build.build(one, print, print)
        server.shutdown()
    assert sorted(set(told)) == expected
    assert (f"builds: {{registries: [{place}]}}" in caught.value.hint) == (not expected)


def test_only_named_registries_are_in_the_header() -> None:
    class Client:
        def _set_auth_headers(self, headers: dict[str, str]) -> None:
            known = {
                "https://index.docker.io/v1/": {"a": "1"},
                "docker.io": {"a": "1"},
                "ghcr.io": {"b": "2"},
            }
            headers["X-Registry-Config"] = base64.urlsafe_b64encode(json.dumps(known).encode()).decode()

    def sent(*registries: str) -> list[str]:
        made = build._credentials(Client(), registries)
        return sorted(json.loads(base64.urlsafe_b64decode(made.get("X-Registry-Config", "e30="))))

    assert sent() == []
    assert sent("ghcr.io") == ["ghcr.io"]
    assert sent("docker.io") == ["docker.io", "https://index.docker.io/v1/"]
    assert sent("example.com") == []
