"""Each event says on which commit its run stands; what steers a run comes from the default branch always."""

import json
from typing import Any

import pytest

from tests.parts.cli import Project, skill_files

SEEN = "docs/seen.md"
LOOK = (
    "{ cat code.txt set-up CLAUDE.md; git rev-parse HEAD;"
    " cat .claude/settings.json || echo none; } > docs/seen.md"
)
SKILL = """
on:
  pull_request: {more}
  issue_comment: {more}
  workflow_run: {{types: [completed]}}
  check_run: {{}}
  release: {{}}
environment: {{setup: ["cat code.txt > set-up"]}}
harness: {{kind: command, command: [sh, -c, "{look}"]}}
output: {{pull_request: {{title: "docs: what it saw", paths: ["docs/**"]}}}}
"""
OWNER = {"login": "ada", "type": "User"}


def skill(project: Project, look: str = LOOK, more: str = "{}") -> None:
    files = skill_files("s", SKILL.format(look=look, more=more))
    project.commit({**files, "code.txt": "base\n", "CLAUDE.md": "base rules\n", ".gitignore": "set-up\n"})


def propose(
    project: Project, number: int = 7, branch: str = "feature", files: dict[str, str] | None = None
) -> str:
    """A pull request's head in the repository; without a branch it is a stranger's."""
    project.git("checkout", "-q", "-b", f"proposed-{number}", "main")
    project.write(
        {"code.txt": "head\n", "CLAUDE.md": "evil rules\n", ".claude/settings.json": "{}", **(files or {})}
    )
    project.git("add", "-A")
    project.git("commit", "-qm", "Proposed")
    sha = project.git("rev-parse", "HEAD")
    targets = [f"HEAD:refs/pull/{number}/head", *([f"HEAD:refs/heads/{branch}"] if branch else [])]
    project.git("push", "-q", "origin", *targets)
    project.git("checkout", "-q", "main")
    return sha


def pull_request(project: Project, sha: str, action: str = "opened", **more: Any) -> dict[str, Any]:
    there = {"full_name": project.origin.stem}
    head = {"sha": sha, "ref": "feature", "repo": there}
    pull = {"id": 70, "number": 7, "head": head, "base": {"ref": "main", "repo": there}, **more}
    return {"action": action, "number": 7, "pull_request": pull, "repository": there, "sender": OWNER}


def run(project: Project, payload: dict[str, Any], kind: str, *more: str) -> dict[str, Any]:
    file = project.home / "event.json"
    file.write_text(json.dumps(payload))
    given = ("--sandbox", "process") if "--sandbox" not in more else ()
    done = project.skillrunner("run", "s", "--event", str(file), "--trigger", kind, "--json", *given, *more)
    assert done.out, done.err
    record: dict[str, Any] = json.loads(done.out)
    return record


def seen(project: Project, record: dict[str, Any]) -> list[str]:
    assert record["end"]["state"] == "succeeded", record["end"]
    branch = record["receipts"][0]["branch"]
    return project.git("show", f"{branch}:{SEEN}", cwd=project.origin).split("\n")


def commented(on_pull_request: bool = True) -> dict[str, Any]:
    issue: dict[str, Any] = {"number": 7, "title": "x"}
    if on_pull_request:
        issue["pull_request"] = {"url": "https://example.com/7"}
    return {"action": "created", "issue": issue, "comment": {"id": 5, "body": "/x"}, "sender": OWNER}


def test_a_pull_requests_run_stands_on_its_head_and_set_up_on_the_base(project: Project) -> None:
    skill(project)
    sha = propose(project)
    record = run(project, pull_request(project, sha), "pull_request")
    assert seen(project, record) == ["head", "base", "base rules", sha, "none"]
    assert record["base_sha"] == sha
    assert record["spec"]["tree"] == "the head of #7"
    assert record["spec"]["trusted_sha"] == project.git("rev-parse", "main")
    assert record["spec"]["is_strangers"] is False
    shown = project.skillrunner("show", record["id"]).out
    assert "tree        the head of #7; set-up ran on" in shown


