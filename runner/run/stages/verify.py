"""The verification of a change: the commands of the skill, run on a clean tree that has the change."""

from runner.clients.git import Git
from runner.core.errors import RunnerError
from runner.core.model import Check, Phase, Reason
from runner.run.context import RunContext
from runner.run.environment import commands
from runner.run.stages.sandbox import sandbox, workspace
from runner.run.stages.setup import find_setup_result, set_up
from runner.workspace.checkout import WorkspaceChange


def verify(job: RunContext, change: WorkspaceChange) -> tuple[Check, ...]:
    """The verification commands' results. Raises RunnerError when one failed and no draft is wanted."""
    spec = job.spec
    if not spec.verify:
        return ()
    kept = find_setup_result(job, Git(change.objects.parent), change.tree_sha)
    with workspace(job, change) as clean, job.record.stage(Phase.VERIFY):
        opened = sandbox(job, clean, kept, "verify")
        checks = commands.verify(
            opened,
            lambda box: set_up(job, box, kept),
            spec.verify,
            spec.limits,
            job.record.add_event,
        )
    job.record.add_checks(checks)
    failed = ", ".join(one.command for one in checks if not one.ok)
    if failed and not spec.draft_on_failed_verify:
        hint = f"skillrunner show {job.record.run_id}"
        raise RunnerError(
            Phase.VERIFY, Reason.VERIFICATION_FAILED, f"verification failed: {failed}", hint=hint
        )
    return checks
