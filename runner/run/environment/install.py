"""The program of a harness on this machine, for sandboxes whose image lacks it: configured, or installed."""

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runner.clients import npm
from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.locks import lock
from runner.core.model import Phase, Reason
from runner.harnesses import Package
from runner.sandboxes import Mount

TESTED_VERSION = "tested"
"""In place of a version: the one with which this release of the runner was tested."""

FOLDER = "programs"
"""Below the folder of the runner's state."""

_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_ARCHES = {"x64": "x86_64", "arm64": "aarch64"}
_BIN, _LIB = "bin", "lib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An executable. What it needs stands at `../lib/<name>` in a sandbox, where a script starts it."""

    file: Path
    lib: Path | None = None  # the folder with all that it needs
    launcher: Path | None = None  # starts it from there; None: `file` does so itself

    def mounts(self, name: str, tools: str) -> Iterator[Mount]:
        """The mounts with which a sandbox has the program in `tools`, a folder of its path."""
        yield Mount(source=self.launcher or self.file, target=f"{tools}/{name}")
        if self.lib is not None:
            yield Mount(source=self.lib, target=f"{Path(tools).parent}/{_LIB}/{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """The version of a package that this machine has to have."""

    package: Package
    name: str  # of the program
    version: str
    folder: Path  # where all of them are kept
    registry: str = field(default_factory=npm.registry_url)

    @property
    def exact_version(self) -> str:
        return self.package.version if self.version == TESTED_VERSION else self.version

    def install(self, say: Callable[[str], None]) -> Program:
        """Fetch the package unless it is there, and report that. Raises RunnerError."""
        package, machine = self.package, _machine()
        names = {"machine": machine, "arch": _ARCHES[machine]}
        version = self.exact_version
        place = self.folder / f"{self.name}-{version}-{machine}"
        with safe_fs.os_errors(Phase.SANDBOX):
            self.folder.mkdir(parents=True, exist_ok=True)
            with lock(self.folder / f"{self.name}.lock"):
                if not place.is_dir():
                    say(f"{self.name} {version} is installed from {self.registry}")
                    self._fetch(place, names, version, machine)
                file = place / _BIN / self.name
                _write_launcher(file, self.name, package.program.format(**names), package.node)
        return Program(file=file, lib=place / _LIB / self.name)

    def _fetch(self, place: Path, names: dict[str, str], version: str, machine: str) -> None:
        package = self.package
        release = package.release.format(version=version, **names)
        known = package.sha512.get(machine, "") if version == package.version else ""
        aside = place.with_name(f".{place.name}.new")
        safe_fs.remove(aside)
        try:
            inside = aside / _LIB / self.name
            inside.mkdir(parents=True)
            npm.unpack(self.registry, package.name.format(**names), release, known, inside)
            _check(inside / package.program.format(**names))
            aside.rename(place)
        finally:
            safe_fs.remove(aside)


def configured_program(path: Path, name: str, package: Package | None, folder: Path) -> Program:
    """A program of this machine; where it stands in its package, with what that says it needs."""
    root = _root(path, package) if package is not None else None
    if root is None:
        return Program(file=path)
    launcher = folder / f"{name}.launcher"
    with safe_fs.os_errors(Phase.SANDBOX):
        _write_launcher(launcher, name, path.relative_to(root).as_posix())
    return Program(file=path, lib=root, launcher=launcher)


def _root(path: Path, package: Package) -> Path | None:
    """The folder that a program needs; None: it needs none, or is not where its package has it."""
    machine = _MACHINES.get(platform.machine().lower(), "")
    names = {"machine": machine, "arch": _ARCHES.get(machine, "")}
    inside = Path(package.program.format(**names))
    if not package.needs or path.parts[-len(inside.parts) :] != inside.parts:
        return None
    return path.parents[len(inside.parts) - 1] / package.needs.format(**names)


def _check(program: Path) -> None:
    if not program.is_file():
        message = f"the package holds no {program.name} where it was expected"
        hint = "name another version under `harnesses`, or a program of your own: `binary`"
        raise RunnerError(Phase.SANDBOX, Reason.HARNESS_MISSING, message, hint=hint)
    program.chmod(0o755)


def _write_launcher(file: Path, name: str, program: str, node: bool = False) -> None:
    """Write the script that starts a program from its own folder: it looks for its parts beside itself."""
    text = f'#!/bin/sh\nexec {"node " if node else ""}"${{0%/*}}/../{_LIB}/{name}/{program}" "$@"\n'
    if file.is_file() and file.stat().st_size == len(text) and file.read_text() == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(text)
    aside.chmod(0o755)
    aside.replace(file)


def _machine() -> str:
    """npm's name of this machine. Containers have the machine's own architecture, whatever its system is."""
    found = _MACHINES.get(platform.machine().lower())
    if found is None:
        message = f"there are no packages of harnesses for {platform.machine()}"
        hint = "install the harness in the image, and drop `version` under `harnesses`"
        raise RunnerError(Phase.SANDBOX, Reason.HARNESS_MISSING, message, hint=hint)
    return found
