"""When the disk of a container is counted: by free space that is told, and counts that are told."""

from pathlib import Path

import pytest

from runner.sandboxes.docker import disk

LIMIT = 1600


class Told(disk.DiskWatch):
    """A watch whose counts cost time, and find what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.free, self.now, self.found, self.counts = 10_000, 100.0, 0, 0
        monkeypatch.setattr(disk, "_free", lambda _: self.free)
        monkeypatch.setattr(disk, "_free_files", lambda _: 0)
        monkeypatch.setattr(disk.time, "monotonic", lambda: self.now)
        super().__init__((folder,), LIMIT, list)

    def _taken(self) -> int:
        self.counts += 1
        self.now += 5  # seconds
        return self.found

    def look(self, *, lost: int = 0, after: float = 0.1, found: int = 0) -> int:
        self.free, self.now, self.found = self.free - lost, self.now + after, found
        self._look()
        return self.counts


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Told:
    return Told(monkeypatch, tmp_path)


def test_a_slow_count_rests_while_something_is_left(watch: Told) -> None:
    assert watch.look(found=100) == 1
    assert watch.look(lost=1500) == 1
    assert watch.look(after=49) == 1
    assert watch.look(after=2, found=1500) == 2


def test_no_rest_is_long_enough_to_take_all_that_is_left_twice(watch: Told) -> None:
    assert watch.look(found=100) == 1
    assert watch.look(lost=1501, found=1601) == 2
    assert watch.is_over


def test_others_who_fill_the_disk_have_it_counted_once_for_each_rest(watch: Told) -> None:
    assert watch.look(found=0) == 1
    assert watch.look(lost=1601) == 2
    assert watch.look(lost=1600) == 2
    assert not watch.is_over
