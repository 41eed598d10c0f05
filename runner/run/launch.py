"""From a skill and its trigger to a run that has ended: the same for a person, the Action and a worker."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runner.core.errors import RunnerError
from runner.core.model import End, Run, RunSpec, RunState, Trigger, Usage
from runner.run import bootstrap
from runner.run.agent.resume import EarlierRun
from runner.run.execute import Requeue, execute
from runner.run.limits import refuse_beyond_limits
from runner.run.place import Host, Place
from runner.run.plan import Base, digest_of, plan
from runner.run.recorder import Observe, RunRecorder
from runner.skills import Skill
from runner.store import Store, hold_lock
from runner.store.specs import StoredSpec

if TYPE_CHECKING:
    from runner.run.agent.transcript import ObserveTranscript
    from runner.workspace.mirror import Mirror

RequeueRun = Callable[[End, int, int, Usage], bool]
"""Gets the end of an attempt, its number, how many there may be, and the usage so far: see `execute`."""


EVENT_ARTIFACT = "event.json"
"""The artifact with the payload that started a run; a run that no event started has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A request for one run."""

    run_id: str
    mirror: "Mirror"
    earlier: EarlierRun | None = None  # the run that it goes on from
    propose_again: bool = False  # propose what was closed unmerged
    queued: bool = False  # the run is stored already, and was waiting
    stop: Callable[[], None] = lambda: None  # raises RunnerError when the run has to stop
    worker: str = ""  # the worker that carries it out
    attempt: int = 1
    requeue: RequeueRun | None = None  # every attempt waits in a queue


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun(RunRequest):
    """A run of a skill, which is not planned yet."""

    skill: Skill
    commit: str | None  # where the skill's text was read; None: from files that are not committed
    trigger: Trigger
    base: Base
    skill_files: Mapping[str, tuple[int, bytes]] | None = None  # see `runner.run.context.RunOptions`
    force: Mapping[str, Any] = field(default_factory=dict)  # see `runner.run.plan.Defaults`


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuedRun(RunRequest):
    """A run that continues an earlier one, with its plan."""

    spec: RunSpec
    only_publishes: bool = False  # the same run goes on: what it made was approved


def plan_run(place: Place, start: NewRun) -> RunSpec:
    """The spec of the run. Raises RunnerError when the run is not possible."""
    defaults = bootstrap.make_defaults(place.config, start.force)
    now = datetime.now(UTC)
    spec = plan(start.skill, start.commit, start.trigger, start.base, start.run_id, now, defaults)
    return continuation_spec(spec, start.earlier, spec.prompt) if start.earlier else spec


def continuation_spec(spec: RunSpec, earlier: EarlierRun, task: str, said: str = "") -> RunSpec:
    """The spec with the prompt for an agent that continues; see `EarlierRun.task_prompt`."""
    spec = replace(spec, prompt=earlier.task_prompt(spec.harness.kind, task, said))
    return replace(spec, digest=digest_of(spec))


def launch(host: Host, start: NewRun | ContinuedRun, observe: Observe, watch: "ObserveTranscript") -> End:
    """Plan the run and execute it. Raises RunnerError when no run came to be; otherwise its end is stored."""
    place, runs = host.place, host.store
    host.forge.check_credential()
    spec = start.spec if isinstance(start, ContinuedRun) else plan_run(place, start)
    only_publishes = isinstance(start, ContinuedRun) and start.only_publishes
    folder = runs.run_folder(start.run_id, start.attempt)
    with hold_lock(folder):
        if not only_publishes:
            _store_plan(runs, start, spec)
        record = RunRecorder(runs, start.run_id, folder, observe, earlier_usage=runs.run(start.run_id).usage)
        if host.forge.notice:
            record.add_event(host.forge.notice)
        if not only_publishes:
            _save_plan(record, spec)
        try:
            if start.attempt == 1:
                refuse_beyond_limits(spec, host.forge, datetime.now(UTC))
            parts = bootstrap.make_parts(host, spec, start.mirror, watch, start.stop)
            make = bootstrap.make_publishing_options if only_publishes else bootstrap.make_options
            options = make(place, spec)
        except RunnerError as error:
            record.finish(error.end)
            return error.end
        options = replace(
            options, propose_again=start.propose_again, worker=start.worker, earlier_run=start.earlier
        )
        if isinstance(start, NewRun):
            options = replace(options, skill_files=start.skill_files)
        return execute(spec, record, parts, options, start.attempt, _requeue(start, spec, record))


def _store_plan(runs: Store, start: NewRun | ContinuedRun, spec: RunSpec) -> None:
    stored = StoredSpec(spec=spec, continues=start.earlier.run_id if start.earlier else "")
    if start.queued:
        runs.plan_run(start.run_id, stored)
    else:
        runs.create_run(run_record(spec, start.run_id), stored)


def _save_plan(record: RunRecorder, spec: RunSpec) -> None:
    """Keep what the store's record of the plan leaves out."""
    record.save_artifact("prompt.md", spec.prompt.encode(), "text/markdown")
    if spec.trigger.event:
        event = json.dumps(spec.trigger.event, indent=2).encode()
        record.save_artifact(EVENT_ARTIFACT, event, "application/json")


def _requeue(start: RunRequest, spec: RunSpec, record: RunRecorder) -> Requeue | None:
    requeue = start.requeue
    if requeue is None:
        return None
    return lambda end, attempt: requeue(end, attempt, spec.limits.attempts, record.usage)


def run_record(spec: RunSpec, run_id: str) -> Run:
    """The record of a run that begins."""
    return Run(
        id=run_id,
        repository=spec.repository.name,
        skill=spec.skill.name,
        trigger=spec.trigger.kind,
        trigger_key=spec.trigger.key,
        subject=spec.trigger.subject,
        base_sha=spec.base_sha,
        state=RunState.QUEUED,
        created_at=datetime.now(UTC),
        worker=f"{os.uname().nodename}:{os.getpid()}",
        harness=spec.harness.kind,
    )


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM as an interruption: the container is removed, and the run gets its end."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
