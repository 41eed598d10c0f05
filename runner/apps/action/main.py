"""The Action's main path: event -> decisions -> runs -> log, summary and outputs."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from runner.apps.action import report
from runner.apps.action.attempts import decide_again, host_of, without_attempts
from runner.apps.action.event import first_key, read_event
from runner.apps.action.job_input import JobInput, read_job_input
from runner.apps.action.job_output import JobOutput
from runner.apps.action.kept import lay_out
from runner.apps.action.preflight import dangers, overrides, refuse, unreadable_danger
from runner.apps.action.read_only import READ_ONLY, gets_read_only_token, without_publishing
from runner.apps.action.runs import (
    ActionStep,
    RunResult,
    assign_run_ids,
    force,
    run_all,
    start,
)
from runner.apps.action.trusted import TrustedRepository, fetch_trusted, workflow_file
from runner.core.errors import ExitCode, RunnerError, exit_code
from runner.core.model import Phase, Reason
from runner.core.model.decision import Decision, Event, History, Verdict
from runner.run import dry_run
from runner.run.launch import plan_run
from runner.scheduler.decide import decide_event, decide_slots
from runner.scheduler.facts import FactSources, look_up_facts
from runner.scheduler.ledger import DecideFunction, Ledger, ReadOnlyTokenError
from runner.skills import Skill


def main(environ: Mapping[str, str], command: str) -> int:
    """One step of a workflow. `command` is "run", or "plan": decide, and print what is to be run.

    Returns the exit code. Raises RunnerError where nothing could be decided.
    """
    job = read_job_input(environ)
    presence = JobOutput(
        log=sys.stdout,
        outputs=job.outputs,
        summary=job.summary,
        guarded=job.guarded,
        secrets=job.secrets,
    )
    outputs: dict[str, str] = {}
    try:
        with ExitStack() as stack:
            code, outputs = _step(job, presence, fetch_trusted(job, stack), command)
    except RunnerError as error:
        presence.annotate("error", f"{error.message}\n{error.hint}".rstrip())
        presence.write(report.failure(error))
        raise
    finally:
        presence.finish(outputs)
    return code


def _step(
    job: JobInput, presence: JobOutput, trusted: TrustedRepository, command: str
) -> tuple[int, dict[str, str]]:
    _preflight(job, presence, trusted)
    _annotate(presence, trusted)
    now = datetime.now(UTC)
    event = read_event(job, now)
    decide = _asked_only(job, _deciding(job, trusted, event, now))
    step = ActionStep(job, presence, trusted, Ledger(trusted.mirror, trusted.remote))
    ran: list[RunResult] = []
    try:
        decisions = _decided(step, command, decide, now)
    except ReadOnlyTokenError:
        if not gets_read_only_token(job):
            raise
        presence.annotate("notice", READ_ONLY)
        step.ledger.read_only = True
        decisions = _decided(step, command, without_publishing(decide, trusted.skill_set.skills), now)
    report.log_decisions(presence, job, decisions)
    if job.flag("dry-run"):
        _preview(step, decisions, event)
    elif command == "run":
        ran = run_all(step, [one for one in decisions if _starts(one)], event)
    kept = lay_out(trusted.runs, [one.decision.run_id for one in ran if one.is_stored], job.temp)
    presence.write(report.summary(job, trusted, decisions, ran, kept[0] if kept else ""))
    code = max((exit_code(one.end) for one in ran), default=ExitCode.OK)
    said = {"artifact": kept[0], "artifact-path": str(kept[1])} if kept else {}
    return code, report.outputs(event, decisions, ran) | said


def _decided(step: ActionStep, command: str, decide: DecideFunction, now: datetime) -> list[Decision]:
    job = step.job
    if command == "plan" or job.flag("dry-run"):
        return _planned(step.ledger, decide, now, keep=not job.flag("dry-run"))
    return step.ledger.decide(lambda history: assign_run_ids(decide(history), now, host_of(job)), now)


def _preview(step: ActionStep, decisions: Sequence[Decision], event: Event | None) -> None:
    """Show the decisions that a run would make, and run nothing."""
    for decision in filter(_starts, decisions):
        begin = start(step, decision, event, force(step.job))
        spec = plan_run(step.repository.place, begin)
        with step.job_output.group(f"{decision.skill}: what it would do"):
            step.job_output.print_line(spec.prompt.rstrip())
            for name, value in dry_run.preview_lines(spec):
                step.job_output.print_line(f"{name:<12} {value}")


def _preflight(job: JobInput, presence: JobOutput, trusted: TrustedRepository) -> None:
    """Raise when the workflow exposes its secrets to strangers; lesser dangers are only annotated."""
    if not job.workflow:
        presence.print_line(
            "GITHUB_WORKFLOW_REF is not set, as it is on GitHub: the workflow's file is not checked"
        )
        return
    raw = workflow_file(job, trusted)
    if raw is None:
        found = [
            unreadable_danger(
                job.workflow, f"it is not in {job.repository} at {job.workflow_sha or 'its head'}"
            )
        ]
    else:
        found = dangers(job.workflow, raw, job.action_repository)
    refuse(found, overrides(job.inputs["allow"]))
    for danger in found:
        presence.print_line(f"{danger}: {danger.hint}")


def _annotate(presence: JobOutput, trusted: TrustedRepository) -> None:
    """Annotate the faults of invalid skills, which are off; the others run."""
    for fault in trusted.skill_set.faults:
        hint = f" ({fault.hint})" if fault.hint else ""
        presence.annotate("error", fault.message + hint, fault.file, fault.line, fault.column)


def _deciding(
    job: JobInput, trusted: TrustedRepository, event: Event | None, now: datetime
) -> DecideFunction:
    """The function that decides, with every fact that it needs looked up."""
    skills = _chosen(job, trusted.skill_set.skills)
    if event is None:
        return _deciding_slots(job, trusted, skills, now)
    if event.kind == "manual" and event.only not in skills:
        raise _no_such_skill(event.only, trusted.skill_set.skills)
    sources = FactSources(
        forge=trusted.forge,
        mirror=trusted.mirror,
        remote=trusted.remote,
        repository=job.repository,
        default_branch=trusted.place.default_branch,
        identity=trusted.identity,
        commands=trusted.skill_set.commands,
    )
    lookup = replace(trusted.limits, skills=skills)
    found = lookup.of_event(event, look_up_facts(skills, event, sources))
    return lambda history: decide_event(skills, event, found, without_attempts(job, history), now)


def _deciding_slots(
    job: JobInput, trusted: TrustedRepository, skills: Mapping[str, Skill], now: datetime
) -> DecideFunction:
    introduced = trusted.introduction_times()
    history = Ledger(trusted.mirror, trusted.remote).history(now)
    facts = replace(trusted.limits, skills=skills).of_slots(introduced, history, now)
    return lambda history: [
        *decide_again(job, skills, history, now),
        *decide_slots(skills, introduced, history, now, facts),
    ]


def _chosen(job: JobInput, skills: Mapping[str, Skill]) -> Mapping[str, Skill]:
    """All skills, or the one that the workflow names."""
    name = job.inputs["skill"]
    return skills if not name else {name: skills[name]} if name in skills else {}


def _no_such_skill(name: str, skills: Mapping[str, Skill]) -> RunnerError:
    message = f"the default branch has no valid skill {name!r}"
    hint = f"it has: {', '.join(skills)}" if skills else "commit one: skillrunner new NAME"
    return RunnerError(Phase.LOAD, Reason.SKILL_NOT_FOUND, message, hint=hint)


def _asked_only(job: JobInput, decide: DecideFunction) -> DecideFunction:
    """Only the decision that a step which planned asked for. Raises RunnerError where there is none."""
    key = job.inputs["key"]
    if not key:
        return decide

    def asked(history: History) -> list[Decision]:
        wanted = first_key(job, key)
        found = [one for one in decide(history) if first_key(job, one.key) == wanted]
        if not found:
            raise _nothing_asked(job)
        return found

    return asked


def _nothing_asked(job: JobInput) -> RunnerError:
    skill = job.inputs["skill"] or "any skill"
    message = (
        f"nothing has the key {job.inputs['key']!r} for {skill}: this job was to run it, and runs nothing"
    )
    hint = "is the skill still there, and enabled? run all jobs of the workflow again: that plans anew"
    return RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=hint)


def _starts(decision: Decision) -> bool:
    return decision.verdict is Verdict.STARTED


def _planned(ledger: Ledger, decide: DecideFunction, now: datetime, *, keep: bool) -> list[Decision]:
    """Decide without storing the decisions to start: the job that starts the run stores its own."""
    if not keep:
        return list(decide(ledger.history(now)))
    everything: list[Decision] = []

    def without_starts(history: History) -> Sequence[Decision]:
        everything[:] = decide(history)
        return [one for one in everything if not _starts(one)]

    ledger.decide(without_starts, now)
    return everything
