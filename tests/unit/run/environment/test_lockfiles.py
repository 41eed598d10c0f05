"""What set-up reads, by name."""

import pytest

from runner.core.globs import matches
from runner.run.environment.lockfiles import setup_globs


@pytest.mark.parametrize(
    ("named", "path", "read"),
    [
        (("lockfiles",), "requirements-dev.txt", True),
        (("lockfiles",), "packages/a/package-lock.json", True),
        (("lockfiles",), "skills/s/scripts/setup.sh", True),
        (("lockfiles",), "skills/other/scripts/setup.sh", False),
        (("lockfiles",), "src/app.py", False),
        (("src/**",), "src/app.py", True),
        (("src/**",), "uv.lock", False),
        (("lockfiles", "src/**"), "src/app.py", True),
    ],
)
def test_files_are_read_by_name(named: tuple[str, ...], path: str, read: bool) -> None:
    assert matches(path, setup_globs(named, "skills/s")) is read
