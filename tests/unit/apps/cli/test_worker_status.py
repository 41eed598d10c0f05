"""What `skillrunner worker status` says of a repository that cannot be read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.apps.cli.main import group
from runner.store import Store
from runner.store.alerts import AlertStore, ReadResult

TOMORROW, TODAY = datetime.now(UTC) + timedelta(days=1), datetime.now(UTC) - timedelta(minutes=3)


@pytest.mark.parametrize(
    ("next_try", "words"),
    [
        (TOMORROW, f"next try at {TOMORROW:%Y-%m-%d %H:%M:%S} UTC"),
        (TODAY, f"next try was due at {TODAY:%Y-%m-%d %H:%M:%S} UTC"),
        (None, "it is tried again with the next poll"),
    ],
    ids=["tomorrow", "today", "unknown"],  # the same in every process that collects this
)
def test_it_says_when_it_is_tried_again(tmp_path: Path, next_try: datetime | None, words: str) -> None:
    store = Store(tmp_path / "state")
    tried = datetime.now(UTC) - timedelta(minutes=5, seconds=1)
    AlertStore(store).note_read("w", {"o/r": ReadResult("it is gone", next_try)}, tried)
    store.close()
    done = CliRunner().invoke(group, ["--state-dir", str(tmp_path / "state"), "worker", "status"])
    assert f"unread: o/r for 5 min: it is gone; {words}" in done.output.splitlines()
