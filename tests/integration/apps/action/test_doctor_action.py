"""`skillrunner doctor --action`: what it says of the workflows of a working tree."""

import pytest

from tests.parts.cli import Project, skill_files

SHA = "0123456789abcdef0123456789abcdef01234567"
SKILL = """\
on: {manual: {}}
harness: {kind: claude-code}
environment: {secrets: [DOCS_TOKEN]}
output: {pull_request: {title: x}}
"""
GOOD = f"""\
on: release
permissions: {{}}
env:
  DOCS_TOKEN: ${{{{ secrets.DOCS_TOKEN }}}}
jobs:
  skills:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    permissions: {{contents: write, pull-requests: write}}
    steps:
      - uses: acme/skillrunner@{SHA}
        with:
          anthropic-api-key: ${{{{ secrets.ANTHROPIC_API_KEY }}}}
          app-id: ${{{{ vars.APP_ID }}}}
          app-private-key: ${{{{ secrets.APP_KEY }}}}
"""
BAD = """\
on: pull_request_target
permissions: write-all
jobs:
  skills:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: {ref: "${{ github.head_ref }}"}
      - uses: acme/skillrunner@v1
"""
OTHER = "on: pull_request_target\npermissions: write-all\njobs: {x: {runs-on: a, steps: [{run: make}]}}\n"


@pytest.fixture
def repository(project: Project) -> Project:
    project.variables["DOCKER_HOST"] = "unix:///nonexistent.sock"  # nothing of a laptop's is looked at
    project.write(skill_files("docs", SKILL))
    return project


def test_a_good_workflow_has_nothing_to_say(repository: Project) -> None:
    repository.write({".github/workflows/skills.yaml": GOOD, ".github/workflows/ci.yml": OTHER})
    done = repository.skillrunner("doctor", "--action")
    assert done.code == 0, done.out
    assert "warn" not in done.out
    assert "ci.yml" not in done.out
    assert "ok    workflow   .github/workflows/skills.yaml: the Action runs from it" in done.out
    assert "ok    secret     ANTHROPIC_API_KEY, for docs: handed to the Action" in done.out
    assert "ok    secret     DOCS_TOKEN, for docs: handed to the Action" in done.out
    assert "contents: write, pull-requests: write; a GitHub App also metadata: read" in done.out


def test_the_keys_of_other_providers_are_looked_for(repository: Project) -> None:
    other = "{upstream: 'https://models.example.com', key: OTHER_KEY}"
    fallback = f"harnesses: {{claude-code: {{fallback: [{other}]}}}}\n"
    repository.write({".github/workflows/skills.yaml": GOOD, "skillrunner.yaml": fallback})
    done = repository.skillrunner("doctor", "--action")
    assert done.code == 1
    assert "OTHER_KEY, for docs: not handed to the Action" in done.out
    assert "OTHER_KEY is not set, for claude-code" in repository.skillrunner("doctor").out


def test_each_danger_is_explained(repository: Project) -> None:
    repository.write({".github/workflows/bad.yml": BAD})
    done = repository.skillrunner("doctor", "--action")
    assert done.code == 1
    lines = done.out.splitlines()
    for level, place, rule in (
        ("FAIL", 2, "write_all"),
        ("FAIL", 8, "head_checkout"),
        ("FAIL", 9, "unpinned"),
        ("warn", 7, "unpinned"),
        ("warn", 4, "no_timeout"),
        ("warn", 9, "default_token"),
    ):
        (at,) = [
            at
            for at, line in enumerate(lines)
            if line.startswith(f"{level}  workflow   .github/workflows/bad.yml:{place}: ")
            and line.endswith(f"[{rule}]")
        ]
        assert lines[at + 1].startswith("      next: ")
        assert ("`allow: " + rule in lines[at + 1]) is (level == "FAIL")
    assert "FAIL  secret     DOCS_TOKEN, for docs: not handed" in done.out
    assert "gh secret set DOCS_TOKEN" in done.out
    found = repository.skillrunner("doctor", "--action", "--json").json()["findings"]
    assert {"workflow", "secret", "token"} == {one["subject"] for one in found}
    assert sum(not one["ok"] for one in found) == 5
    assert any("app-private-key" in one["hint"] for one in found)


def test_what_is_allowed_does_not_fail(repository: Project) -> None:
    allowed = GOOD.replace(SHA, "v1").replace("app-id:", "allow: unpinned, head_checkout\n          app-id:")
    repository.write({".github/workflows/skills.yml": allowed})
    done = repository.skillrunner("doctor", "--action")
    assert done.code == 0, done.out
    assert "[unpinned] (allowed there)" in done.out


def test_no_workflow_is_said(repository: Project) -> None:
    repository.write({".github/workflows/ci.yml": OTHER})
    done = repository.skillrunner("doctor", "--action")
    assert done.code == 0, done.out
    assert "no workflow in .github/workflows uses the Action" in done.out
    assert "next: skillrunner workflow sync" in done.out
    assert "warn  secret     DOCS_TOKEN" in done.out


def test_a_job_that_may_not_publish_fails(repository: Project) -> None:
    text = GOOD.replace("pull-requests: write", "pull-requests: read").replace("app-id", "skill")
    repository.write({".github/workflows/skills.yml": text})
    done = repository.skillrunner("doctor", "--action")
    assert done.code == 1
    assert "the job `skills` uses GitHub's default token, which" in done.out
    assert "lacks pull-requests: write\n" in done.out


@pytest.mark.parametrize("output", ["none: {}", 'pull_request: {title: "x"}'])
def test_what_workflow_sync_writes_is_allowed_what_it_needs(repository: Project, output: str) -> None:
    yaml = "version: 1\ndescription: x\non: {manual: {}}\nharness: {kind: command, command: [x]}\n"
    yaml += f"output: {{{output}}}\n"
    for path in (repository.root / "skills").glob("*/skill.yaml"):
        path.write_text(yaml)
    synced = repository.skillrunner("workflow", "sync", "--action", f"acme/skillrunner@{SHA}")
    assert synced.code == 0, synced.err
    done = repository.skillrunner("doctor", "--action")
    assert "lacks" not in done.out
    assert done.code == 0, done.out


def test_a_broken_workflow_is_said_where_it_names_the_action(repository: Project) -> None:
    repository.write(
        {".github/workflows/a.yml": "uses: x/skillrunner@v1\n\tx", ".github/workflows/b.yml": "\tx"}
    )
    done = repository.skillrunner("doctor", "--action")
    assert done.code == 1
    assert "a.yml:2: the workflow cannot be read" in done.out
    assert "b.yml" not in done.out


def test_the_action_s_own_repository_uses_it_as_a_folder(repository: Project) -> None:
    local = GOOD.replace(f"acme/skillrunner@{SHA}", "./").replace("timeout-minutes: 60", "name: x")
    repository.write({".github/workflows/skills.yml": local})
    assert "no workflow" in repository.skillrunner("doctor", "--action").out
    repository.write({"action.yml": 'name: "Skillrunner"\n'})
    assert "[no_timeout]" in repository.skillrunner("doctor", "--action").out


def test_nothing_of_a_workflow_acts_on_the_terminal(repository: Project) -> None:
    text = GOOD.replace("skills:", '"skills\\e[2J":').replace("    timeout-minutes: 60\n", "")
    repository.write({".github/workflows/skills.yml": text})
    out = repository.skillrunner("doctor", "--action").out
    assert "no_timeout" in out
    assert "\x1b" not in out
