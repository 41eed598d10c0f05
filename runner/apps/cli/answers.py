"""What `skillrunner approve` and `refuse` have in common: a person answers what a run waits with."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.apps.cli.commands import place_of_options, scope_of, settings, who_am_i
from runner.core.errors import RunnerError
from runner.core.model import Answer, End, Phase, Reason, Run, RunEvent, RunState, Usage
from runner.publish.policy.approval import MIN_DIGITS

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.store import Store
    from runner.store.approvals import Answered


def answer_of(approves: bool, digest: str, reason: str) -> Answer:
    """What the person at this command line says. Raises RunnerError where the digest is too short."""
    if digest and len(digest) < MIN_DIGITS:
        message = (
            f"--digest {digest} has {len(digest)} digits, and {MIN_DIGITS} are the least that tell enough"
        )
        raise RunnerError(Phase.APPROVAL, Reason.INVALID_INPUT, message, hint="skillrunner show RUN")
    return Answer(digest=digest, approves=approves, who=who_am_i(), via="the command line", reason=reason)


def find_run(store: "Store", options: "Options", name: str) -> Run:
    """The run that is meant. Raises RunnerError where it does not wait, and never did."""
    from runner.store.approvals import ApprovalStore

    found = store.run(name, scope_of(options))
    if ApprovalStore(store).last(found.id) is None:
        message = f"run {found.id} does not wait for anybody: it is {found.state}"
        hint = f"skillrunner show {found.id}"
        raise RunnerError(Phase.APPROVAL, Reason.INVALID_INPUT, message, hint=hint)
    return found


def is_queued(store: "Store", run_id: str) -> bool:
    """Whether a worker publishes it."""
    from runner.store.queue import RunQueue

    return RunQueue(store).find_work(run_id) is not None


def publish_here(options: "Options", run_id: str, answer: Answer) -> "tuple[Answered, End | None]":
    """Approve a run that somebody started by hand, and publish what it made; None: it was approved before.

    What cannot be published now waits again.
    """
    from runner.apps.console import Progress
    from runner.run import bootstrap, stores
    from runner.run.launch import interrupt_on_sigterm, launch
    from runner.run.place import Host
    from runner.run.start import approved_run
    from runner.store import hold_lock
    from runner.store.approvals import ApprovalStore

    place = place_of_options(options)
    with stores.open_store(place.config) as store, hold_lock(store.run_folder(run_id)):
        host = Host(place, store, bootstrap.make_forge(place, store))
        approved_run(host, store.run(run_id))  # so that nothing is approved that is of another repository
        answered = ApprovalStore(store).answer(run_id, answer, datetime.now(UTC))
        if not answered.is_new:
            return answered, None

        def wait_again(end: End, attempt: int, attempts: int, usage: Usage) -> bool:
            del attempt, attempts
            if end.retryable:
                told = f"it was approved, and could not be published now: {end.message}"
                at, state = datetime.now(UTC), RunState.WAITING
                event = RunEvent(run_id=run_id, at=at, phase=end.phase, message=told, state=state)
                ApprovalStore(store).wait_again(run_id, event, usage)
            return end.retryable

        with Progress(quiet=options.quiet, stream=sys.stderr) as progress, interrupt_on_sigterm():
            start = replace(approved_run(host, store.run(run_id)), requeue=wait_again)
            return answered, launch(host, start, progress.observe, progress.transcript)


def answer_stored(options: "Options", name: str, answer: Answer) -> "Answered | None":
    """Answer what a run of the configured store waits with; None: it is to be published here."""
    from runner.run import stores
    from runner.store.approvals import ApprovalStore

    with stores.open_store(settings(options)) as store:
        found = find_run(store, options, name)
        if answer.approves and not is_queued(store, found.id):
            return None
        return ApprovalStore(store).answer(found.id, answer, datetime.now(UTC))


def id_of(options: "Options", name: str) -> str:
    """The whole id of the run that is meant."""
    from runner.run import stores

    with stores.open_store(settings(options)) as store:
        return find_run(store, options, name).id
