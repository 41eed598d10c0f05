"""Each limit of the policy at its edge, each protected path, and every way to be refused alone."""

from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.model import Allowance, DeclaredOutput, FileChange, OutputSpec, Proposal, Refusal
from runner.publish.policy import check, files, paths, secrets

WIDE = Allowance(symlinks=True, submodules=True, mode_changes=True, binaries=True)


def change(**fields: Any) -> FileChange:
    return FileChange(**{"path": "docs/a", "change": "added", "mode": 0o100644, **fields})


def refused(one: FileChange, allowance: Allowance = WIDE, **proposal: Any) -> list[tuple[str, str]]:
    """The rules that a change breaks, and what they say."""
    made = Proposal(base_sha="b", tree_sha="t", changes=(one,), **proposal)
    return [(refusal.rule, refusal.message) for refusal in files.refusals(made, allowance)]


def rules(one: FileChange, allowance: Allowance = WIDE) -> list[str]:
    return [rule for rule, _ in refused(one, allowance)]


# --- sizes and counts -------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "passes"), [(0, True), (9, True), (10, True), (11, False)])
@pytest.mark.parametrize("how", ["added", "modified"])
def test_the_size_of_a_file(size: int, passes: bool, how: str) -> None:
    found = refused(change(change=how, size=size), replace(WIDE, max_file_bytes=10))
    said = f"has {size} bytes, more than the 10 of `max_file_size`"
    assert found == ([] if passes else [("file_size", said)])


def test_a_deleted_file_may_have_had_any_size() -> None:
    gone = change(change="deleted", mode=0, old_mode=0o100644, size=11)
    assert rules(gone, replace(WIDE, max_file_bytes=10)) == []
    assert rules(replace(gone, omitted="gone"), replace(WIDE, max_file_bytes=10)) == ["unreadable"]


def test_a_file_that_is_too_large_is_told_once() -> None:
    large = change(size=11, omitted="it has more than 10 bytes")
    assert rules(large, replace(WIDE, max_file_bytes=10)) == ["file_size"]


@pytest.mark.parametrize(("count", "passes"), [(1, True), (2, True), (3, False)])
def test_the_number_of_files(count: int, passes: bool) -> None:
    changes = tuple(change(path=f"docs/{at}") for at in range(count))
    proposal = Proposal(base_sha="b", tree_sha="t", changes=changes)
    found = list(files.refusals(proposal, replace(WIDE, max_files=2)))
    message = "changes 3 files, more than the 2 of `max_files`"
    assert found == ([] if passes else [Refusal(rule="file_count", subject="the proposal", message=message)])


@pytest.mark.parametrize(("size", "passes"), [(0, True), (20, True), (21, False)])
def test_the_size_of_a_patch(size: int, passes: bool) -> None:
    found = refused(change(), replace(WIDE, max_patch_bytes=20), patch_bytes=size)
    said = "is a patch of 21 bytes, more than the 20 of `max_patch_size`"
    assert found == ([] if passes else [("patch_size", said)])


def test_what_is_not_whole_says_why() -> None:
    assert refused(change(), truncated="50,000 files") == [("incomplete", "50,000 files")]
    assert refused(change(), truncated="") == []


# --- kinds and modes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "allowed", "said"),
    [
        ({"kind": "submodule"}, "submodules", "is a nested repository: allow it with `submodules: true`"),
        (
            {"kind": "symlink", "target": "b"},
            "symlinks",
            "is a link to 'b': allow it with `symlinks: true`",
        ),
        ({"binary": True}, "binaries", "is a binary file: allow it with `binaries: true`"),
        (
            {"mode": 0o100755},
            "mode_changes",
            "has mode 100755 instead of 100644: allow it with `mode_changes: true`",
        ),
        (
            {"change": "modified", "mode": 0o100644, "old_mode": 0o100755},
            "mode_changes",
            "has mode 100644 instead of 100755: allow it with `mode_changes: true`",
        ),
        ({"change": "deleted", "mode": 0}, "deletions", "is deleted: allow it with `deletions: true`"),
    ],
)
def test_each_kind_needs_its_own_permission(fields: dict[str, Any], allowed: str, said: str) -> None:
    one = change(**fields)
    assert refused(one, replace(WIDE, **{allowed: False})) == [(allowed_rule(allowed), said)]
    assert refused(one, WIDE) == []
    nothing = Allowance(symlinks=False, submodules=False, mode_changes=False, binaries=False, deletions=False)
    assert refused(one, replace(nothing, **{allowed: True})) == []


