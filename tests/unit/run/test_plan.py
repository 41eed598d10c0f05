"""A plan resolves everything: defaults, inputs, templates, flags; equal work has equal digests."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.model import HarnessSpec, Limits, McpServer, Reason, Repository, Route, RunSpec, Trigger
from runner.harnesses import HARNESSES
from runner.run.dry_run import preview_lines
from runner.run.plan import Base, Defaults, base_branch, plan
from runner.skills import Skill, load

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BASE = Base(
    repository=Repository(name="o/r", url="https://x/o/r", default_branch="main"), ref="main", sha="b" * 40
)
DEFAULTS = Defaults(sandbox="docker", image="python:3.12", limits=Limits(timeout=99), guarded=("skills/**",))
YAML = """
version: 1
on: {release: {}, manual: {}}
harness: {kind: claude-code, model: sonnet, max_turns: 7}
output:
  pull_request:
    title: "docs for {{ event.release.tag_name }}"
    body: "Hello {{ skill.name }}"
    paths: ["docs/**"]
    max_file_size: 5k
"""
RELEASE = Trigger(
    kind="release",
    key="release:1",
    subject="v1",
    at=NOW,
    event={"release": {"tag_name": "v1", "body": "@all"}},
)


def skill(yaml: str = YAML, prompt: str = "Update {{ event.release.tag_name }}.\n", more: str = "") -> Skill:
    front = "---\nname: docs\ndescription: Docs\n---\n"
    files = {
        "skills/docs/skill.yaml": (yaml + more + "template: true\n").encode(),
        "skills/docs/SKILL.md": (front + prompt).encode(),
    }
    loaded = load(files)
    assert loaded.faults == ()
    return loaded.skills["docs"]


def planned(found: Skill, trigger: Trigger = RELEASE, **changes: Any) -> RunSpec:
    return plan(found, "c" * 40, trigger, BASE, "run-1", NOW, replace(DEFAULTS, **changes))


MORE = """
limits: {timeout: 6h, attempts: 3}
environment: {build_timeout: 2h, resources: {cpus: 8, memory: 16g, pids: 4096, disk: 100g}}
"""


@pytest.mark.parametrize(
    ("name", "most", "key"),
    [
        ("timeout", 7200.0, "limits.timeout"),
        ("attempts", 2, "limits.attempts"),
        ("cpus", 4.0, "environment.resources.cpus"),
        ("memory", 8 * 1024**3, "environment.resources.memory"),
        ("pids", 512, "environment.resources.pids"),
        ("disk", 10 * 1024**3, "environment.resources.disk"),
        ("build_timeout", 60.0, "environment.build_timeout"),
    ],
)
def test_a_skill_cannot_exceed_what_the_operator_allows(name: str, most: float, key: str) -> None:
    planned(skill(more=MORE))
    with pytest.raises(RunnerError) as caught:
        planned(skill(more=MORE), maxima={name: most})
    assert caught.value.reason is Reason.INVALID_INPUT
    assert f"skills/docs/skill.yaml: `{key}` is " in caught.value.message
    assert caught.value.hint.endswith(f"maxima.{name}")


def test_what_a_skill_does_not_state_is_within_the_maxima() -> None:
    most = {"timeout": 60.0, "idle": 5.0, "cost_usd": 2.0, "memory": 1024, "cpus": 0.5, "build_timeout": 9.0}
    spec = planned(skill(), maxima={**most, "pids": 9999})
    assert (spec.limits.timeout, spec.limits.idle, spec.limits.cost_usd) == (60, 5, 2)
    resources = spec.environment.resources
    assert (resources.memory, resources.cpus, resources.pids) == (1024, 0.5, 512)
    assert spec.environment.build_timeout == 9


def test_as_much_as_is_allowed_is_allowed() -> None:
    spec = planned(
        skill(more="limits: {timeout: 6h, cost_usd: 2}\n"), maxima={"timeout": 21600.0, "cost_usd": 2}
    )
    assert (spec.limits.timeout, spec.limits.cost_usd) == (21600, 2)


def test_everything_is_resolved() -> None:
    spec = planned(skill(more="limits: {idle: 5s}\nverify: [make]\non_verify_failure: draft\n"))
    assert spec.environment.sandbox == "docker"
    assert spec.environment.image == "python:3.12"
    assert (spec.limits.timeout, spec.limits.idle) == (99, 5)
    assert spec.harness == HarnessSpec(kind="claude-code", model="sonnet", options=spec.harness.options)
    assert spec.harness.options["max_turns"] == 7
    (output,) = spec.outputs
    assert output.options["title"] == "docs for v1"
    assert output.options["body"] == "Hello docs"
    assert (spec.allowance.paths, spec.allowance.max_file_bytes) == (("docs/**",), 5 * 1024)
    assert spec.allowance.guarded == ("skills/**",)
    assert (spec.verify, spec.draft_on_failed_verify) == (("make",), True)
    assert "untrusted" in spec.prompt


def test_equal_work_has_equal_digests() -> None:
    assert planned(skill()).digest == planned(skill()).digest
    assert planned(skill()).digest != planned(skill(prompt="Something else.\n")).digest
    assert planned(skill()).digest != planned(skill(), force_image="other").digest


def test_flags_go_before_the_skill() -> None:
    found = skill(more="environment: {image: 'debian:12', sandbox: docker}\n")
    spec = planned(
        found,
        force_sandbox="process",
        force_image="alpine",
        force_harness="codex",
        force_model="gpt",
    )
    assert (spec.environment.sandbox, spec.environment.image) == ("process", "alpine")
    assert (spec.harness.kind, spec.harness.model) == ("codex", "gpt")


INPUTS = """
inputs:
  days: {type: number, default: 90}
  flag: {type: string, required: true}
  dry: {type: boolean}
  level: {type: choice, options: [low, high], default: low}
