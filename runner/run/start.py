"""From a decision, or a person's request, to a run that can be launched: the same for every host.

A decision becomes work, which waits in a worker's queue or begins at once in a step of a workflow; work
becomes a new run. A person at the command line gives the skill and the trigger without a decision.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from runner.clients.git import files_at, last_changes
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Run, RunSpec, RunState, Trigger
from runner.core.model.decision import Cause, Decision, Event, Facts, History, Verdict
from runner.run import bootstrap
from runner.run.agent.resume import EarlierRun, kept_prompt, planned_spec, read_earlier_run
from runner.run.earlier_trigger import earlier_trigger
from runner.run.launch import ContinuedRun, NewRun, continuation_spec
from runner.run.limits import reached_limit
from runner.run.place import Host
from runner.run.plan import Base, base_branch
from runner.run.signing_key import find_signer
from runner.run.trust import trusted_commit
from runner.scheduler.admission import PRIORITIES
from runner.scheduler.decide import decide_event
from runner.scheduler.event_commit import commit_of, fetch
from runner.scheduler.facts import FactSources, look_up_facts
from runner.scheduler.loop_guard import OwnIdentity
from runner.skills import Skill, load
from runner.store import Store, new_run_id
from runner.store.decisions import QueueEntry
from runner.store.queue import RunQueue
from runner.store.work import Work
from runner.triggers import TRIGGERS, EventCommit, actor
from runner.triggers.slots import Slot, jittered_start, line_of
from runner.workspace.mirror import Mirror

# --- a decision becomes work ------------------------------------------------------------------------


def introduction_times(mirror: Mirror, sha: str, skills: Iterable[Skill]) -> Mapping[str, datetime]:
    """By skill: when the branch got the present version of its folder, by its last commit or merge."""
    folders = {one.name: one.path for one in skills}
    changed = last_changes(mirror.git, sha, set(folders.values()))
    return {name: changed[path] for name, path in folders.items()}


def work_of(decision: Decision, event: Event | None, skill: Skill, commit: str) -> Work:
    """The work that a decision starts, by an event or a slot; a skill sees a slot as an event."""
    slot = {"schedule": {"due": decision.due.isoformat() if decision.due else ""}}
    return Work(
        commit=commit,
        path=skill.path,
        kind=decision.trigger,
        key=decision.key,
        at=decision.at,
        subject=event.subject if event else "",
        event=event.payload if event else slot,
        inputs=event.inputs if event and event.inputs else decision.inputs,
        continues=decision.continues,
    )


def queue_entry(
    repository: str, skill: Skill, commit: str, decision: Decision, event: Event | None = None
) -> QueueEntry:
    """The queue entry of a decision, for a skill read at `commit`, the head of its branch."""
    work = work_of(decision, event, skill, commit)
    run = Run(
        id=decision.run_id,
        repository=repository,
        skill=skill.name,
        trigger=work.kind,
        trigger_key=work.key,
        subject=work.subject,
        base_sha=commit,
        state=RunState.QUEUED,
        created_at=decision.at,
        harness=skill.options.harness.kind,
    )
    return QueueEntry(
        run=run,
        work=work,
        priority=PRIORITIES[skill.options.priority] - (decision.trigger == "manual"),
        not_before=_start_time(repository, skill, decision),
        cancels_others=skill.options.overlap == "cancel_running",
    )


def retry_entry(earlier: Run, work: Work, decision: Decision, priority: int) -> QueueEntry:
    """The queued run that repeats an earlier one."""
    run = Run(
        id=decision.run_id,
        repository=earlier.repository,
        skill=earlier.skill,
        trigger=earlier.trigger,
        trigger_key=decision.key,
        subject=earlier.subject,
        base_sha=earlier.base_sha,
        state=RunState.QUEUED,
        created_at=decision.at,
        harness=earlier.harness,
    )
    return QueueEntry(run=run, work=work, priority=priority)


def _start_time(repository: str, skill: Skill, decision: Decision) -> datetime | None:
    """When a slot's run may start if its schedule has `jitter`; None: at once."""
    if decision.due is None:
        return None
    for schedule in skill.schedules:
        if schedule.jitter and decision.key.startswith(f"schedule:{line_of(schedule)}:"):
            slot = Slot(due=decision.due, key=decision.key, schedule=schedule)
            return jittered_start(slot, f"{repository} {skill.name}")
    return None