def allowed_rule(allowed: str) -> str:
    return {"binaries": "binary"}.get(allowed, allowed.removesuffix("s"))


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"change": "modified", "mode": 0o100755, "old_mode": 0o100755}, False),
        ({"change": "modified", "mode": 0o100644, "old_mode": 0o100644}, False),
        ({"change": "modified", "mode": 0o100644, "old_mode": 0o120000}, False),  # a link became a file
        ({"change": "modified", "mode": 0o100755, "old_mode": 0o120000}, False),
        ({"change": "deleted", "mode": 0, "old_mode": 0o100755}, False),
        ({"kind": "symlink", "target": "b", "mode": 0o120000, "old_mode": 0o100644}, False),
        ({"kind": "submodule", "mode": 0o160000}, False),
        ({"mode": 0o100755, "old_mode": 0}, True),
        ({"mode": 0o100644, "old_mode": 0}, False),
    ],
)
def test_what_counts_as_a_change_of_mode(fields: dict[str, Any], changed: bool) -> None:
    assert rules(change(**fields), replace(WIDE, mode_changes=False)) == ["mode_change"] * changed


@pytest.mark.parametrize(
    ("kind", "omitted", "rule"),
    [
        ("file", "permission denied", ["unreadable"]),
        ("symlink", "permission denied", ["unreadable"]),
        ("special", "it is a pipe, socket or device", ["special_file"]),
        ("submodule", "it is a repository of its own", []),
        ("file", "", []),
    ],
)
def test_what_could_not_be_taken(kind: str, omitted: str, rule: list[str]) -> None:
    assert rules(change(kind=kind, target="b", omitted=omitted)) == rule


@pytest.mark.parametrize(
    ("path", "target", "escapes"),
    [
        ("a", "b", False),
        ("a", "..", True),
        ("a", "../b", True),
        ("docs/a", "..", False),
        ("docs/a", "../..", True),
        ("docs/a", "../b", False),
        ("docs/a", "../../b", True),
        ("docs/a", "./../b", False),
        ("docs/a", "x/../../b", False),
        ("docs/a", "x/../../../b", True),
        ("docs/a", "x//../../../b", True),
        ("docs/a", "../docs/../../b", True),
        ("docs/a", "..\\..\\b", True),
        ("docs/deep/a", "../../b", False),
        ("docs/a", "/docs/b", True),
        ("docs/a", "\\docs\\b", True),
        ("docs/a", "c:b", True),
        ("docs/a", "...", False),
        ("docs/a", "", False),
    ],
)
def test_where_a_link_leads(path: str, target: str, escapes: bool) -> None:
    link = change(path=path, kind="symlink", target=target, mode=0o120000)
    said = f"links out of the repository, to {target!r}"
    assert refused(link) == ([("symlink", said)] if escapes else [])
    forbidden = refused(link, replace(WIDE, symlinks=False))
    assert forbidden == [("symlink", f"is a link to {target!r}: allow it with `symlinks: true`")]


@given(st.lists(st.sampled_from(["..", ".", "a", "b", ""]), min_size=1, max_size=8), st.integers(0, 3))
def test_a_link_escapes_when_it_once_is_above_the_top(parts: list[str], deep: int) -> None:
    """What stands above the top is told by walking; a part that is no folder cannot make it less."""
    target = "/".join(["x", *parts])
    place = [f"d{at}" for at in range(deep)]
    here, escapes = list(place), False
    for part in target.split("/"):
        if part == "..":
            escapes = escapes or not here
            here = here[:-1]
        elif part not in (".", ""):
            here.append(part)
    link = change(path="/".join([*place, "link"]), kind="symlink", target=target, mode=0o120000)
    assert (rules(link) == ["symlink"]) is escapes


