"""Programs of harnesses that are installed, from a registry of this machine."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.harnesses import Package
from runner.run.environment.install import Install, Program, configured_program
from tests.parts.npm import Registry, packed, registry, sha512

MACHINE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
NATIVE = Package(name="@agents/agent-{machine}", version="1.2.3", program="vendor/{arch}/agent")
NAME = f"@agents/agent-{MACHINE}"
SCRIPT = Package(name="agent", version="1.2.3", program="bundle/agent.js", node=True)
GOOD = packed({f"vendor/{platform.machine()}/agent": b"#!/bin/sh\necho native $1\n"})


@pytest.fixture
def published() -> Iterator[Registry]:
    with registry() as found:
        yield found


def install(package: Package, published: Registry, folder: Path, version: str = "tested") -> Program:
    wanted = Install(package=package, name="agent", version=version, folder=folder, registry=published.url)
    return wanted.install(lambda _: None)


def said_by(program: Program, *arguments: str) -> str:
    done = subprocess.run([program.file, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def refused(package: Package, published: Registry, folder: Path, version: str = "tested") -> RunnerError:
    """Why it is not installed. Nothing of it is left behind."""
    with pytest.raises(RunnerError) as caught:
        install(package, published, folder, version)
    assert [one.name for one in folder.iterdir()] == ["agent.lock"]
    assert (caught.value.phase, caught.value.reason) == (Phase.SANDBOX, Reason.HARNESS_MISSING)
    return caught.value


def test_a_program_is_fetched_once(published: Registry, tmp_path: Path) -> None:
    published.publish(NAME, "1.2.3", GOOD)
    program = install(NATIVE, published, tmp_path)
    assert said_by(program, "one") == "native one"
    asked = list(published.asked)
    assert asked[0] == f"/@agents%2Fagent-{MACHINE}/1.2.3"
    assert install(NATIVE, published, tmp_path) == program
    assert published.asked == asked


def test_a_script_finds_its_package(published: Registry, tmp_path: Path) -> None:
    code = b"console.log('script', process.argv[2], require('./other.js'))"
    published.publish(
        "agent", "1.2.3", packed({"bundle/agent.js": code, "bundle/other.js": b"exports.a = 1"})
    )
    program = install(SCRIPT, published, tmp_path)
    assert said_by(program, "two words") == "script two words { a: 1 }"
    mounts = {mount.target: mount.source for mount in program.mounts("agent", "/opt/tools/bin")}
    assert mounts == {"/opt/tools/bin/agent": program.file, "/opt/tools/lib/agent": program.lib}


NEEDY = Package(
    name="agent",
    version="1.2.3",
    program="vendor/{arch}/bin/agent",
    needs="vendor/{arch}",
)
ARCH = f"vendor/{platform.machine()}"
WHOLE = packed(
    {
        f"{ARCH}/bin/agent": b"#!/bin/sh\ncat ${0%/*}/beside ${0%/*}/../more/other\n",
        f"{ARCH}/bin/beside": b"beside ",
        f"{ARCH}/more/other": b"and more",
        "secret": b"x",
    }
)


def shown(program: Program, folder: Path) -> Path:
    """The program where a sandbox that mounts it has it."""
    for mount in program.mounts("agent", str(folder / "bin")):
        target = Path(mount.target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if mount.source.is_dir():
            shutil.copytree(mount.source, target)
        else:
            shutil.copy(mount.source, target)
    return folder / "bin/agent"


def test_a_program_finds_what_stands_beside_it(published: Registry, tmp_path: Path) -> None:
    published.publish("agent", "1.2.3", WHOLE)
    program = install(NEEDY, published, tmp_path / "state")
    assert said_by(program) == "beside and more"
    there = shown(program, tmp_path / "sandbox")
    assert said_by(Program(file=there)) == "beside and more"


def test_a_program_of_an_older_release_gets_what_stands_beside_it(
    published: Registry, tmp_path: Path
) -> None:
    """It was a link to the program alone."""
    published.publish("agent", "1.2.3", WHOLE)
    program = install(NEEDY, published, tmp_path)
    assert program.lib is not None
    program.file.unlink()
    os.link(program.lib / ARCH / "bin/agent", program.file)
    again = install(NEEDY, published, tmp_path)
    assert said_by(again) == "beside and more"
    assert (program.lib / ARCH / "bin/agent").read_bytes().startswith(b"#!/bin/sh\ncat ")


def test_a_configured_program_is_shown_with_what_its_package_needs(tmp_path: Path) -> None:
    own = tmp_path / "node_modules" / ARCH / "bin/agent"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\ncat ${0%/*}/beside\n")
    own.chmod(0o755)
    (own.parent / "beside").write_text("beside")
    (tmp_path / "node_modules/private").write_text("x")
    program = configured_program(own, "agent", NEEDY, tmp_path / "state")
    assert program.file == own
    there = shown(program, tmp_path / "sandbox")
    assert said_by(Program(file=there)) == "beside"
    assert not list((tmp_path / "sandbox").rglob("private"))


@pytest.mark.parametrize("package", [None, NATIVE, NEEDY])
def test_of_a_configured_program_elsewhere_nothing_else_is_shown(
    tmp_path: Path, package: Package | None
) -> None:
    own = tmp_path / "bin/agent"
    assert configured_program(own, "agent", package, tmp_path) == Program(file=own)


def test_another_version_is_the_registrys_word(published: Registry, tmp_path: Path) -> None:
    pinned = Package(
        name="agent",
        version="1.2.3",
        program="agent",
        sha512=dict.fromkeys(("x64", "arm64"), sha512(b"other")),
    )
    for version in ("1.2.3", "2.0.0"):
        published.publish("agent", version, packed({"agent": b"#!/bin/sh\necho here\n"}))
    assert said_by(install(pinned, published, tmp_path, "2.0.0")) == "here"


def test_a_package_that_was_changed_is_refused(published: Registry, tmp_path: Path) -> None:
    """The registry may have been told another digest with it: the tested version's is known."""
    pinned = Package(
        name="agent", version="1.2.3", program="agent", sha512=dict.fromkeys(("x64", "arm64"), sha512(GOOD))
    )
    published.publish("agent", "1.2.3", packed({"agent": b"#!/bin/sh\necho stolen\n"}))
    assert "its digest differs" in refused(pinned, published, tmp_path).message


