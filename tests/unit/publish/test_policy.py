"""The policy names every cause, and lets honest work through."""

import base64
import urllib.parse
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import globs
from runner.core.model import Allowance, DeclaredOutput, FileChange, OutputSpec, Proposal, RunSpec
from runner.publish.policy import declared, files, paths, secrets

ALLOWANCE = Allowance(paths=("docs/**", "README.md"))
SECRET = "tok-9f8a7b6c5d4e3f2a1b0c/+Zz"


def rules(path: str, allowance: Allowance = ALLOWANCE) -> set[str]:
    return {refusal.rule for refusal in paths.refusals([FileChange(path=path, change="added")], allowance)}


@pytest.mark.parametrize("path", ["docs/a.md", "docs/deep/er/b.md", "README.md", "docs/größe.md"])
def test_ordinary_paths_pass(path: str) -> None:
    assert rules(path) == set()


@pytest.mark.parametrize("path", ["src/a.py", "docs", "README.mdx", "docs2/a.md"])
def test_paths_outside_are_refused(path: str) -> None:
    assert rules(path) == {"path_outside"}


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/x.yml",
        ".GitHub/workflows/x.yml",
        "docs/CODEOWNERS",
        "docs/CLAUDE.md",
        "sub/AGENTS.md",
        "docs/.gitattributes",
        "skills/x/skill.yaml",
        ".gitlab-ci.yml",
        "app/.claude/settings.json",
        ".devcontainer/devcontainer.json",
        ".github",  # a link that stands in the folder's place
        "app/.claude",
        ".npmrc",
        "packages/web/.npmrc",
        ".envrc",
        ".mise.toml",
        ".forgejo/workflows/x.yml",
        ".gitea/workflows/x.yml",
        ".tekton/push.yaml",
        ".idea/workspace.xml",
        "team.code-workspace",
        "WARP.md",
        ".clinerules/a.md",
        ".kiro/steering/a.md",
        ".roo/rules/a.md",
        ".junie/guidelines.md",
        ".aider.conf.yml",
        "renovate.json5",
        ".lfsconfig",
        ".githooks/pre-commit",
        ".cargo/config.toml",
        ".env.local",
        "mise.local.toml",
        "ci/Jenkinsfile",
        "wrangler.toml",
        ".vimrc",
        "pnpm-workspace.yaml",
    ],
)
def test_protected_paths_need_to_be_named(path: str) -> None:
    wide = Allowance()
    assert rules(path, wide) == {"protected_path"}
    assert rules(path, replace(wide, protected=(path,))) == set()


@pytest.mark.parametrize(
    "path",
    [
        "docs/../x",
        "/etc/passwd",
        "C:/x",
        "docs//x",
        "docs/.GIT/config",
        "docs/.g\u200cit/hooks/x",
        "docs/GIT~1/config",
        "docs/.git./config",
        "docs/.git::$INDEX_ALLOCATION/x",
        "docs/a\\b",
        "docs/a.",
        "docs/a ",
        "docs/a\nb",
        "docs/a\x00b",
        "docs/a\u202eb",
        "docs/a\udcffb",
        "docs/a\u3164b",
        "docs/a\u2800b",
        "docs/a\u1160b",
        "docs/a\uffa0b",
        "VSCODE~1/tasks.json",
        "GITHUB~1/workflows/x.yml",
        "docs/skillr~2.yam",
        "GI7EBA~1",
        "docs/a\u115fb",
        "docs/a\u034fb",
        "docs/a\ufe0fb",
    ],
)
def test_names_that_fool_a_file_system_are_refused(path: str) -> None:
    assert "path_trick" in rules(path, Allowance())


@pytest.mark.parametrize("path", ["docs/a~b.md", "docs/notes.md~", "docs/a~1b", "docs/longer-name~1.md"])
def test_a_tilde_alone_makes_no_short_name(path: str) -> None:
    assert "path_trick" not in rules(path, Allowance())


@pytest.mark.parametrize(
    "path",
    [
        ".do/app.yaml",
        ".bulldozer.yml",
        ".packit.yaml",
        ".scrutinizer.yml",
        "Earthfile",
        "sub/Earthfile",
        "okteto.yml",
        ".okteto/x.yaml",
    ],
)
def test_what_deploys_or_merges_is_protected(path: str) -> None:
    assert "protected_path" in rules(path, Allowance(paths=("**",)))


