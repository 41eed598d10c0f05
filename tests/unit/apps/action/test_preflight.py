"""Each danger where it is, and not where it is not; and zizmor, which knows the same ones, agrees."""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.apps.action.preflight import HINTS, Danger, dangers, refuse, uses_action
from runner.apps.action.workflow_file import MAX_FILE
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from tests.parts.need import require

SHA = "0123456789abcdef0123456789abcdef01234567"
DOCS = Path(__file__).parents[4] / "docs"
FILE = ".github/workflows/skills.yml"
CHECKOUT = f"actions/checkout@{SHA}"


def workflow(
    *,
    on: str = "release",
    permissions: str = "permissions: {contents: write, pull-requests: write}",
    steps: str = "",
    uses: str = f"acme/skillrunner@{SHA}",
    inputs: str = "app-id: 12345",
    job: str = "",
    jobs: str = "",
    top: str = "",
) -> str:
    """A workflow without a danger, and what a test changes in it."""
    lines = [
        f"on: {on}" if not on.startswith("\n") else f"on:{on}",
        permissions,
        top,
        "jobs:",
        textwrap.indent(textwrap.dedent(jobs), "  "),
        "  skills:",
        "    runs-on: ubuntu-latest",
        "    timeout-minutes: 60" if "timeout" not in job else "",
        textwrap.indent(textwrap.dedent(job).replace("no timeout", ""), "    "),
        "    steps:",
        textwrap.indent(textwrap.dedent(steps), "      "),
        f"      - uses: {uses}",
        "        with:",
        textwrap.indent(textwrap.dedent(inputs), "          "),
    ]
    return "\n".join(line for line in lines if line.strip()) + "\n"


def look(text: str, action: str = "acme/agents") -> list[Danger]:
    return dangers(FILE, text.encode(), action)


def rules(text: str, action: str = "acme/agents") -> set[str]:
    return {danger.rule for danger in look(text, action)}


def checkout(value: str, key: str = "ref") -> str:
    return f"- uses: {CHECKOUT}\n  with:\n    {key}: {value}\n    persist-credentials: false\n"


def run(script: str, extra: str = "") -> str:
    return f"- run: |\n{textwrap.indent(textwrap.dedent(script), '    ')}\n{textwrap.indent(extra, '  ')}"


def calling(repository: str, permissions: str) -> str:
    """A workflow that calls a reusable one and gives it everything."""
    uses = f"{repository}/.github/workflows/run.yml@v1"
    return f"on: push\npermissions: {permissions}\njobs:\n  x:\n    uses: {uses}\n    secrets: inherit\n"


HEAD = "${{ github.event.pull_request.head.sha }}"
TARGET = "pull_request_target"