# --- paths ------------------------------------------------------------------------------------------

PROTECTED = """
.github/x .gitlab/x .gitlab-ci.yml .gitlab-ci/x .forgejo/x .gitea/x .circleci/x .buildkite/x .woodpecker/x
.woodpecker.yml .woodpecker.yaml .drone.yml .drone.yaml .drone.star .drone.jsonnet .travis.yml .appveyor.yml
.cirrus.yml .cirrus.star .semaphore/x .tekton/x .teamcity/x .harness/x .azure-pipelines/x .azuredevops/x
.pipelines/x .builds/x .build.yml .builder/x .ci/x .prow.yml .prow.yaml .zuul.yml .zuul.yaml .zuul.d/x
zuul.yaml zuul.d/x appveyor.yml azure-pipelinesz.yml azure-pipelinesz.yaml bitbucket-pipelines.yml
buildspecz.yml buildspecz.yaml cloudbuildz.yml cloudbuildz.yaml cloudbuildz.json codefreshz.yml
codefreshz.yaml netlify.toml vercel.json render.yaml fly.toml app.yaml Procfile Jenkinsfilez z.jenkinsfile
a/z.jenkinsfile CODEOWNERS a/CODEOWNERS OWNERS a/OWNERS OWNERS_ALIASES a/OWNERS_ALIASES renovate.jsonz
a/renovate.jsonz .renovatercz a/.renovatercz dependabot.yml dependabot.yaml a/dependabot.yml .mergify.yml
.mergify.yaml a/.mergify.yml .mergify/x a/.mergify/x .kodiak.toml a/.kodiak.toml bors.toml a/bors.toml
AGENTS.md a/AGENTS.md AGENTS.override.md a/AGENTS.override.md AGENT.md a/AGENT.md CLAUDE.md a/CLAUDE.md
CLAUDE.local.md a/CLAUDE.local.md GEMINI.md a/GEMINI.md QWEN.md a/QWEN.md WARP.md a/WARP.md CRUSH.md
a/CRUSH.md .agent/x a/.agent/x .agents/x a/.agents/x .aiderz a/.aiderz .amazonq/x a/.amazonq/x .amp/x
a/.amp/x .augment/x a/.augment/x .augment-guidelines a/.augment-guidelines .claude/x a/.claude/x
.clinerulesz/x a/.clinerulesz/x .clineignore a/.clineignore .codex/x a/.codex/x .continue/x a/.continue/x
.copilot/x a/.copilot/x .crush/x a/.crush/x .crush.json a/.crush.json crush.json a/crush.json .cursor/x
a/.cursor/x .cursorrules a/.cursorrules .cursorignore a/.cursorignore .factory/x a/.factory/x .gemini/x
a/.gemini/x .geminiignore a/.geminiignore .goose/x a/.goose/x .goosehints a/.goosehints .junie/x a/.junie/x
.kilocode/x a/.kilocode/x .kiro/x a/.kiro/x .openhands/x a/.openhands/x .opencode/x a/.opencode/x .openai/x
a/.openai/x .qodo/x a/.qodo/x .qwen/x a/.qwen/x .roo/x a/.roo/x .roomodes a/.roomodes .roorulesz
a/.roorulesz .rules a/.rules .tabnine/x a/.tabnine/x .trae/x a/.trae/x .warp/x a/.warp/x .windsurfz/x
a/.windsurfz/x .windsurfrules a/.windsurfrules .zed/x a/.zed/x .mcp.json a/.mcp.json mcp.json a/mcp.json
opencode.jsonz a/opencode.jsonz .devcontainer/x a/.devcontainer/x .devcontainer.json a/.devcontainer.json
.vscode/x a/.vscode/x .idea/x a/.idea/x .fleet/x a/.fleet/x z.code-workspace a/z.code-workspace .gitpod.yml
.gitpod.yaml a/.gitpod.yml .ona/x a/.ona/x .codesandbox/x a/.codesandbox/x .stackblitzrc a/.stackblitzrc
.replit a/.replit devbox.json a/devbox.json devenv.nix a/devenv.nix .nvim.lua a/.nvim.lua .nvimrc a/.nvimrc
.exrc a/.exrc .dir-locals.el a/.dir-locals.el .envrc a/.envrc .env a/.env .mise.toml a/.mise.toml
.mise.local.toml a/.mise.local.toml mise.toml a/mise.toml .mise/x a/.mise/x .config/mise/x a/.config/mise/x
.rtx.toml a/.rtx.toml .tool-versions a/.tool-versions .prototools a/.prototools .npmrc a/.npmrc .yarnrc
a/.yarnrc .yarnrc.yml a/.yarnrc.yml .yarn/x a/.yarn/x .pnpmfile.z a/.pnpmfile.z pnpmfile.z a/pnpmfile.z
bunfig.toml a/bunfig.toml .pypirc a/.pypirc pip.conf a/pip.conf .netrc a/.netrc .cargo/x a/.cargo/x .gemrc
a/.gemrc .bundle/x a/.bundle/x .mvn/x a/.mvn/x gradle/wrapper/x a/gradle/wrapper/x init.gradlez
a/init.gradlez NuGet.config a/NuGet.config .bazelrc a/.bazelrc .bazelversion a/.bazelversion .buckconfigz
a/.buckconfigz .bashrc a/.bashrc .bash_profile a/.bash_profile .profile a/.profile .zshrc a/.zshrc .zshenv
a/.zshenv .ssh/x a/.ssh/x .docker/x a/.docker/x .kube/x a/.kube/x .aws/x a/.aws/x .gitattributes
a/.gitattributes .gitmodules a/.gitmodules .gitconfig a/.gitconfig .lfsconfig a/.lfsconfig .githooks/x
a/.githooks/x .husky/x a/.husky/x .huskyrcz a/.huskyrcz .pre-commit-config.yml .pre-commit-config.yaml
a/.pre-commit-config.yml .pre-commit-hooks.yml .pre-commit-hooks.yaml a/.pre-commit-hooks.yml
.overcommit.yml a/.overcommit.yml .lefthookz.yml .lefthookz.yaml a/.lefthookz.yml lefthookz.yml
lefthookz.yaml a/lefthookz.yml .lintstagedrcz a/.lintstagedrcz .simple-git-hooks.z a/.simple-git-hooks.z
simple-git-hooks.z a/simple-git-hooks.z skillrunner.yaml skill.yaml a/skill.yaml SKILL.md a/SKILL.md
nixpacks.toml railpack.json heroku.yml appspec.yml appspec.yaml amplify.yml firebase.json eas.json
samconfig.toml .ebextensions/x .platform/x .platform.app.yaml atlantis.yaml .atlantis.yaml .spacelift/x
.dagger/x dagger.json bitrise.yml codemagic.yaml screwdriver.yaml .buddy/x buddy.yml .vela.yml .vela.yaml
.onedev-buildspec.yml .rultor.yml .jenkins/x .yamato/x .ado/x .vsts-ci.yml .releasercz a/.releasercz
.goreleaser.yml .goreleaser.yaml a/.goreleaser.yml goreleaser.yml goreleaser.yaml a/goreleaser.yml
.pullapprove.yml .pullapprove.yaml a/.pullapprove.yml .policy.yml a/.policy.yml .pr_agent.toml
a/.pr_agent.toml .coderabbit.yml .coderabbit.yaml a/.coderabbit.yml greptile.json a/greptile.json
ellipsis.yml ellipsis.yaml a/ellipsis.yml sweep.yml sweep.yaml a/sweep.yml .sourcery.yml .sourcery.yaml
a/.sourcery.yml AGENTS.local.md a/AGENTS.local.md IFLOW.md a/IFLOW.md KIMI.md a/KIMI.md GROK.md a/GROK.md
CODEX.md a/CODEX.md COPILOT.md a/COPILOT.md copilot-instructions.md a/copilot-instructions.md DEVIN.md
a/DEVIN.md JULES.md a/JULES.md replit.md a/replit.md z.instructions.md a/z.instructions.md z.prompt.md
a/z.prompt.md z.chatmode.md a/z.chatmode.md z.agent.md a/z.agent.md .agentrules a/.agentrules .aiexclude
a/.aiexclude .aiignore a/.aiignore .cline/x a/.cline/x .claude-plugin/x a/.claude-plugin/x .codebuddy/x
a/.codebuddy/x .codeium/x a/.codeium/x codebuff.json a/codebuff.json .cody/x a/.cody/x .sourcegraph/x
a/.sourcegraph/x .cursorindexingignore a/.cursorindexingignore .devin/x a/.devin/x .droid/x a/.droid/x
.firebender/x a/.firebender/x firebender.json a/firebender.json .forge/x a/.forge/x gemini-extension.json
a/gemini-extension.json .grok/x a/.grok/x .iflow/x a/.iflow/x .jules/x a/.jules/x .kimi/x a/.kimi/x
.lingma/x a/.lingma/x .pi/x a/.pi/x .plandexz/x a/.plandexz/x .rooignore a/.rooignore .ruler/x a/.ruler/x
.rulesync/x a/.rulesync/x .vibe/x a/.vibe/x .void/x a/.void/x .zencoder/x a/.zencoder/x mcp_config.json
a/mcp_config.json .mcp/x a/.mcp/x .idx/x a/.idx/x .bolt/x a/.bolt/x replit.nix a/replit.nix devenv.yaml
a/devenv.yaml .flox/x a/.flox/x .direnv/x a/.direnv/x .nvim/x a/.nvim/x .helix/x a/.helix/x .theia/x
a/.theia/x .settings/x a/.settings/x .vs/x a/.vs/x .run/x a/.run/x .nova/x a/.nova/x .clangd a/.clangd
.ycm_extra_conf.py a/.ycm_extra_conf.py .rbenv-vars a/.rbenv-vars .pdbrc a/.pdbrc .gdbinit a/.gdbinit
.lldbinit a/.lldbinit .irbrc a/.irbrc .pryrc a/.pryrc .Rprofile a/.Rprofile .Renviron a/.Renviron .ghci
a/.ghci .iex.exs a/.iex.exs .erlang a/.erlang .ocamlinit a/.ocamlinit .psqlrc a/.psqlrc .sqliterc
a/.sqliterc .my.cnf a/.my.cnf .inputrc a/.inputrc .curlrc a/.curlrc .wgetrc a/.wgetrc .tmux.conf
a/.tmux.conf sitecustomize.py a/sitecustomize.py usercustomize.py a/usercustomize.py ansible.cfg
a/ansible.cfg .ansible.cfg a/.ansible.cfg .terraformrc a/.terraformrc .tflint.hcl a/.tflint.hcl
compose.override.yml compose.override.yaml a/compose.override.yml docker-compose.override.yml
docker-compose.override.yaml a/docker-compose.override.yml rust-toolchain a/rust-toolchain
rust-toolchain.toml a/rust-toolchain.toml .sdkmanrc a/.sdkmanrc .jvmopts a/.jvmopts .sbtopts a/.sbtopts
.condarc a/.condarc .corepack.env a/.corepack.env
"""