def test_what_it_publishes_is_its_own_change_and_goes_to_the_pull_requests_branch(project: Project) -> None:
    """The settings that the base gave it are no change of the run."""
    skill(project)
    record = run(project, pull_request(project, propose(project)), "pull_request")
    branch = record["receipts"][0]["branch"]
    changed = project.git("diff", "--name-only", "feature", branch, cwd=project.origin)
    assert changed == SEEN
    assert record["spec"]["base_ref"] == "feature"


def test_settings_of_agents_are_the_bases_under_any_name(project: Project) -> None:
    """In any folder, in any case, and where a link of such a name leads to."""
    skill(
        project,
        look="cat tools/agent/rules > docs/seen.md; ls sub claude.md .cursor >> docs/seen.md 2>&1 || true",
    )
    (project.root / ".agents").symlink_to("tools/agent")
    project.commit({"tools/agent/rules": "base rules\n", "sub/code": "x\n"})
    evil = {"tools/agent/rules": "evil\n", "sub/AGENTS.md": "evil\n", ".cursor/rules/x.mdc": "evil\n"}
    sha = propose(project, files={**evil, "skills/s/SKILL.md": "evil\n"})
    record = run(project, pull_request(project, sha), "pull_request")
    told = "\n".join(seen(project, record))
    assert told.startswith("base rules\n")
    assert "AGENTS.md" not in told
    assert "'claude.md': No such file" in told
    assert "'.cursor': No such file" in told
    branch = record["receipts"][0]["branch"]
    assert project.git("diff", "--name-only", "feature", branch, cwd=project.origin) == SEEN


def test_set_up_runs_on_no_branch_that_an_agent_wrote(project: Project) -> None:
    """Also where the skill's own output names such a branch as its base."""
    skill(project)
    text = (project.root / "skills/s/skill.yaml").read_text()
    project.commit({"skills/s/skill.yaml": text.replace("{title:", "{base: skillrunner/x/default, title:")})
    agents = propose(project, branch="skillrunner/x/default")
    record = run(project, {"action": "published", "release": {"id": 1, "tag_name": "v1"}}, "release")
    assert seen(project, record) == ["head", "base", "base rules", agents, "none"]
    assert record["spec"]["trusted_sha"] == project.git("rev-parse", "main")


OURS = "docs: x\n\n* docs: y\n\n  Skillrunner-Run: 20260101-x\n\nCo-authored-by: a <a@b.c>"


@pytest.mark.parametrize(
    ("branch", "message", "trusted"),
    [
        ("skillrunner/t/default", "By hand", True),
        ("release/1.x", OURS, True),
        ("release/1.x", "By hand", False),
    ],
)
def test_set_up_on_a_base_that_is_asked_for_runs_on_what_people_agreed_to(
    project: Project, branch: str, message: str, trusted: bool
) -> None:
    """A branch of agents, and one that a commit of ours came to; a run that continues keeps to that."""
    skill(project)
    proposed = propose(project)
    tree = project.git("rev-parse", f"{proposed}^{{tree}}")
    first = project.git("commit-tree", tree, "-p", "main", "-m", message)
    sha = project.git("commit-tree", tree, "-p", first, "-m", "A later one")
    project.git("push", "-q", "origin", f"{sha}:refs/heads/{branch}")
    record = run(project, {"action": "published", "release": {"id": 1}}, "release", "--base", branch)
    assert seen(project, record)[:4] == [
        "head",
        "base" if trusted else "head",
        *seen(project, record)[2:3],
        sha,
    ]
    main = project.git("rev-parse", "main")
    assert record["spec"]["trusted_sha"] == (main if trusted else "")
    assert (f"tree        {branch}; set-up ran on {main[:12]}" in project.skillrunner("show").out) is trusted
    later = project.skillrunner("continue", record["id"], "Once more.", "--json").json()
    assert later["spec"]["trusted_sha"] == (main if trusted else "")


def test_what_the_default_branch_holds_is_agreed_to_under_any_name(project: Project) -> None:
    skill(project)
    project.git("push", "-q", "origin", "main:refs/heads/skillrunner/t/default")
    more = ("--base", "skillrunner/t/default")
    record = run(project, {"action": "published", "release": {"id": 1}}, "release", *more)
    assert record["spec"]["trusted_sha"] == ""


