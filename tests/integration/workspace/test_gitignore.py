"""Which folders git ignores, as the rules of the folders above them say."""

import subprocess
from pathlib import Path

from runner.workspace.gitignore import IgnoreRules


def test_a_folder_that_a_later_rule_takes_back_is_not_ignored(tmp_path: Path) -> None:
    scratch, bare = tmp_path / "scratch", tmp_path / "bare"
    scratch.mkdir()
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    (scratch / ".gitignore").write_text("*\n!keep/\n!a/\nx*/\n!xy\n")
    folders = ["keep", "other", "a", "xz", "xy"]
    assert IgnoreRules(scratch, bare).ignored_paths(["file"], folders) == {"file", "other", "xz"}
