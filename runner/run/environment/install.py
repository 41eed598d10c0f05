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
    """An executable. A script finds the rest of its package at `../lib/<name>` from itself."""

    file: Path
    lib: Path | None = None  # the folder with the rest of its package

    def mounts(self, name: str, tools: str) -> Iterator[Mount]:
        """The mounts with which a sandbox has the program in `tools`, a folder of its path."""
        yield Mount(source=self.file, target=f"{tools}/{name}")
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

    def install(self, say: Callable[[str], None]) -> Program:
        """Fetch the package unless it is there, and report that. Raises RunnerError."""
        package, machine = self.package, _machine()
        names = {"machine": machine, "arch": _ARCHES[machine]}
        version = package.version if self.version == TESTED_VERSION else self.version
        place = self.folder / f"{self.name}-{version}-{machine}"
        with safe_fs.os_errors(Phase.SANDBOX):
            self.folder.mkdir(parents=True, exist_ok=True)
            with lock(self.folder / f"{self.name}.lock"):
                if not place.is_dir():
                    say(f"{self.name} {version} is installed from {self.registry}")
                    self._fetch(place, names, version, machine)
        return _program(place, self.name, package)

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
            _expose(aside / _BIN / self.name, inside / package.program.format(**names), package.node)
            aside.rename(place)
        finally:
            safe_fs.remove(aside)


def _expose(link: Path, program: Path, node: bool) -> None:
    """Link the program under its own name in a folder of its own."""
    if not program.is_file():
        message = f"the package holds no {program.name} where it was expected"
        hint = "name another version under `harnesses`, or a program of your own: `binary`"
        raise RunnerError(Phase.SANDBOX, Reason.HARNESS_MISSING, message, hint=hint)
    link.parent.mkdir()
    if node:
        path = f"{_LIB}/{link.name}/{program.relative_to(link.parents[1] / _LIB / link.name)}"
        link.write_text(f'#!/bin/sh\nexec node "${{0%/*}}/../{path}" "$@"\n')
    else:
        os.link(program, link)
    link.chmod(0o755)


def _program(place: Path, name: str, package: Package) -> Program:
    return Program(file=place / _BIN / name, lib=place / _LIB / name if package.node else None)


def _machine() -> str:
    """npm's name of this machine. Containers have the machine's own architecture, whatever its system is."""
    found = _MACHINES.get(platform.machine().lower())
    if found is None:
        message = f"there are no packages of harnesses for {platform.machine()}"
        hint = "install the harness in the image, and drop `version` under `harnesses`"
        raise RunnerError(Phase.SANDBOX, Reason.HARNESS_MISSING, message, hint=hint)
    return found