DANGEROUS: dict[str, tuple[set[str], str]] = {
    "head sha": ({"head_checkout"}, workflow(on=TARGET, steps=checkout(HEAD))),
    "head ref": ({"head_checkout"}, workflow(on=TARGET, steps=checkout("${{github.HEAD_REF}}"))),
    "head repository": (
        {"head_checkout"},
        workflow(
            on=TARGET, steps=checkout("${{ github.event.pull_request.head.repo.full_name }}", "repository")
        ),
    ),
    "head by index": (
        {"head_checkout"},
        workflow(on=TARGET, steps=checkout("${{ github['event'][ 'Pull_Request' ].head['sha'] }}")),
    ),
    "refs/pull": (
        {"head_checkout"},
        workflow(on=TARGET, steps=checkout("refs/pull/${{ github.event.number }}/merge")),
    ),
    "workflow_run": (
        {"head_checkout"},
        workflow(
            on="\n  workflow_run: {workflows: [CI], types: [completed]}",
            steps=checkout("${{ github.event.workflow_run.head_branch }}"),
        ),
    ),
    "comment": (
        {"head_checkout"},
        workflow(on="issue_comment", steps=checkout("refs/pull/${{ github.event.issue.number }}/head")),
    ),
    "from a step": (
        {"head_checkout"},
        workflow(on=TARGET, steps=checkout("${{ steps.comment-branch.outputs.head_sha }}")),
    ),
    "by a variable": (
        {"head_checkout"},
        workflow(on=TARGET, top=f"env: {{ SHA: '{HEAD}' }}", steps=checkout("${{ env.SHA }}")),
    ),
    "gh pr checkout": (
        {"head_checkout"},
        workflow(on=f"[push, {TARGET}]", steps=run('gh -R "$REPO" pr checkout "$NUMBER"')),
    ),
    "git fetch pull": (
        {"head_checkout"},
        workflow(on=TARGET, steps=run("git fetch \\\n  origin \\\n  +refs/pull/$NUMBER/head:pr")),
    ),
    "git checkout of a variable": (
        {"head_checkout"},
        workflow(on=TARGET, steps=run('git checkout "${SHA}"', f"env: {{SHA: '{HEAD}'}}")),
    ),
    "git checkout of GitHub's variable": (
        {"head_checkout"},
        workflow(on=TARGET, steps=run("git fetch origin $GITHUB_HEAD_REF")),
    ),
    "in a needed job": (
        {"head_checkout"},
        workflow(
            on="\n  pull_request_target:\n    types: [opened]",
            job="needs: [Middle]",
            jobs=f"""
                first:
                  runs-on: ubuntu-latest
                  steps:
                    - uses: {CHECKOUT}
                      with: {{ref: "{HEAD}"}}
                middle:
                  needs: first
                  runs-on: ubuntu-latest
                  steps: [{{run: make}}]
            """,
        ),
    ),
    "quoted keys": (
        {"head_checkout"},
        workflow(on=TARGET, steps=checkout(HEAD)).replace("on: p", '"on": p').replace("uses:", "'uses':"),
    ),
    "anchor": (
        {"head_checkout"},
        workflow(
            on=TARGET,
            jobs=f"""
                other:
                  runs-on: ubuntu-latest
                  steps:
                    - &fetch
                      uses: {CHECKOUT}
                      with: {{ref: "{HEAD}"}}
            """,
            steps="- *fetch",
        ),
    ),
    "write-all": ({"write_all"}, workflow(permissions="permissions: write-all")),
    "write-all of the job": ({"write_all"}, workflow(job='permissions: "write-all"')),
    "no permissions": ({"default_permissions"}, workflow(permissions="")),
    "empty permissions": ({"default_permissions"}, workflow(permissions="permissions:")),
    "read-all": ({"more_permissions"}, workflow(permissions="permissions: read-all")),
    "packages": (
        {"more_permissions"},
        workflow(permissions="permissions: {contents: read, packages: write}"),
    ),
    "actions write": ({"more_permissions"}, workflow(job="permissions: {actions: write}")),
    "tag": ({"unpinned"}, workflow(uses="acme/skillrunner@v1")),
    "short commit": ({"unpinned"}, workflow(uses=f"acme/skillrunner@{SHA[:12]}")),
    "upper case": ({"unpinned"}, workflow(uses="Acme/SkillRunner@main")),
    "by its own name": ({"unpinned"}, workflow(uses="acme/agents@main")),
    "another's tag": ({"unpinned"}, workflow(steps="- uses: actions/setup-python@v5")),
    "an image's tag": ({"unpinned"}, workflow(steps="- uses: docker://alpine:3.20")),
    "title": ({"expression_in_run"}, workflow(steps=run("echo '${{ github.event.issue.title }}'"))),
    "odd spacing": ({"expression_in_run"}, workflow(steps=run("echo ${{github . event\n  .comment.body}}"))),
    "upper case expression": (
        {"expression_in_run"},
        workflow(steps=run("echo ${{ GITHUB.EVENT.PULL_REQUEST.HEAD.REF }}")),
    ),
    "index": ({"expression_in_run"}, workflow(steps=run("echo ${{ github['event']['issue'].body }}"))),
    "computed index": (
        {"expression_in_run"},
        workflow(steps=run("echo ${{ github[format('ev{0}', 'ent')] }}")),
    ),
    "whole event": ({"expression_in_run"}, workflow(steps=run("echo ${{ toJSON( github.event ) }}"))),
    "whole context": ({"expression_in_run"}, workflow(steps=run("echo ${{ toJson(github) }}"))),
    "by number": ({"expression_in_run"}, workflow(steps=run("echo ${{ github.event.commits[10].message }}"))),
    "by computed number": (
        {"expression_in_run"},
        workflow(steps=run("echo ${{ github.event.commits[matrix.n].message }}")),
    ),
    "star": ({"expression_in_run"}, workflow(steps=run("echo ${{ join(github.event.commits.*.message) }}"))),
    "braces in a string": (
        {"expression_in_run"},
        workflow(steps=run("echo ${{ format('}}{0}', github.event.issue.title) }}")),
    ),
    "branch": ({"expression_in_run"}, workflow(steps=run("git log ${{ github.head_ref || github.sha }}"))),
    "payload": ({"expression_in_run"}, workflow(steps=run("echo ${{ github.event.client_payload.id }}"))),
    "typed": ({"expression_in_run"}, workflow(steps=run("echo ${{ inputs.version }}"))),
    "carried by a variable": (
        {"expression_in_run"},
        workflow(
            top="env: {A: '${{ github.event.issue.title }}'}",
            job="env: {B: '${{ env.A }}'}",
            steps=run("echo ${{ env.b }}"),
        ),
    ),
    "script of github-script": (
        {"expression_in_run"},
        workflow(
            steps=f"- uses: actions/github-script@{SHA}\n"
            "  with: {script: 'console.log(`${{ github.event.issue.title }}`)'}"
        ),
    ),
    "input of ours": (
        {"expression_in_run"},
        workflow(inputs="app-id: 1\nskill: ${{ github.event.client_payload.skill }}"),
    ),
    "all secrets": ({"all_secrets"}, workflow(job="env: {ALL: '${{ toJSON(secrets) }}'}")),
    "all secrets, workflow": ({"all_secrets"}, workflow(top="env: {ALL: '${{ tojson( SECRETS ) }}'}")),
    "all secrets, only compared": (
        {"all_secrets"},
        workflow(steps=run("x", "env: {A: \"${{ contains(toJSON(secrets), 'x') }}\"}")),
    ),
    "computed secret": ({"all_secrets"}, workflow(steps=run("x", "env: {A: '${{ secrets[matrix.name] }}'}"))),
    "self-hosted": (
        {"self_hosted_public"},
        workflow(on="[pull_request]").replace("ubuntu-latest", "Self-Hosted"),
    ),
    "self-hosted list": (
        {"self_hosted_public"},
        workflow(on="pull_request").replace("ubuntu-latest", "[self-hosted, linux]"),
    ),
    "self-hosted group": (
        {"self_hosted_public"},
        workflow(on="pull_request").replace("ubuntu-latest", "{group: x, labels: [self-hosted]}"),
    ),
    "no timeout": ({"no_timeout"}, workflow(job="no timeout")),
    "no token": ({"default_token"}, workflow(inputs="skill: x")),
    "default token": ({"default_token"}, workflow(inputs="token: ${{ secrets.GITHUB_TOKEN }}")),
    "default token by index": ({"default_token"}, workflow(inputs="Token: ${{ github [ 'token' ] }}")),
    "default token twice": (
        {"default_token"},
        workflow(inputs="token: ${{ github.token || secrets.GITHUB_TOKEN }}"),
    ),
    "empty app": ({"default_token"}, workflow(inputs='app-id: ""')),
    "reusable workflow": (
        {"secrets_inherit", "unpinned"},
        calling("acme/skillrunner", "{}"),
    ),
    "somebody's reusable workflow": (
        {"secrets_inherit", "unpinned", "write_all"},
        calling("acme/shared", "write-all"),
    ),
}

