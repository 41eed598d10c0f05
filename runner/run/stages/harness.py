"""The agent at work: what it is given, what it is told, and what of its session is kept."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from runner.core.model import Phase, Places, UserMessage
from runner.core.redact import Redactor, escape_invisible
from runner.harnesses import Task, sessions_of
from runner.run.agent import resume, session
from runner.run.agent.drive import HarnessResult, drive
from runner.run.context import RunContext
from runner.run.environment.mcp_scripts import with_launch_scripts
from runner.run.stages import gateway
from runner.run.stages.agent_skills import install_skills
from runner.sandboxes import Sandbox
from runner.store import messages
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Workspace


def restore_changes(job: RunContext, place: Workspace, changeset: Changeset) -> None:
    """What an earlier run changed lies in the workspace again, for one that goes on from it."""
    before = job.options.earlier
    if before is not None and before.patch:
        made = changeset.apply(job.spec.base_sha, before.patch)
        edits = changeset.edits(job.spec.base_sha, made)
        resume.put_back(edits, place.path, job.parts.sandbox.owner)
        what = "1 file" if len(edits) == 1 else f"{len(edits)} files"
        job.record.add_event(f"{what} that run {before.run_id} changed lie there again")


def drive_harness(job: RunContext, box: Sandbox) -> HarnessResult:
    """Run the harness with its secrets, and with a door to its model that needs no key inside."""
    spec, parts, options = job.spec, job.parts, job.options
    with job.record.stage(Phase.HARNESS):
        install_skills(job, box)
    here = options.program.file if options.program is not None and not parts.sandbox.tools else ""
    going_on = job.resumed_session
    for name, content in resume.relocate_session(going_on, box.places.workspace).items():
        box.put(f"home/{name}", content)
    task = Task(
        spec=spec.harness,
        prompt=spec.prompt,
        limits=spec.limits,
        places=box.places,
        program=str(here),
        variables={**options.harness_variables, **options.secrets},
        mcp=with_launch_scripts(box, spec.environment.mcp, spec.environment.variables),
        resume=going_on.id if going_on else "",
    )
    secrets = options.confidential
    with ExitStack() as stack, job.record.stage(Phase.HARNESS, f"{spec.harness.kind} begins"):
        if gateway.is_needed(job):
            task = gateway.task_with_gateway(task, job, stack.enter_context(gateway.gateway(job, box)))
        stack.enter_context(mailbox(job, Redactor(secrets)))
        driven = drive(box, parts.harness, task, job.record.folder, secrets, parts.observe, job.mail)
        driven = replace(driven, declared=job.outbox.after(driven.declared, job.record.add_event))
    for path in driven.files:
        job.record.register_artifact(path.name, path)
    return driven


def keep_session(job: RunContext, place: Workspace, driven: HarnessResult, places: Places) -> None:
    """Keep the agent's own session, by which it can go on later. That it cannot be kept is no failure."""
    kept = sessions_of(job.spec.harness.kind)
    if kept is None or not session.is_id(driven.session_id):
        return
    path = job.record.folder / session.NAME
    try:
        files = session.collect(place.exchange, kept, driven.redactor)
        found = session.AgentSession(
            harness=job.spec.harness.kind, id=driven.session_id, workspace=places.workspace, files=files
        )
        session.write(path, found)
    except (session.SessionError, OSError) as error:
        job.record.add_event(f"the agent's session is not kept: {error}")
    else:
        job.record.register_artifact(path.name, path, "application/x-tar")


_NOTED = {
    ("say", True): "the agent was told",
    ("say", False): "the agent was not told, it is too late",
    **{("stop", told): "the agent was asked to stop" for told in (True, False)},
    **{("pause", told): "the agent stands still" for told in (True, False)},
    **{("resume", told): "the agent goes on" for told in (True, False)},
}


def mailbox(job: RunContext, masked: Redactor) -> AbstractContextManager[None]:
    """The agent is told what people say to it, and the run's events tell of that."""
    store, run_id = job.record.store, job.record.run_id

    def note(letters: Sequence[UserMessage], told: bool) -> None:
        if told:
            messages.mark_delivered(store, letters, datetime.now(UTC))
        for letter in letters:
            said = f"{_NOTED[letter.act, told]}: {escape_invisible(masked.redact(letter.text))}"
            job.record.add_event(said, letter=letter.id, act=letter.act)

    speaks = job.parts.harness.reader().speaker() is not None
    return job.mail.open(lambda: messages.undelivered(store, run_id), note, speaks)
