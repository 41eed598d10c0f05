"""The house keeps its shape: the table of rooms below is its only list.

docs/architecture.md prints the same table; `python -m tests.test_architecture` writes it there.
"""

import ast
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "runner"
PAGE = ROOT / "docs" / "architecture.md"
MARKS = ("<!-- rooms: written by `make generate` -->", "<!-- end of rooms -->")


@dataclass(frozen=True, slots=True)
class Room:
    """What a folder of the package is for, and which other rooms its modules may import, ever."""

    name: str
    purpose: str
    imports: str


ALL = "core config clients harnesses workspace sandboxes gateway publish triggers skills scheduler store run"

ROOMS = (
    Room("core", "records that stages hand to each other, errors, plugins, redaction, safe files", ""),
    Room("config", "what people write: documents with positions, settings, their models", "core"),
    Room("clients", "one module for each outside program: processes, git, Docker, GitHub", "core config"),
    Room(
        "harnesses",
        "one file for each agent CLI: command line in, events out, outcome",
        "core config clients",
    ),
    Room("workspace", "mirror, checkout, scan, harvest, changeset", "core clients"),
    Room("sandboxes", "what isolates the harness", "core clients"),
    Room("gateway", "the only way out of a sandbox: model, hosts, tools", "core config clients harnesses"),
    Room(
        "publish",
        "what may come out and where it goes: `policy/`, `outputs/`, `forges/`",
        "core config clients workspace",
    ),
    Room("triggers", "what starts a skill (pure); `sources/` hear events", "core config clients"),
    Room(
        "skills",
        "`skill.yaml` and `SKILL.md` to a Skill, every fault at once; prompt",
        "core config clients harnesses workspace publish triggers",
    ),
    Room(
        "scheduler",
        "what becomes of each slot and event: decisions, admission, retries, overdue",
        "core config clients skills triggers workspace publish",
    ),
    Room("store", "what is kept: runs, queue, decisions, messages", "core config publish scheduler"),
    Room("run", "THE main path: plan, execute, launch; `stages/`, `agent/`", ALL.removesuffix(" run")),
    Room("apps", "what people start: `cli/`, `worker/`, `action/`, `web/`", ALL),
)

PURE = (
    "core/model",
    "core/errors.py",
    "core/globs.py",
    "triggers/*.py",
    "harnesses",
    "scheduler/decide.py",
    "scheduler/timetable.py",
    "scheduler/admission.py",
    "scheduler/backfill.py",
    "scheduler/overdue.py",
    "scheduler/retry.py",
    "publish/policy",
    "run/plan.py",
    "apps/action/workflow",
    "gateway/model/cassette.py",
)
"""What decides and does not act."""

ACTING = {"subprocess", "socket", "requests", "docker", "git", "sqlalchemy", "http", "urllib3"}
"""Modules that open a process, a connection or a database."""


@cache
def modules() -> Mapping[str, Path]:
    """Every module of the package by its dotted name."""
    files = sorted(PACKAGE.rglob("*.py"))
    dotted = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return {name.removesuffix(".__init__"): file for name, file in zip(dotted, files, strict=True)}


@cache
def imports(name: str) -> Mapping[str, int]:
    """What a module imports of the package, at its top, in functions and for types: name -> line."""
    return dict(_imports(modules()[name]))


def _imports(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "runner":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules() else node.module or "", node.lineno
        elif isinstance(node, ast.Import):
            yield from ((one.name, node.lineno) for one in node.names if one.name.split(".")[0] == "runner")


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else name


def test_every_module_stands_in_a_room() -> None:
    loose = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert loose <= {"__init__.py", "__main__.py", "client.py", "py.typed"}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == {one.name for one in ROOMS}


def test_rooms_import_what_the_table_says() -> None:
    allowed = {one.name: {one.name, "runner", *one.imports.split()} for one in ROOMS}
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {target}"
        for name, file in modules().items()
        for target, line in imports(name).items()
        if room(target) not in allowed.get(room(name), {room(target)})
    ]
    assert wrong == []


