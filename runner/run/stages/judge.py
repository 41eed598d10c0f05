"""The judgement of a proposal: the harness succeeded, the policy allows it, and it is within its limits."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from runner.core.errors import RunnerError
from runner.core.model import ANSWER, Outcome, Phase, Proposal, Reason
from runner.core.redact import readable
from runner.publish import policy
from runner.publish.outputs._artifacts import artifact_path, collected_name
from runner.publish.outputs.escape import one_line
from runner.run.context import RunContext
from runner.run.stages import gateway
from runner.run.stages.artifacts import load_file
from runner.workspace.changeset import Changeset

_MAX_ANSWER = 64 * 1024  # characters
_KEY_REFUSED = (401, 403)


def judge(
    context: RunContext, outcome: Outcome, proposal: Proposal, patch: bytes, changeset: Changeset
) -> None:
    """Check the outcome and the proposal, and record findings. Raises RunnerError unless both are good."""
    run_id = context.record.run_id
    count = len(proposal.changes)
    with context.record.stage(Phase.POLICY, "1 changed file" if count == 1 else f"{count} changed files"):
        contents = _contents(context, proposal, patch, changeset)
        refusals = policy.check(context.spec, proposal, contents, context.options.secrets)
        if not any(refusal.rule == "secret" for refusal in refusals):
            context.record.save_artifact("patch", patch, "text/x-diff")
        context.record.add_refusals(refusals)
    context.parts.stop()
    context.account.check()
    if context.mailbox.is_interrupted:
        message, hint = "it was interrupted", f'go on with it: skillrunner continue {run_id} "go on"'
        raise RunnerError(Phase.HARNESS, Reason.CANCELLED, message, hint=hint)
    if context.mailbox.stop_reason:
        hint = f"skillrunner diff {run_id} shows what it did until then"
        raise RunnerError(
            Phase.HARNESS, Reason.CANCELLED, f"it was stopped: {context.mailbox.stop_reason}", hint=hint
        )
    if not outcome.ok and not _is_answer(context, outcome):
        reason, hint = outcome.reason or Reason.HARNESS_FAILED, f"skillrunner logs {run_id}"
        message = outcome.message
        if outcome.status in _KEY_REFUSED:
            message, hint = _with_key(context, message), f"set a key that is taken there; {hint}"
        raise RunnerError(Phase.HARNESS, reason, message, hint=hint, retryable=outcome.retryable)
    gateway.check_cost(context, outcome)
    if refusals:
        first = readable(f"{refusals[0].subject} {refusals[0].message}")
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        message, hint = f"the policy refused the proposal: {first}{more}", f"skillrunner show {run_id}"
        raise RunnerError(Phase.POLICY, Reason.POLICY_REFUSED, message, hint=hint)
    _heed_conclusions(context, proposal)


def _heed_conclusions(context: RunContext, proposal: Proposal) -> None:
    """Raises RunnerError where the agent said that it could not do its work, or that there is none."""
    if why := policy.conclusion(proposal, policy.INCOMPLETE):
        message = f"the agent could not do it: {one_line(why, 1_000)}"
        hint = f"skillrunner logs {context.record.run_id}"
        raise RunnerError(Phase.HARNESS, Reason.INCOMPLETE, message, hint=hint)
    why = policy.conclusion(proposal, policy.NOOP)
    if why and not proposal.changes and all(one.kind == policy.NOOP for one in proposal.declared):
        raise RunnerError(Phase.HARNESS, Reason.NO_CHANGES, f"nothing to do: {one_line(why, 1_000)}")


def save_answer(context: RunContext, outcome: Outcome) -> None:
    """Keep what the agent said last as a file of the run: where nothing is published it is the result."""
    if said := outcome.summary.strip() or outcome.printed.strip():
        context.record.save_artifact(ANSWER, said[:_MAX_ANSWER].encode(), "text/markdown")


def _is_answer(context: RunContext, outcome: Outcome) -> bool:
    """Whether an agent that worked and changed nothing did what is asked: its skill publishes nothing."""
    worked = outcome.reason is Reason.NO_CHANGES and bool(outcome.summary.strip())
    return worked and not any(output.publishes for output in context.parts.outputs.values())


def _with_key(context: RunContext, message: str) -> str:
    """The message with the variable of the key that was refused, and the host, unless it names the key."""
    options = context.options
    access = context.parts.harness.model_for(context.spec.harness.options)
    if access is None or access.key_variable in message:
        return message
    addresses = (options.model_upstream or access.upstream, *(one.upstream for one in options.fallback))
    hosts = " or ".join(dict.fromkeys(urlsplit(address).netloc.rpartition("@")[2] for address in addresses))
    return f"{message} ({access.key_variable} at {hosts})"


def _contents(
    context: RunContext, proposal: Proposal, patch: bytes, changeset: Changeset
) -> Mapping[str, bytes]:
    """Everything that would be published, by name. A patch has binary files in a form that hides them."""
    artifacts = {
        name: content
        for one in proposal.declared
        if (name := artifact_path(one)) and (content := load_file(context, collected_name(name))) is not None
    }
    edits = changeset.edits(proposal.base_sha, proposal.tree_sha)
    return {
        policy.PATCH: patch,
        "summary": proposal.summary.encode(),
        "declared outputs": repr([item.fields for item in proposal.declared]).encode(),
        **{f"artifact {name}": content for name, content in artifacts.items()},
        **{edit.path: edit.content for edit in edits if edit.content is not None},
    }
