"""README's section on GitHub Actions, word for word: then events come, in the real `act`."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from runner.apps.action.workflow import FILE
from tests.parts.act import ACTION, ROOT, Act, example, happened_in
from tests.parts.cli import skill_files
from tests.parts.github import repository

pytestmark = [pytest.mark.emulator, pytest.mark.git_http]

YAML = """
on: {{{on}}}
harness: {{kind: command, command: [sh, -c, "cat > docs/{name}.md"]}}
output: {{pull_request: {{title: "docs: {name}", paths: ["docs/**"]}}}}
"""


def blocks(page: str, heading: str, language: str) -> list[str]:
    section = (ROOT / page).read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def follow_the_readme(act: Act, *more: str) -> None:
    """Type what the README says, with the Action that is named there by its place."""
    (script,) = blocks("README.md", "In GitHub Actions", "sh")
    assert script.count("OWNER/skillrunner@COMMIT") == 1
    typed = " ".join(["OWNER/skillrunner@COMMIT", *more]).replace("OWNER/skillrunner@COMMIT", ACTION)
    folder = Path(act.project.command()[0]).parent
    environment = act.project.environment()
    subprocess.run(
        ["bash", "-euxc", script.replace("OWNER/skillrunner@COMMIT", typed)],
        cwd=act.project.root,
        env={**environment, "PATH": f"{folder}:{environment['PATH']}"},
        check=True,
    )


def titles(act: Act) -> list[str]:
    found = act.github.api("GET", f"/repos/{repository(act.project)}/pulls?state=all")
    return sorted(pull["title"] for pull in found)


def test_the_readme_and_then_an_event(act: Act) -> None:
    project = act.project
    project.git("config", "push.default", "current")
    project.commit(
        skill_files("note", YAML.format(on="release: {}", name="note"))
        | skill_files("other", YAML.format(on="issues: {types: [opened]}", name="other"))
    )
    follow_the_readme(act, "--sandbox", "process")
    act.checked = True
    text = (project.root / FILE).read_text()
    released = happened_in(example("release", "published"), project)
    done = act.run("release", released, text)
    assert done.code == 0, done.log
    assert titles(act) == ["docs: note"]
    assert done.said("[Skillrunner/note")
    assert not done.said("Run Main acme/skillrunner in other")

    again = act.run("release", released, text)
    assert again.code == 0, again.log
    assert again.said("skipped: duplicate")
    opened = act.run("issues", happened_in(example("issues", "opened"), project), text)
    assert opened.code == 0, opened.log
    assert titles(act) == ["docs: note", "docs: other"]


def test_the_workflow_by_hand_in_the_docs(act: Act) -> None:
    act.project.commit(skill_files("note", YAML.format(on="release: {}", name="note")))
    (text,) = blocks("docs/action.md", "A workflow by hand", "yaml")
    named = re.sub(r"OWNER/skillrunner@[0-9a-f]{40}", ACTION, text)
    assert named != text
    act.project.commit({"skillrunner.yaml": "sandbox: process\n", FILE: named})
    act.checked = True
    done = act.run("release", happened_in(example("release", "published"), act.project), named)
    assert done.code == 0, done.log
    assert titles(act) == ["docs: note"]
    ledger = act.project.git("ls-tree", "--name-only", "refs/skillrunner/state", cwd=act.project.origin)
    assert json.dumps(ledger.split()[-1]) == '"schedules.json"'
