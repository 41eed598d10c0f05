"""The harness stage: what the agent gets in each turn, which messages reach it, and what is kept of it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from runner.core.model import Phase, Places, UserMessage
from runner.core.redact import Redactor, escape_invisible
from runner.harnesses import Task, sessions_of
from runner.run.agent import resume, session
from runner.run.agent.drive import HarnessResult, drive
from runner.run.agent.turns import Turn
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
    """Apply to the workspace what the turn before has changed, or the earlier run that this one continues."""
    before = context.options.earlier_run
    patch = context.turn.patch if context.turn is not None else before.patch if before is not None else b""
    if patch:
        made = changeset.apply(context.spec.base_sha, patch)
        edits = changeset.edits(context.spec.base_sha, made)
        resume.apply_edits(edits, place.path, context.parts.sandbox.owner)
        what = "1 file" if len(edits) == 1 else f"{len(edits)} files"
        whose = "the turn before" if before is None or context.turn is not None else f"run {before.run_id}"
        context.record.add_event(f"{what} that {whose} changed lie there again")


def drive_harness(context: RunContext, box: Sandbox) -> HarnessResult:
    """Run the harness with its secrets, and with a gateway to its model that needs no key in the sandbox.

    It works for one turn: its first, or `context.turn`. All turns have one account and one time limit.
    """
    spec, parts, options, turn = context.spec, context.parts, context.options, context.turn
    with context.record.stage(Phase.HARNESS):
        install_skills(context, box)
    here = options.program.file if options.program is not None and not parts.sandbox.tools else ""
    going_on = context.earlier_session
    for name, content in resume.relocate_session(going_on, box.places.workspace).items():
        box.put(f"home/{name}", content)
    left = spec.limits.timeout - (turn.seconds if turn else 0.0)
    task = Task(
        spec=spec.harness,
        prompt=turn.prompt(spec.prompt) if turn else spec.prompt,
        limits=replace(spec.limits, timeout=max(1.0, left)),
        places=box.places,
        program=str(here),
        variables={**options.harness_variables, **options.secrets},
        mcp=with_launch_scripts(box, spec.environment.mcp, spec.environment.variables),
        provider=spec.environment.provider,
        resume=turn.resume if turn else going_on.id if going_on else "",
    )
    secrets = options.confidential
    with ExitStack() as stack, context.record.stage(Phase.HARNESS, f"{spec.harness.kind} begins"):
        if gateway.is_needed(context):
            task = gateway.task_with_gateway(
                task, context, stack.enter_context(gateway.open_run_gateway(context, box))
            )
        stack.enter_context(open_mailbox(context, Redactor(secrets)))
        record, mail = context.record, context.mailbox
        goes_on = turn is not None
        driven = drive(box, parts.harness, task, record.folder, secrets, parts.observe, mail, goes_on)
        declared = context.outbox.merge(driven.declared, record.add_event)
        driven = replace(driven, declared=declared)
        if turn is not None:
            driven = _with_earlier(driven, turn)
    collect_artifacts(context, box, driven.declared)
    for cut in driven.cuts:
        context.record.add_event(cut)
    for path in driven.files:
        context.record.register_artifact(path.name, path)
    return driven


def _with_earlier(driven: HarnessResult, turn: Turn) -> HarnessResult:
    """The result of all turns: what was declared before stays, and comes first."""
    before = (one for one in turn.declared if one not in driven.declared)
    return replace(
        driven,
        declared=(*before, *driven.declared),
        seconds=turn.seconds + driven.seconds,
        earlier_usage=turn.usage,
    )


def ask_again(context: RunContext, box: Sandbox, before: HarnessResult, text: str) -> HarnessResult:
    """Give the agent another turn in its open sandbox, on its tree; `before` is the result of the last one.

    Its session goes on where its harness can continue one in the same sandbox; else an agent begins anew,
    with its task, the last words of the one before, and `text`.
    """
    harness, told = context.parts.harness, before.outcome(True)
    goes_on = (harness.resumes or harness.sessions is not None) and session.is_session_id(before.session_id)
    resume_id = before.session_id if goes_on else ""
    turn = Turn(text=text, resume=resume_id, last_words=told.summary)
    return drive_harness(after(context, before, turn), box)


def after(context: RunContext, driven: HarnessResult, turn: Turn) -> RunContext:
    """The context of another turn, with what those before have declared, used and taken of the time."""
    used = driven.outcome(True).usage
    turn = replace(turn, declared=driven.declared, usage=used, seconds=driven.seconds)
    return replace(context, turn=turn)


def keep_session(
    context: RunContext, place: Workspace, driven: HarnessResult, places: Places
) -> session.AgentSession | None:
    """Keep the agent's own session, so that a later turn or run can continue it; None: it is not kept.

    A failure to keep it is an event.
    """
    kept = sessions_of(context.spec.harness.kind)
    if kept is None or not session.is_session_id(driven.session_id):
        return None
    path = context.record.folder / session.NAME
    try:
        files = session.collect_files(place.exchange, kept, driven.redactor)
        found = session.AgentSession(
            harness=context.spec.harness.kind, id=driven.session_id, workspace=places.workspace, files=files
        )
        session.write_session(path, found)
    except (session.SessionError, OSError) as error:
        context.record.add_event(f"the agent's session is not kept: {error}")
        return None
    context.record.register_artifact(path.name, path, "application/x-tar")
    return found


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