# --- work, or a wish, becomes a run -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillSource:
    """The texts of skills: a mirror, and the skills at the head of its branch, which are loaded already."""

    mirror: Mirror
    head: str
    skills: Mapping[str, Skill] = field(default_factory=dict)

    def find(self, name: str, path: str, commit: str) -> Skill:
        """The skill at a commit. Raises RunnerError SKILL_NOT_FOUND."""
        if commit == self.head and name in self.skills:
            return self.skills[name]
        found = load(files_at(self.mirror.directory, commit, [path]), plain=True).skills
        if name not in found:
            message = f"{self.mirror.url} has no valid skill {name} at {commit[:12]} any more"
            raise RunnerError(Phase.LOAD, Reason.SKILL_NOT_FOUND, message, hint="skillrunner validate")
        return found[name]


def new_run(
    host: Host,
    run_id: str,
    skill: Skill,
    commit: str | None,
    trigger: Trigger,
    *,
    branch: str | None = None,
    sha: str = "",
    force: Mapping[str, Any] | None = None,
    again: bool = False,
) -> NewRun:
    """A run that stands on the event's commit, or the head of `branch`, or of the skill's own base.

    `sha` is another commit to stand on. A branch that somebody asks for goes before what the event says.
    `commit` is where the skill's text was read, None for files that are not committed. Raises RunnerError of
    the forge.
    """
    now = datetime.now(UTC)
    wanted = partial(base_branch, skill, trigger, run_id=run_id, now=now)
    base, mirror = bootstrap.find_base(host.place, host.forge, branch or wanted, bool(branch))
    found = event_commit(skill, trigger) if branch is None else None
    if found is not None:
        base = _standing_on(base, replace(found, sha=sha or found.sha), mirror, host, skill)
    elif sha:
        base = replace(base, sha=mirror.resolve(sha))
    if not base.trusted_sha:
        base = replace(
            base, trusted_sha=trusted_commit(mirror, base.repository.default_branch, base.ref, base.sha)
        )
    is_fork = found is None and branch is None and _is_from_fork(trigger, host)
    return NewRun(
        run_id=run_id,
        skill=skill,
        commit=commit,
        trigger=trigger,
        base=replace(base, is_strangers=True) if is_fork else base,
        mirror=mirror,
        force=force or {},
        propose_again=again,
    )


def verdict_on_event(host: Host, start: NewRun) -> str:
    """Whether the event of a run by hand would start its skill by itself, and why or why not."""
    trigger, skill, target, bot = start.trigger, start.skill, host.forge, host.place.config.bot
    if trigger.kind == "manual":
        return "no: the skill is run by hand"
    event = TRIGGERS.get(trigger.kind).event(trigger.event, trigger.at)
    repository = start.base.repository
    sources = FactSources(
        forge=target,
        mirror=start.mirror,
        remote=target.remote(),
        repository=repository.name,
        default_branch=repository.default_branch,
        identity=OwnIdentity(
            email=bot.email,
            name=bot.name,
            signer=find_signer(host.place).of_repository(repository.name),
        ),
        commands=skill.commands,
    )
    skills = {skill.name: skill}
    try:
        facts, unknown = look_up_facts(skills, event, sources), ""
    except RunnerError as error:
        facts, unknown = Facts(), f"; who may start it is not known: {error.message}"
    with suppress(RunnerError):  # the run itself asks again, and tells
        if reached := reached_limit(skill, trigger, repository, target, trigger.at):
            facts = replace(facts, limits={skill.name: reached})
    (decision,) = decide_event(skills, event, facts, History(), trigger.at)
    if decision.verdict is Verdict.STARTED:
        return f"yes: {decision.message}{unknown}"
    is_person = facts.actor is not None and not facts.actor.bot and not facts.own_cause
    wants_permission = decision.cause is Cause.ACTOR and is_person and not facts.is_fork
    notice = f"; {told}" if wants_permission and (told := target.permission_notice()) else ""
    return f"no ({decision.verdict.replace('_', ' ')}: {decision.cause}): {decision.message}{notice}"


def event_commit(skill: Skill, trigger: Trigger) -> EventCommit | None:
    """The commit that a run of the skill stands on because of its event; None: the head of a branch."""
    return commit_of(trigger.kind, trigger.event, skill.listener(trigger.kind, trigger.event))


