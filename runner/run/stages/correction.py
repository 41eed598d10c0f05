"""One correction: what is wrong with the outputs that an agent declared goes back to it, in its sandbox."""

from dataclasses import replace

from runner.core.model import Proposal
from runner.core.redact import readable
from runner.publish.policy import declared
from runner.run.agent.drive import HarnessResult
from runner.run.context import RunContext
from runner.run.stages.harness import ask_again
from runner.sandboxes import Sandbox

_MOST = 30  # faults that it is told
_ASK = (
    "What you declared in the file that SKILLRUNNER_OUTPUTS names cannot be published. Nothing of it counts:"
    " declare all of it again, in that file, which is empty now. What you declared by a tool stays declared."
)


def correct(context: RunContext, box: Sandbox, driven: HarnessResult) -> HarnessResult:
    """The result, after one more turn where the agent ended well and declared what the policy would refuse.

    There is one correction in an attempt, and none in a repair.
    """
    faults = _faults(context, driven)
    left = context.spec.limits.timeout - driven.seconds
    if not faults or context.turn is not None or left < 1 or not _ended_well(context, driven):
        return driven
    told = "correction: the agent is told what is wrong with what it declared"
    context.record.add_event(f"{told}: {faults[0]}", correction=1)
    listed = "\n".join(f"- {fault}" for fault in faults[:_MOST])
    return ask_again(context, box, replace(driven, declared=()), f"{_ASK}\n\n{listed}")


def _ended_well(context: RunContext, driven: HarnessResult) -> bool:
    stopped = context.mailbox.is_interrupted or context.mailbox.stop_reason
    return not stopped and driven.exit.cause == "exited" and driven.outcome(True).ok


def _faults(context: RunContext, driven: HarnessResult) -> list[str]:
    """Everything for which the policy would refuse what was declared."""
    offered = Proposal(
        base_sha=context.spec.base_sha,
        tree_sha="",
        changes=(),
        patch_sha256="",
        patch_bytes=0,
        declared=driven.declared,
    )
    found = declared.refusals(offered, context.spec)
    return [readable(f"{refusal.subject} {refusal.message}") for refusal in found]
