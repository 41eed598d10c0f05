"""Our action.yml in the real `act`, started by GitHub's published payloads, against GitHub's API and git."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.parts.act import FILE, Act, example, happened_in, workflow
from tests.parts.cli import clean_environment, skill_files
from tests.parts.github import APP_ID, repository

pytestmark = [pytest.mark.emulator, pytest.mark.git_http, pytest.mark.measured]

WORK = """
description: Note what happened
on: {on}
harness: {{kind: command, command: [sh, -c, "cat > docs/{name}.md"]}}
output:
  pull_request: {{title: "docs: {name}", paths: ["docs/**"], key: fixed}}
"""

EVENTS = {
    "release": ("{release: {types: [published]}}", "published"),
    "issues": ("{issues: {types: [opened]}}", "opened"),
    "issue_comment": ("{issue_comment: {types: [created]}}", "created"),
    "pull_request": ("{pull_request: {types: [opened]}}", "opened"),
    "push": ("{push: {}}", None),
    "workflow_run": ("{workflow_run: {workflows: [Test, CI, tests]}}", "completed"),
}


def commit(act: Act, name: str, on: str, at: datetime | None = None) -> None:
    """Commit a skill to the default branch, as of an hour ago where that matters."""
    project = act.project
    project.write(skill_files(name, WORK.format(on=on, name=name)))
    when = {"GIT_COMMITTER_DATE": at.isoformat()} if at else {}
    project.git("add", "-A")
    subprocess.run(
        ["git", "commit", "-qm", name],
        cwd=project.root,
        env={**clean_environment(project.home), **when},
        check=True,
    )
    project.git("push", "-q", "origin", "HEAD")


def titles(act: Act) -> list[str]:
    found = act.github.api("GET", f"/repos/{repository(act.project)}/pulls?state=all")
    return [pull["title"] for pull in found]


def stored(act: Act) -> list[dict[str, Any]]:
    """What the repository's ledger holds."""
    ref = "refs/skillrunner/state"
    names = act.project.git("ls-tree", "--name-only", ref, cwd=act.project.origin).split()
    texts = [act.project.git("show", f"{ref}:{name}", cwd=act.project.origin) for name in names]
    return [
        json.loads(line)
        for name, text in zip(names, texts, strict=True)
        if name.endswith(".jsonl")
        for line in text.splitlines()
    ]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_opens_a_pull_request_once(act: Act, event: str) -> None:
    on, activity = EVENTS[event]
    commit(act, "note", on)
    commit(act, "other", "{release: {types: [deleted]}}")
    payload = happened_in(example(event, activity), act.project)
    if event == "workflow_run":
        payload["workflow_run"]["name"] = "CI"
    first = act(event, payload)
    assert first.code == 0, first.log
    assert first.verdicts["note"] == "started", first.log
    assert first.verdicts.get("other", "skipped: filter") == "skipped: filter"
    assert titles(act) == ["docs: note"]
    assert first.outputs["pull-request-number"] == "1"
    assert first.outputs["state"] == "succeeded"

    second = act(event, payload)
    assert second.verdicts["note"] == "skipped: duplicate"
    assert len(titles(act)) == 1
    assert [line["verdict"] for line in stored(act) if line.get("skill") == "note"] == ["started"]


@pytest.mark.parametrize("event", ["issues", "issue_comment", "pull_request", "release"])
def test_a_stranger_starts_nothing(act: Act, event: str) -> None:
    on, activity = EVENTS[event]
    commit(act, "note", on)
    done = act(event, happened_in(example(event, activity), act.project, sender="mallory"))
    assert done.code == 0, done.log
    assert done.verdicts == {"note": "skipped: actor"}
    assert done.said("mallory has the permission `none`")
    assert titles(act) == []


def test_githubs_cron_is_a_poke(act: Act) -> None:
    now = datetime.now(UTC)
    commit(act, "often", "{schedule: [{cron: '*/20 * * * *', catch_up: 30m}]}", now - timedelta(hours=2))
    commit(act, "later", "{schedule: [{cron: '0 0 1 1 *'}]}", now - timedelta(minutes=5))
    first = act("schedule", {"schedule": "*/20 * * * *"})
    assert first.code == 0, first.log
    verdicts = [line["verdict"] + ":" + line.get("cause", "") for line in stored(act) if "key" in line]
    assert verdicts.count("started:") == 1
    assert "missed:window" in verdicts
    assert set(verdicts) <= {"started:", "missed:window", "skipped:duplicate"}
    assert titles(act) == ["docs: often"]
    second = act("schedule", {"schedule": "*/20 * * * *"})
    assert second.code == 0
    assert len([line for line in stored(act) if line.get("verdict") == "started"]) in (1, 2)
    assert titles(act) == ["docs: often"]


