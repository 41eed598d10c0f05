"""Where branches are: git's own listing of refs, which costs no API points, many repositories at a time."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from runner.clients.git import Git
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Remote


def heads(
    remotes: Mapping[str, Remote], branch: Mapping[str, str] | None = None, workers: int = 8
) -> Iterator[tuple[str, str | RunnerError]]:
    """The head of each repository's default branch, or of its branch in `branch`, as the answers come in.

    A repository that fails has its error in place of the commit, and keeps no other one from being asked.
    """
    branches = branch or {}
    pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="heads")
    try:
        asked = {pool.submit(_head, remote, branches.get(name, "")): name for name, remote in remotes.items()}
        for answer in as_completed(asked):
            yield asked[answer], answer.result()
    finally:
        pool.shutdown(cancel_futures=True)


def moved(before: str | None, answer: str | RunnerError) -> bool:
    """Whether the answer tells of another head than the one known; a failure tells nothing."""
    return isinstance(answer, str) and answer != before


def _head(remote: Remote, branch: str) -> str | RunnerError:
    ref = f"refs/heads/{branch}" if branch else "HEAD"
    try:
        listed = Git(Path(os.sep)).output("ls-remote", "--", remote.url, ref, variables=remote.variables)
    except RunnerError as error:
        return error
    except OSError as error:
        message = f"git cannot be started to ask {remote.url}: {error.strerror}"
        return RunnerError(Phase.CHECKOUT, Reason.GIT_FAILED, message, retryable=True)
    for line in listed.splitlines():
        sha, _, name = line.partition("\t")
        if name == ref:  # git lists every ref that ends so
            return sha
    message = f"{remote.url} has no {'branch ' + branch if branch else 'commit on its default branch'}"
    hint = f"see what it has: git ls-remote {remote.url}"
    return RunnerError(Phase.CHECKOUT, Reason.REF_NOT_FOUND, message, hint=hint)