@pytest.mark.parametrize("path", PROTECTED.split())
def test_what_runs_or_steers_is_protected(path: str) -> None:
    for spelled in (path, path.upper(), path.lower()):
        assert place(spelled) == ["protected_path"]
    assert place(path, protected=(path,)) == []
    assert place(path, protected=("other",)) == ["protected_path"]


def place(path: str, **allowance: Any) -> list[str]:
    return [one.rule for one in paths.refusals([change(path=path)], replace(WIDE, **allowance))]


@pytest.mark.parametrize(
    "path",
    [
        "github/x",
        "a/.github/x",
        "x.gitlab-ci.yml",
        "a/skillrunner.yaml",
        "docs/agents.txt",
        "ci/x",
    ],
)
def test_what_only_looks_like_it_is_not(path: str) -> None:
    assert place(path) == []


def test_a_skill_may_guard_more() -> None:
    assert place("docs/a", guarded=("docs/**",)) == ["protected_path"]
    assert place("DOCS/a", guarded=("docs/**",)) == ["protected_path"]
    assert place("docs/a", guarded=("docs/**",), protected=("docs/a",)) == []
    assert place("src/a", guarded=("docs/**",)) == []


@pytest.mark.parametrize("path", ["infra/a", "INFRA/a", "infra"])
def test_no_skill_unlocks_what_is_locked(path: str) -> None:
    assert place(path, locked=("infra/**",), protected=("**",)) == ["protected_path"]
    assert place("src/a", locked=("infra/**",), protected=("**",)) == []


