"""`list` and `latest` mean the repository in which one stands; an id means a run wherever it is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.core.model import RunState
from runner.store import Store
from tests.parts.cli import Project, make_project, skill_files
from tests.parts.racer import run

YAML = """
description: Touch the docs
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "mkdir -p docs; cat > docs/new.md"]}
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""


@pytest.fixture
def both(tmp_path: Path) -> tuple[Project, Project]:
    """Two repositories of the same name, with one store; the second one's run is the latest."""
    made = []
    for name in ("one", "two"):
        project = make_project(tmp_path / name, skill_files("touch", YAML))
        project.variables.update(SKILLRUNNER_SANDBOX="process", SKILLRUNNER_STATE_DIR=str(tmp_path / "state"))
        assert project.skillrunner("run", "touch").code == 0
        made.append(project)
    return made[0], made[1]


def ids(project: Project, *options: str) -> list[str]:
    return [one["id"] for one in project.skillrunner("list", "--json", *options).json()]


def test_list_and_latest_mean_the_repository_where_one_stands(both: tuple[Project, Project]) -> None:
    one, two = both
    ((mine,), (other,)) = (ids(one), ids(two))
    assert mine != other
    assert ids(one, "--all") == [other, mine]
    assert one.skillrunner("show", "latest").out.startswith(mine)
    assert one.skillrunner("show").out.startswith(mine)
    assert one.skillrunner("show", other).out.startswith(other), "a full id works anywhere"
    assert one.skillrunner("show", other[:10]).out.startswith(other), "and so does its beginning"
    assert two.skillrunner("handoff", "latest", "--json").json()["folder"].endswith(f"touch-{other}")
    assert one.skillrunner("handoff", "latest", "--json").json()["folder"].endswith(f"touch-{mine}")
    (last,) = one.skillrunner("list", "--skills", "--json").json()
    assert last["last_run"]["id"] == mine
    heads = [
        project.skillrunner("list", *more).out.splitlines()[0]
        for project, more in ((one, ()), (one, ("--all",)))
    ]
    assert ["REPOSITORY" in head for head in heads] == [False, True]
    one.git("clone", "-q", str(one.origin), str(one.root / "../second"))
    again = replace(one, root=one.root.parent / "second")
    assert ids(again) == [mine], "another clone of the same origin is the same repository"
    outside = replace(one, root=one.home)
    assert ids(outside) == ids(outside, "--all") == [other, mine], "outside of a repository all are meant"
    for command in ("show", "logs", "diff"):
        assert outside.skillrunner(command, mine).code == 0, "a full id works outside of a repository"
    assert outside.skillrunner("show", mine).out.startswith(mine)
    (one.home / "skillrunner.yaml").write_text("{}\n")
    assert ids(outside) == [other, mine]


def test_a_message_to_the_latest_run_never_reaches_another_repository(both: tuple[Project, Project]) -> None:
    one, two = both
    store = Store(Path(one.variables["SKILLRUNNER_STATE_DIR"]))
    newest = replace(
        run("999999-zzzzzzzz", "touch"),
        repository=str(two.origin),
        state=RunState.RUNNING,
        created_at=datetime.now(UTC) + timedelta(hours=1),
    )
    store.create_run(newest)
    refused = one.skillrunner("steer", "latest", "--pause")
    assert (refused.code, "999999-zzzzzzzz" in refused.out + refused.err) == (3, False)
    store.close()


def test_where_nothing_ran_it_is_said_and_how_to_see_the_rest(
    both: tuple[Project, Project], tmp_path: Path
) -> None:
    new = make_project(tmp_path / "three", skill_files("touch", YAML))
    new.variables.update(both[0].variables)
    assert "no runs of this repository (--all lists others')" in new.skillrunner("list").out
    shown = new.skillrunner("show")
    assert "there is no run 'latest' of this repository" in shown.err
    assert "hint: skillrunner list --all" in shown.err


def test_a_case_from_the_latest_run_is_of_this_repository(both: tuple[Project, Project]) -> None:
    """What another repository's skill of the same name was given stays out of this one's cases."""
    one, _ = both
    new = make_project(one.root.parent / "three", skill_files("touch", YAML))
    new.variables.update(one.variables)
    none = new.skillrunner("record", "touch", "--from-run", "latest")
    assert (none.code, "there is no run 'latest' of this repository" in none.err) == (3, True)
    assert one.skillrunner("record", "touch", "--from-run", "latest").code == 0
    (mine,) = one.skillrunner("list", "--json").json()
    kept = (one.root / "skills/touch/cases/recorded/case.yaml").read_text()
    spec = one.skillrunner("show", mine["id"], "--json").json()["spec"]
    assert spec["trigger"]["at"][:19].replace(" ", "T") in kept


def test_a_linked_worktree_is_the_same_repository(tmp_path: Path) -> None:
    """Without a remote, too: runs and pull requests are those of the main worktree's folder."""
    main = make_project(tmp_path / "one", skill_files("touch", YAML))
    main.git("remote", "remove", "origin")
    main.variables.update(SKILLRUNNER_SANDBOX="process", SKILLRUNNER_STATE_DIR=str(tmp_path / "state"))
    assert main.skillrunner("run", "touch").code == 0
    main.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked")
    linked = replace(main, root=tmp_path / "linked")
    assert ids(linked) == ids(main) != []
    pulls = main.skillrunner("pr", "list", "--json").json()
    assert [one["number"] for one in pulls] == [1]
    assert linked.skillrunner("pr", "list", "--json").json() == pulls
    assert linked.skillrunner("pr", "close", "1").out == "#1 closed\n"
    for project in (linked, main):
        refused = project.skillrunner("run", "touch")
        assert "was closed unmerged" in refused.out
    assert len(ids(linked)) == 3
    assert ids(linked) == ids(main)


@pytest.mark.parametrize(
    ("origin", "repository"),
    [
        ("https://github.com/acme/web.git", "acme/web"),
        ("git@github.com:Acme/Web.git", "acme/web"),
        ("ssh://git@ssh.github.com:443/acme/web", "acme/web"),
    ],
)
def test_a_repository_on_a_forge_is_known_by_its_name(project: Project, origin: str, repository: str) -> None:
    store = Store(project.state)
    for name, number in ((repository, "1"), ("acme/other", "2"), ("web", "3")):
        store.create_run(replace(run(f"26112{number}-aaaaaaaa"), repository=name))
    store.close()
    project.git("remote", "set-url", "origin", origin)
    assert ids(project) == ["261121-aaaaaaaa"]
