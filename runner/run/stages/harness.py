"""The harness stage: what the agent gets, which messages reach it, and what is kept of its session."""

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
from runner.run.stages.artifacts import collect_artifacts
from runner.sandboxes import Sandbox
from runner.store import messages
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Workspace


def restore_changes(context: RunContext, place: Workspace, changeset: Changeset) -> None:
    """Apply the changes of the earlier run to the workspace of the run that continues it."""
    before = context.options.earlier_run
    if before is not None and before.patch:
        made = changeset.apply(context.spec.base_sha, before.patch)
        edits = changeset.edits(context.spec.base_sha, made)
        resume.apply_edits(edits, place.path, context.parts.sandbox.owner)
        what = "1 file" if len(edits) == 1 else f"{len(edits)} files"
        context.record.add_event(f"{what} that run {before.run_id} changed lie there again")


def drive_harness(context: RunContext, box: Sandbox) -> HarnessResult:
    """Run the harness with its secrets, and with a gateway to its model that needs no key in the sandbox."""
    spec, parts, options = context.spec, context.parts, context.options
    with context.record.stage(Phase.HARNESS):
        install_skills(context, box)
    here = options.program.file if options.program is not None and not parts.sandbox.tools else ""
    going_on = context.earlier_session
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
        provider=spec.environment.provider,
        resume=going_on.id if going_on else "",
    )
    secrets = options.confidential
    with ExitStack() as stack, context.record.stage(Phase.HARNESS, f"{spec.harness.kind} begins"):
        if gateway.is_needed(context):
            task = gateway.task_with_gateway(
                task, context, stack.enter_context(gateway.open_run_gateway(context, box))
            )
        stack.enter_context(open_mailbox(context, Redactor(secrets)))
        driven = drive(
            box, parts.harness, task, context.record.folder, secrets, parts.observe, context.mailbox
        )
        driven = replace(driven, declared=context.outbox.merge(driven.declared, context.record.add_event))
    collect_artifacts(context, box, driven.declared)
    for cut in driven.cuts:
        context.record.add_event(cut)
    for path in driven.files:
        context.record.register_artifact(path.name, path)
    return driven


def keep_session(context: RunContext, place: Workspace, driven: HarnessResult, places: Places) -> None:
    """Keep the agent's own session, so that a later run can continue it. A failure to keep it is an event."""
    kept = sessions_of(context.spec.harness.kind)
    if kept is None or not session.is_session_id(driven.session_id):
        return
    path = context.record.folder / session.NAME
    try:
        files = session.collect_files(place.exchange, kept, driven.redactor)
        found = session.AgentSession(
            harness=context.spec.harness.kind, id=driven.session_id, workspace=places.workspace, files=files
        )
        session.write_session(path, found)
    except (session.SessionError, OSError) as error:
        context.record.add_event(f"the agent's session is not kept: {error}")
    else:
        context.record.register_artifact(path.name, path, "application/x-tar")


_DELIVERY_TEXTS = {
    ("say", True): "the agent was told",
    ("say", False): "the agent was not told, it is too late",
    **{("stop", told): "the agent was asked to stop" for told in (True, False)},
    **{("pause", told): "the agent stands still" for told in (True, False)},
    **{("resume", told): "the agent goes on" for told in (True, False)},
}


def open_mailbox(context: RunContext, masked: Redactor) -> AbstractContextManager[None]:
    """Deliver messages of people to the agent, and record each delivery as an event."""
    store, run_id = context.record.store, context.record.run_id

    def note(noted: Sequence[UserMessage], delivered: bool) -> None:
        if delivered:
            messages.mark_delivered(store, noted, datetime.now(UTC))
        for one in noted:
            text = f"{_DELIVERY_TEXTS[one.act, delivered]}: {escape_invisible(masked.redact(one.text))}"
            context.record.add_event(text, letter=one.id, act=one.act)

    speaks = context.parts.harness.reader().speaker() is not None
    return context.mailbox.open(lambda: messages.undelivered(store, run_id), note, speaks)