def _standing_on(base: Base, found: EventCommit, mirror: Mirror, host: Host, skill: Skill) -> Base:
    """The base at the event's commit; set-up and the harness's settings are those of the default branch."""
    fetched = fetch(mirror, host.forge.limited_to(bootstrap.READ).remote(), found)
    ours = not fetched.is_strangers
    known = ours and skill.base_branch is None and mirror.has_branch(found.branch)
    return replace(
        base,
        sha=fetched.sha,
        ref=found.branch if known else base.ref,
        tree=found.name,
        trusted_sha=mirror.resolve(f"refs/heads/{base.repository.default_branch}"),
        is_strangers=not ours,
    )


def _is_from_fork(trigger: Trigger, host: Host) -> bool:
    kind = TRIGGERS.all().get(trigger.kind)
    return kind is not None and kind.from_fork(trigger.event, host.forge.repository)


def run_of_work(
    host: Host, run_id: str, name: str, work: Work, source: SkillSource, force: Mapping[str, Any]
) -> NewRun:
    """The run of the skill `name` for a work record. Raises RunnerError of the forge, or SKILL_NOT_FOUND."""
    commit = work.commit or source.head
    skill = source.find(name, work.path, commit)
    earlier = _earlier_run(host.store, work)
    trigger = trigger_of(work)
    start = earlier.base_sha if earlier and event_commit(skill, trigger) is None else ""
    made = new_run(host, run_id, skill, commit, trigger, sha=start, force=force)
    if earlier is not None and earlier.base_sha != made.base.sha:
        earlier = replace(earlier, patch=b"")  # it was made on another commit
    return replace(made, earlier=earlier)


def trigger_of(work: Work) -> Trigger:
    """The trigger in a work record."""
    return Trigger(
        kind=work.kind,
        key=work.key,
        subject=work.subject,
        actor=actor(work.event),
        at=work.at,
        event=work.event,
        inputs=work.inputs,
    )


def _earlier_run(store: Store, work: Work) -> EarlierRun | None:
    """The run that this one continues, if its patch or session still exists."""
    if not work.continues:
        return None
    run = store.run(work.continues)
    earlier = read_earlier_run(store, run) if run.end is not None else None
    return earlier if earlier is not None and (earlier.patch or earlier.session) else None


def approved_run(host: Host, run: Run) -> ContinuedRun:
    """The same run, whose proposal was approved: with its plan as it was shown. Raises RunnerError."""
    spec = planned_spec(host.store, run)
    base, mirror = bootstrap.find_base(host.place, host.forge, None)
    _check_repository(run, spec, base)
    work = RunQueue(host.store).find_work(run.id)
    trigger = trigger_of(work) if work is not None else earlier_trigger(host.store, run)
    return ContinuedRun(
        run_id=run.id,
        mirror=mirror,
        spec=replace(
            spec, prompt=kept_prompt(host.store, run.id), trigger=replace(spec.trigger, event=trigger.event)
        ),
        only_publishes=True,
        queued=True,
        attempt=run.attempt,
    )


def _check_repository(run: Run, spec: RunSpec, base: Base) -> None:
    if base.repository.url != spec.repository.url:
        message = f"run {run.id} is of {spec.repository.url}, and this is {base.repository.url}"
        hint = "go to its repository, or name it: skillrunner -C DIR ..."
        raise RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=hint)


def continued_run(host: Host, run: Run, text: str, again: bool) -> ContinuedRun:
    """A run that continues an ended one with the text of a person. Raises RunnerError."""
    earlier, spec = read_earlier_run(host.store, run), planned_spec(host.store, run)
    base, mirror = bootstrap.find_base(host.place, host.forge, spec.base_ref)
    _check_repository(run, spec, base)
    now = datetime.now(UTC)
    sha, default = mirror.resolve(spec.base_sha), base.repository.default_branch
    trusted = spec.trusted_sha or trusted_commit(mirror, default, spec.base_ref, sha)
    spec = replace(spec, base_sha=sha, trusted_sha=trusted, trigger=replace(spec.trigger, at=now))
    return ContinuedRun(
        run_id=new_run_id(now),
        mirror=mirror,
        earlier=earlier,
        propose_again=again,
        spec=continuation_spec(spec, earlier, earlier.prompt, text),
    )