@pytest.mark.parametrize("kind", ["workflow_run", "check_run"])
def test_a_failed_checks_run_stands_on_the_commit_that_failed(project: Project, kind: str) -> None:
    skill(project)
    sha = propose(project)
    about = {"id": 3, "head_sha": sha, "head_branch": "feature", "name": "CI", "conclusion": "failure"}
    record = run(project, {"action": "completed", kind: about, "sender": OWNER}, kind)
    assert seen(project, record)[3] == record["base_sha"] == sha
    assert record["spec"]["tree"] == f"the commit of {kind} 3"


def test_a_command_on_a_pull_request_stands_on_its_head_and_one_on_an_issue_on_the_base(
    project: Project,
) -> None:
    skill(project)
    sha = propose(project)
    assert seen(project, run(project, commented(), "issue_comment"))[3] == sha
    base = project.git("rev-parse", "main")
    record = run(project, commented(on_pull_request=False), "issue_comment", "--again")
    assert (record["base_sha"], record["spec"]["tree"]) == (base, "")


@pytest.mark.parametrize(
    ("more", "payload"),
    [
        ("{tree: base}", {}),
        ("{}", {"action": "closed", "merged": True}),
    ],
)
def test_what_asks_for_the_base_and_what_is_merged_stands_on_the_base(
    project: Project, more: str, payload: dict[str, Any]
) -> None:
    skill(project, more=more)
    record = run(project, pull_request(project, propose(project), **payload), "pull_request")
    assert record["base_sha"] == project.git("rev-parse", "main")


def test_where_asked_it_stands_on_the_merge_with_the_base(project: Project) -> None:
    skill(project, more="{tree: merge}")
    sha = propose(project)
    project.commit({"new.txt": "only in the base\n"})
    project.git("checkout", "-q", "--detach", "main")
    project.git("merge", "-q", "--no-ff", "-m", "merge", sha)
    merged = project.git("rev-parse", "HEAD")
    project.git("push", "-q", "origin", "HEAD:refs/pull/7/merge")
    project.git("checkout", "-q", "main")
    record = run(project, pull_request(project, sha), "pull_request")
    assert seen(project, record)[3] == merged
    assert record["spec"]["tree"] == "the merge of #7 with its base"
    assert record["spec"]["is_strangers"] is False


def of_a_stranger(project: Project, evil: bool) -> str:
    """A head that no branch holds; an evil one is a merge of commits that are ours, with other files."""
    sha = propose(project, branch="")
    if evil:
        tree = project.git("rev-parse", f"{sha}^{{tree}}")
        parents = ("-p", "main", "-p", "main~1")
        sha = project.git("commit-tree", tree, *parents, "-m", "Merge")
        project.git("push", "-q", "--force", "origin", f"{sha}:refs/pull/7/head")
    return sha


def refused(project: Project, sha: str) -> str:
    file = project.home / "event.json"
    file.write_text(json.dumps(pull_request(project, sha)))
    given = ("--trigger", "pull_request", "--sandbox", "process")
    done = project.skillrunner("run", "s", "--event", str(file), *given)
    assert done.code != 0
    assert project.branches() == ["main"]
    return done.err


@pytest.mark.parametrize("evil", [False, True])
def test_a_run_on_a_strangers_head_publishes_nothing_that_the_skill_does_not_allow(
    project: Project, evil: bool
) -> None:
    skill(project)
    told = refused(project, of_a_stranger(project, evil))
    assert "the head of #7 is a stranger's, and s publishes nothing for strangers" in told
    assert "strangers: [...]" in told


def test_a_sandbox_that_seals_nothing_runs_no_strangers_head(project: Project) -> None:
    skill(project)
    text = (project.root / "skills/s/skill.yaml").read_text()
    project.commit({"skills/s/skill.yaml": text[: text.index("output:")] + "output: {none: {}}\n"})
    told = refused(project, of_a_stranger(project, evil=False))
    assert "a stranger's commit runs sealed only, and the sandbox process seals nothing" in told


