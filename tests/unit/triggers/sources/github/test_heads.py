"""Heads by git's own listing: many at a time, and one that is broken keeps no other away."""

import subprocess
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Reason, Remote
from runner.triggers.sources.github import heads, moved


def git(at: Path, *args: str) -> str:
    name = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(["git", "-C", str(at), *name, *args], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = tmp_path / "one"
    made.mkdir()
    git(made, "init", "-q", "-b", "trunk")
    git(made, "commit", "-q", "--allow-empty", "-m", "first")
    git(made, "branch", "other/HEAD")
    return made


def test_the_head_of_the_default_branch(repository: Path) -> None:
    remote = Remote(url=str(repository))
    (found,) = heads({"acme/one": remote})
    assert found == ("acme/one", git(repository, "rev-parse", "trunk"))
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    (later,) = heads({"acme/one": remote})
    assert later[1] == git(repository, "rev-parse", "trunk")
    assert moved(str(found[1]), later[1])
    assert not moved(str(later[1]), later[1])
    assert moved(None, later[1])


def test_the_head_of_another_branch(repository: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    (found,) = heads({"acme/one": Remote(url=str(repository))}, {"acme/one": "other/HEAD"})
    assert found[1] == git(repository, "rev-parse", "other/HEAD")
    assert found[1] != git(repository, "rev-parse", "trunk")


def test_a_broken_one_stops_no_other(repository: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    git(tmp_path, "init", "-q", str(empty))
    remotes = {
        "acme/gone": Remote(url=str(tmp_path / "gone")),
        "acme/refused": Remote(url="http://127.0.0.1:9/acme/refused.git"),
        "acme/empty": Remote(url=str(empty)),
        "acme/odd": Remote(url="--upload-pack=touch /tmp/never"),
        **{f"acme/{number}": Remote(url=str(repository)) for number in range(20)},
    }
    found = dict(heads(remotes, workers=4))
    assert len([answer for answer in found.values() if isinstance(answer, str)]) == 20
    wrong = {name: answer.reason for name, answer in found.items() if isinstance(answer, RunnerError)}
    assert wrong["acme/gone"] is Reason.FORGE_NOT_FOUND
    assert wrong["acme/refused"] is Reason.FORGE_UNAVAILABLE
    assert wrong["acme/empty"] is Reason.REF_NOT_FOUND
    assert "acme/odd" in wrong
    assert not moved("a" * 40, found["acme/gone"])


def test_a_branch_that_is_not_there(repository: Path) -> None:
    ((_, error),) = heads({"acme/one": Remote(url=str(repository))}, {"acme/one": "nowhere"})
    assert isinstance(error, RunnerError)
    assert "nowhere" in error.message
    assert "ls-remote" in error.hint


def test_who_stops_listening_waits_for_nobody(repository: Path) -> None:
    answers = heads({f"acme/{number}": Remote(url=str(repository)) for number in range(200)}, workers=1)
    next(answers)
    answers.close()
