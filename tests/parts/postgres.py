"""A real PostgreSQL server of our own, on a free port of this machine, with a database for each test.

Its files are in memory where the machine has room for that: what a test wrote is never needed after a crash.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from runner.store import Store
from tests.parts.github import free_port, running, wait_for
from tests.parts.need import require

MEMORY = Path("/dev/shm")


def programs() -> Path | None:
    """The folder with the newest server's programs: Debian keeps them off PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]))
    found = shutil.which("initdb", path=":".join(map(str, [*reversed(folders), os.environ["PATH"]])))
    return Path(found).parent if found else None


class Server:
    """A PostgreSQL server that can be stopped and started again."""

    def __init__(self, home: Path) -> None:
        folder = programs()
        require(folder, "PostgreSQL", "apt-get install postgresql")
        assert folder is not None
        self.folder, self.home, self.port = folder, home, free_port()
        # The server refuses to be root.
        root = os.getuid() == 0
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}
        if root:
            shutil.chown(home, "postgres", "postgres")
        init = [str(folder / "initdb"), "-D", str(home / "data"), "-U", "postgres", "-A", "trust"]
        subprocess.run(
            [*init, "--no-sync", "-E", "UTF8"], check=True, capture_output=True, cwd="/", **self.user
        )
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """Without a database's name."""
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    def start(self) -> None:
        log = self.home.with_suffix(".log")
        argv = [str(self.folder / "postgres"), "-D", str(self.home / "data"), "-p", str(self.port)]
        options = ["-k", str(self.home), "-h", "127.0.0.1", "-c", "fsync=off", "-c", "max_connections=300"]
        server = self._running.enter_context(running([*argv, *options], log, cwd="/", **self.user))
        wait_for(self.port, server, log)
        ready = [str(self.folder / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        while subprocess.run(ready, check=False).returncode:
            time.sleep(0.05)

    def stop(self) -> None:
        """At once, as a power failure does it: whoever is connected is cut off."""
        pid = (self.home / "data/postmaster.pid").read_text().split()[0]
        os.kill(int(pid), signal.SIGQUIT)  # PostgreSQL's documentation: "Immediate Shutdown"
        self._running.close()

    def close(self) -> None:
        self._running.close()

    def database(self, name: str, template: str = "template0") -> str:
        """The URL of a new database: an empty one, or a copy of the template."""
        self.drop(name)
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"{self.url}/{name}"

    def drop(self, name: str) -> None:
        """Whoever is connected to the database is cut off."""
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def server() -> Iterator[Server]:
    """A server of our own that runs. Its folder is where another user than root may go."""
    home = Path(
        tempfile.mkdtemp(prefix="skillrunner-postgres-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
    )
    made = Server(home)
    try:
        made.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(home, ignore_errors=True)
        home.with_suffix(".log").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One for all tests that do not stop it."""
    with server() as made:
        yield made


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with today's tables."""
    Store(tmp_path_factory.mktemp("template"), postgres_server.database("current")).close()
    return "current"


@pytest.fixture
def postgres(
    postgres_server: Server, postgres_template: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The URL of a database with today's tables and nothing in them."""
    name = f"test_{abs(hash(request.node.nodeid)) % 10**12}"
    yield postgres_server.database(name, postgres_template)
    postgres_server.drop(name)
