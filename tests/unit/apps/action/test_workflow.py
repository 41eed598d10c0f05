"""The workflow file: each job with what its skill needs, and no more."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from runner.apps.action.workflow import Use, choices, render
from runner.apps.action.workflow.text import Verbatim, emit
from runner.core.errors import RunnerError, exit_code
from runner.core.model import Limits, Reason
from runner.skills import Skill, load

ACTION = "acme/skillrunner@0123456789abcdef0123456789abcdef01234567 # v0.3.0"
USE = Use(action=ACTION)
COMMAND = "harness: {kind: command, command: [make]}\n"


def skills(**yamls: str) -> dict[str, Skill]:
    """Skills by their names, each from the part of its file that matters; `_` in a name stands for `-`."""
    files = {}
    for name, yaml in yamls.items():
        known = {line.split(":")[0] for line in yaml.splitlines()}
        rest = "" if "harness" in known else COMMAND
        rest += "" if "output" in known else "output: {none: {}}\n"
        text = f"version: 1\ndescription: x\nprompt: Do it.\n{yaml}\n{rest}"
        files[f"skills/{name.replace('_', '-')}/skill.yaml"] = text.encode()
    loaded = load(files)
    assert [str(fault) for fault in loaded.faults] == []
    return dict(loaded.skills)


def workflow(use: Use = USE, **yamls: str) -> Any:
    return YAML(typ="safe").load(render(skills(**yamls), use))


def on(**yamls: str) -> Any:
    found = workflow(**yamls)["on"]
    del found["workflow_dispatch"]
    return found


def refused(**yamls: str) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        render(skills(**yamls), USE)
    return caught.value


def test_it_is_the_same_whatever_the_order() -> None:
    found = skills(a="on: {release: {}}", b="on: {schedule: [{cron: '@daily', timezone: Asia/Tokyo}]}")
    turned = dict(reversed(found.items()))
    assert render(found, USE) == render(turned, USE)


def test_a_job_decides_and_the_skills_jobs_wait_for_it() -> None:
    jobs = workflow(docs="on: {release: {}}", tidy="on: {manual: {}}")["jobs"]
    assert list(jobs) == ["plan", "docs", "tidy"]
    assert jobs["plan"]["permissions"] == {"contents": "write"}
    assert jobs["plan"]["outputs"] == {
        "runs": "${{ steps.plan.outputs.runs }}",
        "subject": "${{ steps.plan.outputs.subject }}",
    }
    (step,) = jobs["plan"]["steps"]
    assert step == {"id": "plan", "uses": ACTION.split(" ")[0], "with": {"command": "plan"}}
    docs = jobs["docs"]
    assert docs["needs"] == "plan"
    assert docs["if"] == "fromJSON(needs.plan.outputs.runs)['docs']"
    assert docs["strategy"]["matrix"] == {"key": "${{ fromJSON(needs.plan.outputs.runs)['docs'] }}"}
    assert docs["strategy"]["fail-fast"] is False
    assert docs["steps"][0]["with"] == {"command": "run", "skill": "docs", "key": "${{ matrix.key }}"}
    assert "env" not in docs["steps"][0]


def test_nothing_is_allowed_but_what_a_job_asks_for() -> None:
    found = workflow(
        reads="on: {manual: {}}", writes="on: {manual: {}}\noutput: {pull_request: {title: t, labels: [a]}}"
    )
    assert found["permissions"] == {}
    assert found["jobs"]["reads"]["permissions"] == {"contents": "write"}
    assert found["jobs"]["writes"]["permissions"] == {"contents": "write", "pull-requests": "write"}


def test_a_job_sees_its_own_secrets_only() -> None:
    jobs = workflow(
        one="environment: {secrets: [DOCS_TOKEN]}\nharness: {kind: claude-code}",
        two="environment: {secrets: [OTHER_TOKEN]}\nharness: {kind: codex}",
        none="on: {manual: {}}",
    )["jobs"]
    env = {name: job["steps"][0].get("env", {}) for name, job in jobs.items()}
    assert env["one"] == {
        "ANTHROPIC_API_KEY": "${{ secrets.ANTHROPIC_API_KEY }}",
        "DOCS_TOKEN": "${{ secrets.DOCS_TOKEN }}",
    }
    assert set(env["two"]) == {"OPENAI_API_KEY", "OTHER_TOKEN"}
    assert env["none"] == env["plan"] == {}


def test_a_job_gets_the_keys_of_its_models_other_providers() -> None:
    use = replace(USE, other_keys={"claude-code": ["OTHER_KEY"], "command": ["NEVER"]})
    jobs = workflow(use, one="harness: {kind: claude-code}", two="harness: {kind: codex}")["jobs"]
    assert set(jobs["one"]["steps"][0]["env"]) == {"ANTHROPIC_API_KEY", "OTHER_KEY"}
    assert set(jobs["two"]["steps"][0]["env"]) == {"OPENAI_API_KEY"}


def test_every_job_gets_the_key_that_signs_marks_where_the_configuration_names_it() -> None:
    assert all("env" not in job["steps"][0] for job in workflow(one="on: {manual: {}}")["jobs"].values())
    jobs = workflow(replace(USE, signed=True), one="environment: {secrets: [X]}")["jobs"]
    key = {"SKILLRUNNER_SIGNING_KEY": "${{ secrets.SKILLRUNNER_SIGNING_KEY }}"}
    assert jobs["plan"]["steps"][0]["env"] == key, "it tells our own events"
    assert jobs["one"]["steps"][0]["env"] == {"X": "${{ secrets.X }}", **key}


def test_a_job_has_what_those_need_that_follow_its_runs() -> None:
    jobs = workflow(
        first="on: {run_completed: {skill: third}}\nlimits: {timeout: 10m}",
        second="on: {run_completed: {skill: first}}\nenvironment: {secrets: [X]}\nlimits: {timeout: 20m}",
        third="on: {run_completed: {skill: second}}\n"
        "limits: {timeout: 5m}\noutput: {pull_request: {title: t}}",
        other="on: {manual: {}}",
    )["jobs"]
    assert jobs["first"]["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert list(jobs["first"]["steps"][0]["env"]) == ["X"]
    assert jobs["first"]["timeout-minutes"] == 35 + 3 * 15
    assert "env" not in jobs["other"]["steps"][0]


@pytest.mark.parametrize(
    "name", ["GITHUB_TOKEN", "github_anything", "SKILLRUNNER_APP_PRIVATE_KEY", "SKILLRUNNER_SIGNING_KEY"]
)
def test_the_keys_to_the_repository_are_no_skills_secrets(name: str) -> None:
    error = refused(docs=f"environment: {{secrets: [{name}]}}")
    assert error.reason is Reason.INVALID_SKILL
    assert "skills/docs/skill.yaml" in error.message
    assert name in error.message


def test_what_overlap_becomes() -> None:
    jobs = workflow(a="overlap: skip", b="overlap: queue", c="overlap: cancel_running")["jobs"]
    assert "concurrency" not in jobs["a"]
    own = "skillrunner-{}/${{{{ needs.plan.outputs.subject }}}}"  # an issue, a pull request, a branch
    waits = {"group": own.format("b"), "cancel-in-progress": False, "queue": "max"}
    assert jobs["b"]["concurrency"] == waits
    assert jobs["c"]["concurrency"] == {"group": own.format("c"), "cancel-in-progress": True}


def test_a_job_lasts_as_long_as_all_attempts_and_some_minutes() -> None:
    use = Use(action=ACTION, limits=Limits(timeout=3600, attempts=3))
    jobs = workflow(use, own="limits: {timeout: 90s, attempts: 2}", left="on: {manual: {}}")["jobs"]
    assert jobs["own"]["timeout-minutes"] == 3 + 15
    assert jobs["left"]["timeout-minutes"] == 180 + 15
    assert workflow(own="limits: {timeout: 61s}")["jobs"]["own"]["timeout-minutes"] == 2 + 15


def test_events_are_the_union_of_what_skills_ask_for() -> None:
    assert on(
        a="on: {release: {types: [published]}, issues: {types: [labeled], labels: [docs]}}",
        b="on: {release: {types: [edited, published]}, issue_comment: {command: /docs}}",
        c="on: {check_run: {names: [lint]}, run_completed: {skill: a}, manual: {}}",
    ) == {
        "check_run": {"types": ["completed"]},
        "issue_comment": {"types": ["created"]},
        "issues": {"types": ["labeled"]},
        "release": {"types": ["edited", "published"]},
    }


def test_disabled_skills_need_nothing() -> None:
    found = workflow(a="on: {release: {}}", b="on: {issues: {}}\nenabled: false")
    assert "issues" not in found["on"]
    assert "b" not in found["jobs"]
    assert found["on"]["workflow_dispatch"]["inputs"]["skill"]["options"] == ["", "a"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["{}"], None),
        (["{branches: [main]}", "{}"], None),
        (
            ["{branches: [main, 'release/**']}", "{branches: [next]}"],
            {"branches": ["main", "next", "release/**"]},
        ),
        (["{branches: [main]}", "{tags: ['v*']}"], {"branches": ["main"], "tags": ["v*"]}),
        (["{tags: ['v*']}", "{tags: ['w*']}"], {"tags": ["v*", "w*"]}),
        (["{branches_ignore: [wip]}"], {"branches": ["**"]}),
        (["{branches_ignore: [wip]}", "{tags: ['v*']}"], {"branches": ["**"], "tags": ["v*"]}),
        (["{branches: [main], paths: ['docs/**']}"], {"branches": ["main"]}),
        (["{branches: [release/]}"], {"branches": ["release/**"]}),
        (["{branches: ['v[0-9]?']}"], {"branches": ["**"]}),
        (["{branches: ['c++']}"], {"branches": ["**"]}),
    ],
)
def test_pushes(asked: list[str], expected: Any) -> None:
    found = on(**{f"s{number}": f"on: {{push: {one}}}" for number, one in enumerate(asked)})
    assert found == {"push": expected}


def test_branches_of_pull_requests_are_named_where_all_skills_name_some() -> None:
    some = "on: {pull_request: {types: [opened], branches: [main]}}"
    assert on(a=some) == {"pull_request": {"types": ["opened"], "branches": ["main"]}}
    other = "on: {pull_request: {types: [closed], branches_ignore: [next]}}"
    assert on(a=some, b=other) == {"pull_request": {"types": ["closed", "opened"]}}


def test_workflow_runs_need_the_names_of_workflows() -> None:
    named = "on: {workflow_run: {workflows: [CI, 'Über: \"x\" #1']}}"
    assert on(a=named) == {"workflow_run": {"workflows": ["CI", 'Über: "x" #1'], "types": ["completed"]}}
    error = refused(a=named, b="on: {workflow_run: {}}")
    assert "skills/b/skill.yaml" in error.message
    assert "workflows: [CI]" in error.hint


def test_a_webhook_is_a_dispatch_that_names_the_skill() -> None:
    hook = "on: {webhook: {}}"
    assert on(b=hook, a=hook, c="on: {manual: {}}") == {"repository_dispatch": {"types": ["a", "b"]}}


def test_schedules_share_their_pokes() -> None:
    monday = "on: {schedule: [{cron: '0 9 * * 1', timezone: Europe/Berlin}, {cron: '@daily'}]}"
    crons = [{"cron": "0 0 * * *"}, {"cron": "0 7-8 * * 1"}]
    assert on(a=monday, b=monday) == {"schedule": crons}


@pytest.mark.parametrize("name", ["plan", "2fa", "true", "null", "on", "123", "1e3"])
def test_every_name_can_be_a_job(name: str) -> None:
    found = workflow(**{name: "on: {webhook: {}}"})
    job = f"_{name}" if name == "plan" or name[0].isdigit() else name
    assert list(found["jobs"]) == ["plan", job]
    assert found["jobs"][job]["steps"][0]["with"]["skill"] == name
    assert found["on"]["repository_dispatch"]["types"] == [name]


def test_the_choices_reach_the_action_and_are_kept() -> None:
    use = Use(action="./", config="ci/our.yaml", sandbox="process", app=True, runs_on="big-runner")
    text = render(skills(docs="on: {manual: {}}"), use)
    assert Use(**choices(text)) == use
    for job in YAML(typ="safe").load(text)["jobs"].values():
        checkout, step = job["steps"]
        assert checkout["uses"].startswith("actions/checkout@")
        assert checkout["with"] == {"persist-credentials": False}
        assert step["uses"] == "./"
        assert job["runs-on"] == "big-runner"
        rest = {
            name: value for name, value in step["with"].items() if name not in ("command", "skill", "key")
        }
        assert rest == {
            "config": "ci/our.yaml",
            "sandbox": "process",
            "app-id": "${{ vars.SKILLRUNNER_APP_ID }}",
            "app-private-key": "${{ secrets.SKILLRUNNER_APP_PRIVATE_KEY }}",
        }


@pytest.mark.parametrize(
    "action",
    [
        "",
        "acme/skillrunner",
        "acme/skillrunner@v1",
        "acme/skillrunner@0123456",
        "../x",
        ACTION + "\n- run: id",
    ],
)
def test_an_action_is_named_by_its_commit(action: str) -> None:
    with pytest.raises(RunnerError) as caught:
        Use(action=action)
    assert "git ls-remote" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: CI\non: push\n",
        "# x\n# choices: {\n",
        "# x\n# choices: []\n",
        "# x\n# choices: {}\n",
        "# x\n# choices: " + json.dumps(dict.fromkeys(["action", "runs_on", "app", "config", "sandbox"], 1)),
    ],
)
def test_a_file_that_we_did_not_write(text: str) -> None:
    with pytest.raises(RunnerError) as caught:
        choices(text)
    assert ".github/workflows/skillrunner.yml:2" in caught.value.message
    assert exit_code(caught.value.end) == 3


def test_without_an_enabled_skill_there_is_no_workflow() -> None:
    error = refused(a="enabled: false")
    assert error.reason is Reason.SKILL_NOT_FOUND
    assert "skillrunner new" in error.hint


def test_no_step_is_a_script_and_no_event_is_pasted() -> None:
    text = render(skills(a="on: {issues: {}}", b="on: {push: {}}\nharness: {kind: codex}"), USE)
    assert "run:" not in text.replace("command: run", "")
    assert "github.event" not in text


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-99, 99), st.text(st.characters(exclude_categories=["Cs"]))
)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner.filter(lambda item: not isinstance(item, list)), min_size=1, max_size=3),
        st.dictionaries(names, inner, max_size=3),
    ),
    max_leaves=8,
)


@given(st.dictionaries(names, trees, min_size=1, max_size=3))
def test_whatever_is_written_is_read_back(tree: dict[str, Any]) -> None:
    assert YAML(typ="safe").load(emit(tree)) == tree


def test_a_comment_stays_behind_the_text() -> None:
    assert emit({"uses": Verbatim("a/b@c # v1"), "with": {}}) == "uses: a/b@c # v1\nwith: {}\n"


def test_an_identity_token_is_a_right_and_no_secret() -> None:
    use = Use(action=ACTION, identities=frozenset({"AWS_IDENTITY"}))
    own = "on: {manual: {}}\nenvironment: {secrets: [AWS_IDENTITY, DOCS_TOKEN]}"
    jobs = workflow(use, docs=own, tidy="on: {manual: {}}")["jobs"]
    assert jobs["docs"]["permissions"]["id-token"] == "write"
    assert list(jobs["docs"]["steps"][0]["env"]) == ["DOCS_TOKEN"]
    assert "id-token" not in jobs["tidy"]["permissions"]


def test_plugins_are_installed_by_each_step_and_stay_when_the_file_is_written_again() -> None:
    asked = replace(USE, plugins="acme-skillrunner==1.0\nneeded==2.1")
    text = render(skills(a="on: {release: {}}\n"), asked)
    jobs = YAML(typ="safe").load(text)["jobs"]
    given = {name: job["steps"][0]["with"]["plugins"] for name, job in jobs.items()}
    assert given == dict.fromkeys(("plan", "a"), "acme-skillrunner==1.0\nneeded==2.1")
    assert Use(**choices(text)).plugins == asked.plugins
    assert "plugins" not in render(skills(a="on: {release: {}}\n"), USE)


def test_who_asks_conditions_may_read_what_they_ask_for() -> None:
    found = workflow(
        ask="on: {release: {}}\nrun_if: [{query: 'is:open'}]\noutput: {pull_request: {title: t}}",
        check="on: {release: {}}\nskip_if: [{failing_check: [CI]}]",
        plain="on: {release: {}}",
    )["jobs"]
    search, checks = {"issues": "read", "pull-requests": "read"}, {"checks": "read", "statuses": "read"}
    assert found["plan"]["permissions"] == {"contents": "write", **search, **checks}
    assert found["ask"]["permissions"] == {"contents": "write", **search, "pull-requests": "write"}
    assert found["check"]["permissions"] == {"contents": "write", **checks}
    assert found["plain"]["permissions"] == {"contents": "write"}