@pytest.mark.parametrize("pair", [("docs/A.md", "docs/a.md"), ("docs/e\u0301.md", "docs/\u00e9.md")])
def test_names_that_collide_are_both_named(pair: tuple[str, str]) -> None:
    changes = [FileChange(path=path, change="added") for path in pair]
    assert [refusal.subject for refusal in paths.refusals(changes, ALLOWANCE)] == list(pair)


def test_a_twin_of_a_file_that_is_there_is_refused() -> None:
    change = FileChange(path="docs/A.md", change="added", twin="docs/a.md")
    (refusal,) = paths.refusals([change], ALLOWANCE)
    assert (refusal.rule, refusal.subject) == ("path_collision", "docs/A.md")
    assert "docs/a.md" in refusal.message


def file_rules(allowance: Allowance = ALLOWANCE, **fields: Any) -> set[str]:
    change = FileChange(**{"path": "docs/a", "change": "added", **fields})
    proposal = Proposal(base_sha="b", tree_sha="t", changes=(change,))
    return {refusal.rule for refusal in files.refusals(proposal, allowance)}


@pytest.mark.parametrize(
    ("fields", "rule", "permission"),
    [
        ({"kind": "symlink", "target": "b"}, "symlink", "symlinks"),
        ({"kind": "submodule"}, "submodule", "submodules"),
        ({"mode": 0o100755}, "mode_change", "mode_changes"),
        ({"change": "modified", "mode": 0o100755, "old_mode": 0o100644}, "mode_change", "mode_changes"),
        ({"binary": True}, "binary", "binaries"),
    ],
)
def test_kinds_need_permission(fields: dict[str, Any], rule: str, permission: str) -> None:
    assert file_rules(**fields) == {rule}
    assert file_rules(replace(ALLOWANCE, **{permission: True}), **fields) == set()


def test_deletions_can_be_forbidden() -> None:
    assert file_rules(change="deleted", mode=0, old_mode=0o100644) == set()
    forbidding = replace(ALLOWANCE, deletions=False)
    assert file_rules(forbidding, change="deleted", mode=0, old_mode=0o100644) == {"deletion"}


@pytest.mark.parametrize("target", ["../.git/hooks", ".GIT/config", "git~1/hooks"])
def test_no_permission_lets_a_link_into_gits_own_folder(target: str) -> None:
    assert file_rules(replace(ALLOWANCE, symlinks=True), kind="symlink", target=target) == {"symlink"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "b/../../../x", "C:x", "\\\\host\\x"])
def test_no_permission_lets_a_link_out_of_the_repository(target: str) -> None:
    allowed = replace(ALLOWANCE, symlinks=True)
    assert file_rules(allowed, kind="symlink", target=target) == {"symlink"}
    assert file_rules(allowed, kind="symlink", target="../README.md") == set()


def test_special_files_are_never_allowed() -> None:
    wide = Allowance(symlinks=True, submodules=True, mode_changes=True, binaries=True)
    assert file_rules(wide, kind="special") == {"special_file"}


def test_sizes_and_counts_are_limited() -> None:
    small = replace(ALLOWANCE, max_files=1, max_file_bytes=10, max_patch_bytes=20)
    changes = tuple(FileChange(path=f"docs/{n}", change="added", size=11) for n in range(2))
    proposal = Proposal(base_sha="b", tree_sha="t", changes=changes, patch_bytes=21, truncated="50,000 files")
    found = [refusal.rule for refusal in files.refusals(proposal, small)]
    assert found == ["file_size", "file_size", "file_count", "patch_size", "incomplete"]


def test_content_that_could_not_be_taken_is_refused() -> None:
    assert file_rules(omitted="permission denied") == {"unreadable"}


