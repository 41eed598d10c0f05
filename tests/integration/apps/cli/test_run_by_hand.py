"""`run` by hand: what an event would do by itself, what a dry run refuses, plain skills, and their files."""

import json
from pathlib import Path

import pytest

from tests.parts.cli import Project, skill_files

YAML = """
on: {release: {types: [published], tags: ["v*"]}, manual: {}}
harness: {kind: command, command: [sh, -c, "cat > docs/new.md"]}
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("touch", YAML))
    return project


def release(shop: Project, action: str = "published", tag: str = "v1") -> str:
    event = {"action": action, "release": {"id": 1, "tag_name": tag}, "sender": {"login": "ada"}}
    (shop.home / "event.json").write_text(json.dumps(event))
    return str(shop.home / "event.json")


@pytest.mark.parametrize(
    ("action", "tag", "words"),
    [
        ("created", "v1", "no (skipped: filter): `types` holds published, and this is `created`"),
        ("published", "w1", "no (skipped: filter): `tags` holds v*, and this is `w1`"),
        (
            "published",
            "v1",
            (
                "no (skipped: actor): ada has the permission `none`, and `write` is needed;"
                " the local forge cannot tell permissions"
            ),
        ),
    ],
)
def test_it_is_said_whether_an_event_would_start_the_skill(
    shop: Project, action: str, tag: str, words: str
) -> None:
    file = release(shop, action, tag)
    plan = shop.skillrunner("run", "touch", "--event", file, "--dry-run")
    assert (plan.code, f"by itself    {words}" in plan.out) == (0, True), plan.out
    told = shop.skillrunner("run", "touch", "--event", file, "--dry-run", "--json").json()
    assert told["by_itself"] == words
    ran = shop.skillrunner("run", "touch", "--event", file)
    assert ran.out.startswith("succeeded")
    assert f"by itself: {words}" in ran.err


def test_an_event_that_would_start_the_skill_is_said_to(shop: Project) -> None:
    yaml = YAML.replace("types:", "actor: {permission: none}, types:")
    shop.commit(skill_files("touch", yaml))
    plan = shop.skillrunner("run", "touch", "--event", release(shop), "--dry-run")
    assert "by itself    yes: release v1 by ada" in plan.out
    shop.commit(skill_files("touch", yaml + "enabled: false\n"))
    plan = shop.skillrunner("run", "touch", "--event", release(shop), "--dry-run")
    assert "by itself    no (held: paused): skills/touch/skill.yaml says `enabled: false`" in plan.out


@pytest.mark.parametrize("more", [(), ("--event",)])
def test_an_unknown_trigger_is_an_error(shop: Project, more: tuple[str, ...]) -> None:
    given = (*more, release(shop)) if more else ()
    done = shop.skillrunner("run", "touch", "--trigger", "relase", *given)
    assert (done.code, "there is no trigger 'relase'" in done.err) == (3, True), done.err
    assert "did you mean `release`?" in done.err


def test_a_trigger_that_the_skill_does_not_have_is_an_error(shop: Project) -> None:
    done = shop.skillrunner("run", "touch", "--trigger", "push")
    assert done.code == 3
    assert "not by `push`" in done.err


# --- a dry run refuses what the run would refuse -----------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--sandbox", "dokcer"), 3, "dokcer"),
        (("--harness", "claude-cod"), 3, "claude-cod"),
        (("--forge", "githb"), 3, "githb"),
        (("--harness", "claude-code"), 3, "claude-code needs ANTHROPIC_API_KEY"),
        (("--harness", "qwen"), 3, "qwen needs"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(
    shop: Project, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = shop.skillrunner("run", "touch", "--dry-run", *arguments)
    assert (done.code, words in done.err) == (code, True), done.err
    real = shop.skillrunner("run", "touch", *arguments)
    assert (real.code, words in real.err + real.out) == (code, True), real.err + real.out


def test_a_dry_run_refuses_a_program_that_is_not_there(shop: Project) -> None:
    shop.commit(skill_files("touch", YAML.replace("[sh, -c,", "[no-such-program, -c,")))
    done = shop.skillrunner("run", "touch", "--dry-run")
    assert (done.code, "no-such-program is not on PATH" in done.err) == (1, True), done.err


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ("secrets: [NOT_THERE]", "NOT_THERE"),
        ("dockerfile: ci/Dockerfile", "names ci/Dockerfile"),
        ("devcontainer: .devcontainer/none.json", "names .devcontainer/none.json"),
        ("skills: [house-style]", "has no skills/house-style/SKILL.md"),
    ],
)
def test_a_dry_run_refuses_what_the_skill_names_and_is_not_there(
    shop: Project, environment: str, words: str
) -> None:
    shop.commit(skill_files("touch", f"{YAML}environment: {{{environment}}}\n"))
    done = shop.skillrunner("run", "touch", "--dry-run")
    assert (done.code != 0, words in done.err, "--- plan" in done.out) == (True, True, True), done.err
    told = shop.skillrunner("run", "touch", "--dry-run", "--json").json()
    assert [words in one["error"] for one in told["refused"]] == [True]


def test_a_missing_key_is_not_the_agents_failure(shop: Project) -> None:
    shop.commit(skill_files("touch", f"{YAML}environment: {{secrets: [NOT_THERE]}}\n"))
    ran = shop.skillrunner("run", "touch")
    assert (ran.code, ran.out.startswith("error: ")) == (3, True), ran.out


# --- plain skills ----------------------------------------------------------------------------------------


def test_a_plain_skill_md_is_run_by_hand(shop: Project) -> None:
    shop.commit({"skills/pdf/SKILL.md": "---\nname: pdf\ndescription: d\n---\nUse ${{ x }}.\n"})
    assert "no faults, 2 valid skills" in shop.skillrunner("validate").out
    plan = shop.skillrunner("run", "pdf", "--harness", "claude-code", "--dry-run")
    assert "Use ${{ x }}." in plan.out
    assert "output       pull request" in plan.out
    listed = shop.skillrunner("list", "--skills", "--json").json()
    assert [(skill["name"], sorted(skill["triggers"])) for skill in listed] == [
        ("pdf", []),
        ("touch", ["manual", "release"]),
    ]


# --- the files of a skill ----------------------------------------------------------------------------------

TOOL = """
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "cat > docs/told.md; skills/tool/scripts/say.sh > docs/new.md"]}
verify: ["skills/tool/scripts/say.sh"]
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""