@pytest.mark.parametrize(
    ("break_it", "message", "again"),
    [
        (lambda it: it.documents.clear(), "has no ", False),
        (lambda it: it.archives.clear(), "answered 404", True),
        (lambda it: it.statuses.update(dict.fromkeys(it.documents, 500)), "answered 500", True),
        (lambda it: it.publish(NAME, "1.2.3", GOOD, "sha1-x"), "gives no SHA-512", False),
        (lambda it: it.publish(NAME, "1.2.3", b"no archive"), "cannot be unpacked", True),
        (lambda it: it.publish(NAME, "1.2.3", packed({"README": b""})), "holds no agent", False),
        (lambda it: it.publish(NAME, "1.2.3", packed({"../../out": b""})), "cannot be unpacked", True),
        (
            lambda it: it.documents.update({path: {"dist": "?"} for path in it.documents}),
            "does not say where",
            True,
        ),
    ],
    ids=["no version", "no archive", "busy", "no digest", "garbage", "no program", "escape", "no place"],
)
def test_what_goes_wrong(
    published: Registry, tmp_path: Path, break_it: object, message: str, again: bool
) -> None:
    published.publish(NAME, "1.2.3", GOOD)
    assert callable(break_it)
    break_it(published)
    error = refused(NATIVE, published, tmp_path)
    assert message in error.message
    assert error.hint
    assert error.end.retryable is again


def test_links_are_left_out(published: Registry, tmp_path: Path) -> None:
    files = {f"vendor/{platform.machine()}/agent": b"#!/bin/sh\necho safe\n"}
    published.publish(NAME, "1.2.3", packed(files, {"vendor/link": "/etc/passwd"}))
    program = install(NATIVE, published, tmp_path)
    assert said_by(program) == "safe"
    assert not [one for one in tmp_path.rglob("*") if one.is_symlink()]


def test_a_registry_that_is_away(tmp_path: Path) -> None:
    error = refused(NATIVE, Registry(url="http://127.0.0.1:9"), tmp_path)
    assert "cannot be fetched from http://127.0.0.1:9" in error.message
    assert "NPM_CONFIG_REGISTRY" in error.hint


def test_a_machine_of_another_kind(
    published: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(RunnerError, match="for riscv64"):
        install(NATIVE, published, tmp_path)
