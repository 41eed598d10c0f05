"""The verbs around a run, as their users type them."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from runner.run import place
from tests.parts.cli import Project, skill_files

YAML = """
description: Touch the docs
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "cat > docs/new.md; echo hello from the agent; echo oops >&2"]}
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""


@pytest.fixture
def ran(project: Project) -> Project:
    """A project with one run that opened a pull request."""
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("touch", YAML))
    assert project.skillrunner("run", "touch").code == 0
    return project


def test_a_newcomers_first_minutes(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    first = project.skillrunner("init")
    assert "wrote skillrunner.yaml" in first.out
    assert "skillrunner new" in first.out
    assert "is there already" in project.skillrunner("init").out
    assert project.skillrunner("validate").out.startswith("no skills found")
    for trigger in ("manual", "schedule", "release", "issues", "issue_comment", "pull_request", "push"):
        made = project.skillrunner("new", f"on-{trigger.replace('_', '-')}", "--trigger", trigger)
        assert made.code == 0, made.err
    for harness in ("codex", "command"):
        assert project.skillrunner("new", f"with-{harness}", "--harness", harness).code == 0
    assert "no faults, 9 valid skills" in project.skillrunner("validate").out
    preview = project.skillrunner("run", "with-command", "--dry-run")
    assert preview.code == 0, preview.err
    assert "not committed" in preview.out
    listed = {skill["name"] for skill in project.skillrunner("list", "--skills", "--json").json()}
    assert "on-release" in listed
    assert "on-schedule" in project.skillrunner("list", "--skills").out
    assert "no runs" in project.skillrunner("list").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("new", "Bad Name"), 3, "is not a skill's name"),
        (("show",), 3, "there is no run 'latest'"),
        (("pr", "show", "7"), 3, "there is no pull request 7"),
        (("run", "nothing"), 3, "there is no skill 'nothing'"),
        (("run", "touch", "--event", "none.json"), 3, "none.json"),
        (("run", "touch", "--input", "x"), 3, "has no `=`"),
        (("nonsense",), 2, "No such command"),
        (("-C", "/nowhere", "list"), 6, "there is no such folder"),
        (("--config", "none.yaml", "list"), 3, "none.yaml"),
    ],
)
def test_errors_are_told_and_counted(
    project: Project, arguments: tuple[str, ...], code: int, words: str
) -> None:
    if "touch" in arguments:
        project.commit(skill_files("touch", YAML))
    done = project.skillrunner(*arguments)
    assert (done.code, words in done.err, "Traceback" in done.err) == (code, True, False), done.err


def test_errors_as_json(project: Project) -> None:
    told = project.skillrunner("run", "nothing", "--json").json()
    assert (told["reason"], told["phase"]) == ("skill_not_found", "load")


def test_a_bug_becomes_a_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.commit(skill_files("touch", YAML))
    project.variables["X_SECRET"] = "hide-me"
    monkeypatch.setattr(place, "local_place", None)
    done = project.skillrunner("doctor")
    assert done.code == 70
    assert "Traceback" not in done.err
    (report,) = (project.state / "reports").iterdir()
    assert str(report) in done.err
    text = report.read_text()
    assert "Traceback" in text
    assert "hide-me" not in text


def test_events_are_checked(project: Project) -> None:
    project.commit(skill_files("touch", YAML))
    for text, words in (
        ("[]", "not an object"),
        ("{", "is not JSON"),
        ("{}", "cannot tell what kind"),
        ('{"release": {"id": 1}}', "not by `release`"),
    ):
        (project.root / "event.json").write_text(text)
        done = project.skillrunner("run", "touch", "--event", "event.json")
        assert (done.code, words in done.err) == (3, True), done.err
    piped = project.skillrunner("run", "touch", "--event", "-", stdin="{}")
    assert "cannot tell" in piped.err


QUESTION = """
description: Count the modules
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "echo There are seven modules."]}
output: {none: {}}
"""


