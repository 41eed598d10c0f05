"""The verification of a change: the commands of the skill, run on a clean tree that has the change."""

from runner.clients.git import Git
from runner.core.errors import RunnerError
from runner.core.model import Check, Phase, Reason
from runner.run.context import RunContext
from runner.run.environment import commands
from runner.run.stages.sandbox import open_sandbox, open_workspace
from runner.run.stages.setup import find_setup_result, set_up
from runner.workspace.checkout import WorkspaceChange


def verify(context: RunContext, change: WorkspaceChange) -> tuple[Check, ...]:
    """The verification commands' results. Raises RunnerError when one failed and no draft is wanted."""
    spec = context.spec
    if not spec.verify:
        return ()
    kept = find_setup_result(context, Git(change.objects.parent), change.tree_sha)
    with open_workspace(context, change) as clean, context.record.stage(Phase.VERIFY):
        opened = open_sandbox(context, clean, kept, "verify")
        checks = commands.run_checks(
            opened,
            lambda box: set_up(context, box, kept),
            spec.verify,
            spec.limits,
            context.record.add_event,
        )
    context.record.add_checks(checks)
    failed = ", ".join(one.command for one in checks if not one.ok)
    if failed and not spec.draft_on_failed_verify:
        hint = f"skillrunner show {context.record.run_id}"
        raise RunnerError(
            Phase.VERIFY, Reason.VERIFICATION_FAILED, f"verification failed: {failed}", hint=hint
        )
    return checks
