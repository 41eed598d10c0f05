"""Kinds of third parties pass the suites of their families, found as any installed package is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.plugins import EXAMPLES, FOLDER, ROOT

CASES = [(family, one.kind) for one in EXAMPLES for family in one.families]


def test_every_example_is_installed() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {one.module for one in EXAMPLES}


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_a_third_partys_kind_passes_the_suite_of_its_family(
    family: str, kind: str, third_parties: Path
) -> None:
    """In a process of its own: kinds are found once in each."""
    suite = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"tests/contract/test_{family}.py",
    ]
    done = subprocess.run(
        [*suite, "-k", kind],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(third_parties)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"\b(\d+) passed", done.stdout)
    assert passed is not None, done.stdout
    assert int(passed[1]) >= 3, done.stdout
