"""Whose the files are that set-up and image builds run with a network: those that people agreed to."""

from runner.publish.outputs import RUN_TRAILER
from runner.workspace.mirror import Mirror

OWN_BRANCHES = "skillrunner/"
"""How the names of branches begin that agents' proposals are on."""


def trusted_commit(mirror: Mirror, default_branch: str, ref: str, sha: str) -> str:
    """The commit that set-up runs on in place of `sha`: the default branch's head; empty: `sha` is agreed."""
    if is_agreed(mirror, default_branch, ref, sha):
        return ""
    return mirror.resolve(f"refs/heads/{default_branch}")


def is_agreed(mirror: Mirror, default_branch: str, ref: str, sha: str) -> bool:
    """Whether people agreed to the files of the commit `sha` of the branch `ref`.

    They did where the default branch holds it, and where a branch does that is no agents' one, unless a
    commit of ours, by its trailer, came to that branch alone.
    """
    if _holds(mirror, default_branch, sha):
        return True
    return (
        not ref.startswith(OWN_BRANCHES)
        and _holds(mirror, ref, sha)
        and not _ours(mirror, default_branch, sha)
    )


def _holds(mirror: Mirror, branch: str, sha: str) -> bool:
    args = ("merge-base", "--is-ancestor", sha, f"refs/heads/{branch}")
    return mirror.git.run(*args, ok=(0, 1, 128)).code == 0


def _ours(mirror: Mirror, default_branch: str, sha: str) -> bool:
    """Whether a commit of ours is in the history of `sha`, and not in that of the default branch."""
    trailer = ("--extended-regexp", f"--grep=^[[:space:]]*{RUN_TRAILER}: ")
    merged = (f"^refs/heads/{default_branch}",) if mirror.has_branch(default_branch) else ()
    return bool(mirror.git.output("rev-list", "--max-count=1", *trailer, sha, *merged))