def published(shop: Project, name: str) -> str:
    return shop.git("show", f"skillrunner/tool/default:docs/{name}", cwd=shop.origin)


def test_the_scripts_of_an_uncommitted_skill_come_along(shop: Project) -> None:
    shop.write({**skill_files("tool", TOOL), "skills/tool/scripts/say.sh": "#!/bin/sh\necho first\n"})
    (shop.root / "skills/tool/scripts/say.sh").chmod(0o755)
    ran = shop.skillrunner("run", "tool")
    assert ran.out.startswith("succeeded"), ran.out + ran.err
    assert published(shop, "new.md") == "first"
    assert "The files that belong to these instructions lie in `skills/tool/`." in published(shop, "told.md")
    assert set(shop.skillrunner("diff", "--stat").out.split()) & {"docs/new.md", "docs/told.md"}
    assert "skills/" not in shop.skillrunner("diff", "--stat").out


def test_a_script_that_was_changed_and_not_committed_is_the_one_that_runs(shop: Project) -> None:
    files = {**skill_files("tool", TOOL), "skills/tool/scripts/say.sh": "#!/bin/sh\necho first\n"}
    shop.write({**files, "skills/tool/scripts/old.sh": "exit 1\n"})
    (shop.root / "skills/tool/scripts/say.sh").chmod(0o755)
    shop.commit({})
    (shop.root / "skills/tool/scripts/old.sh").unlink()
    shop.write({"skills/tool/scripts/say.sh": "#!/bin/sh\nls skills/tool/scripts\n"})
    ran = shop.skillrunner("run", "tool")
    assert ran.out.startswith("succeeded"), ran.out + ran.err
    assert published(shop, "new.md") == "say.sh"