@pytest.mark.docker
@pytest.mark.parametrize("event", [*EVENTS, "schedule", "workflow_dispatch", "repository_dispatch"])
def test_the_same_in_a_jobs_container(act: Act, local_image: str, event: str) -> None:
    on, activity = EVENTS.get(event, ("{schedule: [{cron: '*/20 * * * *'}], webhook: {}}", None))
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    commit(act, "on-demand-test", on, long_ago)
    payload: dict[str, Any] = {}
    if event != "schedule":
        payload = happened_in(example(event, activity), act.project)
    if event == "workflow_run":
        payload["workflow_run"]["name"] = "CI"
    if event == "workflow_dispatch":
        payload["inputs"] = {"skill": "on-demand-test"}
    act.image = local_image
    done = act(event, payload)
    assert done.code == 0, done.log
    assert "started" in done.outputs["decisions"]
    assert titles(act) == ["docs: on-demand-test"]
    assert done.outputs["state"] == "succeeded"


def test_somebody_asks_for_a_skill(act: Act) -> None:
    commit(act, "note", "{release: {}}")
    payload = happened_in(example("workflow_dispatch"), act.project)
    asked = act("workflow_dispatch", {**payload, "inputs": {"skill": "note"}})
    assert asked.code == 0, asked.log
    assert asked.verdicts == {"note": "started"}
    assert titles(act) == ["docs: note"]
    absent = act("workflow_dispatch", {"inputs": {"skill": "nothere"}})
    assert absent.code != 0
    assert absent.said("no valid skill 'nothere'")
    poke = act("workflow_dispatch", {"inputs": {"skill": ""}})
    assert json.loads(poke.outputs["decisions"]) == []


def test_a_dispatch_from_elsewhere_names_the_skill(act: Act) -> None:
    commit(act, "on-demand-test", "{webhook: {}}")
    commit(act, "other", "{webhook: {}}")
    done = act("repository_dispatch", happened_in(example("repository_dispatch"), act.project))
    assert done.code == 0, done.log
    assert done.verdicts == {"on-demand-test": "started"}


def test_plan_prints_the_matrix_and_a_job_runs_its_part(act: Act) -> None:
    commit(act, "one", "{release: {}}")
    commit(act, "two", "{release: {}}")
    payload = happened_in(example("release", "published"), act.project)
    planned = act("release", payload, command="plan")
    matrix = json.loads(planned.outputs["matrix"])["include"]
    assert [part["skill"] for part in matrix] == ["one", "two"]
    assert titles(act) == []
    for part in matrix:
        done = act("release", payload, **part)
        assert done.verdicts == {part["skill"]: "started"}
    assert sorted(titles(act)) == ["docs: one", "docs: two"]


def test_a_dry_run_starts_and_stores_nothing(act: Act) -> None:
    commit(act, "note", "{release: {}}")
    done = act("release", happened_in(example("release", "published"), act.project), dry_run="true")
    assert done.code == 0, done.log
    assert done.said("Do the work.")
    assert titles(act) == []
    assert "refs/skillrunner" not in act.project.git("for-each-ref", cwd=act.project.origin)


def test_as_an_app(act: Act) -> None:
    commit(act, "note", "{release: {}}")
    payload = happened_in(example("release", "published"), act.project)
    done = act("release", payload, app_id=APP_ID, app_private_key=act.github.app_key, token="")
    assert done.code == 0, done.log
    (pull,) = act.github.api("GET", f"/repos/{repository(act.project)}/pulls")
    assert pull["user"]["login"] == "skillrunner-test[bot]"
    assert "PRIVATE KEY" not in done.log
    assert not any(token in done.log for token in act.github.tokens)
    theirs = happened_in(example("issues", "opened"), act.project)
    commit(act, "answer", "{issues: {actor: {bots: ['skillrunner-test[bot]']}}}")
    theirs["sender"] = {"login": "skillrunner-test[bot]", "type": "Bot"}
    own = act("issues", theirs, app_id=APP_ID, app_private_key=act.github.app_key)
    assert own.verdicts == {"answer": "skipped: actor"}
    assert own.said("which is us")