"""


def with_inputs(**given: Any) -> RunSpec:
    return planned(
        skill(prompt="{{ inputs.flag }} {{ inputs.days }}\n", more=INPUTS), replace(RELEASE, inputs=given)
    )


def test_inputs_are_converted_and_have_defaults() -> None:
    spec = with_inputs(flag="x", dry="yes", level="high")
    assert spec.trigger.inputs == {"days": 90, "flag": "x", "dry": True, "level": "high"}
    assert with_inputs(flag="x", days="1.5").trigger.inputs["days"] == 1.5
    assert with_inputs(flag="x", days="7").prompt.strip() == "x 7"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "`flag` is required"),
        ({"flag": "x", "days": "many"}, "`days` should be a number"),
        ({"flag": "x", "dry": "maybe"}, "`dry` should be a boolean"),
        ({"flag": "x", "level": "mid"}, "`level` should be one of low, high"),
        ({"flag": "x", "flg": "y"}, "no input `flg`"),
    ],
)
def test_wrong_inputs_are_named(given: dict[str, str], message: str) -> None:
    with pytest.raises(RunnerError) as caught:
        with_inputs(**given)
    assert caught.value.reason is Reason.INVALID_INPUT
    assert message in caught.value.message


def test_a_missing_event_field_is_an_error() -> None:
    with pytest.raises(RunnerError) as caught:
        planned(skill(), replace(RELEASE, event={"release": {}}))
    assert caught.value.reason is Reason.INVALID_INPUT


def test_an_image_that_is_asked_for_goes_before_a_dockerfile() -> None:
    named = skill(more="environment: {dockerfile: env/Dockerfile, build_timeout: 5m}\n")
    made = planned(named).environment
    assert (made.image, made.dockerfile, made.build_timeout) == ("", "env/Dockerfile", 300)
    forced = planned(named, force_image="mine").environment
    assert (forced.image, forced.dockerfile) == ("mine", "")


def test_a_preview_names_what_may_come_out() -> None:
    told = dict(preview_lines(planned(skill())))
    assert told["branch"] == "skillrunner/docs/v1"
    assert told["allowed out"].startswith("docs/**")
    assert told["also"] == "deletions"


NOTHING = "version: 1\non: {release: {}}\nharness: {kind: claude-code}\noutput: {none: {}}\n"


def test_a_preview_of_a_skill_that_publishes_nothing_says_so() -> None:
    told = dict(preview_lines(planned(skill(NOTHING))))
    assert told["allowed out"].startswith("nothing is published; the run keeps **: 100 files")


ROUTES = {"claude-code": (Route(model="small", tools=False), Route(model="large"))}


def test_auto_is_resolved_to_rules() -> None:
    spec = planned(skill(), force_model="auto", routes=ROUTES)
    assert (spec.harness.model, spec.harness.routes) == ("auto", ROUTES["claude-code"])
    assert planned(skill(), routes=ROUTES).harness.routes == ()


def test_auto_without_rules_is_refused() -> None:
    with pytest.raises(RunnerError) as caught:
        planned(skill(), force_model="auto", routes={"codex": ROUTES["claude-code"]})
    assert caught.value.reason is Reason.INVALID_CONFIG
    assert "claude-code has none" in caught.value.message
    assert "harnesses: {claude-code: {routes: [{when:" in caught.value.hint


def test_a_harness_beside_the_gateway_may_have_an_auto_of_its_own() -> None:
    spec = planned(skill(), force_harness="oz", force_model="auto", routes=ROUTES)
    assert (spec.harness.model, spec.harness.routes) == ("auto", ())


@pytest.mark.parametrize(
    ("more", "kind", "message"),
    [
        ("tools: [note]\n", "oz", "the harness oz cannot be given tools"),
        ("environment: {mcp: {words: {command: [x]}}}\n", "command", "command cannot be told of MCP servers"),
    ],
)
def test_another_harness_has_to_do_the_same(more: str, kind: str, message: str) -> None:
    with pytest.raises(RunnerError, match=message) as caught:
        planned(skill(more=more), force_harness=kind)
    assert caught.value.end.reason is Reason.INVALID_INPUT
    assert "skills/docs/skill.yaml" in caught.value.end.hint


def test_tools_and_servers_are_resolved() -> None:
    servers = "environment: {mcp: {words: {command: [x, y], variables: {A: b}}}}\n"
    spec = planned(skill(more=f"tools: [note, read_notes, note]\n{servers}"))
    assert spec.tools == ("note", "read_notes")
    assert spec.environment.mcp == (McpServer(name="words", command=("x", "y"), variables={"A": "b"}),)


def test_another_harness_has_its_own_defaults() -> None:
    assert (
        planned(skill(), force_harness="codex").harness.options
        == HARNESSES.get("codex").options().model_dump()
    )


def test_a_harness_that_needs_options_is_not_forced_upon_a_skill() -> None:
    with pytest.raises(RunnerError) as caught:
        planned(skill(), force_harness="command")
    assert "the harness command needs options that the skill does not give: command" in caught.value.message


def test_nothing_is_cut_off_a_key() -> None:
    """What tells two pull requests apart may stand at the end of a long title."""
    tag = "v" * 300
    keyed = skill(YAML.replace("title:", 'key: "t/{{ event.release.tag_name }}"\n    title:', 1))
    (output,) = planned(keyed, replace(RELEASE, event={"release": {"tag_name": tag}})).outputs
    assert output.options["key"] == f"t/{tag}"
    assert len(output.options["title"]) == 200


def base_of(template: str, tag: str = "v1", **inputs: Any) -> str | None:
    declared = "inputs: {line: {type: string, default: lts}}\n"
    found = skill(YAML + f"    base: {json.dumps(template)}\n" + declared)
    trigger = replace(RELEASE, event={"release": {"tag_name": tag}}, inputs=inputs)
    return base_branch(found, trigger, BASE.repository, "run-1", NOW)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("dev", "dev"),
        ("release/{{ event.release.tag_name }}", "release/v1"),
        ("{{ inputs.line }}", "lts"),
        ("{{ repository.default_branch }}-next", "main-next"),
        ("{{ skill.name }}-{{ now.year }}", "docs-2026"),
        ("{% if event.release.tag_name == 'v1' %}one{% else %}two{% endif %}", "one"),
    ],
)
def test_the_base_is_a_template(template: str, name: str) -> None:
    assert base_of(template) == name


def test_without_a_base_it_is_the_default_branch() -> None:
    assert base_branch(skill(), RELEASE, BASE.repository, "run-1", NOW) is None


@pytest.mark.parametrize(
    "tag",
    [
        "main~1",
        "a b",
        "-f",
        "a..b",
        "x.lock",
        "@{-1}",
        "a//b",
        "/a",
        "a/",
        "a:b",
        "",
        "@",
        "a\x7f",
        "a^{tree}",
    ],
)
def test_a_base_that_is_no_branchs_name_is_refused_with_its_template(tag: str) -> None:
    """The event may say what it likes: what is resolved is a branch, and no expression of git's."""
    with pytest.raises(RunnerError) as caught:
        base_of("{{ event.release.tag_name }}", tag)
    assert caught.value.reason is Reason.INVALID_INPUT
    assert "is no branch's name" in caught.value.message
    assert "{{ event.release.tag_name }}" in caught.value.hint