SAFE = {
    "as it should be": workflow(),
    "base checked out": workflow(on=TARGET, steps=checkout("${{ github.event.pull_request.base.sha }}")),
    "nothing named": workflow(on=TARGET, steps=f"- uses: {CHECKOUT}"),
    "ours by expression": workflow(
        on="workflow_run", steps=checkout("${{ github.event.repository.default_branch }}")
    ),
    "its repository": workflow(on="workflow_run", steps=checkout("${{ github.repository }}", "repository")),
    "head on pull_request": workflow(on="\n  pull_request:\n    types: [opened]", steps=checkout(HEAD)),
    "head in another job": workflow(
        on=TARGET,
        jobs=f"""
            lint:
              runs-on: ubuntu-latest
              steps:
                - uses: {CHECKOUT}
                  with: {{ref: "{HEAD}"}}
        """,
    ),
    "a comment in a script": workflow(
        on=TARGET, steps=run("# gh pr checkout 1\ngit status\n  # git fetch pull/1")
    ),
    "a variable that hides": workflow(
        on=TARGET, top=f"env: {{SHA: '{HEAD}'}}", job="env: {SHA: main}", steps=checkout("${{ env.SHA }}")
    ),
    "nothing is allowed": workflow(permissions="permissions: {}"),
    "the job's are stated": workflow(
        permissions="", job="permissions: {contents: write, issues: none, actions: read, id-token: write}"
    ),
    "local": workflow(uses="./.github/actions/skillrunner"),
    "local and the image's digest": workflow(
        steps=f"- uses: ./setup\n- uses: docker://a/b@sha256:{SHA + SHA[:24]}"
    ),
    "upper case commit": workflow(uses=f"acme/skillrunner@{SHA.upper()}"),
    "numbers and hashes": workflow(
        steps=run("echo ${{ github.event.pull_request.number }} ${{ github.event.after }} ${{ github.sha }}")
    ),
    "a text that looks so": workflow(
        steps=run("echo ${{ 'github.event.issue.title' }} ${{ matrix.github.event }}")
    ),
    "only told": workflow(
        steps=run("echo ${{ contains(github.event.issue.labels.*.name, 'a)b') && 1 || 2 }}")
    ),
    "by a variable, as it should be": workflow(
        steps=run('echo "$TITLE"', "env: {TITLE: '${{ github.event.issue.title }}'}")
    ),
    "typed for ours": workflow(inputs="app-id: 1\nskill: ${{ github.event.inputs.skill || inputs.skill }}"),
    "the event's name": workflow(inputs="app-id: 1\nskill: ${{ github.event_name }}"),
    "one secret": workflow(inputs="token: ${{ secrets.BOT_TOKEN || github.token }}"),
    "one secret by index": workflow(inputs="token: ${{ secrets['BOT_TOKEN'] }}"),
    "a token of another step": workflow(inputs="token: ${{ steps.app.outputs.token }}"),
    "a step that plans": workflow(inputs="command: plan"),
    "self-hosted elsewhere": workflow(on="release").replace("ubuntu-latest", "self-hosted"),
    "another's job": "on: pull_request_target\npermissions: write-all\njobs:\n  x:\n    runs-on: a\n"
    "    steps: [{uses: actions/checkout@v4}, {run: 'echo ${{ github.event.issue.title }}'}]\n",
}