def test_a_path_that_is_allowed_is_so_in_its_own_case() -> None:
    assert place("docs/a", paths=("docs/**",)) == []
    assert place("Docs/a", paths=("docs/**",)) == ["path_outside"]
    (refusal,) = paths.refusals([change(path="b")], replace(WIDE, paths=("docs/**", "x")))
    assert refusal.message == "is outside the paths this skill may change: docs/**, x"


ABSOLUTE = "is an absolute path"
COMPONENT = "has an empty, `.` or `..` component"
DOT_GIT = "has a component that is `.git` on some file system"
BACKSLASH = "holds a backslash, which separates folders on Windows"
DROPPED = "has a component that ends in a dot or a space, which Windows drops"
SHORT = "has a component like `NAME~1`, which is the short name of another one on Windows"
INVISIBLE = "holds a control, invisible or direction-changing character, or bytes that are not UTF-8"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/etc/x", [ABSOLUTE]),
        ("C:/x", [ABSOLUTE]),
        ("z:x", [ABSOLUTE]),
        ("a/C:x", []),
        ("1:x", []),
        ("a//b", [COMPONENT]),
        ("a/", [COMPONENT]),
        ("./a", [COMPONENT]),
        ("a/./b", [COMPONENT]),
        ("../a", [COMPONENT]),
        ("a/..", [COMPONENT]),
        (".../a", [DROPPED]),
        (".git", [DOT_GIT]),
        ("a/.git/x", [DOT_GIT]),
        ("a/.GiT/x", [DOT_GIT]),
        ("git~1", [DOT_GIT, SHORT]),
        ("GIT~12/x", [DOT_GIT, SHORT]),
        (".git:x", [DOT_GIT]),
        (".git ", [DOT_GIT, DROPPED]),
        (".git.", [DOT_GIT, DROPPED]),
        (".git. .", [DOT_GIT, DROPPED]),
        (".gitx", []),
        ("x.git", []),
        ("git", []),
        ("git~x", []),
        ("git~", []),
        ("a\\b", [BACKSLASH]),
        ("a./b", [DROPPED]),
        ("a /b", [DROPPED]),
        ("a", []),
        ("a b/c.d", []),
        ("größe/世界", []),
    ],
)
def test_what_a_name_could_fool(path: str, said: list[str]) -> None:
    found = [one for one in paths.refusals([change(path=path)], WIDE) if one.rule == "path_trick"]
    assert [one.message for one in found] == said
    assert all(one.subject == path for one in found)


