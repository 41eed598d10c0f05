"""What people and probes ask often loads little: nothing that only runs need."""

import subprocess
import sys

import pytest

from tests.parts.cli import Project

HEAVY = (
    *("dbos", "fastapi", "uvicorn", "docker", "git", "jinja2", "requests", "alembic", "croniter", "psycopg"),
    *("runner.harnesses", "runner.sandboxes", "runner.skills", "runner.gateway", "runner.run.bootstrap"),
    *("runner.workspace.mirror", "runner.clients.docker", "runner.apps.worker.daemon"),
)
PROGRAM = """
import sys
from runner.apps.cli.main import main
try:
    main()
except SystemExit:
    pass
sys.stderr.write("loaded:" + ",".join(sorted(sys.modules)))
"""


@pytest.mark.parametrize(
    "command",
    [("list",), ("worker", "status"), ("worker", "status", "--alive"), ("worker", "status", "--healthy")],
    ids=" ".join,
)
def test_what_is_asked_often_loads_nothing_that_only_runs_need(
    project: Project, command: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stderr.partition("loaded:")[2].split(",")
    assert "click" in loaded
    assert [one for one in HEAVY if one in loaded] == []