NOT_FATAL = {"default_permissions", "more_permissions", "self_hosted_public", "no_timeout", "default_token"}


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_danger_is_found(name: str) -> None:
    expected, text = DANGEROUS[name]
    found = look(text)
    assert {danger.rule for danger in found} == expected, text
    lines = len(text.splitlines())
    for danger in found:
        assert 1 <= danger.line <= lines
        assert danger.hint == HINTS[danger.rule]
        if danger.rule != "unpinned":
            assert danger.fatal is (danger.rule not in NOT_FATAL)


@pytest.mark.parametrize("name", SAFE)
def test_nothing_is_found_where_nothing_is(name: str) -> None:
    assert [str(danger) for danger in look(SAFE[name])] == [], SAFE[name]


def test_every_rule_has_an_example() -> None:
    assert {rule for expected, _ in DANGEROUS.values() for rule in expected} == HINTS.keys() - {"unreadable"}


def test_only_our_own_unpinned_use_is_fatal() -> None:
    found = look(workflow(uses="acme/skillrunner@v1", steps="- uses: actions/setup-python@v5"))
    assert [(one.rule, one.fatal) for one in found] == [("unpinned", False), ("unpinned", True)]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (DANGEROUS["head sha"][1], "ref: "),
        (DANGEROUS["git fetch pull"][1], "git fetch"),
        (DANGEROUS["title"][1], "issue.title"),
        (workflow(steps=run("one\n\ntwo\necho ${{ github.head_ref }}")), "head_ref"),
        (workflow(steps='- run: "echo ${{ github.head_ref }}"'), "head_ref"),
        (DANGEROUS["tag"][1], "skillrunner@v1"),
        (DANGEROUS["write-all of the job"][1], "write-all"),
        (DANGEROUS["packages"][1], "packages"),
        (DANGEROUS["no timeout"][1], "skills:"),
        (DANGEROUS["no token"][1], "- uses: acme"),
        (DANGEROUS["reusable workflow"][1], "inherit"),
    ],
)
def test_a_danger_stands_on_its_line(text: str, marked: str) -> None:
    lines = text.splitlines()
    assert any(marked in lines[danger.line - 1] for danger in look(text)), [str(one) for one in look(text)]


