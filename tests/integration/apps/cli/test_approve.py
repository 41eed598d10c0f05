"""Approval at the command line: a proposal waits, one answer counts, and only what was shown is published."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.publish.outputs import OUTPUTS
from tests.parts.cli import Project

YAML = """
on: {manual: {}}
inputs: {text: {type: string, default: new}, stamp: {type: string, default: "-"}}
harness: {kind: command, command: [sh, -c, "cat > docs/new.md"]}
output: {pull_request: {title: "docs: {{ inputs.text }}", paths: ["docs/**"]}}
prompt: "write {{ inputs.text }} {{ inputs.stamp }}"
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.variables.update({"SKILLRUNNER_SANDBOX": "process", "USER": "ada"})
    project.commit(_skill("approval: required"))
    return project


def _skill(approval: str) -> dict[str, str]:
    return {"skills/docs/skill.yaml": f"version: 1\ndescription: d\n{YAML}{approval}\n"}


def _wait(shop: Project, *more: str) -> dict[str, Any]:
    done = shop.skillrunner("run", "docs", "--json", *more)
    assert done.code == 4, done.out + done.err
    found: dict[str, Any] = done.json()
    assert (found["state"], found["end"], len(found["approvals"])) == ("waiting", None, 1)
    return found


def _record(shop: Project, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.skillrunner("show", run_id, "--json").json()
    return found


def _sql(shop: Project, text: str) -> None:
    with closing(sqlite3.connect(shop.state / "skillrunner.db")) as file:
        file.execute(text)
        file.commit()


def test_a_proposal_waits_and_nothing_is_published_before_somebody_approves_it(shop: Project) -> None:
    run = _wait(shop)
    digest = run["approvals"][0]["digest"]
    assert shop.branches() == ["main"]
    assert len(digest) == 64
    shown = shop.skillrunner("show").out
    assert "somebody has to approve it: everything has to be approved; until" in shown
    assert f"skillrunner approve {run['id']} --digest {digest[:12]}" in shown
    assert "docs/new.md" in shop.skillrunner("diff", run["id"]).out
    assert "waiting" in shop.skillrunner("list", "--state", "waiting").out

    done = shop.skillrunner("approve", run["id"], "--digest", digest[:12], "--reason", "looks right")
    assert (done.code, "succeeded: pull request created" in done.out) == (0, True), done.out + done.err
    assert shop.branches() == ["main", "skillrunner/docs/default"]
    record = _record(shop, run["id"])
    (approval,) = record["approvals"]
    assert (approval["verdict"], approval["who"].split("@")[0]) == ("approved", "ada")
    assert (approval["via"], approval["reason"]) == ("the command line", "looks right")
    assert approval["decided_at"] is not None
    assert record["state"] == "succeeded"
    assert record["attempt"] == 2
    assert "approved by ada@" in shop.skillrunner("show", run["id"]).out
    assert shop.skillrunner("logs", run["id"], "--raw").code == 0


def test_approved_twice_it_is_published_once(shop: Project) -> None:
    run = _wait(shop)
    assert shop.skillrunner("approve", run["id"]).code == 0
    head = shop.git("rev-parse", "skillrunner/docs/default", cwd=shop.origin)
    again = shop.skillrunner("approve", run["id"])
    assert (again.code, "has approved it before" in again.out) == (0, True), again.out
    assert shop.git("rev-parse", "skillrunner/docs/default", cwd=shop.origin) == head
    late = shop.skillrunner("refuse", run["id"], "--reason", "no")
    assert (late.code, "approved it at" in late.err) == (3, True), late.err
    assert len(shop.skillrunner("pr", "list", "--json").json()) == 1


def test_what_is_refused_ends_and_is_never_published(shop: Project) -> None:
    run = _wait(shop)
    assert shop.skillrunner("refuse", run["id"]).code == 2  # a reason is asked for
    done = shop.skillrunner("refuse", run["id"], "--reason", "too bold")
    assert (done.code, done.out) == (0, f"refused: {run['id']}\n"), done.err
    record = _record(shop, run["id"])
    assert (record["state"], record["end"]["reason"]) == ("blocked", "approval_refused")
    assert record["end"]["message"].endswith(": too bold")
    late = shop.skillrunner("approve", run["id"])
    assert (late.code, "refused it at" in late.err) == (3, True), late.err
    assert shop.branches() == ["main"]


def test_the_digest_of_another_run_or_of_nothing_approves_nothing(shop: Project) -> None:
    first = _wait(shop)
    second = _wait(shop, "--input", "text=other")
    theirs = first["approvals"][0]["digest"]
    for digest in (theirs, theirs[:12], "0" * 64):
        done = shop.skillrunner("approve", second["id"], "--digest", digest)
        assert (done.code, "is not that of what run" in done.err) == (3, True), done.err
    short = shop.skillrunner("approve", second["id"], "--digest", second["approvals"][0]["digest"][:11])
    assert (short.code, "12 are the least" in short.err) == (3, True), short.err
    assert shop.branches() == ["main"]


def test_a_newer_proposal_for_the_same_pull_request_voids_the_one_that_waits(shop: Project) -> None:
    first, second = _wait(shop), _wait(shop)
    assert first["approvals"][0]["digest"] != second["approvals"][0]["digest"]  # though all else is the same
    record = _record(shop, first["id"])
    assert (record["state"], record["end"]["reason"]) == ("superseded", "approval_void")
    assert second["id"] in record["end"]["message"]
    late = shop.skillrunner("approve", first["id"])
    assert (late.code, "is void" in late.err) == (3, True), late.err
    assert shop.skillrunner("approve", second["id"]).code == 0


def test_nobody_can_approve_it_when_its_time_is_over(shop: Project) -> None:
    shop.commit(_skill("approval: {always: true, expires: 1h}"))
    run = _wait(shop)
    _sql(shop, "UPDATE approvals SET expires_at = '2026-01-01T00:00:00.000000+00:00'")
    done = shop.skillrunner("approve", run["id"])
    assert (done.code, "expired at 2026-01-01 00:00 UTC" in done.err) == (3, True), done.err
    record = _record(shop, run["id"])
    assert (record["state"], record["end"]["reason"]) == ("blocked", "approval_expired")
    assert record["approvals"][0]["verdict"] == "expired"
    assert shop.branches() == ["main"]


@pytest.mark.parametrize("changed", ["patch", "proposal"])
def test_what_was_changed_after_it_was_shown_is_not_published(shop: Project, changed: str) -> None:
    run = _wait(shop)
    folder = shop.state / "runs" / run["id"]
    if changed == "patch":
        patch = (folder / "patch").read_bytes().replace(b"write new", b"write bad")
        (folder / "patch").write_bytes(patch)
    else:
        told = json.loads((folder / "publication.json").read_text())
        told["proposal"]["summary"] = "something else"
        (folder / "publication.json").write_text(json.dumps(told))
    done = shop.skillrunner("approve", run["id"])
    if changed == "patch":  # then what the database holds is published, which is what was shown
        assert done.code == 0
        assert "write new" in shop.git("show", "skillrunner/docs/default:docs/new.md", cwd=shop.origin)
    else:
        assert done.code == 4
        assert shop.branches() == ["main"]
        verdicts = [one["verdict"] for one in _record(shop, run["id"])["approvals"]]
        assert verdicts == ["approved", ""]


def test_what_was_shown_is_published_though_the_skill_was_changed_meanwhile(shop: Project) -> None:
    run = _wait(shop)
    other = YAML.replace("docs: {{", "other: {{")
    shop.commit({"skills/docs/skill.yaml": f"version: 1\ndescription: d\n{other}"})
    assert shop.skillrunner("approve", run["id"]).code == 0
    (pull,) = shop.skillrunner("pr", "list", "--json").json()
    assert pull["title"] == "docs: new"


def test_an_approval_needs_no_secret_and_no_key_of_the_agent(shop: Project) -> None:
    shop.commit(_skill("approval: required\nenvironment: {secrets: [TOKEN]}"))
    shop.variables["TOKEN"] = "s3cret-value"
    run = _wait(shop)
    del shop.variables["TOKEN"]
    assert shop.skillrunner("approve", run["id"]).code == 0


def test_what_cannot_be_published_now_still_waits(shop: Project) -> None:
    run = _wait(shop)
    away = shop.home / "away"
    shop.origin.rename(away)
    assert shop.skillrunner("approve", run["id"]).code == 6
    assert _record(shop, run["id"])["state"] == "waiting"
    away.rename(shop.origin)
    assert shop.skillrunner("approve", run["id"]).code == 0


def test_a_forge_that_is_away_in_the_middle_has_it_wait_again(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _wait(shop)

    def publish(*_: object) -> None:
        raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "no answer", retryable=True)

    with monkeypatch.context() as broken:
        broken.setattr(type(OUTPUTS.get("pull_request")), "publish", publish)
        assert shop.skillrunner("approve", run["id"]).code == 6
    record = _record(shop, run["id"])
    assert (record["state"], record["approvals"][0]["verdict"]) == ("waiting", "")
    assert shop.skillrunner("approve", run["id"]).code == 0
    assert shop.branches() == ["main", "skillrunner/docs/default"]


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("{paths: ['docs/**']}", "it changes docs/new.md"),
        ("{max_lines: 0}", "more than 0 lines are changed: 1"),
        ("{outputs: [pull_request]}", "it publishes: pull_request"),
        ("{changed_skill: true}", "nothing of this version of the skill was published before"),
        ("{paths: ['src/**'], max_lines: 9, outputs: [none]}", ""),
    ],
)
def test_any_rule_that_fits_is_enough(shop: Project, rules: str, why: str) -> None:
    shop.commit(_skill(f"approval: {rules}"))
    done = shop.skillrunner("run", "docs", "--json")
    if why:
        assert (done.code, done.json()["approvals"][0]["why"]) == (4, why)
    else:
        assert (done.code, done.json()["approvals"]) == (0, [])