def disguises() -> dict[str, bytes]:
    raw = SECRET.encode()
    return {
        "plain": raw,
        "reversed": raw[::-1],
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "url": urllib.parse.quote(SECRET, safe="").encode(),
        "base64": base64.b64encode(raw),
        "base64 after one byte": base64.b64encode(b"x" + raw + b"tail"),
        "base64 after two bytes": base64.urlsafe_b64encode(b"xy" + raw + b"t"),
        "base64 in lines": b"\n+".join(base64.b64encode(raw)[n : n + 9] for n in range(0, 40, 9)),
        "cut head": raw[7:],
        "cut tail": raw[:-7],
        "two lines of a diff": b"+" + raw[:14] + b"\n+" + raw[14:],
        "string pieces": b'"' + raw[:9] + b'" + "' + raw[9:20] + b'" \\\n  "' + raw[20:] + b'"',
    }


@pytest.mark.parametrize("disguise", sorted(disguises()))
def test_a_secret_is_found_in_disguise(disguise: str) -> None:
    content = b"+++ b/docs/a.md\n+some text " + disguises()[disguise] + b" more text\n"
    (refusal,) = secrets.refusals({"patch": content}, {"DEPLOY_TOKEN": SECRET})
    assert (refusal.rule, refusal.subject) == ("secret", "patch")
    assert "DEPLOY_TOKEN" in refusal.message
    assert SECRET not in refusal.message


def test_text_without_a_secret_passes() -> None:
    content = b"+++ b/docs/a.md\n+tokens are 9f8a long; see base64 in RFC 4648\n" * 100
    assert list(secrets.refusals({"patch": content}, {"DEPLOY_TOKEN": SECRET, "SHORT": "docs"})) == []


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789", min_size=16, max_size=60), st.binary(max_size=5))
def test_any_secret_is_found_in_base64_at_any_offset(secret: str, before: bytes) -> None:
    content = base64.b64encode(before + secret.encode() + b"!")
    assert list(secrets.refusals({"patch": content}, {"S": secret}))


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**", "a/b/c", True),
        ("*", "a/b", False),
        ("*.md", "a.md", True),
        ("**/*.md", "a.md", True),
        ("**/*.md", "x/y/a.md", True),
        ("docs/", "docs/x/y", True),
        ("docs/**", "docs/x", True),
        ("docs/?.md", "docs/ab.md", False),
        ("[ab].txt", "a.txt", True),
        ("[!ab].txt", "a.txt", False),
        ("a+b.txt", "a+b.txt", True),
        ("a+b.txt", "aab.txt", False),
    ],
)
def test_globs(pattern: str, path: str, expected: bool) -> None:
    assert globs.matches(path, [pattern]) is expected


def naming(*outputs: OutputSpec) -> RunSpec:
    """A spec of which the rule reads the outputs alone."""
    return cast("RunSpec", SimpleNamespace(outputs=outputs))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "`body`: Field required"),
        ({"body": {"a": [1]}}, "`body`: Input should be a valid string"),
        ({"body": "x", "colour": "red"}, "`colour`: Extra inputs are not permitted"),
    ],
)
def test_declared_fields_are_those_that_the_output_knows(fields: dict[str, Any], message: str) -> None:
    """As in a call of the tool: a line in the file is checked by the same model."""
    listed = (
        DeclaredOutput(kind="pull_request", fields={"body": "fine"}),
        DeclaredOutput(kind="pull_request", fields=fields),
    )
    proposal = Proposal(base_sha="b", tree_sha="t", declared=listed)
    (refusal,) = declared.refusals(proposal, naming(OutputSpec(kind="pull_request")))
    assert (refusal.rule, refusal.subject) == ("output_fields", "declared output 2")
    assert message in refusal.message


def test_declared_outputs_are_of_kinds_that_the_skill_names() -> None:
    kinds = ("comment", "comment")
    listed = (
        DeclaredOutput(kind="pull_request", fields={"body": "x"}),
        *(DeclaredOutput(kind=kind) for kind in kinds),
    )
    proposal = Proposal(base_sha="b", tree_sha="t", declared=listed)
    outputs = (OutputSpec(kind="pull_request"), OutputSpec(kind="issue"))
    (refusal,) = declared.refusals(proposal, naming(*outputs))
    assert (refusal.rule, refusal.subject) == ("output_kind", "the agent")
    assert refusal.message == "declares the output 'comment', and the skill names pull_request, issue"