@pytest.mark.parametrize(
    ("uses", "action", "ours"),
    [
        ("acme/skillrunner@main", "", True),
        ("acme/tools/skillrunner@main", "other/thing", True),
        ("acme/tools/agents@main", "acme/tools", True),
        ("acme/tools@main", "Acme/Tools/", True),
        ("acme/toolsmith@main", "acme/tools", False),
        ("acme/not-skillrunner@main", "acme/tools", False),
        ("./", "./", True),
        ("./", "", True),
        ("./agents", "", True),
        ("./agents", "./agents/", True),
        ("./agents", "./", False),
        ("./", "acme/tools", False),
        ("./.github/actions/skillrunner", "acme/tools", True),
    ],
)
def test_which_step_is_the_action(uses: str, action: str, ours: bool) -> None:
    text = workflow(uses=uses, permissions="permissions: write-all")
    assert uses_action(text.encode(), action) is ours
    assert ("write_all" in rules(text, action)) is ours


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (b"", 1, "holds no workflow"),
        (b"- a\n", 1, "holds no workflow"),
        (b"on: push\njobs: [skillrunner]\n", 2, "not a mapping"),
        (b"on: push\njobs:\n  a: skillrunner\n", 3, "not a mapping"),
        (b"on: push\njobs:\n  a:\n    steps: {uses: x}\n", 4, "not a list"),
        (b"on: push\njobs:\n  a:\n    steps:\n      - uses: [x]\n", 5, "not text"),
        (b"on: push\non: pull_request\njobs: {}\n", 2, "there twice"),
        (b"on: push\nx: &x {a: b}\njobs:\n  <<: *x\n", 4, "merge key"),
        (b"on: push\n? [a]\n: b\n", 2, "key that is not text"),
        (b"on: push\n\tjobs: x\n", 2, "not valid YAML"),
        (b"on: *nothing\n", 1, "not valid YAML"),
        (b"on: push\n---\non: push\n", 2, "not valid YAML"),
        (b"on: push\nname: \xff\n", 2, "not UTF-8"),
        (b"on: push\x00\n", 1, "control character"),
        (b"[" * 20_000, 1, "nested too deeply"),
        (b"#" * (MAX_FILE + 1), 1, "more than the 524288"),
    ],
)
def test_what_cannot_be_read_is_one_danger(raw: bytes, line: int, words: str) -> None:
    (found,) = dangers(FILE, raw, "")
    assert (found.rule, found.line, found.fatal) == ("unreadable", line, True)
    assert words in found.message
    assert uses_action(raw, "") is (b"skillrunner" in raw)


def test_marks_and_line_ends_do_not_hide_a_danger() -> None:
    text = DANGEROUS["head sha"][1]
    for raw in (b"\xef\xbb\xbf" + text.encode(), text.replace("\n", "\r\n").encode()):
        assert {one.rule for one in dangers(FILE, raw, "")} == {"head_checkout"}


def test_an_anchor_that_holds_itself_ends() -> None:
    text = workflow(job="env: {A: b}\nstrategy: &s {matrix: {x: *s}}", permissions="permissions: write-all")
    assert rules(text) == {"write_all"}


def test_aliases_that_multiply_end() -> None:
    """A "billion laughs" file: each list names the one before ten times."""
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 12)]
    text = workflow(job="strategy:\n  l0: &l0 x\n  " + "\n  ".join(levels))
    assert rules(text) == set()


def test_many_open_expressions_are_read_in_linear_time() -> None:
    script = "${{ '" * 60_000
    assert rules(workflow(steps=f"- run: {json.dumps(script)}")) == set()
    assert rules(workflow(steps=f"- run: {json.dumps('${{ a[' * 60_000)}")) == set()


@given(
    st.binary(max_size=300) | st.text(alphabet="on:jbs- &*a{}[]'\"|>\n #%!?,<$", max_size=80).map(str.encode)
)
def test_any_text_is_looked_at(raw: bytes) -> None:
    for danger in dangers(FILE, raw, ""):
        assert danger.rule in HINTS


@given(st.text(alphabet="github.event['] ()*}{$,x", max_size=60))
def test_any_expression_is_looked_at(inside: str) -> None:
    look(workflow(steps=f"- run: {json.dumps('${{' + inside + '}}')}"))


