"""Finds dangers of running agents from a workflow in the text of its file, before anything runs.

It checks the jobs that use the Action, the jobs that those need where they check code out, and the keys of
the workflow that hold for all jobs. It does not check the inside of a reusable workflow or of another action,
which this file does not contain. The dangers are those of GitHub's "Security hardening for GitHub
Actions", "Keeping your GitHub Actions and workflows secure: Preventing pwn requests" (GitHub Security
Lab) and "Automatic token authentication".
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from runner.apps.action import checkouts
from runner.apps.action.expressions import (
    Test,
    carrier_variables,
    expressions,
    is_every_secret,
    is_foreign,
    is_typed_by_starter,
    paths,
    read,
    with_variables,
)
from runner.apps.action.workflow_file import (
    NOTHING,
    TokenPermissions,
    UnreadableFile,
    Workflow,
    WorkflowJob,
    WorkflowStep,
    read_workflow,
)
from runner.config.documents import closest
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Danger:
    file: str
    rule: str
    line: int  # counts from 1
    message: str
    hint: str
    fatal: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} [{self.rule}]"


HINTS = {
    "unreadable": "write what GitHub reads: one document of plain YAML, each key once",
    "head_checkout": "leave the checkout out: the Action fetches what it needs; or run on `pull_request`",
    "write_all": "name what the job needs: `permissions: {contents: write, pull-requests: write}`",
    "default_permissions": "state them: `permissions: {contents: write, pull-requests: write}`",
    "more_permissions": "take away what the Action does not need, or move it to a job of its own",
    "unpinned": "name the commit, with the version as a comment: `@<40 hexadecimal digits> # v1.2.3`",
    "expression_in_run": "hand it over as a variable (`env:`) and use that in the script, in quotes; "
    "the Action reads the event by itself",
    "secrets_inherit": "name the secrets that the called workflow needs",
    "all_secrets": "name the secrets that the job needs: `${{ secrets.NAME }}`",
    "self_hosted_public": "use GitHub's runners, or let somebody approve each run from a fork "
    "(Settings, Actions, General)",
    "no_timeout": "state one: `timeout-minutes: 60`",
    "default_token": "use a GitHub App: `app-id: ${{ vars.SKILLRUNNER_APP_ID }}` and "
    "`app-private-key: ${{ secrets.SKILLRUNNER_APP_PRIVATE_KEY }}` (docs/action-security.md)",
}
"""By rule: what to do about the danger."""

_NOT_FATAL = frozenset(
    {"default_permissions", "more_permissions", "self_hosted_public", "no_timeout", "default_token"}
)
_NEEDED = {
    "contents": "write",
    "pull-requests": "write",
    "issues": "write",
    "checks": "write",
    "actions": "read",
    "id-token": "write",
    "metadata": "read",
    "statuses": "read",
}
_PINNED = re.compile(r"\.\.?/.*|[^@]+@[0-9a-fA-F]{40}|docker://[^@]+@sha256:[0-9a-fA-F]{64}")
_DEFAULT_TOKEN = frozenset({("github", "token"), ("secrets", "github_token")})


def dangers(file: str, raw: bytes, action: str) -> list[Danger]:
    """The dangers of a workflow file, in the order of its lines.

    `action` is where the Action comes from: "owner/name", "./folder", either with a path or without; empty:
    some folder of the repository itself. A path that ends in "/skillrunner" is it in any case. Where no job
    uses it, the jobs that call reusable workflows are looked at: it may stand in one of those.
    """
    try:
        workflow = read_workflow(file, raw)
    except UnreadableFile as cause:
        return [unreadable_danger(file, cause.message, cause.line)]
    jobs = [job for job in workflow.jobs if _uses_in(job, action)]
    found = {
        danger
        for job in jobs or [job for job in workflow.jobs if job.uses.value]
        for rule in _RULES
        for danger in rule(workflow, job, action)
    }
    return sorted(found, key=lambda danger: (danger.line, danger.rule, danger.message))


def unreadable_danger(file: str, why: str, line: int = 1) -> Danger:
    """The danger of a file that cannot be read."""
    return _danger(file, "unreadable", line, f"the workflow cannot be read: {why}")


def uses_action(raw: bytes, action: str) -> bool:
    """Whether the workflow uses the Action; for a file that cannot be parsed, whether its text names it."""
    try:
        return any(_uses_in(job, action) for job in read_workflow("", raw).jobs)
    except UnreadableFile:
        return b"skillrunner" in raw.lower()


def refuse(dangers: Collection[Danger], allowed: Collection[str]) -> None:
    """Raises RunnerError INVALID_CONFIG for a fatal danger that is not allowed, and for an unknown rule."""
    for name in allowed:
        if name not in HINTS:
            message = f"the input `allow` names a rule that there is not (value: {name})"
            raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=closest(name, HINTS))
    fatal = [danger for danger in dangers if danger.fatal and danger.rule not in allowed]
    if fatal:
        rules = ", ".join(dict.fromkeys(danger.rule for danger in fatal))
        lines = [f"{danger}\n  {danger.hint}" for danger in fatal]
        hint = f"mend it; or, where you know better, give the Action the input `allow: {rules}`"
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, "\n".join(lines), hint=hint)


def overrides(allow: str) -> list[str]:
    """The rules that the Action's input `allow` names: "head_checkout, unpinned", or one a line."""
    return allow.replace(",", " ").split()