HFS = [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]


@pytest.mark.parametrize("code", HFS)
def test_every_code_point_that_hfs_ignores(code: int) -> None:
    found = [one.message for one in paths.refusals([change(path=f"a/.g{chr(code)}it/x")], WIDE)]
    assert found == [DOT_GIT, INVISIBLE]


@pytest.mark.parametrize("code", [0x200B, 0x2010, 0x2029, 0x202F, 0x2069, 0x2070, 0xFEFE])
def test_the_code_points_beside_them_make_another_name(code: int) -> None:
    found = [one.message for one in paths.refusals([change(path=f"a/.g{chr(code)}it/x")], WIDE)]
    assert DOT_GIT not in found


@pytest.mark.parametrize(
    "char", ["\t", "\x7f", "\x9f", "\u00ad", "\u200b", "\ud800", "\u2028", "\u2029", "\u202e"]
)
def test_every_kind_of_invisible_character(char: str) -> None:
    assert [one.message for one in paths.refusals([change(path=f"a{char}b")], WIDE)] == [INVISIBLE]


def collisions(*changes: FileChange) -> list[str]:
    return [one.subject for one in paths.refusals(changes, WIDE) if one.rule == "path_collision"]


def test_collisions_are_of_what_stays() -> None:
    upper, lower = change(path="A"), change(path="a")
    assert collisions(upper, lower) == ["A", "a"]
    assert collisions(replace(upper, change="deleted"), lower) == []
    assert collisions(upper, change(path="b")) == []
    assert collisions(change(path="stra\u00dfe"), change(path="STRASSE")) == ["stra\u00dfe", "STRASSE"]
    assert collisions(upper, lower, change(path="B"), change(path="b"), change(path="c")) == [
        "A",
        "a",
        "B",
        "b",
    ]


