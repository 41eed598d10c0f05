"""Unit tests talk to no server, also where one happens to run."""

from collections.abc import Iterator

import pytest

from runner.clients.docker import engine


@pytest.fixture(autouse=True)
def no_engine() -> Iterator[None]:
    """No Docker engine answers; a connection that other tests of this process made is not used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
        patch.setattr(engine, "client", engine.connect)
        yield
