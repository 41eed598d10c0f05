"""Write `databases/`: what old programs left behind, as SQL.

Usage, in a clone with the whole history: python -m tests.migration.write_databases

For each line of COMMITS the program of that commit, from `git archive`, makes a database and puts the rows of
`scenario.py` into it, through its own store; where a line has two, the second one's program then opens what
the first one's wrote. A file that is there is refused: they are what is out there, and never change.
"""

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.parts.postgres import Server, server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = HERE / "databases"
COMMITS = (
    "a5751d8",  # the first tables; revision 0001, which knew no server
    "d350475",  # decisions, queue, workers, pauses and events; revision 0002, as are all that follow
    "4937bfa",  # workers.asked
    "f166e71",  # begun, queue.rank
    "ae698c1",  # watched, awaited, alerts, pauses.circuit
    "57fc0aa",  # messages
    "488f466",  # notes
    "2f36748",  # runs.subject and decisions.continues, and no notes
    "2397964",  # the two above together
    "e5876e3",  # messages.act in the place of messages.stop, and no notes
    "891b129",  # all of it
    "a5751d8 d350475",  # upgraded by what was 0002 then: an index is missing
    "a5751d8 57fc0aa",
    "a5751d8 891b129",  # upgraded by what was 0002 then: its runs have no subject
)
_NOISE = re.compile(r"--|\s*$|SET |SELECT pg_catalog\.set_config|\\(un)?restrict")


def write(commits: str, postgres: Server | None) -> str:
    """The database as SQL, in a file or on a server."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        url = postgres.database("old") if postgres else ""
        for step, commit in enumerate(commits.split()):
            code = Path(folder) / commit
            unpack(commit, code)
            run(code, [str(state), url, "open" if step else ""])
        return _of_server(postgres) if postgres else _of_file(state / "skillrunner.db")


def unpack(commit: str, target: Path) -> None:
    target.mkdir()
    with subprocess.Popen(["git", "archive", commit, "runner"], cwd=ROOT, stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", str(target)], stdin=archive.stdout, check=True)
    assert archive.returncode == 0, commit


def run(code: Path, arguments: list[str]) -> None:
    command = [sys.executable, str(HERE / "scenario.py"), *arguments]
    subprocess.run(command, check=True, cwd=code, env=os.environ | {"PYTHONPATH": str(code)})


def _of_file(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def _of_server(postgres: Server) -> str:
    argv = [
        str(postgres.folder / "pg_dump"),
        "--inserts",
        "--no-owner",
        "--no-privileges",
        f"{postgres.url}/old",
    ]
    dump = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return "\n".join(line for line in dump.splitlines() if not _NOISE.match(line)) + "\n"


def main() -> None:
    with server() as postgres:
        for commits in COMMITS:
            for engine, there in (("sqlite", None), ("postgresql", postgres)):
                if there and "a5751d8" in commits:
                    continue
                target = FOLDER / engine / f"{commits.replace(' ', '-')}.sql"
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("x") as file:
                    file.write(f"-- See write_databases.py; the programs' commits: {commits}\n")
                    file.write(write(commits, there))


if __name__ == "__main__":
    main()
