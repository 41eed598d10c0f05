"""`skillrunner workflow sync`, and what GitHub's linters and the real `act` say of its workflows."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from runner.apps.action.preflight import dangers
from runner.apps.action.workflow import FILE, Use, render
from runner.skills import load
from runner.skills.discover import discover
from tests.parts.cli import Project, skill_files
from tests.parts.need import require

ROOT = Path(__file__).parents[4]
ACTION = "acme/skillrunner@0123456789abcdef0123456789abcdef01234567 # v0.3.0"
QUIET = "harness: {kind: command, command: [make]}\noutput: {none: {}}\n"
PROPOSING = "harness: {kind: claude-code}\noutput: {pull_request: {title: t, labels: [documentation]}}\n"

TRIGGERS = {
    "release": "release: {types: [published, edited], tags: ['v*']}",
    "issues": "issues: {types: [opened, labeled, typed, untyped, pinned], labels: [docs]}",
    "issue-comment": "issue_comment: {command: /docs}",
    "pull-request": "pull_request: {types: [opened, enqueued, dequeued], branches: [main]}",
    "push": "push: {branches: [main, 'release/**', 'v[0-9]'], paths: ['docs/**']}",
    "tag": "push: {tags: ['v*.*', '**/x#1']}",
    "any-push": "push: {}",
    "workflow-run": "workflow_run: {workflows: [CI, '🚀 \"Deploy\": all'], conclusion: [failure]}",
    "check-run": "check_run: {types: [created, rerequested, completed, requested_action]}",
    "webhook": "webhook: {}",
    "chained": "run_completed: {skill: docs}",
    "manual": "manual: {}",
    "monday": "schedule: [{cron: 0 9 * * 1, timezone: Europe/Berlin}, {cron: '@yearly'}]",
    "always": "schedule: [{cron: '* * * * *'}, {cron: '*/7 * * * *', timezone: Australia/Lord_Howe}]",
    "gaps": "schedule: [{cron: '30 2 * * *', timezone: Africa/Casablanca}, {cron: '58 23 31 * 5'}]",
    "islands": "schedule: [{cron: '0,28 */2 1-7 */3 *', timezone: Pacific/Chatham}]",
}
BEHAVIOURS = {
    "skip": QUIET,
    "queue": f"overlap: queue\nenvironment: {{secrets: [DOCS_TOKEN]}}\n{QUIET}",
    "cancel": f"overlap: cancel_running\nlimits: {{timeout: 2h, attempts: 3}}\n{PROPOSING}",
    "2fa": "harness: {kind: codex}\noutput: {none: {}}\n",
    "plan": PROPOSING,
    "true": QUIET,
}
FOUND = {("own", "self-repository")}
"""What zizmor says of `./`, for which it wants `$/`, which neither `act` nor actionlint takes at a root."""


def program(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    require(found, name, "make setup")
    return str(found)


def sync(project: Project, *args: str) -> str:
    done = project.skillrunner("workflow", "sync", *args)
    assert done.code == 0, done.err
    return (project.root / FILE).read_text()


def cases() -> Iterator[tuple[str, Mapping[str, str | bytes], Use]]:
    """A name, the skills, and the use of many a workflow."""
    use = Use(action=ACTION)
    app = Use(action=ACTION, app=True, sandbox="process", runs_on="ubuntu-24.04", config="ci/our.yaml")
    for name, on in TRIGGERS.items():
        yield name, skill_files(name, f"on: {{{on}}}\n{QUIET}"), use
    for name, behaviour in BEHAVIOURS.items():
        text = f"version: 1\ndescription: x\nprompt: Do it.\n{behaviour}"
        yield name, {f"skills/{name}/skill.yaml": text}, app
    shipped = discover(ROOT, ["skills"]).files
    yield "shipped", shipped, use
    yield "own", shipped, Use(action="./")
    files = (skill_files(name, f"on: {{{on}}}\n{PROPOSING}") for name, on in TRIGGERS.items())
    yield "everything", {path: text for one in files for path, text in one.items()}, app


@pytest.fixture(scope="module")
def workflows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository's folder with a workflow for each case."""
    folder = tmp_path_factory.mktemp("workflows")
    written = folder / ".github/workflows"
    written.mkdir(parents=True)
    for name, files, use in cases():
        loaded = load(
            {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
        )
        assert [str(fault) for fault in loaded.faults] == []
        (written / f"{name}.yml").write_text(render(loaded.skills, use))
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return written


def lint(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    files = [str(path) for path in sorted(folder.glob("*.yml"))]
    assert len(files) == len(TRIGGERS) + len(BEHAVIOURS) + 3
    return subprocess.run(
        [program(argv[0]), *argv[1:], *files],
        cwd=folder.parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "config",
    ["policy: {signed_marks: true}", "secrets: {SKILLRUNNER_SIGNING_KEY: {env: SKILLRUNNER_SIGNING_KEY}}"],
)
def test_the_key_that_signs_marks_is_passed_where_the_configuration_asks_for_it(
    project: Project, config: str
) -> None:
    project.commit({**skill_files("docs", "on: {manual: {}}\n" + QUIET), "skillrunner.yaml": config + "\n"})
    told = sync(project, "--action", ACTION)
    assert "SKILLRUNNER_SIGNING_KEY" in told, "the repository must have it"
    text = (project.root / FILE).read_text()
    assert text.count("SKILLRUNNER_SIGNING_KEY: ${{ secrets.SKILLRUNNER_SIGNING_KEY }}") == 2
    assert {one.rule for one in dangers(FILE, text.encode(), "")} == {"default_token"}


def test_actionlint_finds_nothing(workflows: Path) -> None:
    done = lint(workflows, "actionlint", "-shellcheck=", "-pyflakes=")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_every_workflow_is_of_githubs_schema(workflows: Path) -> None:
    done = lint(workflows, "check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing_but_what_no_workflow_can_avoid(workflows: Path) -> None:
    done = lint(
        workflows,
        "zizmor",
        "--offline",
        "--no-config",
        "--no-exit-codes",
        "--min-severity=low",
        "--format=json",
    )
    assert done.returncode == 0, done.stderr
    found = {
        (Path(place["symbolic"]["key"]["Local"]["verbatim_path"]).stem, finding["ident"])
        for finding in json.loads(done.stdout)
        for place in finding["locations"]
    }
    assert found == FOUND
    ignoring = {path.stem for path in workflows.glob("*.yml") if "zizmor" in path.read_text()}
    assert ignoring == {"issue-comment", "workflow-run", "everything"}


def test_no_job_can_do_or_see_what_it_does_not_need(workflows: Path) -> None:
    text = (workflows / "shipped.yml").read_text()
    assert text.count("ANTHROPIC_API_KEY: ") == 2
    assert "OPENAI_API_KEY" not in text
    assert "DOCS_TOKEN" not in text
    assert set(re.findall(r"([a-z-]+): write\b", text)) == {"contents", "pull-requests"}


# --- the command --------------------------------------------------------------------------------------


@pytest.fixture
def team(project: Project) -> Project:
    project.commit(
        skill_files("docs", f"on: {{release: {{}}}}\nenvironment: {{secrets: [TOK]}}\n{PROPOSING}")
    )
    return project


def test_it_says_what_it_needs_and_what_to_do_next(team: Project) -> None:
    done = team.skillrunner("workflow", "sync", "--action", ACTION, "--app")
    assert done.code == 0, done.err
    assert "ANTHROPIC_API_KEY, SKILLRUNNER_APP_PRIVATE_KEY, TOK" in done.out
    assert "SKILLRUNNER_APP_ID" in done.out
    assert "documentation" in done.out
    assert f"git add {FILE}" in done.out
    assert "up to date" in team.skillrunner("workflow", "sync").out
    plain = team.skillrunner("workflow", "sync", "--no-app").out
    assert "Allow GitHub Actions to create and approve pull requests" in plain
    assert "SKILLRUNNER_APP_ID" not in plain


def test_choices_stay_until_they_are_changed(team: Project) -> None:
    first = sync(team, "--action", ACTION, "--app", "--runs-on", "big", "--sandbox", "process")
    assert sync(team) == first
    second = sync(team, "--runs-on", "ubuntu-24.04")
    assert second == first.replace('"runs_on": "big"', '"runs_on": "ubuntu-24.04"').replace(
        "runs-on: big", "runs-on: ubuntu-24.04"
    )


def test_check_finds_drift_after_a_skills_edit(team: Project) -> None:
    before = sync(team, "--action", ACTION)
    same = team.skillrunner("workflow", "sync", "--check")
    assert (same.code, same.err) == (0, "")
    team.write(skill_files("docs", f"on: {{issues: {{}}}}\n{PROPOSING}"))
    done = team.skillrunner("workflow", "sync", "--check")
    assert done.code == 1
    assert {"-  release:", "+  issues:", "-          TOK: ${{ secrets.TOK }}"} <= set(done.out.splitlines())
    assert "hint: skillrunner workflow sync" in done.err
    assert (team.root / FILE).read_text() == before
    assert sync(team) != before
    assert team.skillrunner("workflow", "sync", "--check").code == 0


def test_check_finds_edits_by_hand_and_a_missing_file(team: Project) -> None:
    missing = team.skillrunner("workflow", "sync", "--check", "--action", ACTION)
    assert missing.code == 1
    assert "+name: Skillrunner" in missing.out
    assert not (team.root / FILE).exists()
    text = sync(team, "--action", ACTION)
    (team.root / FILE).write_text(text.replace("permissions: {}", "permissions: write-all"))
    done = team.skillrunner("workflow", "sync", "--check")
    assert done.code == 1
    assert "-permissions: write-all" in done.out


def test_limits_and_skills_are_where_the_configuration_says(team: Project) -> None:
    team.write({"ci/our.yaml": "limits: {timeout: 2h}\nskills: [automations]\n"})
    (team.root / "skills").rename(team.root / "automations")
    done = team.skillrunner("--config", "ci/our.yaml", "workflow", "sync", "--action", ACTION)
    assert done.code == 0, done.err
    text = (team.root / FILE).read_text()
    assert "timeout-minutes: 135" in text
    assert text.count("config: ci/our.yaml") == 2
    assert sync(team) == text
    outside = team.skillrunner("--config", "/etc/hostname", "workflow", "sync")
    assert outside.code == 3
    assert "lies outside" in outside.err


def test_without_an_action_it_says_how_to_find_one(team: Project) -> None:
    for args in (["--action", "acme/skillrunner@v1"], []):
        done = team.skillrunner("workflow", "sync", *args)
        assert done.code == 3
        assert "git ls-remote" in done.err
    assert not (team.root / FILE).exists()


def test_it_touches_no_file_of_others(team: Project) -> None:
    team.write({FILE: "name: CI\non: push\njobs: {}\n"})
    done = team.skillrunner("workflow", "sync", "--action", ACTION)
    assert done.code == 3
    assert FILE in done.err
    assert (team.root / FILE).read_text().startswith("name: CI")


def test_invalid_skills_fail_it(team: Project) -> None:
    team.write({"skills/bad/skill.yaml": "version: 1\non: {relase: {}}\n"})
    done = team.skillrunner("workflow", "sync", "--action", ACTION)
    assert done.code == 3
    assert "skills/bad/skill.yaml:2" in done.err
    assert not (team.root / FILE).exists()


def test_without_skills_there_is_nothing_to_write(project: Project) -> None:
    done = project.skillrunner("workflow", "sync", "--action", ACTION)
    assert done.code == 3
    assert "no enabled skill" in done.err


def test_where_nothing_can_be_written_it_says_so(team: Project) -> None:
    team.write({".github": "a file\n"})
    done = team.skillrunner("workflow", "sync", "--action", ACTION)
    assert done.code == 3
    assert ".github" in done.err
    assert "Traceback" not in done.err


# --- act ----------------------------------------------------------------------------------------------

STUB = """\
name: stub
description: Stands for the action
inputs:
  command: {description: c, required: true}
  skill: {description: s, default: ""}
  key: {description: k, default: ""}
outputs:
  runs: {description: r, value: "${{ steps.stub.outputs.runs }}"}
runs:
  using: composite
  steps:
    - id: stub
      shell: bash
      env:
        COMMAND: ${{ inputs.command }}
        SKILL: ${{ inputs.skill }}
        KEY: ${{ inputs.key }}
      run: |
        echo "runs=$DUE" >> "$GITHUB_OUTPUT"
        echo "[$COMMAND|$SKILL|$KEY|${FIRST:+first}${SECOND:+second}]" >> "$LEFT"
"""


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ({}, set()),
        ({"one": ["release:12:published"]}, {"[run|one|release:12:published|first]"}),
        (
            {"one": ["a", "schedule:0 9 * * 1@UTC:2026-01-05T09:00Z"], "2-two": ["b"]},
            {
                "[run|one|a|first]",
                "[run|one|schedule:0 9 * * 1@UTC:2026-01-05T09:00Z|first]",
                "[run|2-two|b|second]",
            },
        ),
        ({"plan": ["x"]}, {"[run|plan|x|]"}),
    ],
)
def test_the_real_act_runs_what_is_due(
    project: Project, due: dict[str, list[str]], expected: set[str]
) -> None:
    project.commit(
        {
            "action.yml": STUB,
            **skill_files("one", f"environment: {{secrets: [FIRST]}}\n{QUIET}"),
            **skill_files("2-two", f"overlap: queue\nenvironment: {{secrets: [SECOND]}}\n{QUIET}"),
            **skill_files("plan", f"overlap: cancel_running\n{QUIET}"),
        }
    )
    # act knows no `queue: max` yet, which GitHub has had since May 2026.
    text = re.sub(r"\n +queue: max", "", sync(project, "--action", "./"))
    (project.root / FILE).write_text(text)
    left = project.home / "left"
    done = subprocess.run(
        [
            program("act"), "workflow_dispatch", "-W", FILE, "-P", "ubuntu-latest=-self-hosted",
            "--pull=false", "--action-offline-mode",
            "--env", f"DUE={json.dumps(due)}", "--env", f"LEFT={left}",
            "-s", "FIRST=one", "-s", "SECOND=two", "-s", "GITHUB_TOKEN=none",
        ],
        cwd=project.root,
        env={**project.environment(), "XDG_CACHE_HOME": str(project.home / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(left.read_text().split("\n")) == sorted(["", "[plan|||]", *expected])
