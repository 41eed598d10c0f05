"""Commits as payloads name them."""

import re
from collections.abc import Mapping
from typing import Any

from runner.core.payload import text_at, value_at
from runner.triggers import EventCommit
from runner.triggers.options import Tree

NOWHERE = "0" * 40
"""What stands for the commit of a branch that is not there."""

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def are_commits(*shas: str) -> bool:
    """Whether each could be a commit's id."""
    return all(_SHA.fullmatch(sha) for sha in shas)


def pull_request_commit(number: object, tree: Tree, sha: str = "", branch: str = "") -> EventCommit | None:
    """The head of a pull request, or its merge with the base as GitHub would make it; None: it is none."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        return None
    if tree == "merge":
        name = f"the merge of #{number} with its base"
        return EventCommit(name=name, ref=f"refs/pull/{number}/merge", is_merge=True)
    known = sha if are_commits(sha) else ""
    return EventCommit(
        name=f"the head of #{number}", sha=known, ref=f"refs/pull/{number}/head", branch=branch
    )


def checked_commit(payload: Mapping[str, Any], what: str) -> EventCommit | None:
    """The commit that a check or a workflow ran for; None: the payload names none."""
    sha = text_at(payload, what, "head_sha")
    branch = text_at(payload, what, "head_branch") or text_at(payload, what, "check_suite", "head_branch")
    name = f"the commit of {what} {value_at(payload, what, 'id')}"
    return EventCommit(name=name, sha=sha, branch=branch) if are_commits(sha) else None