def test_an_answer_is_printed_and_kept(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("count", QUESTION))
    done = project.skillrunner("run", "count")
    assert (done.code, done.out.splitlines()[0].partition(":")[0]) == (0, "succeeded")
    assert "\nThere are seven modules.\n" in done.out
    assert "said        There are seven modules." in project.skillrunner("show").out
    assert project.skillrunner("show", "--json").json()["answer"] == "There are seven modules."


def test_show_logs_and_diff(ran: Project) -> None:
    shown = ran.skillrunner("show").out
    for words in (
        "touch",
        "succeeded",
        "published   pull_request created",
        "states      preparing",
        "file        patch",
    ):
        assert words in shown
    log = ran.skillrunner("logs").out
    assert "hello from the agent" in log
    assert "-- succeeded" in log
    assert "hello from the agent" in ran.skillrunner("logs", "--raw").out
    lines = ran.skillrunner("logs", "--json").out.splitlines()
    assert json.loads(lines[0])["type"] == "message"
    assert "+Do the work." in ran.skillrunner("diff").out
    assert ran.skillrunner("diff", "--stat").out == "docs/new.md | +2 -0\n1 file changed\n"
    run = ran.skillrunner("list", "--json").json()[0]["id"]
    assert run in ran.skillrunner("list").out
    assert ran.skillrunner("show", run[:10]).code == 0
    assert ran.skillrunner("list", "--before", run).out.startswith("no runs")