def test_what_is_fatal_is_refused_and_named() -> None:
    text = workflow(on=TARGET, steps=checkout(HEAD), uses="acme/skillrunner@v1", inputs="skill: x")
    found = look(text)
    with pytest.raises(RunnerError) as caught:
        refuse(found, ())
    error = caught.value
    assert (error.phase, error.reason) == (Phase.LOAD, Reason.INVALID_CONFIG)
    for danger in found:
        assert (f"{FILE}:{danger.line}: {danger.message} [{danger.rule}]" in error.message) is danger.fatal
    assert "`allow: head_checkout, unpinned`" in error.hint
    with pytest.raises(RunnerError, match="unpinned"):
        refuse(found, {"head_checkout"})
    refuse(found, {"head_checkout", "unpinned"})
    refuse([], ())


def test_an_override_of_no_rule_is_refused() -> None:
    with pytest.raises(RunnerError) as caught:
        refuse([], ["head-checkout"])
    assert "head-checkout" in caught.value.message
    assert "`head_checkout`" in caught.value.hint


def examples(page: str) -> list[str]:
    text = (DOCS / page).read_text()
    return [
        one for one in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "jobs:" in one
    ]


def test_the_docs_name_every_rule_and_their_workflows_are_as_they_say() -> None:
    named = re.findall(r"^\| `(\w+)` \|", (DOCS / "action-security.md").read_text(), re.MULTILINE)
    assert set(named) == set(HINTS)
    assert [rules(text) for text in examples("action-security.md")] == [{"unpinned"}]
    for text in examples("action.md"):
        refuse(look(text), ())


ZIZMOR = {
    "head_checkout": "dangerous-triggers",
    "expression_in_run": "template-injection",
    "unpinned": "unpinned-uses",
    "write_all": "uses write-all permissions",
    "secrets_inherit": "secrets-inherit",
    "all_secrets": "overprovisioned-secrets",
}
"""Our rule -> zizmor's audit, or its words where one audit looks for several things."""

OURS_ALONE = {
    "comment",  # zizmor warns of the two other events only
    "an image's tag",
    "input of ours",  # it knows what a few well-known actions do with their inputs
}
INVALID = {"empty permissions"}  # it reads no file that its schema does not allow
THEIRS_ALONE = {"dangerous-triggers"}  # it warns of the events themselves, whatever a job then does


@pytest.fixture(scope="module")
def zizmor(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, set[str]]]:
    """What zizmor finds as a persona: the name of each workflow of the tables -> audits and their words."""
    program = Path(sys.executable).parent / "zizmor"
    require(program.exists(), "zizmor", "pip install 'zizmor>=1.32,<2'")
    folder = tmp_path_factory.mktemp("zizmor") / ".github" / "workflows"
    folder.mkdir(parents=True)
    texts = {**{name: text for name, (_, text) in DANGEROUS.items()}, **SAFE}
    files = {re.sub(r"\W+", "-", name) + ".yml": name for name in texts}
    for file, name in files.items():
        (folder / file).write_text(texts[name])

    @cache
    def look_as(persona: str) -> dict[str, set[str]]:
        argv = [
            str(program),
            "--offline",
            "--no-config",
            "--format",
            "json",
            "--persona",
            persona,
            str(folder),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        assert done.stderr.count("completed") == len(files) - len(INVALID)
        found: dict[str, set[str]] = {name: set() for name in texts}
        for item in json.loads(done.stdout):
            for symbolic in (location["symbolic"] for location in item["locations"]):
                file = Path(symbolic["key"]["Local"]["verbatim_path"]).name
                found[files[file]] |= {item["ident"], symbolic["annotation"]}
        return found

    return look_as


def test_zizmor_finds_the_same_dangers(zizmor: Callable[[str], dict[str, set[str]]]) -> None:
    found = zizmor("pedantic")
    compared = 0
    for name in DANGEROUS.keys() - OURS_ALONE:
        expected = {ZIZMOR[rule] for rule in DANGEROUS[name][0] if rule in ZIZMOR}
        assert expected <= found[name], name
        compared += len(expected)
    assert compared > 40


def test_zizmor_knows_no_danger_where_we_know_none(zizmor: Callable[[str], dict[str, set[str]]]) -> None:
    known = set(ZIZMOR.values()) - THEIRS_ALONE
    for name in SAFE.keys() - {"another's job"}:
        assert not zizmor("regular")[name] & known, name