def test_no_module_is_in_a_cycle() -> None:
    """Imports in functions and for types count as well."""
    graph = {name: [target for target in imports(name) if target != name] for name in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def table() -> str:
    """The rooms as a Markdown table."""
    rows = (f"| `{one.name}/` | {one.purpose} | {one.imports.replace(' ', ', ') or '-'} |" for one in ROOMS)
    return "\n".join(("| room | is for | may import |", "|---|---|---|", *rows))


def page() -> str:
    """docs/architecture.md with the table as it is now."""
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{table()}\n\n{MARKS[1]}{after}"


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text() == page(), "run `make generate`"


def test_the_page_names_files_that_are_there() -> None:
    """In its tables a file is named from the package on, and one that follows may stand beside the first."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    named = [re.findall(r"`([\w/.]+(?:\.py|/))`", row) for row in rows]
    beside = {row[0]: PACKAGE / row[0] for row in named if row}
    missing = [
        name
        for row in named
        for name in row
        if not any((folder / name).exists() for folder in (PACKAGE, beside[row[0]], beside[row[0]].parent))
    ]
    assert missing == []


def test_the_page_answers_twelve_questions() -> None:
    answers = re.findall(
        r"^\| (\d+)\. .*\? \| `.*` .*\|$|^\| (\d+)\. .*\? \| .*`.*` \|$", PAGE.read_text(), re.MULTILINE
    )
    assert len(answers) == 12


def lengths() -> list[int]:
    """How many lines each function has, without its docstring."""
    measured = []
    for file in modules().values():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                measured.append((node.end_lineno or 0) - body[0].lineno + 2 if body else 1)
    return sorted(measured)


def test_functions_stay_short() -> None:
    measured = lengths()
    assert statistics.median(measured) <= 9
    assert measured[int(len(measured) * 0.9)] <= 30


def test_programs_print_through_one_door() -> None:
    """What others wrote is made harmless there, and nowhere has to be thought of."""
    prints = re.compile(r"\bprint\(|click\.s?echo|sys\.(stdout|stderr)\.write|logging\.basicConfig|Console\(")
    doors = {"runner.apps.terminal", "runner.apps.console", "runner.apps.action.job_output"}
    found = {
        name
        for name, file in modules().items()
        if name.startswith("runner.") and prints.search(file.read_text()) and name not in doors
    }
    assert found == set()


def test_json_is_read_in_one_place() -> None:
    """It refuses what is nested so deeply that whoever walks through it fails."""
    readers = {"runner.core.payload", "runner.store.migrations.versions.0003_reconcile"}
    assert {name for name, file in modules().items() if "json.loads(" in file.read_text()} <= readers


def test_what_decides_does_not_act() -> None:
    """No process, network or database is opened in pure modules."""
    wrong = []
    for pattern in PURE:
        found = list(PACKAGE.glob(pattern))
        assert found, f"{pattern} names nothing"
        files = [file for one in found for file in (one.rglob("*.py") if one.is_dir() else [one])]
        for file in files:
            wrong += [f"{file.relative_to(ROOT)} imports {name}" for name in outside(file) if name in ACTING]
    assert wrong == []


def outside(file: Path) -> Iterator[str]:
    """The top names of all that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


if __name__ == "__main__":
    PAGE.write_text(page())


# --- names ------------------------------------------------------------------------------------------

METAPHORS = {
    *("book", "bury", "caretaker", "desk", "door", "doors", "ear", "ears", "hands", "hatch", "heed"),
    *("letter", "letters", "poke", "pokes", "purse", "roster", "tape", "watchman"),
}
"""Words that are no part of a public name: the field's standard term says what a thing is."""

VAGUE = {
    *("told", "kept", "found", "said", "asked", "begun", "heard", "taken", "gone", "made", "done", "seen"),
    *("shown", "known", "given", "settle", "settled", "look", "looked", "noticed", "stranded", "instead"),
    *("tell", "tells", "mend", "here", "there", "most", "longest", "largest", "deepest", "shortest"),
}
"""Words that are no public name by themselves: a verb says what is done, a noun what it is."""

STORED = {
    "runner.gateway.model.cassette.Exchange.asked": "a key of recorded cassettes",
    "runner.store.event_tables.heard": "a table",
    "runner.store.tables.begun": "a table",
    "runner.store.workers.Worker.asked": "a column",
    "runner.triggers.sources.github.cursor.Position.known": "a key of stored cursors",
    "runner.triggers.sources.github.cursor.Position.seen": "a key of stored cursors",
}
"""Names that are stored under these words, and so stay."""


def public_names() -> Iterator[tuple[str, ast.AST]]:
    """Every public class, function, method, field and constant by its dotted name."""
    for name, file in modules().items():
        if ".versions." not in name:
            yield from _names(name, ast.parse(file.read_text()).body)


def _names(prefix: str, body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found = [node.name]
        elif isinstance(node, ast.Assign):
            found = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found = [node.target.id]
        else:
            found = []
        for name in found:
            if not name.startswith("_"):
                yield f"{prefix}.{name}", node
                if isinstance(node, ast.ClassDef):
                    yield from _names(f"{prefix}.{name}", node.body)


def test_public_names_are_the_fields_terms() -> None:
    wrong = []
    for name, _ in public_names():
        word = name.rsplit(".", 1)[1].lower()
        if name not in STORED and (word in VAGUE or set(word.split("_")) & METAPHORS):
            wrong.append(name)
    assert wrong == []


def test_no_two_public_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for name, node in public_names():
        if isinstance(node, ast.ClassDef):
            places.setdefault(node.name, []).append(name)
    assert [found for found in places.values() if len(found) > 1] == []
