"""The cases of the shipped skills: the real agent, in its container, with no model, no key and no network."""

import shutil
from pathlib import Path

import pytest

from tests.parts.cli import Project
from tests.parts.model_server import ModelServer
from tests.parts.sessions import KEY
from tests.parts.shipped import ROOT, SCRIPTS, configuration

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]


@pytest.fixture
def shipped(project: Project, local_image: str) -> Project:
    """A project with the shipped skills as they lie here; the environment holds no key and no model."""
    shutil.copytree(ROOT / "skills", project.root / "skills", ignore=shutil.ignore_patterns("__pycache__"))
    configuration(project.root)
    project.variables["SKILLRUNNER_IMAGE"] = local_image
    return project


def test_they_are_replayed(shipped: Project) -> None:
    done = shipped.skillrunner("test", "--json")
    cases = done.json()["cases"]
    assert {(one["skill"], one["case"]) for one in cases} == set(SCRIPTS)
    for one in cases:
        assert (one["problems"], one["warnings"]) == ([], [])
    assert done.code == 0


def test_a_changed_prompt_names_the_request_and_the_line(shipped: Project) -> None:
    prompt = shipped.root / "skills/docs-after-release/SKILL.md"
    prompt.write_text(prompt.read_text().replace("Edit with a light hand", "Edit with a heavy hand"))
    done = shipped.skillrunner("test", "docs-after-release")
    assert done.code == 1
    assert "request 1 (/v1/messages?beta=true) differs from what was recorded" in done.out
    assert "-  ## 3. Edit with a light hand" in done.out
    assert "+  ## 3. Edit with a heavy hand" in done.out

    assert shipped.skillrunner("test", "docs-after-release", "--update").code == 0
    assert shipped.skillrunner("test", "docs-after-release").code == 0


def test_a_changed_script_names_the_request_that_tells_of_it(shipped: Project) -> None:
    script = shipped.root / "skills/docs-after-release/scripts/changes.py"
    script.write_text(script.read_text().replace("changes that users can see", "changes that matter"))
    done = shipped.skillrunner("test", "docs-after-release")
    assert done.code == 1
    assert "request 2 (/v1/messages?beta=true) differs" in done.out
    assert "+  4 changes that matter" in done.out


def test_another_version_of_the_agent_is_told(shipped: Project) -> None:
    case = shipped.root / "skills/docs-after-release/cases/renamed-option/case.yaml"
    case.write_text(case.read_text().replace("harness: claude-code 2", "harness: claude-code 1"))
    done = shipped.skillrunner("test", "docs-after-release")
    assert done.code == 0
    assert "warning: recorded with claude-code 1" in done.out


def test_a_cassette_that_holds_more_is_told(shipped: Project) -> None:
    traffic = shipped.root / "skills/docs-after-release/cases/renamed-option/traffic.jsonl"
    traffic.write_text(traffic.read_text() + traffic.read_text().splitlines(keepends=True)[-1])
    done = shipped.skillrunner("test", "docs-after-release")
    assert done.code == 1
    assert "request 6 of 6 in the cassette never came" in done.out


def test_a_real_agent_is_recorded_and_its_traffic_kept(shipped: Project, model_server: ModelServer) -> None:
    skill, case = "docs-after-release", "renamed-option"
    shipped.git("add", "-A")
    shipped.git("commit", "-qm", "Skills")
    shipped.git("push", "-q", "origin", "HEAD")
    folder = shipped.root / "skills" / skill / "cases" / case
    (folder / "traffic.jsonl").unlink()
    shipped.variables.update(
        {
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": model_server.url(f"case-{shipped.home.parent.name}", SCRIPTS[skill, case]),
            "SKILLRUNNER_GATEWAY_RECORD": "true",
        }
    )
    done = shipped.skillrunner("record", skill, "--case", case, "--json")
    assert (done.code, done.json()["requests"]) == (0, 5), done.err
    assert KEY not in (folder / "traffic.jsonl").read_text()
    assert shipped.branches() == ["main"]
    ran = shipped.skillrunner("run", skill, "--json")
    kept = {one["name"]: Path(one["path"]) for one in ran.json()["artifacts"]}
    text = kept["traffic.jsonl"].read_text()
    assert "bring the docs up to date" in text.lower()
    assert KEY not in text

    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        del shipped.variables[name]
    assert shipped.skillrunner("test", skill).code == 0


def test_nothing_in_the_cases_is_of_this_machine() -> None:
    for path in ROOT.glob("skills/*/cases/*/traffic.jsonl"):
        text = path.read_text()
        for told in (str(Path.home()), "sk-no-real-key", "/workspace/", str(ROOT)):
            assert told not in text, f"{path} holds {told}"