def test_a_run_follows_another_and_none_runs_for_ever(act: Act) -> None:
    commit(act, "first", "{release: {}, run_completed: {skill: second, states: [succeeded, nothing_to_do]}}")
    commit(act, "second", "{run_completed: {skill: first, states: [succeeded, nothing_to_do]}}")
    done = act("release", happened_in(example("release", "published"), act.project))
    assert done.code == 0, done.log
    assert sorted(titles(act)) == ["docs: first", "docs: second"]
    started = [line["skill"] for line in stored(act) if line.get("verdict") == "started"]
    assert started == ["first", "second", "first", "second"]


def test_an_invalid_skill_is_annotated_and_the_others_run(act: Act) -> None:
    commit(act, "note", "{release: {}}")
    act.project.commit(
        skill_files(
            "broken", "on: {relaese: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"
        )
    )
    done = act("release", happened_in(example("release", "published"), act.project))
    assert done.code == 0, done.log
    assert done.verdicts == {"note": "started"}
    assert done.said("skills/broken/skill.yaml")
    assert titles(act) == ["docs: note"]


def test_the_default_branch_alone_says_what_runs(act: Act) -> None:
    """A branch's own copy of a skill, and of the configuration, is data."""
    commit(act, "note", "{pull_request: {}}")
    act.project.git("checkout", "-qb", "evil")
    act.project.write({"skillrunner.yaml": "skills: [elsewhere]\n"})
    commit(act, "planted", "{pull_request: {}}")
    payload = happened_in(example("pull_request", "opened"), act.project)
    done = act("pull_request", payload)
    assert done.code == 0, done.log
    assert done.verdicts == {"note": "started"}


def test_a_dangerous_workflow_is_refused(act: Act) -> None:
    commit(act, "note", "{release: {}}")
    payload = happened_in(example("release", "published"), act.project)
    text = workflow({"sandbox": "process"}, "release")
    act.checked = True
    absent = act("release", payload)
    assert absent.code != 0
    assert absent.said("[unreadable]")
    act.project.commit({FILE: text.replace("permissions: {}", "permissions: write-all")})
    refused = act("release", payload)
    assert refused.code != 0
    assert refused.said(f"{FILE}:4: ")
    assert refused.said("[write_all]")
    assert titles(act) == []
    allowed = act("release", payload, allow="write_all")
    assert allowed.verdicts == {"note": "started"}
    act.project.commit({FILE: text})
    assert act("release", payload).verdicts == {"note": "skipped: duplicate"}


HOSTILE = """
description: t
on: {release: {}}
harness:
  kind: command
  command:
    - sh
    - -c
    - |
      echo "::set-output name=state::hacked"
      echo "::add-path::/evil"
      echo "x ##[add-path]/evil"
      echo "EVIL=1" >> "$FILES/env"
      echo text > docs/a.md
output: {pull_request: {title: t, paths: ["docs/**"]}}
"""


def test_nothing_that_an_agent_prints_is_a_command(act: Act) -> None:
    act.project.commit(skill_files("note", HOSTILE))
    done = act("release", happened_in(example("release", "published"), act.project))
    assert done.code == 0, done.log
    assert done.outputs["state"] == "succeeded"
    lines = [line.partition("| ") for line in done.log.splitlines() if "/evil" in line]
    shown = [said.strip() for _, bar, said in lines if bar]  # act shows the job's summary below its log
    assert len(shown) == 2
    assert not any(line.startswith("::") or "##[" in line for line in shown)


@pytest.mark.docker
def test_with_the_agent_in_a_container(act: Act, local_image: str) -> None:
    commit(act, "note", "{release: {}}")
    payload = happened_in(example("release", "published"), act.project)
    act.project.commit({"skillrunner.yaml": f"image: {local_image}\n"})
    done = act("release", payload, sandbox="docker")
    assert done.code == 0, done.log
    assert done.outputs["state"] == "succeeded"
    assert titles(act) == ["docs: note"]