# --- secrets ----------------------------------------------------------------------------------------

FILLER = b"+the quick brown fox jumps over the lazy dog\n"


def found(value: str, content: bytes) -> list[str]:
    return [one.message for one in secrets.refusals({"patch": content}, {"TOKEN": value})]


@pytest.mark.parametrize(
    ("value", "passes"), [("", True), ("abcde", True), ("abcdef", False), ("abcdefghijkl", False)]
)
def test_what_is_too_short_occurs_by_chance(value: str, passes: bool) -> None:
    content = FILLER + b"+x" + value.encode() + b"y\n" + FILLER
    assert found(value, content) == ([] if passes else ["holds the secret TOKEN (plain)"])


VALUE = "q7>Zx?+/9Kd"


@pytest.mark.parametrize(
    ("form", "value", "encoded"),
    [
        ("plain", VALUE, VALUE.encode()),
        ("hexadecimal", VALUE, VALUE.encode().hex().encode()),
        ("hexadecimal", VALUE, VALUE.encode().hex().upper().encode()),
        ("URL-encoded", "q7 Zx+9K", b"q7%20Zx%2B9K"),
        ("URL-encoded", "q7 Zx+9K", b"q7+Zx%2B9K"),
        ("URL-encoded", "q7/Zx+9K", b"q7%2FZx%2B9K"),
        ("JSON-escaped", 'q7"Zx/9K', b'q7\\"Zx/9K'),
        ("JSON-escaped", "q7\u00e4Zx9K", b"q7\\u00e4Zx9K"),
        ("JSON-escaped", 'q7"\u00e4Zx9K', 'q7\\"\u00e4Zx9K'.encode()),
        ("base64", VALUE, b64encode(VALUE.encode()).rstrip(b"=")),
        ("base64", VALUE, b64encode(b"x" + VALUE.encode())[2:].rstrip(b"=")),
        ("base64", VALUE, b64encode(b"xy" + VALUE.encode())[3:].rstrip(b"=")),
        (
            "base64",
            VALUE,
            urlsafe_b64encode(VALUE.encode()).rstrip(b"="),
        ),  # as the other alphabet
        ("base64", VALUE, urlsafe_b64encode(b"x" + VALUE.encode())[2:].rstrip(b"=")),
        ("base64", VALUE, urlsafe_b64encode(b"xy" + VALUE.encode())[3:].rstrip(b"=")),
        ("reversed", VALUE, VALUE.encode()[::-1]),
    ],
)
def test_each_form_is_named(form: str, value: str, encoded: bytes) -> None:
    said = found(value, FILLER + b"+<" + encoded + b">\n" + FILLER)
    assert [one.replace(", split or cut", "") for one in said] == [f"holds the secret TOKEN ({form})"]
    assert found(value, FILLER * 3) == []


LONG = "".join(sha256(f"{at}".encode()).hexdigest() for at in range(8))


