"""The house keeps its shape: imports go upward only, functions and files stay small."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "runner"

ORDER = [
    "model",
    "errors",
    "globs",
    "units",
    "plugins",
    "documents",
    "options",
    "redact",
    "lines",
    "cassette",
    "triggers",
    "harnesses",
    "worker_config",
    "harness_config",
    "config",
    "doors",
    "secret",
    "tree",
    "mirror",
    "overlay",
    "workspace",
    "changeset",
    "index",
    "ignored",
    "walk",
    "harvest",
    "environments",
    "sandboxes",
    "gateway",
    "forges",
    "outputs",
    "skill",
    "timetable",
    "decide",
    "backfill",
    "trouble",
    "plan",
    "workflow",
    "policy",
    "admission",
    "store",
    "record",
    "log",
    "steering",
    "declared",
    "session",
    "earlier",
    "drive",
    "verify",
    "programs",
    "job",
    "tools",
    "access",
    "launchers",
    "images",
    "prepared",
    "taught",
    "stages",
    "beside",
    "execute",
    "wire",
    "handoff",
    "intake",
    "case",
    "launch",
    "rehearse",
    "appraise",
    "ledger",
    "loop_guard",
    "lookup",
    "hearing",
    "preview",
    "console",
    "action",
    "web",
    "queue",
    "worker",
    "commands",
    "cli",
    "__main__",
]
"""Data order is import order: a room imports only itself and the rooms that stand before it."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "runner":
            parts = (node.module or "").split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            yield from ((node.lineno, name) for name in names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("runner."):
                    yield node.lineno, alias.name.split(".")[1]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_upward(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    assert here in ORDER, f"{here} has no place in the order of the house"
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in imported_rooms(path)
        if name != "__version__" and ORDER.index(name) > ORDER.index(here)
    ]
    assert wrong == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def lengths() -> list[int]:
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                found.append((node.end_lineno or 0) - body[0].lineno + 2 if body else 1)
    return sorted(found)


def test_functions_stay_short() -> None:
    measured = lengths()
    assert statistics.median(measured) <= 9
    assert measured[int(len(measured) * 0.9)] <= 30


def test_pure_rooms_open_no_doors() -> None:
    """What decides does not act: no process, network or file is opened in the pure rooms."""
    forbidden = {"subprocess", "socket", "requests", "docker", "git", "sqlalchemy", "http", "urllib3"}
    pure = [
        path
        for path in modules()
        if room(path)
        in {
            "model",
            "errors",
            "globs",
            "cassette",
            "triggers",
            "harnesses",
            "timetable",
            "decide",
            "backfill",
            "trouble",
            "plan",
            "workflow",
            "policy",
            "admission",
        }
    ]
    for path in pure:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").split(".")[0]]
            assert not forbidden & set(names), f"{path.relative_to(ROOT)} opens a door"
