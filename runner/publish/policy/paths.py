"""Which paths a proposal may touch, and which names could fool a file system or a reader."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from runner.core import globs
from runner.core.model import Allowance, FileChange, Refusal

PROTECTED = (
    # what runs in continuous integration, or deploys
    ".github/**",
    ".gitlab/**",
    ".gitlab-ci.yml",
    ".gitlab-ci/**",
    ".forgejo/**",
    ".gitea/**",
    ".circleci/**",
    ".buildkite/**",
    ".woodpecker/**",
    ".woodpecker.y*ml",
    ".drone.y*ml",
    ".drone.star",
    ".drone.jsonnet",
    ".travis.yml",
    ".appveyor.yml",
    ".cirrus.yml",
    ".cirrus.star",
    ".semaphore/**",
    ".tekton/**",
    ".teamcity/**",
    ".harness/**",
    ".azure-pipelines/**",
    ".azuredevops/**",
    ".pipelines/**",
    ".builds/**",
    ".build.yml",
    ".builder/**",
    ".ci/**",
    ".prow.y*ml",
    ".zuul.y*ml",
    ".zuul.d/**",
    "zuul.yaml",
    "zuul.d/**",
    "appveyor.yml",
    "azure-pipelines*.y*ml",
    "bitbucket-pipelines.yml",
    "buildspec*.y*ml",
    "cloudbuild*.y*ml",
    "cloudbuild*.json",
    "codefresh*.y*ml",
    "netlify.toml",
    "vercel.json",
    "render.yaml",
    "fly.toml",
    "app.yaml",
    "Procfile",
    "**/Jenkinsfile*",
    "wrangler.toml",
    "wrangler.json*",
    "serverless.y*ml",
    "railway.json",
    "railway.toml",
    "**/*.jenkinsfile",
    # who must review, and what merges or updates by itself
    "**/CODEOWNERS",
    "**/OWNERS",
    "**/OWNERS_ALIASES",
    "**/renovate.json*",
    "**/.renovaterc*",
    "**/dependabot.y*ml",
    "**/.mergify.y*ml",
    "**/.mergify/**",
    "**/.kodiak.toml",
    "**/bors.toml",
    # what tells agents what to do, and the editors and containers they start in
    "**/AGENTS.md",
    "**/AGENTS.override.md",
    "**/AGENT.md",
    "**/CLAUDE.md",
    "**/CLAUDE.local.md",
    "**/GEMINI.md",
    "**/QWEN.md",
    "**/WARP.md",
    "**/CRUSH.md",
    "**/.agent/**",
    "**/.agents/**",
    "**/.aider*",
    "**/.amazonq/**",
    "**/.amp/**",
    "**/.augment/**",
    "**/.augment-guidelines",
    "**/.claude/**",
    "**/.clinerules*/**",
    "**/.clineignore",
    "**/.codex/**",
    "**/.continue/**",
    "**/.copilot/**",
    "**/.crush/**",
    "**/.crush.json",
    "**/crush.json",
    "**/.cursor/**",
    "**/.cursorrules",
    "**/.cursorignore",
    "**/.factory/**",
    "**/.gemini/**",
    "**/.geminiignore",
    "**/.goose/**",
    "**/.goosehints",
    "**/.junie/**",
    "**/.kilocode/**",
    "**/.kiro/**",
    "**/.openhands/**",
    "**/.openhands_instructions",
    "**/.opencode/**",
    "**/.openai/**",
    "**/.qodo/**",
    "**/.qwen/**",
    "**/.roo/**",
    "**/.roomodes",
    "**/.roorules*",
    "**/.rules",
    "**/.tabnine/**",
    "**/.trae/**",
    "**/.warp/**",
    "**/.windsurf*/**",
    "**/.windsurfrules",
    "**/.zed/**",
    "**/.mcp.json",
    "**/mcp.json",
    "**/opencode.json*",
    "**/.devcontainer/**",
    "**/.devcontainer.json",
    "**/.vscode/**",
    "**/.idea/**",
    "**/.fleet/**",
    "**/*.code-workspace",
    "**/.gitpod.y*ml",
    "**/.gitpod.Dockerfile",
    "**/.ona/**",
    "**/.codesandbox/**",
    "**/.stackblitzrc",
    "**/.replit",
    "**/devbox.json",
    "**/devenv.nix",
    "**/.nvim.lua",
    "**/.nvimrc",
    "**/.exrc",
    "**/.dir-locals.el",
    "**/.dir-locals-2.el",
    "**/.vimrc",
    "**/.lvimrc",
    "**/*.sublime-project",
    # what shells, package managers and tools read where they are started
    "**/.envrc",
    "**/.env",
    "**/.env.*",
    "**/.mise.toml",
    "**/.mise.local.toml",
    "**/mise.toml",
    "**/mise.local.toml",
    "**/mise/config.toml",
    "**/.rvmrc",
    "**/pnpm-workspace.yaml",
    "**/.pnp.*",
    "**/uv.toml",
    "**/.mise/**",
    "**/.config/mise/**",
    "**/.rtx.toml",
    "**/.tool-versions",
    "**/.prototools",
    "**/.npmrc",
    "**/.yarnrc",
    "**/.yarnrc.yml",
    "**/.yarn/**",
    "**/.pnpmfile.*",
    "**/pnpmfile.*",
    "**/bunfig.toml",
    "**/.pypirc",
    "**/pip.conf",
    "**/.netrc",
    "**/.cargo/**",
    "**/.gemrc",
    "**/.bundle/**",
    "**/.mvn/**",
    "**/gradle/wrapper/**",
    "**/init.gradle*",
    "**/NuGet.config",
    "**/.bazelrc",
    "**/.bazelversion",
    "**/.buckconfig*",
    "**/.bashrc",
    "**/.bash_profile",
    "**/.profile",
    "**/.zshrc",
    "**/.zshenv",
    "**/.ssh/**",
    "**/.docker/**",
    "**/.kube/**",
    "**/.aws/**",
    # what changes how git itself behaves on a developer's machine
    "**/.gitattributes",
    "**/.gitmodules",
    "**/.gitconfig",
    "**/.lfsconfig",
    "**/.githooks/**",
    "**/.husky/**",
    "**/.huskyrc*",
    "**/.pre-commit-config.y*ml",
    "**/.pre-commit-hooks.y*ml",
    "**/.overcommit.yml",
    "**/.lefthook*.y*ml",
    "**/lefthook*.y*ml",
    "**/.lintstagedrc*",
    "**/.simple-git-hooks.*",
    "**/simple-git-hooks.*",
    # the automation itself
    "skillrunner.yaml",
    "**/skill.yaml",
    "**/SKILL.md",
)
"""Refused unless the skill names them: each of these runs, or steers what runs, after a merge."""

# Code points that HFS+ ignores in names, so that ".g\u200cit" is ".git" there
# (git's own list: utf8.c, next_hfs_char).
_HFS_IGNORED = dict.fromkeys((*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF))
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Characters of Unicode's Default_Ignorable_Code_Point that are no control or format characters."""
_DOT_GIT = re.compile(r"\.git|git~\d+", re.IGNORECASE)


