"""Finds jobs that check out the head of a pull request, which a stranger wrote."""

import re
from collections.abc import Iterator

from runner.apps.action.expressions import carrier_variables, is_of_head, read, with_variables
from runner.apps.action.workflow_file import Workflow, WorkflowJob, WorkflowStep, YamlText

PRIVILEGED = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
"""Events that strangers cause and that run with the repository's secrets and a token that may write."""

_COMMENT = re.compile(r"^[ \t]*#.*", re.MULTILINE)
_GH = re.compile(r"\bgh\b[^\n;&|]*\bpr\s+checkout\b")
_GIT = re.compile(
    r"\bgit\b[^\n]*\b(?:fetch|pull|checkout|switch|clone|reset|merge|worktree|restore|read-tree|archive)\b[^\n]*"
)
_PULL = re.compile(r"\bpull/", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{?(\w+)")


def required_jobs(workflow: Workflow, job: WorkflowJob) -> list[WorkflowJob]:
    """The job, and every job that it waits for, directly or not."""
    jobs = {one.name.lower(): one for one in workflow.jobs}
    found = {job.name.lower(): job}
    waiting = [job]
    while waiting:
        new = {name: jobs[name] for name in waiting.pop().needs if name in jobs and name not in found}
        found |= new
        waiting.extend(new.values())
    return list(found.values())


def head_checkouts(workflow: Workflow, job: WorkflowJob) -> Iterator[tuple[int, str]]:
    """(line, description) for each step of the job that fetches the head of a pull request, or may do so."""
    for step in job.steps:
        variables = carrier_variables(is_of_head, workflow.env, job.env, step.env) | {"github_head_ref"}
        uses = step.uses.value.split("@")[0].strip().lower()
        if uses.endswith("/checkout"):
            yield from _checked_out(step, variables)
        if step.run.value:
            yield from _fetched(step.run, variables)


def _checked_out(step: WorkflowStep, variables: frozenset[str]) -> Iterator[tuple[int, str]]:
    for name in ("ref", "repository"):
        text = step.inputs.get(name)
        if text and _names_head(text.value, variables):
            yield text.line, f"checks out `{name}: {' '.join(text.value.split())}`"


def _fetched(script: YamlText, variables: frozenset[str]) -> Iterator[tuple[int, str]]:
    blanked = _COMMENT.sub(lambda found: " " * len(found[0]), script.value)
    text = blanked.replace("\\\n", "  ")  # offsets stay what they are
    for found in _GH.finditer(text):
        yield script.line_of(found.start()), "runs `gh pr checkout`"
    for found in _GIT.finditer(text):
        used = {name.lower() for name in _VARIABLE.findall(found[0])}
        if used & variables or _names_head(found[0], variables):
            yield script.line_of(found.start()), f"runs `{' '.join(found[0].split())}`"


def _names_head(text: str, variables: frozenset[str]) -> bool:
    return bool(_PULL.search(text)) or any(read(text, with_variables(is_of_head, variables)))