def test_an_event_from_a_fork_that_stands_on_the_base_is_told_as_what_it_is(project: Project) -> None:
    """Its texts are a stranger's: there are no secrets, and no commit is called a stranger's."""
    look = "on: {pull_request: {tree: base}}\nenvironment: {secrets: [TOKEN], network: {allow: [pypi]}}\n"
    look += "harness: {kind: command, command: ['true']}\noutput: {none: {}}\n"
    project.commit(skill_files("s", look))
    payload = pull_request(project, "a" * 40)
    payload["pull_request"]["head"]["repo"] = {"full_name": "stranger/fork"}
    file = project.home / "event.json"
    file.write_text(json.dumps(payload))
    given = ("run", "s", "--event", str(file), "--trigger", "pull_request")
    told = project.skillrunner(*given, "--sandbox", "process").err
    assert "what an event from a fork starts runs sealed only, and the sandbox process seals nothing" in told
    assert "commit" not in told
    plan = project.skillrunner(*given, "--sandbox", "docker", "--dry-run").out
    assert "none, and no hosts but the model's: the event is from a fork" in plan


def test_a_head_that_is_gone_is_told(project: Project) -> None:
    skill(project)
    file = project.home / "event.json"
    file.write_text(json.dumps(pull_request(project, "a" * 40)))
    done = project.skillrunner("run", "s", "--event", str(file), "--trigger", "pull_request")
    assert done.code != 0
    assert "has no aaaaaaaaaaaa any more" in done.err
    assert "tree: base" in done.err


def test_further_heads_are_brought_and_those_of_strangers_are_not(project: Project) -> None:
    files = skill_files(
        "s",
        SKILL.format(look="git for-each-ref > docs/seen.md", more="{}").replace(
            "environment: {", 'environment: {fetch: [own_pull_requests, "release/*", "gone/*"], '
        ),
    )
    project.commit({**files, "code.txt": "base\n"})
    own = propose(project)
    stranger = propose(project, number=8, branch="", files={"code.txt": "a stranger's\n"})
    project.git("push", "-q", "origin", f"{own}:refs/heads/release/1.x")
    record = run(project, {"action": "published", "release": {"id": 1, "tag_name": "v1"}}, "release")
    refs = "\n".join(seen(project, record))
    assert f"{own} commit\trefs/remotes/origin/pull/7" in refs
    assert f"{own} commit\trefs/remotes/origin/release/1.x" in refs
    assert stranger not in refs
    assert "`environment.fetch` names gone/*, and no branch is called so" in json.dumps(record)


SEALED = """
on: {pull_request: {}}
environment:
  setup: ["cat code.txt > set-up; echo $TOKEN >> set-up"]
  secrets: [TOKEN]
  network: {allow: [pypi]}
  repositories: {other: acme/other}
harness: {kind: command, command: [sh, -c, "%s"]}
output: {none: {}}
"""


@pytest.mark.docker
def test_a_strangers_head_runs_sealed_and_without_secrets(project: Project, local_image: str) -> None:
    """Set-up has the network, and none of the stranger's files; then it is the other way round."""
    look = (
        "echo SAW $(cat code.txt set-up CLAUDE.md; env | grep -c s3cret-value;"
        " ls /sys/class/net; ls /repositories 2>&1 >/dev/null | wc -l)"
    )
    project.variables.update(SKILLRUNNER_IMAGE=local_image, TOKEN="s3cret-value")
    files = skill_files("s", SEALED % look)
    project.commit({**files, "code.txt": "base\n", "CLAUDE.md": "base rules\n", ".gitignore": "set-up\n"})
    sha = propose(project, branch="")
    record = run(project, pull_request(project, sha), "pull_request", "--sandbox", "docker")
    said = project.skillrunner("logs", record["id"]).out
    assert "SAW head base base rules 0 lo 1" in said, (said, record["end"])
    environment = record["spec"]["environment"]
    assert (environment["secrets"], environment["network"], environment["repositories"]) == ([], [], {})
    assert (record["base_sha"], record["spec"]["is_strangers"]) == (sha, True)
    told = f"sealed, on the head of #7, {sha[:12]}, which is a stranger's; set-up ran on"
    assert told in json.dumps(record)
