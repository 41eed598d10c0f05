"""Places for databases: a folder, and one database of a server, which is cleared for each test."""

import pytest

from tests.migration.old import Place
from tests.parts.postgres import Server


@pytest.fixture(scope="session")
def sqlite_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("migration") / "state", "")


@pytest.fixture(scope="session")
def postgresql_place(tmp_path_factory: pytest.TempPathFactory, postgres_server: Server) -> Place:
    return Place(tmp_path_factory.mktemp("migration") / "state", postgres_server.database("migration"))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    """An empty one."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    found.clear()
    return found
