"""What the engine answers of a container that is about to end."""

from typing import Any

import pytest

from runner.clients.docker import engine


class Engine:
    def __init__(self, processes: Any) -> None:
        self.processes = processes

    def top(self, container: str, options: str) -> Any:
        return {"Titles": ["PID"], "Processes": self.processes}


@pytest.mark.parametrize(("listed", "numbers"), [(None, []), ([], []), ([["12"], ["7"]], [12, 7])])
def test_a_container_that_has_just_ended_has_no_processes(
    monkeypatch: pytest.MonkeyPatch, listed: Any, numbers: list[int]
) -> None:
    monkeypatch.setattr(engine, "client", lambda: Engine(listed))
    assert engine.process_ids("box") == numbers
