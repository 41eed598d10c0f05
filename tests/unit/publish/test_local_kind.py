"""Which folder the local forge works for."""

from pathlib import Path
from typing import Any, cast

import pytest

from runner.publish.forges import ForgeContext
from runner.publish.forges.local import LocalKind


def context(root: Path, origin: str) -> ForgeContext:
    options: dict[str, Any] = {
        "config": cast("Any", type("C", (), {"bot": type("B", (), {"name": "bot"})})),
        "root": root,
        "origin": origin,
        "default_branch": "",
        "token": str,
        "pacer": None,
        "pull_requests": lambda _: None,
        "items": lambda _: None,
    }
    return ForgeContext(**options)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_that_is_gone_is_never_another_one(tmp_path: Path, scheme: str) -> None:
    gone, root = tmp_path / "gone", tmp_path / "state"
    root.mkdir()
    assert LocalKind().open(context(root, f"{scheme}{gone}")).remote().url == str(gone)


@pytest.mark.parametrize("origin", ["", "https://example.com/o/r", "git@example.com:o/r"])
def test_without_a_folder_it_is_where_the_runner_stands(tmp_path: Path, origin: str) -> None:
    assert LocalKind().open(context(tmp_path, origin)).remote().url == str(tmp_path)
