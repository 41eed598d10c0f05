"""THE main path: one run, from its spec to its receipts, one call for each stage."""

import traceback
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from runner.core.errors import RunnerError
from runner.core.model import Check, End, Phase, Reason, Receipt, RunSpec, RunState
from runner.run.context import Parts, RunContext, RunOptions
from runner.run.recorder import RunRecorder
from runner.run.stages import gateway
from runner.run.stages.approval import require_approval
from runner.run.stages.attest import attested
from runner.run.stages.correction import correct
from runner.run.stages.harness import drive_harness, keep_session, restore_changes
from runner.run.stages.judge import judge, save_answer
from runner.run.stages.publication import Publication, find
from runner.run.stages.publish import Published, publish, withdraw
from runner.run.stages.refused import leave_out, report_refusal
from runner.run.stages.repair import AgentWork, repair
from runner.run.stages.repositories import check_out_repositories
from runner.run.stages.sandbox import find_setup, open_changeset, open_sandbox, open_workspace, resolve_image
from runner.run.stages.setup import set_up
from runner.run.stages.skill_files import put_skill, skill_edits
from runner.run.stages.tree import put_tree
from runner.run.stages.verify import verify
from runner.workspace.baseline import NO_SETUP, take_baseline
from runner.workspace.changeset import Changeset
from runner.workspace.harvest import harvest

Requeue = Callable[[End, int], bool]
"""Gets the end of an attempt and its number; tells whether the run waits for another attempt."""


def execute(
    spec: RunSpec,
    record: RunRecorder,
    parts: Parts,
    options: RunOptions,
    first_attempt: int = 1,
    requeue: Requeue | None = None,
) -> End:
    """Execute `spec`. Every way out is stored as an end with a reason.

    Attempts follow one another at once. With `requeue` each call makes one attempt, whose number is
    `first_attempt`.
    """
    end = End(state=RunState.ERROR, phase=Phase.PLAN, message="it ended before it could say why")
    attempt, last = first_attempt, spec.limits.attempts if requeue is None else first_attempt
    account = partial(gateway.make_account, spec, record, options)
    try:
        while (
            end := _attempt(RunContext(spec, record, parts, options, attempt, account()))
        ).retryable and attempt < last:
            told = f"attempt {attempt} ended: {end.message}; trying again"
            record.add_event(told, ended_attempt=attempt, ended=end.message)
            attempt += 1
    except Exception as error:
        end = _bug(error, record.phase)
        raise
    finally:
        if requeue is None or not requeue(end, attempt):
            record.finish(end)
    return end


def _bug(error: Exception, phase: Phase) -> End:
    """The end of a run that an error stopped which nobody expected: of ours, or of a plugin."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}"[:500]
    message = f"an unexpected error in {frame.filename}:{frame.lineno}: {what}"
    hint = "if the file is a plugin's, tell its author; else it is a bug in skillrunner"
    return End(state=RunState.ERROR, phase=phase, message=message, hint=hint)


def _attempt(context: RunContext) -> End:
    try:
        if context.attempt > 1:
            context.record.store.set_facts(context.record.run_id, attempt=context.attempt)
        with ExitStack() as stack:
            return _end_of(_run(context, stack))
    except RunnerError as error:
        return error.end
    except KeyboardInterrupt:
        return RunnerError(
            context.record.phase, Reason.CANCELLED, "it was interrupted", hint="run it again"
        ).end


def _run(context: RunContext, stack: ExitStack) -> Published:
    if (unpublished := find(context)) is not None:
        return _publish_kept(*unpublished, stack)
    if context.options.only_publishes:
        message = "what was approved cannot be published any more: the commit that it stands on is gone"
        hint = f"skillrunner run --from-run {context.record.run_id}"
        raise RunnerError(Phase.PUBLISH, Reason.CONFLICT, message, hint=hint)
    context.record.enter_state(RunState.PREPARING)
    if whose := context.spec.strangers:
        context.record.add_event(f"no secrets, and no hosts but the model's: {whose}")
    context = stack.enter_context(check_out_repositories(resolve_image(context)))
    changeset = stack.enter_context(open_changeset(context))
    work = partial(_work, changeset=changeset)

    def check(context: RunContext, made: AgentWork) -> tuple[Check, ...]:
        context.record.enter_state(RunState.VERIFYING)
        return verify(context, made.harvested.tree_sha, changeset)

    made, checks = repair(context, work(context), work, check)
    ready = Publication(
        proposal=made.proposal, patch=made.harvested.patch, outcome=made.outcome, checks=tuple(checks)
    )
    ready.save(context)
    require_approval(context, ready)
    context.record.enter_state(RunState.PUBLISHING)
    with attested(context, ready, changeset) as stated:
        return publish(context, stated, changeset)


def _work(context: RunContext, changeset: Changeset) -> AgentWork:
    """One turn of the agent, from a clean workspace to a proposal that the policy allows."""
    spec, record = context.spec, context.record
    with open_workspace(context) as tree:
        own = skill_edits(context)
        kept = None if own else find_setup(context)
        with open_sandbox(context, tree, kept) as box:
            with record.stage(Phase.SETUP):
                put_skill(context, tree, own)
                set_up(context, box, kept, tree)
                tree = put_tree(context, tree, changeset)
                baseline = take_baseline(tree, changeset) if spec.environment.setup or own else NO_SETUP
                restore_changes(context, tree, changeset)
            record.enter_state(RunState.RUNNING)
            driven = correct(context, box, drive_harness(context, box))
            session = keep_session(context, tree, driven, box.places)
        with record.stage(Phase.PROPOSAL):
            harvested = leave_out(context, harvest(tree, spec.allowance, changeset, baseline), changeset)

    outcome = gateway.outcome_with_usage(context, driven.outcome(bool(harvested.changes)))
    outcome = gateway.outcome_with_answers(context, outcome)
    save_answer(context, outcome)
    proposal = harvested.proposal(driven.declared, outcome.summary)
    try:
        judge(context, outcome, proposal, harvested.patch, changeset)
    except RunnerError as error:
        if error.reason is not Reason.NO_CHANGES:
            raise report_refusal(context, error, proposal, harvested.patch) from None
        if context.turn is not None:
            raise
        raise withdraw(context, error, proposal, outcome, changeset) from error
    return AgentWork(driven=driven, session=session, harvested=harvested, outcome=outcome, proposal=proposal)


def _publish_kept(context: RunContext, ready: Publication, stack: ExitStack) -> Published:
    """An earlier attempt did all the work and was stopped while it published: only that is done again."""
    require_approval(context, ready)
    context.record.enter_state(RunState.PUBLISHING, "what the attempt before has left is published")
    changeset = stack.enter_context(open_changeset(context))
    with attested(context, ready, changeset, kept=True) as stated:
        return publish(context, stated, changeset)


def _end_of(published: Published) -> End:
    message = "; ".join((*map(_describe, published.receipts), *published.refused))
    if all(one.action == "unchanged" for one in published.receipts):
        return RunnerError(Phase.PUBLISH, Reason.UNCHANGED, message).end
    return End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH, message=message)


def _describe(receipt: Receipt) -> str:
    if receipt.action == "unchanged":
        return f"the {receipt.kind.replace('_', ' ')} holds this already: {receipt.url}"
    return receipt.text
