"""Every command that ends by itself takes `--json`, as README says, and prints one JSON value."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
import pytest

from runner.apps.cli.main import VERBS, group
from runner.publish.forges import NewPullRequest
from runner.store import LocalPullRequests, Store
from runner.store.workers import WorkerStore
from tests.parts.cli import Project, skill_files
from tests.parts.racer import enqueue, worker

GOES_ON = {"attach", "worker", "action"}
YAML = """
description: Touch the docs
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "echo new > docs/new.md"]}
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield path, command
    if isinstance(command, click.Group):
        for name in VERBS if command is group else command.commands:
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from leaves(found, f"{path} {name}".strip())


def test_every_command_takes_json_but_those_that_go_on() -> None:
    without = {
        path
        for path, one in leaves(group, "")
        if "--json" not in {name for at in one.params for name in at.opts}
    }
    assert without == GOES_ON


@pytest.mark.parametrize(
    ("command", "facts"),
    [
        (("init",), {"written": ["skillrunner.yaml"]}),
        (("new", "tidy"), {"name": "tidy", "written": ["skills/tidy/skill.yaml", "skills/tidy/SKILL.md"]}),
        (("diff",), {"files": [{"path": "docs/new.md", "added": 1, "deleted": 0}]}),
        (("worker", "pause", "touch", "--reason", "r"), {"skill": "touch", "reason": "r"}),
        (("cancel", "queued"), {"id": "queued", "result": "cancelled"}),
        (("worker", "drain"), {"asked": ["w"], "died": None}),
        (("worker", "backup", "copy.db"), {"file": "copy.db"}),
        (("pr", "close", "1"), {"number": 1, "state": "closed"}),
        (("schema", "skill"), {"title": "Skill"}),
        (("completion", "bash"), {"shell": "bash"}),
        (("workflow", "sync", "--action", f"acme/skillrunner@{'a' * 40} # v1"), {"written": True}),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_what_a_command_did_is_one_json_object(
    project: Project, command: tuple[str, ...], facts: dict[str, object]
) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("touch", YAML))
    if command[0] == "diff":
        assert project.skillrunner("run", "touch").code == 0
    store = Store(project.state)
    enqueue(store, "queued")
    now = datetime.now(UTC) + timedelta(hours=1)
    WorkerStore(store).register(worker("w", seen_at=now, started_at=now))
    new = NewPullRequest(branch="b", base="main", title="t", body="b", draft=False)
    LocalPullRequests(store.engine, store.database, str(project.origin)).insert(new, "bot")
    store.close()
    done = project.skillrunner(*command, "--json")
    assert done.code == 0, done
    told = json.loads(done.out)
    assert {name: told[name] for name in facts} == facts


def test_a_shell_completes_commands(project: Project) -> None:
    script = project.skillrunner("completion", "bash").out
    assert "_SKILLRUNNER_COMPLETE=bash_complete" in script
    unknown = project.skillrunner("schema", "skil")
    assert (unknown.code, "did you mean `skill`?" in unknown.err) == (3, True)
