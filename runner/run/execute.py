"""THE main path: one run, from its spec to its receipt, one call per stage."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from runner.core.errors import RunnerError
from runner.core.model import End, Phase, Reason, Receipt, RunSpec, RunState
from runner.run.context import Parts, RunContext, RunOptions
from runner.run.recorder import RunRecorder
from runner.run.stages import gateway
from runner.run.stages.harness import drive_harness, keep_session, restore_changes
from runner.run.stages.judge import judge
from runner.run.stages.publish import publish
from runner.run.stages.repositories import check_out_repositories
from runner.run.stages.sandbox import find_prepared, private_repository, resolve_image, sandbox, workspace
from runner.run.stages.setup import set_up
from runner.run.stages.verify import verify
from runner.workspace.checkout import WorkspaceChange
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
    end = End(state=RunState.ERROR, phase=Phase.PLAN, message="an unexpected error: this is a bug")
    attempt, last = first_attempt, spec.limits.attempts if requeue is None else first_attempt
    account = partial(gateway.account, spec, record, options)
    try:
        while (
            end := _attempt(RunContext(spec, record, parts, options, attempt, account()))
        ).retryable and attempt < last:
            record.add_event(f"attempt {attempt} ended: {end.message}; trying again")
            attempt += 1
    finally:
        if requeue is None or not requeue(end, attempt):
            record.finish(end)
    return end


def _attempt(job: RunContext) -> End:
    try:
        if job.attempt > 1:
            job.record.store.set_facts(job.record.run_id, attempt=job.attempt)
        with ExitStack() as stack:
            return _end_of(_run(job, stack))
    except RunnerError as error:
        return error.end
    except KeyboardInterrupt:
        return RunnerError(job.record.phase, Reason.CANCELLED, "it was interrupted", hint="run it again").end


def _run(job: RunContext, stack: ExitStack) -> tuple[Receipt, ...]:
    job.record.enter_state(RunState.PREPARING)
    job = stack.enter_context(check_out_repositories(resolve_image(job)))
    spec, record = job.spec, job.record
    changeset = stack.enter_context(private_repository(job))
    with workspace(job) as tree:
        kept = find_prepared(job)
        with sandbox(job, tree, kept) as box:
            with record.stage(Phase.SETUP):
                set_up(job, box, kept, tree)
                restore_changes(job, tree, changeset)
            record.enter_state(RunState.RUNNING)
            driven = drive_harness(job, box)
            keep_session(job, tree, driven, box.places)
        with record.stage(Phase.PROPOSAL):
            harvested = harvest(tree, spec.allowance, changeset)

    outcome = gateway.outcome_with_usage(job, driven.outcome(bool(harvested.changes)))
    proposal = harvested.proposal(driven.declared, outcome.summary)
    judge(job, outcome, proposal, harvested.patch, changeset)

    record.enter_state(RunState.VERIFYING)
    checks = verify(job, WorkspaceChange(harvested.tree_sha, changeset.objects))

    record.enter_state(RunState.PUBLISHING)
    return publish(job, proposal, harvested.patch, outcome, checks, changeset)


def _end_of(receipts: tuple[Receipt, ...]) -> End:
    message = "; ".join(_published(one) for one in receipts)
    if all(one.action == "unchanged" for one in receipts):
        return RunnerError(Phase.PUBLISH, Reason.UNCHANGED, message).end
    return End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH, message=message)


def _published(receipt: Receipt) -> str:
    what = receipt.kind.replace("_", " ")
    if receipt.action == "unchanged":
        return f"the {what} holds this already: {receipt.url}"
    return f"{what} {receipt.action}: {receipt.url}"
