"""A real PostgreSQL server of our own, on a free port of this machine, with a database for each test."""

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

from tests.parts.github import free_port, running, wait_for
from tests.parts.need import require


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

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        import psycopg

        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"


@contextmanager
def server() -> Iterator[Server]:
    """A server of our own that runs. Its folder is where another user than root may go."""
    home = Path(tempfile.mkdtemp(prefix="skillrunner-postgres-"))
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


@pytest.fixture
def postgres(postgres_server: Server, request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty database."""
    return postgres_server.database(f"test_{abs(hash(request.node.nodeid)) % 10**12}")
