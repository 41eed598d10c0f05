"""`~` in paths, also for a user whom nobody knows: a container's number without passwd entry and HOME."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from runner.apps.cli import main
from runner.config.settings import load_config
from runner.core.errors import ExitCode, RunnerError
from runner.core.paths import with_home


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_STATE_HOME", "SKILLRUNNER_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_home_is_what_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert with_home("~/a/b") == Path("/somewhere/a/b")
    assert with_home("~") == Path("/somewhere")
    assert with_home("/a/~") == Path("/a/~")
    assert with_home("a") == Path("a")


def test_home_is_what_passwd_says_where_there_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    assert with_home("~/a") == Path(pwd.getpwuid(os.getuid()).pw_dir, "a")


def test_a_user_without_home_and_passwd_entry_gets_a_sentence(nobody: None, tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="has none: HOME is not set") as caught:
        _ = load_config(tmp_path, environ={}).state
    assert "SKILLRUNNER_STATE_DIR" in caught.value.hint


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_no_whole_path_is_none(
    nobody: None, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("HOME", home)
    with pytest.raises(RunnerError, match="needs a home folder"):
        with_home("~/a")


def test_a_user_who_is_not_there_is_named() -> None:
    with pytest.raises(RunnerError, match="there is no user nobody-of-that-name"):
        with_home("~nobody-of-that-name/x")


def test_a_bug_is_reported_without_a_home_too(
    nobody: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert main._report(ValueError("odd")) is ExitCode.BUG
    (report,) = tmp_path.rglob("*.txt")
    assert f"the report to send is {report}" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_not_promised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKILLRUNNER_STATE_DIR", "/dev/null")
    assert main._report(ValueError("odd")) is ExitCode.BUG
    assert "no report of it could be written" in capsys.readouterr().err