def test_a_changed_skill_waits_once_and_again_when_it_is_changed(shop: Project) -> None:
    shop.commit(_skill("approval: {changed_skill: true}"))
    run = _wait(shop)
    assert shop.skillrunner("approve", run["id"]).code == 0
    assert shop.skillrunner("run", "docs", "--input", "stamp=2").code == 0
    shop.commit(_skill("approval: {changed_skill: true}\n# changed"))
    _wait(shop, "--input", "stamp=3")


def test_whoever_runs_it_can_ask_for_an_approval_that_no_skill_can_take_away(shop: Project) -> None:
    shop.commit(_skill("approval: {max_lines: 100}") | {"skillrunner.yaml": "policy: {approval: required}\n"})
    assert _wait(shop)["approvals"][0]["why"] == "everything has to be approved"
    shop.commit({"skillrunner.yaml": "policy: {approval: {outputs: [pull_requst]}}\n"})
    done = shop.skillrunner("run", "docs")
    assert (done.code, "pull_requst" in done.err) == (3, True), done.err


def test_what_publishes_nothing_waits_for_nobody(shop: Project) -> None:
    yaml = YAML.replace(
        '{pull_request: {title: "docs: {{ inputs.text }}", paths: ["docs/**"]}}', "{none: {}}"
    )
    shop.commit({"skills/docs/skill.yaml": f"version: 1\ndescription: d\n{yaml}approval: required\n"})
    assert shop.skillrunner("run", "docs").code == 0


def test_a_run_that_waits_is_not_taken_for_lost_steered_or_cancelled(shop: Project) -> None:
    run = _wait(shop)
    for words in (("steer", run["id"], "go on"), ("cancel", run["id"])):
        done = shop.skillrunner(*words)
        assert (done.code, "waits for somebody's approval" in done.err) == (3, True), done.err
    assert _record(shop, run["id"])["state"] == "waiting"
    attached = shop.skillrunner("attach", run["id"])
    assert (attached.code, "waiting: somebody has to approve it" in attached.out) == (4, True), attached.out
    done = shop.skillrunner("approve", "nonsense")
    assert (done.code, "no run 'nonsense'" in done.err) == (3, True), done.err


def test_a_run_that_never_waited_cannot_be_approved(shop: Project) -> None:
    shop.commit(_skill(""))
    assert shop.skillrunner("run", "docs").code == 0
    done = shop.skillrunner("approve", "latest")
    assert (done.code, "does not wait for anybody" in done.err) == (3, True), done.err