def test_logs_follow_a_run_that_goes_on(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    slow = YAML.replace("echo hello from the agent", "echo one; sleep 3; echo two")
    project.commit(skill_files("touch", slow))
    running = subprocess.Popen(
        project.command("run", "touch"),
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 20
        while not list(project.state.glob("runs/*/transcript.jsonl")) and time.monotonic() < until:
            time.sleep(0.05)
        followed = project.skillrunner("logs", "-f")
    finally:
        running.wait(timeout=60)
    assert [line[9:] for line in followed.out.splitlines()[:2]] == ["one", "two"]
    assert "-- succeeded" in followed.out


def test_pull_requests_can_be_merged(ran: Project) -> None:
    assert "docs: touch" in ran.skillrunner("pr", "list").out
    shown = ran.skillrunner("pr", "show", "1").out
    assert "skillrunner/touch/default → main" in shown
    assert "<!--" not in shown
    ran.commit({"README.md": "# Changed meanwhile\n"}, "Meanwhile")
    merged = ran.skillrunner("pr", "merge", "1")
    assert merged.out == "#1 merged into main\n", merged.err
    assert ran.git("show", "main:docs/new.md", cwd=ran.origin) == "Do the work."
    assert "Meanwhile" in ran.git("log", "--format=%s", "main", cwd=ran.origin)
    assert "is merged already" in ran.skillrunner("pr", "merge", "1").err
    assert ran.skillrunner("pr", "list").out == "no pull requests\n"
    assert "merged" in ran.skillrunner("pr", "list", "--all").out
    again = ran.skillrunner("run", "touch")
    assert again.code == 0
    assert "nothing_to_do" in again.out


def test_pull_requests_can_be_closed_and_are_not_proposed_again(ran: Project) -> None:
    assert ran.skillrunner("pr", "close", "1").out == "#1 closed\n"
    again = ran.skillrunner("run", "touch")
    assert (again.code, "closed unmerged" in again.out) == (0, True)
    ran.commit(skill_files("touch", YAML, "Do other work."), "Ask for other work")
    other = ran.skillrunner("run", "touch")  # another change, and of another cause
    assert (other.code, "closed unmerged" in other.out) == (0, True)
    assert ran.skillrunner("run", "touch", "--again").code == 0
    assert ran.skillrunner("pr", "show", "2", "--json").json()["state"] == "open"


def test_a_conflict_in_a_merge_is_named(ran: Project) -> None:
    ran.commit({"docs/new.md": "Somebody else's.\n"}, "Same file")
    done = ran.skillrunner("pr", "merge", "1")
    assert (done.code, "docs/new.md" in done.err) == (1, True)


def test_a_repository_without_remotes_is_its_own_forge(tmp_path: Path, project: Project) -> None:
    project.commit(skill_files("touch", YAML))
    project.git("remote", "remove", "origin")
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    done = project.skillrunner("run", "touch")
    assert done.code == 0, done.err
    assert "skillrunner/touch/default" in project.git("branch", "--all")


@pytest.fixture
def alone(project: Project) -> Project:
    """What a newcomer has: no remote, the base checked out, and one pull request."""
    project.commit(skill_files("touch", YAML))
    project.git("remote", "remove", "origin")
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    done = project.skillrunner("run", "touch")
    assert done.code == 0, done.err
    return project


def test_a_newcomers_pull_request_is_merged_into_the_base_that_is_checked_out(alone: Project) -> None:
    (alone.root / "mine.txt").write_text("not tracked\n")
    merged = alone.skillrunner("pr", "merge", "1")
    assert merged.out == "#1 merged into main\n", merged.err
    assert (alone.root / "docs/new.md").read_text().strip() == "Do the work."
    assert alone.git("status", "--porcelain") == "?? mine.txt"
    assert alone.git("log", "-1", "--format=%s") == "Merge pull request 1: docs: touch"


@pytest.mark.parametrize(
    ("file", "staged"), [("README.md", False), ("README.md", True), ("docs/new.md", False)]
)
def test_a_merge_changes_no_file_that_is_not_committed_and_its_hint_works(
    alone: Project, file: str, staged: bool
) -> None:
    before = alone.git("rev-parse", "HEAD")
    alone.write({file: "my own words\n"})
    if staged:
        alone.git("add", "-A")
    refused = alone.skillrunner("pr", "merge", "1")
    assert refused.code == 6
    assert f"main is checked out in {alone.root}, with changes that are not committed" in refused.err
    assert "commit or stash them, then: skillrunner pr merge 1" in refused.err
    assert (alone.root / file).read_text() == "my own words\n"
    assert alone.git("rev-parse", "HEAD") == before
    alone.git("stash", "--include-untracked")
    assert alone.skillrunner("pr", "merge", "1").out == "#1 merged into main\n"


def test_what_was_merged_by_hand_is_merged(alone: Project) -> None:
    """Closed it would be a no to the skill, and it was a yes."""
    alone.git("merge", "-q", "skillrunner/touch/default")
    assert alone.skillrunner("pr", "merge", "1").out == "#1 merged into main\n"
    assert alone.skillrunner("pr", "show", "1", "--json").json()["state"] == "merged"


def test_a_closed_pull_request_is_opened_again_and_kept_up_to_date(ran: Project) -> None:
    assert "is open" in ran.skillrunner("pr", "reopen", "1").err
    ran.skillrunner("pr", "close", "1")
    ran.commit(skill_files("touch", YAML, "Do other work."), "Ask for other work")
    refused = ran.skillrunner("run", "touch").out
    assert "skillrunner pr reopen" in ran.skillrunner("show", "latest").out + refused
    assert ran.skillrunner("pr", "reopen", "1").out == "#1 open\n"
    assert "pull request updated" in ran.skillrunner("run", "touch").out
    assert ran.git("show", "skillrunner/touch/default:docs/new.md", cwd=ran.origin) == "Do other work."


def test_what_cannot_be_opened_again_says_why(ran: Project) -> None:
    ran.skillrunner("pr", "close", "1")
    ran.skillrunner("run", "touch", "--again")
    assert "has another open pull request" in ran.skillrunner("pr", "reopen", "1").err
    ran.skillrunner("pr", "close", "2")
    ran.git("push", "-q", "origin", ":skillrunner/touch/default")
    gone = ran.skillrunner("pr", "reopen", "2")
    assert (gone.code, "is gone" in gone.err, "--again" in gone.err) == (3, True, True)


def test_a_label_gives_a_branch_back(ran: Project) -> None:
    ran.git("fetch", "-q", "origin")
    ran.git("checkout", "-q", "skillrunner/touch/default")
    ran.commit({"docs/new.md": "by hand\n"}, "Mine")
    ran.git("checkout", "-q", "main")
    ran.commit(skill_files("touch", YAML, "Do other work."), "Ask for other work")
    refused = ran.skillrunner("run", "touch")
    assert (refused.code, "hands off" in refused.out) == (4, True)
    labelled = ran.skillrunner("pr", "label", "1", "skillrunner:take-over")
    assert labelled.out == "#1 skillrunner:take-over\n"
    assert "pull request updated" in ran.skillrunner("run", "touch").out
    assert ran.skillrunner("pr", "show", "1", "--json").json()["labels"] == []


def test_doctor_names_what_fails(project: Project) -> None:
    project.commit({**skill_files("touch", YAML), **skill_files("bad", "on: {nope: {}}\n")})
    done = project.skillrunner("doctor")
    assert done.code == 1
    assert "skillrunner validate" in done.out
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    found = project.skillrunner("doctor", "--json").json()
    assert found["config"]["sandbox"] == {"value": "process", "origin": "SKILLRUNNER_SANDBOX"}
    project.variables.update({"SKILLRUNNER_SANDBOX": "docker", "DOCKER_HOST": "unix:///nonexistent.sock"})
    assert "--sandbox process" in project.skillrunner("doctor").out


@pytest.mark.parametrize(
    ("config", "harness", "key"),
    [
        ("", "claude is not on PATH of this machine, for claude-code", "ANTHROPIC_API_KEY is not set"),
        ("harnesses: {claude-code: {version: tested}}", "claude 2.", "is not set"),
        ("harnesses: {claude-code: {version: 2.0.9}}", "claude 2.0.9 is installed by", "is not set"),
        ("harnesses: {claude-code: {binary: /bin/true}}", "/bin/true is shown to the sandbox", "is not set"),
        ("secrets: {ANTHROPIC_API_KEY: {command: [x]}}", "claude is not on PATH", "comes from `secrets`"),
        ("secrets: {ANTHROPIC_API_KEY: {env: OTHER}}", "claude is not on PATH", "is set"),
    ],
)
def test_doctor_says_where_agents_and_their_keys_come_from(
    project: Project, config: str, harness: str, key: str
) -> None:
    yaml = "on: {manual: {}}\nharness: {kind: claude-code}\noutput: {none: {}}\n"
    project.commit({**skill_files("page", yaml), "skillrunner.yaml": f"sandbox: process\n{config}\n"})
    project.variables.update({"OTHER": "sk-0123456789", "PATH": _path_with_git_alone(project)})
    findings = project.skillrunner("doctor", "--json").json()["findings"]
    told = {one["subject"]: one["message"] for one in findings}
    assert harness in told["harness"]
    assert key in told["key"]
    assert "sk-0123456789" not in str(findings)


def _path_with_git_alone(project: Project) -> str:
    """A PATH on which no agent of the machine lies."""
    folder = project.root.parent / "git-alone"
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git") or "")
    return str(folder)


def test_doctor_says_where_the_program_of_a_process_sandbox_is(project: Project) -> None:
    yaml = "on: {manual: {}}\nharness: {kind: claude-code}\noutput: {none: {}}\n"
    project.commit({**skill_files("page", yaml), "skillrunner.yaml": "sandbox: process\n"})
    path = _path_with_git_alone(project)
    program = Path(path, "claude")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    project.variables["PATH"] = path
    assert f"ok    harness    claude is {program}, for claude-code" in project.skillrunner("doctor").out


def test_doctor_looks_at_a_skill_that_is_a_skill_md_alone(project: Project) -> None:
    plain = "---\nname: greet\ndescription: Greets\n---\n\nGreet.\n"
    project.commit({".agents/skills/greet/SKILL.md": plain, "skillrunner.yaml": "sandbox: process\n"})
    project.variables["PATH"] = _path_with_git_alone(project)
    done = project.skillrunner("doctor")
    assert done.code == 1
    assert "ok    skills     greet" in done.out
    assert "FAIL  harness    claude is not on PATH of this machine, for claude-code" in done.out
    assert "FAIL  key        ANTHROPIC_API_KEY is not set, for claude-code" in done.out


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("sandbox: dockr\n", 'skillrunner.yaml:1:10: unknown sandbox (value: "dockr")'),
        ("image: x\nforge: gitub\n", 'skillrunner.yaml:2:8: unknown forge (value: "gitub")'),
        (
            "harnesses:\n  claud-code: {variables: {A: b}}\n",
            'skillrunner.yaml:2:3: unknown harness (value: "claud-code")',
        ),
    ],
)
def test_validate_knows_the_kinds_that_a_configuration_names(
    project: Project, config: str, told: str
) -> None:
    project.commit({**skill_files("touch", YAML), "skillrunner.yaml": config})
    done = project.skillrunner("validate")
    assert done.code == 3
    assert told in done.out
    assert "did you mean `" in done.out
    (fault,) = project.skillrunner("validate", "--json").json()["faults"]
    assert fault["message"].startswith("unknown ")


