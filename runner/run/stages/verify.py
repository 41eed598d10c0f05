"""Verification: the skill's commands run on a clean tree with the change applied."""

from contextlib import ExitStack

from runner.core.model import Check, Phase
from runner.run.agent import resume
from runner.run.context import RunContext
from runner.run.environment import commands
from runner.run.stages import gateway
from runner.run.stages.sandbox import open_sandbox, open_workspace
from runner.run.stages.setup import find_setup_result, set_up
from runner.run.stages.skill_files import put_skill, skill_edits
from runner.sandboxes import Sandbox, exchange
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Workspace


def verify(context: RunContext, tree: str, changeset: Changeset) -> tuple[Check, ...]:
    """Run the verification commands."""
    spec = context.spec
    if not spec.verify:
        return ()
    own = skill_edits(context)
    kept = None if own else find_setup_result(context, context.parts.mirror.git, spec.setup_sha)
    with (
        open_workspace(context, changeset.objects) as clean,
        context.record.stage(Phase.VERIFY),
        open_sandbox(context, clean, kept, "verify") as box,
    ):
        put_skill(context, clean, own)
        set_up(context, box, kept)
        put_change(clean, changeset, tree, context.parts.sandbox.owner)
        _set_up_again(context, box)
        checks = commands.run_checks(box, spec.verify, spec.limits, context.record.add_event)
    context.record.add_checks(checks)
    return checks


def put_change(place: Workspace, changeset: Changeset, tree: str, owner: tuple[int, int] | None) -> None:
    """Check out `tree` on top of the base, staged in git's index."""
    resume.apply_edits(changeset.edits(place.base_sha, tree), place.path, owner)
    exchange.put(place.path, ".git/index", changeset.index(tree), 0o644, owner)


def _set_up_again(context: RunContext, box: Sandbox) -> None:
    """Where the skill asks for it, set-up sees the change as well: with the gateway's hosts, and no more."""
    environment = context.spec.environment
    if not environment.setup_again:
        return
    with ExitStack() as stack:
        variables = stack.enter_context(gateway.egress(context, box)) if environment.network else {}
        commands.run_setup(box, environment.setup, context.spec.limits, context.record.add_event, variables)
