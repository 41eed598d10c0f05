"""The tool that measures the tests: its faults are small, real, and the same ones every time."""

import ast
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"

SOURCE = '''
"""A text."""
LIMIT = 3
NAMES = frozenset({"one", "two"})


def small(value: int, known: bool = True) -> bool:
    """Whether it is small."""
    if not known and value > LIMIT:
        raise ValueError("never planted in a message")
    return value >= 0
'''


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("plant_faults", "fault_kinds"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import plant_faults

    return plant_faults


def test_the_faults_of_a_small_file(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SOURCE)
    found = {fault.identity for fault in tool.faults_in(tmp_path, "small.py", "it")}
    assert found == {
        "it:LIMIT constant: 3 -> 4",
        "it:LIMIT constant: 3 -> 2",
        """it:NAMES dropped element: {"one", "two"} -> ({'two'})""",
        """it:NAMES dropped element: {"one", "two"} -> ({'one'})""",
        """it:NAMES text: "one" -> 'one~'""",
        """it:NAMES text: "two" -> 'two~'""",
        "it:small constant: True -> False",
        "it:small condition: not known and value > LIMIT -> not (not known and value > LIMIT)",
        "it:small condition: not known and value > LIMIT -> True",
        "it:small condition: not known and value > LIMIT -> False",
        "it:small and or: not known and value > LIMIT -> (not known or value > LIMIT)",
        "it:small dropped operand: not known and value > LIMIT -> (value > LIMIT)",
        "it:small dropped operand: not known and value > LIMIT -> (not known)",
        "it:small dropped not: not known -> (known)",
        "it:small comparison: value > LIMIT -> (value <= LIMIT)",
        "it:small edge: value > LIMIT -> (value >= LIMIT)",
        """it:small dropped statement: raise ValueError("never planted in a message") -> pass""",
        "it:small returned: value >= 0 -> not (value >= 0)",
        "it:small comparison: value >= 0 -> (value < 0)",
        "it:small edge: value >= 0 -> (value > 0)",
        "it:small constant: 0 -> 1",
        "it:small constant: 0 -> -1",
    }


def test_each_chosen_fault_is_a_program_that_differs(tool: ModuleType) -> None:
    candidates = {
        name: [fault for source in module.sources for fault in tool.faults_in(tool.ROOT, source, name)]
        for name, module in tool.MODULES.items()
    }
    chosen = tool.choose(candidates, 120, 7)
    assert len({fault.identity for fault in chosen}) == 120
    assert max(Counter(fault.module for fault in chosen).values()) == 10
    assert chosen == tool.choose(candidates, 120, 7)
    assert chosen != tool.choose(candidates, 120, 8)
    for fault in chosen:
        text = (tool.ROOT / fault.source).read_text()
        assert ast.dump(ast.parse(fault.plant(text))) != ast.dump(ast.parse(text)), fault.identity


def test_the_files_of_its_table_are_there(tool: ModuleType) -> None:
    named = [path for module in tool.MODULES.values() for path in (*module.sources, *module.tests)]
    assert [path for path in named if not (tool.ROOT / path).is_file()] == []
    assert len(tool.MODULES) == 12
