"""A configuration that is read again: what changes at once, and what keeps its value until a restart."""

import logging
from pathlib import Path

import pytest

from runner.apps.worker.daemon import _without_fixed_keys
from runner.config.settings import Config, load_config


def config(tmp_path: Path, text: str, state: str = "state") -> Config:
    flags = {"state_dir": str(tmp_path / state)}
    return load_config(tmp_path, environ={}, read=lambda _: text.encode(), flags=flags)


def test_what_others_know_a_worker_by_needs_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = config(tmp_path, "worker: {repositories: [o/a], silence: 30s, poll: 30s}\n")
    text = (
        "image: debian\nworker: {repositories: [o/b], silence: 9s, poll: 5s, database: DB, listen: 'h:1'}\n"
    )
    new = _without_fixed_keys(config(tmp_path, text, "elsewhere"), old)
    assert (new.image, new.worker.repositories, new.worker.poll) == ("debian", ("o/b",), 5.0)
    assert (new.worker.silence, new.worker.database, new.worker.listen) == (30.0, None, None)
    assert new.state == old.state
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING] == [
        f"{key} changed: that needs a restart"
        for key in ("worker.database", "worker.listen", "worker.silence", "state_dir")
    ]
