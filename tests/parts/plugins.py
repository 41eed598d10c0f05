"""Third parties' packages: one file each, made a wheel and installed by pip, as their users do it.

The examples lie in tests/contract/plugins. Whoever adds one writes it into `EXAMPLES` below, and
tests/contract/test_third_parties.py then installs it, finds it and puts it through its family's suite.
"""

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests/contract/plugins"


@dataclass(frozen=True, slots=True)
class Example:
    """A file of `FOLDER` and what it adds: the families whose entry points name it, and its kind's name."""

    module: str  # the file's name without .py
    families: tuple[str, ...]  # ("triggers", "sources") where one file adds to both
    kind: str  # which no other test's name holds, so that `-k` picks it


EXAMPLES: tuple[Example, ...] = (
    Example("make_harness", ("harnesses",), "gnu-make"),
    Example("line_agent_harness", ("harnesses",), "line-agent"),
    Example("niced_sandbox", ("sandboxes",), "niced"),
    Example("file_report_output", ("outputs",), "file_report"),
    Example("json_files_forge", ("forges",), "json_files"),
    Example("milestone_trigger", ("triggers",), "milestone"),
    Example("rollout_source", ("triggers", "sources"), "rollout"),
)


def install(target: Path, file: Path, families: Sequence[str], version: str = "1.0") -> Path:
    """Install a package that holds one module into `target`, which is then to be on the path."""
    package = wheel(target.parent / f"{target.name}-wheels", file, families, version)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-input"]
    subprocess.run(
        [*pip, "--no-index", "--no-deps", "--no-compile", "--target", str(target), str(package)],
        check=True,
        env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
    )
    return target


def unpack(target: Path, file: Path, families: Sequence[str]) -> Path:
    """Put such a package into `target` as an installer leaves it there, without the time that pip takes."""
    package = wheel(target.parent / f"{target.name}-wheels", file, families, "1.0")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(target)
    return target


def wheel(folder: Path, file: Path, families: Sequence[str], version: str) -> Path:
    """Build a package that holds one module."""
    name = file.stem
    info = f"{name}-{version}.dist-info"
    points = "".join(f"[skillrunner.{family}]\n{name} = {name}\n\n" for family in families)
    held = {
        f"{name}.py": file.read_text(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    record = "".join(f"{path},,\n" for path in (*held, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in {**held, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return made


@pytest.fixture(scope="session")
def third_parties(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all examples installed: for PYTHONPATH of a process that shall find them."""
    target = tmp_path_factory.mktemp("third") / "parties"
    for one in EXAMPLES:
        install(target, FOLDER / f"{one.module}.py", one.families)
    return target