def _danger(file: str, rule: str, line: int, message: str, *, fatal: bool | None = None) -> Danger:
    decided = rule not in _NOT_FATAL if fatal is None else fatal
    return Danger(file=file, rule=rule, line=line, message=message, hint=HINTS[rule], fatal=decided)


def _is_action(uses: str, action: str) -> bool:
    """Whether `uses` names the Action, or a reusable workflow of the same repository."""
    path, known = (text.split("@")[0].strip().lower().rstrip("/") for text in (uses, action))
    if path.endswith("/skillrunner") or "/skillrunner/.github/workflows/" in path:
        return True
    if not known:
        return path.startswith(".") and "/.github/workflows/" not in path
    return path == known or (known != "." and path.startswith(f"{known}/"))


def action_steps(job: WorkflowJob, action: str) -> list[WorkflowStep]:
    return [step for step in job.steps if _is_action(step.uses.value, action)]


def _uses_in(job: WorkflowJob, action: str) -> bool:
    called = job.uses.value
    return bool(action_steps(job, action)) or (bool(called) and _is_action(called, action))


def _head_checkout(workflow: Workflow, job: WorkflowJob, _: str) -> Iterator[Danger]:
    reached = checkouts.required_jobs(workflow, job)
    for privileged in sorted(workflow.triggers & checkouts.PRIVILEGED):
        for one in reached:
            for line, what in checkouts.head_checkouts(workflow, one):
                message = (
                    f"on `{privileged}`, the job `{one.name}` {what}: what a stranger wrote runs with secrets"
                )
                yield _danger(workflow.file, "head_checkout", line, message)


def _write_all(workflow: Workflow, job: WorkflowJob, _: str) -> Iterator[Danger]:
    for stated in (workflow.permissions, job.permissions):
        if stated and stated.everything == "write-all":
            message = "the job's token may write everything in the repository"
            yield _danger(workflow.file, "write_all", stated.line, message)


def _permissions(workflow: Workflow, job: WorkflowJob, _: str) -> Iterator[Danger]:
    stated = job.permissions or workflow.permissions
    if stated is None:
        message = f"the job `{job.name}` states no permissions: its token has the repository's default ones"
        yield _danger(workflow.file, "default_permissions", job.line, message)
        return
    for line, what in _more(stated):
        message = f"the job `{job.name}` has more permissions than the Action needs: {what}"
        yield _danger(workflow.file, "more_permissions", line, message)