@pytest.mark.parametrize(
    ("value", "part", "passes"),
    [
        # of at least twelve characters, three fifths give a secret away
        ("abcdefghijklmnopqrst", "abcdefghijkl", False),
        ("abcdefghijklmnopqrst", "ijklmnopqrst", False),
        ("abcdefghijklmnopqrst", "efghijklmnop", False),
        ("abcdefghijklmnopqrst", "abcdefghijk", True),
        ("abcdefghijklmnopqrstuvwxyz0123", "abcdefghijklmnopqr", False),
        ("abcdefghijklmnopqrstuvwxyz0123", "abcdefghijklmnopq", True),
        # of a very long one two hundred do
        (LONG, LONG[100:300], False),
        (LONG, LONG[100:299], True),
        # a shorter one only as a whole, and from eight characters on
        ("abcdefghijkl", "abcdefghijk", True),
        ("abcdefghi", "abcdefgh", True),
    ],
)
def test_how_large_a_part_gives_a_secret_away(value: str, part: str, passes: bool) -> None:
    said = [] if passes else ["holds the secret TOKEN (split or cut)"]
    assert found(value, FILLER + b"+<" + part.encode() + b">\n" + FILLER) == said


@pytest.mark.parametrize(
    ("value", "passes"), [("abcdefg", True), ("abcdefgh", False), ("abcdefghijk", False)]
)
def test_a_short_secret_in_pieces(value: str, passes: bool) -> None:
    pieces = f'+"{value[:3]}" + "{value[3:]}"\n'.encode()
    said = [] if passes else ["holds the secret TOKEN (split or cut)"]
    assert found(value, FILLER + pieces + FILLER) == said


@pytest.mark.parametrize("mark", ["+", "-", " "])
def test_a_secret_over_two_lines_of_a_diff(mark: str) -> None:
    value = "abcdefghijklmnopqrst"
    content = f"{mark}x {value[:10]}\n{mark}{value[10:]} y\n".encode()
    assert found(value, content) == ["holds the secret TOKEN (split or cut)"]


def where(contents: dict[str, bytes], **values: str) -> list[tuple[str, str]]:
    return [(one.subject, one.message.split()[3]) for one in secrets.refusals(contents, values)]


def test_every_text_and_every_secret_is_looked_at() -> None:
    contents = {"a": b"correct-horse, battery-staple", "summary": b"battery-staple", "x": b""}
    values = {"ONE": "correct-horse", "TWO": "battery-staple", "THREE": "unheard-of-word"}
    assert where(contents, **values) == [("a", "ONE"), ("a", "TWO"), ("summary", "TWO")]


def test_what_only_the_whole_holds_is_named_once() -> None:
    secret = "correct-horse-battery-staple"
    assert where({"patch": b"correct-horse", "a": b"correct-horse"}, ONE="correct-horse") == [("a", "ONE")]
    assert where({"patch": b"correct-horse", "a": b""}, ONE="correct-horse") == [("patch", "ONE")]
    halves = {"a": secret[:14].encode(), "b": secret[14:].encode()}
    assert where(halves, ONE=secret) == [("all content together", "ONE")]
    assert where({f"docs/{secret[:14]}": b"", f"src/{secret[14:]}": b""}, ONE=secret) == [
        ("all names together", "ONE")
    ]
    assert where({f"docs/{secret}/x": b"", "y": b""}, ONE=secret) == [("all names together", "ONE")]


@pytest.mark.parametrize(("layers", "there"), [(1, True), (5, True), (6, False)])
def test_so_many_encodings_are_taken_off(layers: int, there: bool) -> None:
    content = b"correct-horse-battery-staple"
    for _ in range(layers):
        content = b64encode(content)
    assert bool(where({"a": content}, ONE="correct-horse-battery-staple")) is there


# --- all of it --------------------------------------------------------------------------------------


def test_all_causes_come_at_once_in_one_order() -> None:
    one = change(path="src/../x", size=11, kind="special")
    declared = (DeclaredOutput(kind="issue"), DeclaredOutput(kind="none"))
    proposal = Proposal(base_sha="b", tree_sha="t", changes=(one,), declared=declared)

    class Spec:
        outputs = (OutputSpec(kind="none"),)
        allowance = Allowance(paths=("docs/**",), max_file_bytes=10)

    found = check(Spec(), proposal, {"patch": b"a-secret-value"}, {"S": "a-secret-value"})  # type: ignore[arg-type]
    assert [refusal.rule for refusal in found] == [
        "path_trick",
        "path_outside",
        "special_file",
        "file_size",
        "output_kind",
        "secret",
    ]
