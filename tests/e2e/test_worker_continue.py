"""A worker whose skill goes on from its last run when something new happens on the same issue."""

import copy

import pytest

from tests.e2e.test_worker import ended, until, worker
from tests.e2e.test_worker_github import SECRET, post, served
from tests.parts.act import example, happened_in
from tests.parts.cli import Project, skill_files
from tests.parts.github import GitHub, free_port, repository

pytestmark = [pytest.mark.emulator, pytest.mark.git_http]

__all__ = ["served"]

YAML = """
description: Answer
on: {issue_comment: {command: /docs}}
continue: true
harness:
  kind: command
  command: [sh, -c, "if [ -e docs/new.md ]; then echo again >> docs/new.md; else echo new > docs/new.md; fi"]
output: {pull_request: {title: "docs: answer", paths: ["docs/**"]}}
"""


def test_the_second_comment_goes_on_from_the_first_ones_run(served: Project, github: GitHub) -> None:
    port = free_port()
    (served.home / "worker/skillrunner.yaml").write_text(
        "sandbox: process\nworker:\n"
        f"  repositories: ['{repository(served)}']\n  poll: 1h\n  drain: 20s\n"
        f"  listen: 127.0.0.1:{port}\n  webhook_secrets: [HOOK_SECRET]\n"
    )
    served.variables["HOOK_SECRET"] = SECRET
    served.commit(skill_files("answers", YAML))
    first = happened_in(example("issue_comment", "created"), served)
    first["comment"]["body"] = "/docs please"
    second = copy.deepcopy(first)
    second["comment"] |= {"id": first["comment"]["id"] + 1, "body": "/docs once more, please"}
    with worker(served) as (_, log):
        until(lambda: "1 skills" in log.read_text(), log)
        assert post(port, "issue_comment", first) == 202
        until(lambda: len(ended(served, "answers")) == 1, log)
        assert post(port, "issue_comment", second) == 202
        until(lambda: len(ended(served, "answers")) == 2, log)
    newest, oldest = ended(served, "answers")
    assert [oldest["state"], newest["state"]] == ["succeeded", "succeeded"], (oldest["end"], newest["end"])
    shown = served.skillrunner("show", str(newest["id"]), "--json").json()
    assert shown["spec"]["continues"] == oldest["id"]
    assert shown["receipts"][0]["action"] == "updated"
    branch = shown["receipts"][0]["branch"]
    assert served.git("show", f"{branch}:docs/new.md", cwd=served.origin) == "new\nagain"
    assert f"goes on from run {oldest['id']}" in served.skillrunner("why", "answers").out