def _more(stated: TokenPermissions) -> Iterator[tuple[int, str]]:
    if stated.everything == "read-all":
        yield stated.line, stated.everything
    for scope, level in stated.scopes.items():
        given, needed = level.value.strip().lower(), _NEEDED.get(scope, "none")
        if given not in ("none", needed) and needed != "write":
            yield level.line, f"{scope}: {given}"


def _unpinned(workflow: Workflow, job: WorkflowJob, action: str) -> Iterator[Danger]:
    for uses in (job.uses, *(step.uses for step in job.steps)):
        if uses.value and not _PINNED.fullmatch(uses.value.strip()):
            ours = _is_action(uses.value, action)
            message = f"`{uses.value.strip()}` is another program whenever its owner moves the name"
            yield _danger(workflow.file, "unpinned", uses.line, message, fatal=ours)


def _expressions(workflow: Workflow, job: WorkflowJob, action: str) -> Iterator[Danger]:
    for step in job.steps:
        known = with_variables(is_foreign, carrier_variables(is_foreign, workflow.env, job.env, step.env))
        for line, message in (*_in_scripts(step, known), *_in_inputs(step, known, action)):
            yield _danger(workflow.file, "expression_in_run", line, message)


def _in_scripts(step: WorkflowStep, known: Test) -> Iterator[tuple[int, str]]:
    scripts = [step.run]
    if step.uses.value.lower().startswith("actions/github-script@"):
        scripts.append(step.inputs.get("script", NOTHING))
    for text in scripts:
        for at, said in read(text.value, lambda path: known(path) or is_typed_by_starter(path)):
            yield text.line_of(at), f"{said} becomes a part of the script, whatever somebody wrote there"


def _in_inputs(step: WorkflowStep, known: Test, action: str) -> Iterator[tuple[int, str]]:
    for name, text in step.inputs.items() if _is_action(step.uses.value, action) else ():
        for at, said in read(text.value, lambda path: known(path) and not is_typed_by_starter(path)):
            yield text.line_of(at), f"the input `{name}` is what a stranger can write: {said}"


def _secrets(workflow: Workflow, job: WorkflowJob, _: str) -> Iterator[Danger]:
    if job.secrets.value.strip().lower() == "inherit":
        message = f"the job `{job.name}` hands all secrets to the workflow that it calls"
        yield _danger(workflow.file, "secrets_inherit", job.secrets.line, message)
    for text in (*workflow.env.values(), *job.texts):
        for at, said in read(text.value, is_every_secret):
            message = f"{said} hands over all secrets of the repository"
            yield _danger(workflow.file, "all_secrets", text.line_of(at), message)


def _runner(workflow: Workflow, job: WorkflowJob, _: str) -> Iterator[Danger]:
    if "self-hosted" in job.runs_on and workflow.triggers & {"pull_request", "pull_request_target"}:
        message = (
            f"the job `{job.name}` runs on a machine of your own for pull requests, also those from forks"
        )
        yield _danger(workflow.file, "self_hosted_public", job.line, message)
    if not job.timeout and not job.uses.value:
        message = f"the job `{job.name}` has no time limit: GitHub's is six hours"
        yield _danger(workflow.file, "no_timeout", job.line, message)


def _token(workflow: Workflow, job: WorkflowJob, action: str) -> Iterator[Danger]:
    for step in action_steps(job, action):
        if uses_default_token(step):
            message = "CI does not start by itself on pull requests that GitHub's default token opened"
            yield _danger(workflow.file, "default_token", step.line, message)


def uses_default_token(step: WorkflowStep) -> bool:
    """Whether the step publishes with the token that GitHub gives to every job."""
    if _given(step, "command") == "plan" or _given(step, "app-id"):
        return False
    token = _given(step, "token")
    read_from = {path for _, inside in expressions(token) for path in paths(inside)}
    return not token or (bool(read_from) and read_from <= _DEFAULT_TOKEN)


def _given(step: WorkflowStep, name: str) -> str:
    return step.inputs[name].value.strip() if name in step.inputs else ""


_RULES = (_head_checkout, _write_all, _permissions, _unpinned, _expressions, _secrets, _runner, _token)