def test_a_skill_on_a_base_that_does_not_have_it_brings_its_files(shop: Project) -> None:
    shop.git("branch", "old", "HEAD")
    shop.git("push", "-q", "origin", "old")
    shop.write({**skill_files("tool", TOOL), "skills/tool/scripts/say.sh": "#!/bin/sh\necho first\n"})
    (shop.root / "skills/tool/scripts/say.sh").chmod(0o755)
    shop.commit({})
    ran = shop.skillrunner("run", "tool", "--base", "old")
    assert ran.out.startswith("succeeded"), ran.out + ran.err
    assert published(shop, "new.md") == "first"


def test_an_agent_that_changes_its_skills_scripts_is_refused(shop: Project) -> None:
    yaml = TOOL.replace("cat > docs/told.md;", "echo '# more' >> skills/tool/scripts/say.sh;")
    shop.write({**skill_files("tool", yaml), "skills/tool/scripts/say.sh": "#!/bin/sh\necho first\n"})
    (shop.root / "skills/tool/scripts/say.sh").chmod(0o755)
    ran = shop.skillrunner("run", "tool")
    assert (ran.code, "skills/tool/scripts/say.sh" in ran.out) == (4, True), ran.out


def test_a_run_by_hand_is_repeated_with_the_event_that_it_was_given(shop: Project) -> None:
    assert shop.skillrunner("run", "touch", "--event", release(shop, tag="v7")).code == 0
    again = shop.skillrunner("run", "--from-run", "latest", "--json").json()
    (kept,) = [one["path"] for one in again["artifacts"] if one["name"] == "event.json"]
    assert json.loads(Path(kept).read_text())["release"]["tag_name"] == "v7"
    assert shop.skillrunner("run", "touch", "--from-run", "latest", "--dry-run").code == 0
    shop.write(skill_files("touch", YAML.replace("docs: touch", "docs: other")))
    assert shop.skillrunner("run", "touch", "--input", "x=y", "--dry-run").code == 3
    assert shop.skillrunner("run", "touch").code == 0
    refused = shop.skillrunner("run", "--from-run", "latest", "--dry-run")
    assert refused.code == 3
    assert "was not committed" in refused.err
    hint = refused.err.partition("hint: skillrunner ")[2].split()
    assert hint[:3] == ["run", "touch", "--from-run"]
    assert shop.skillrunner(*hint, "--dry-run").code == 0


def test_an_event_that_was_not_kept_is_asked_for(shop: Project) -> None:
    run = shop.skillrunner("run", "touch", "--event", release(shop), "--json").json()
    (kept,) = [one["path"] for one in run["artifacts"] if one["name"] == "event.json"]
    Path(kept).unlink()
    refused = shop.skillrunner("run", "touch", "--from-run", run["id"], "--dry-run")
    assert (refused.code, "was not kept" in refused.err, "--event FILE" in refused.err) == (3, True, True)


def test_the_first_run_of_a_new_command_makes_the_folder_that_it_writes_to(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.skillrunner("new", "page", "--harness", "command")
    done = project.skillrunner("run", "page")
    assert (done.code, done.out.partition(":")[0]) == (0, "succeeded"), done.out
    assert project.git("show", "skillrunner/page/default:docs/page.md", cwd=project.origin)


def test_a_workflow_with_an_action_that_is_not_there_is_warned_of(shop: Project) -> None:
    told = "this one has no action.yml"
    assert told in shop.skillrunner("workflow", "sync", "--action", "./").out
    assert shop.skillrunner("workflow", "sync", "--action", "acme/skillrunner@" + "1" * 40).code == 0
    shop.write({"action.yml": "name: x\n"})
    assert told not in shop.skillrunner("workflow", "sync", "--action", "./").out
