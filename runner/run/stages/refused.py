"""What becomes of changes that the policy refuses, where the skill wants more than a run that is blocked."""

from dataclasses import replace

from runner.core.errors import RunnerError
from runner.core.model import ApprovalRules, Proposal, Reason
from runner.publish.outputs._item import create_once
from runner.publish.outputs.escape import fence, neutralise, one_line
from runner.publish.policy import files, paths
from runner.run.context import RunContext
from runner.workspace.changeset import Changeset
from runner.workspace.harvest import Harvest

_PLAIN = ("file", "symlink")
_PATCH = 40_000  # characters of a patch in an issue
_CAUSES = 100


def leave_out(context: RunContext, harvested: Harvest, changeset: Changeset) -> Harvest:
    """The harvest without the changes that are refused one by one, where the skill does without them.

    Limits on the whole refuse it as a whole, and so does a secret: then it stays as it is, to be judged.
    """
    allowance = context.spec.allowance
    if allowance.on_refused != "leave_out" or harvested.truncated:
        return harvested
    causes: dict[str, str] = {}
    single = (
        *paths.refusals(harvested.changes, allowance),
        *files.single_refusals(harvested.changes, allowance),
    )
    for refusal in single:
        causes.setdefault(refusal.subject, refusal.message)
    kept = tuple(change for change in harvested.changes if change.path not in causes)
    if not kept or len(kept) == len(harvested.changes) or any(change.kind not in _PLAIN for change in kept):
        return harvested
    names = {change.path for change in kept}
    edits = [edit for edit in changeset.edits(harvested.base_sha, harvested.tree_sha) if edit.path in names]
    tree = changeset.write(harvested.base_sha, edits)
    left_out = tuple(f"{path}: {causes[path]}" for path in sorted(causes))
    for one in left_out:
        context.record.add_warning(f"left out: {one}")
    patch = changeset.patch(harvested.base_sha, tree)
    return replace(harvested, tree_sha=tree, changes=kept, patch=patch, left_out=left_out)


def report_refusal(context: RunContext, error: RunnerError, proposal: Proposal, patch: bytes) -> RunnerError:
    """The error, with the issue that holds the refused patch, where the skill wants one.

    A proposal with a secret goes nowhere. An issue that cannot be opened is a warning.
    """
    refusals = context.record.store.refusals(context.record.run_id)
    wanted = context.spec.allowance.on_refused == "issue" and error.reason is Reason.POLICY_REFUSED
    if (
        not wanted
        or not patch
        or context.spec.approval != ApprovalRules()
        or any(one.rule == "secret" for one in refusals)
    ):
        return error
    mark = f"<!-- skillrunner-item: refused {context.record.run_id} -->"
    title = f"{context.spec.skill.name}: the policy refused a change"
    rows = "\n".join(
        f"- `{one_line(one.subject, 200)}` {one_line(one.message, 500)}" for one in refusals[:_CAUSES]
    )
    body = (
        f"The run {context.record.run_id} of the skill {context.spec.skill.name} changed what it may not"
        f" change, so nothing was published:\n\n{rows}\n\n{_said(proposal)}{_patch(context, patch)}\n{mark}"
    )
    try:
        threads = context.parts.forge.threads()
        thread, _ = create_once(
            lambda: next((one for one in threads.own("all") if one.body.rstrip().endswith(mark)), None),
            lambda: threads.create(title, body),
        )
    except RunnerError as failed:
        context.record.add_warning(f"no issue holds the refused patch: {failed.message}")
        return error
    message = f"{error.message}; the patch is in {thread.url}"
    return RunnerError(error.phase, error.reason, message, hint=error.hint)


def _said(proposal: Proposal) -> str:
    if not proposal.summary.strip():
        return ""
    return f"In the agent's words:\n\n{neutralise(proposal.summary, 10_000)}\n\n"


def _patch(context: RunContext, patch: bytes) -> str:
    text = patch.decode("utf-8", "replace")
    if len(text) > _PATCH:
        how = f"skillrunner diff {context.record.run_id} | git apply"
        return f"The patch is too long for an issue. Where the run was made: `{how}`"
    how = "To take it, look at it, save it as `refused.patch`, then `git apply refused.patch`:"
    return f"{how}\n\n{fence(text)}"
