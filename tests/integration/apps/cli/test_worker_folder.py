"""Commands typed in a worker's folder, which is no checkout: `pr` and `doctor`."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.publish.forges import NewPullRequest
from runner.store import LocalPullRequests, Store
from tests.parts.cli import Project, make_project

NEW = NewPullRequest(branch="b", base="main", title="a title", body="b", draft=False)


@pytest.fixture
def folder(project: Project, tmp_path: Path) -> Project:
    """The folder of a worker that serves one repository, which has a pull request."""
    place = tmp_path / "worker"
    place.mkdir()
    serve(place, project.origin)
    store = Store(project.state)
    LocalPullRequests(store.engine, store.database, str(project.origin)).insert(NEW, "bot")
    store.close()
    return replace(project, root=place)


def serve(place: Path, *origins: Path) -> None:
    names = [str(one) for one in origins]
    text = f"sandbox: process\nworker: {{repositories: {names}, database: null}}\n"
    (place / "skillrunner.yaml").write_text(text.replace(", database: null", ""))


def test_pull_requests_are_those_of_what_the_worker_serves(folder: Project, tmp_path: Path) -> None:
    listed = folder.skillrunner("pr", "list")
    assert (listed.code, "a title" in listed.out) == (0, True), listed
    assert folder.skillrunner("pr", "show", "1").out.startswith("a title")
    other = make_project(tmp_path / "other", {"README.md": "x"})
    serve(folder.root, folder.origin, other.origin)
    listed = folder.skillrunner("pr", "list")
    assert listed.out.splitlines()[0].startswith("REPOSITORY")
    (found,) = folder.skillrunner("pr", "list", "--json").json()
    assert (found["number"], found["repository"]) == (1, str(folder.origin))
    unclear = folder.skillrunner("pr", "close", "1")
    assert (unclear.code, f"--repository {folder.origin}" in unclear.err) == (3, True), unclear
    assert folder.skillrunner("pr", "close", "1", "--repository", str(folder.origin)).code == 0
    assert "no pull requests" in folder.skillrunner("pr", "list").out
    unknown = folder.skillrunner("pr", "list", "--repository", "o/r")
    assert (unknown.code, "does not name o/r" in unknown.err) == (3, True)


def test_doctor_looks_at_what_the_worker_serves(folder: Project, tmp_path: Path) -> None:
    well = folder.skillrunner("doctor")
    assert f"pull requests to {folder.origin} are kept here" in well.out, well
    serve(folder.root, folder.origin, tmp_path / "gone")
    told = folder.skillrunner("doctor", "--json")
    findings = told.json()["findings"]
    failed = [one["message"] for one in findings if not one["ok"] and one["subject"] == "forge"]
    assert (told.code, len(failed)) == (1, 1), findings
    assert str(tmp_path / "gone") in failed[0]


def test_a_folder_that_is_no_workers_is_no_repository(project: Project, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (("pr", "list"), ("doctor",), ("list", "--skills")):
        told = replace(project, root=empty).skillrunner(*command)
        assert (told.code, "is no git checkout" in told.err) == (6, True), told
