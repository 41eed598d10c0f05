"""Commits as payloads name them."""

import re

NOWHERE = "0" * 40
"""What stands for the commit of a branch that is not there."""

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def are_commits(*shas: str) -> bool:
    """Whether each could be a commit's id."""
    return all(_SHA.fullmatch(sha) for sha in shas)