def test_validate_knows_the_sandbox_that_a_skill_names(project: Project) -> None:
    yaml = YAML + "environment:\n  sandbox: proces\n"
    project.commit({**skill_files("touch", yaml), "skillrunner.yaml": "sandbox: process\nforge: auto\n"})
    done = project.skillrunner("validate")
    assert done.code == 3
    assert 'unknown sandbox (value: "proces")' in done.out
    assert "did you mean `process`?" in done.out
    project.commit(skill_files("touch", yaml.replace("proces\n", "process\n")))
    assert project.skillrunner("validate").code == 0


@pytest.mark.parametrize(
    "output",
    [
        'output:\n  pull_request:\n    paths: ["docs/**"]\n    title: "x {{ event.nope }}"\n',
        "output:\n  pull_request:\n    title: t\n    body: |\n      a\n      {{ event.nope }}\n",
        "output:\n  pull_request:\n    title: t\n    labels:\n      - a\n      - x{{ event.nope }}\n",
        'output:\n  pull_request:\n    title: t\n    base: "{{ event.nope }}"\n',
    ],
)
def test_a_value_that_an_output_misses_is_told_with_its_own_line(project: Project, output: str) -> None:
    yaml = f"on: {{manual: {{}}}}\nharness: {{kind: command, command: [x]}}\n{output}"
    project.commit(skill_files("page", yaml))
    done = project.skillrunner("run", "page", "--dry-run")
    text = (project.root / "skills/page/skill.yaml").read_text()
    wanted = next(number for number, one in enumerate(text.split("\n"), 1) if "event.nope" in one)
    assert f"skills/page/skill.yaml:{wanted}: `event` has no `nope`" in done.err
    assert "skillrunner run NAME --event FILE" in done.err


def test_a_terminated_run_gets_its_end(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("touch", YAML.replace("echo hello from the agent", "sleep 60")))
    running = subprocess.Popen(
        project.command("run", "touch"),
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if b"begins" in line:
            break
    running.terminate()
    assert running.wait(timeout=30) == 130
    running.stderr.close()
    record = project.skillrunner("show", "latest", "--json").json()
    assert (record["state"], record["end"]["reason"]) == ("cancelled", "cancelled")


def test_validate_looks_at_the_repository_that_is_named(project: Project, tmp_path: Path) -> None:
    project.commit(skill_files("touch", YAML.replace("harness:", "harnes:")))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [*project.command(), "-C", str(project.root), "validate"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "skills/touch/skill.yaml" in done.stdout