def refusals(changes: Sequence[FileChange], allowance: Allowance) -> Iterator[Refusal]:
    """Every change whose path is not allowed, with the rule that says so."""
    for change in changes:
        yield from _name_refusals(change.path)
        yield from _place_refusals(change.path, allowance)
        if change.twin:
            message = f"differs from {change.twin}, which is there, only in case or Unicode form"
            yield Refusal(rule="path_collision", subject=change.path, message=message)
    yield from _collisions(change.path for change in changes if change.change != "deleted")


def _place_refusals(path: str, allowance: Allowance) -> Iterator[Refusal]:
    # Case is ignored where that refuses more: on many machines ".GITHUB" is ".github".
    guarded = globs.matches(path, _with_folders((*PROTECTED, *allowance.guarded)), ignore_case=True)
    if guarded and not globs.matches(path, allowance.protected):
        yield Refusal(
            rule="protected_path",
            subject=path,
            message="is a protected path: name it under `protected` if this skill may change it",
        )
    if globs.matches(path, _with_folders(allowance.locked), ignore_case=True):
        message = "is locked by `policy.locked` of whoever runs skillrunner: no skill may change it"
        yield Refusal(rule="protected_path", subject=path, message=message)
    if not globs.matches(path, allowance.paths):
        allowed = ", ".join(allowance.paths)
        yield Refusal(
            rule="path_outside",
            subject=path,
            message=f"is outside the paths this skill may change: {allowed or 'it has no output with files'}",
        )


def _with_folders(patterns: Iterable[str]) -> Iterator[str]:
    """The patterns, and the folder of each that means all in one: a link may stand in its place."""
    for pattern in patterns:
        yield pattern
        if pattern.endswith("/**"):
            yield pattern.removesuffix("/**")


def _name_refusals(path: str) -> Iterator[Refusal]:
    for problem in _name_problems(path):
        yield Refusal(rule="path_trick", subject=path, message=problem)


def _name_problems(path: str) -> Iterator[str]:
    parts = path.split("/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        yield "is an absolute path"
    if any(part in ("", ".", "..") for part in parts) and not path.startswith("/"):
        yield "has an empty, `.` or `..` component"
    if any(is_dot_git(part) for part in parts):
        yield "has a component that is `.git` on some file system"
    if "\\" in path:
        yield "holds a backslash, which separates folders on Windows"
    if any(part.endswith((".", " ")) for part in parts if part not in ("", ".", "..")):
        yield "has a component that ends in a dot or a space, which Windows drops"
    if any(_is_invisible(char) for char in path):
        yield "holds a control, invisible or direction-changing character, or bytes that are not UTF-8"


def is_dot_git(part: str) -> bool:
    """Whether git on HFS+ or NTFS would take this name for `.git`."""
    plain = part.translate(_HFS_IGNORED).split(":", 1)[0].rstrip(". ")
    return _DOT_GIT.fullmatch(plain) is not None


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") or bool(_IGNORABLE.match(char))


def _collisions(paths: Iterable[str]) -> Iterator[Refusal]:
    """Paths that are one file where case or Unicode form does not count."""
    listed = list(paths)
    folded = Counter(globs.fold(path) for path in listed)
    for path in listed:
        if folded[globs.fold(path)] > 1:
            yield Refusal(
                rule="path_collision",
                subject=path,
                message="differs from another changed path only in case or Unicode form",
            )
