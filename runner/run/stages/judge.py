"""The stages of a run: each opens what its step of `execute.py` needs, and records what came of it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from runner.clients.git import Git
from runner.clients.stdio import Clock
from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.model import Check, Outcome, Phase, Places, Proposal, Reason, Receipt, UserMessage
from runner.core.redact import Redactor, escape_invisible
from runner.harnesses import Speaker, Task, sessions_of
from runner.publish import policy
from runner.publish.outputs import Offer
from runner.run.agent import resume, session
from runner.run.agent.drive import HarnessResult, drive
from runner.run.context import RunContext
from runner.run.environment.commands import verify
from runner.run.environment.mcp_scripts import with_launch_scripts
from runner.run.stages import gateway, image
from runner.run.stages.agent_skills import install_skills
from runner.run.stages.setup import SetupResult, find_setup_result, set_up
from runner.sandboxes import Mount, Sandbox, SandboxSpec
from runner.store import messages
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Change, Workspace
from runner.workspace.checkout import open_workspace as prepared_workspace

_SPARE = 15 * 60.0  # seconds that a container may outlive all limits of what runs in it


def resolve_image(job: RunContext) -> RunContext:
    """Have the image at hand, built where that is asked for, and record which one it is."""
    with job.record.stage(Phase.SANDBOX):
        job = _installed(image.resolve_reference(job))
        digest = job.parts.sandbox.resolve(job.spec.environment.image, job.record.add_event)
    job.record.store.set_facts(job.record.run_id, image_digest=digest)
    return replace(job, image_digest=digest)


def _installed(job: RunContext) -> RunContext:
    """The job with its harness's program on this machine, where that is asked for."""
    if (install := job.parts.install) is None:
        return job
    return replace(job, parts=replace(job.parts, program=install.install(job.record.add_event)))


def find_prepared(job: RunContext) -> SetupResult | None:
    """What set-up left the last time, where that is kept for the base's files."""
    with job.record.stage(Phase.SETUP):
        return find_setup_result(job, job.parts.mirror.git, job.spec.base_sha)


@contextmanager
def private_repository(job: RunContext) -> Iterator[Changeset]:
    """Where git works on what came out. It may hold what must not be kept, so it goes at the end."""
    folder = job.record.folder / "changeset.git"
    safe_fs.remove(folder)
    try:
        yield Changeset(folder, job.parts.mirror.objects)
    finally:
        safe_fs.remove(folder)


@contextmanager
def workspace(job: RunContext, change: Change | None = None) -> Iterator[Workspace]:
    """A place for the base, which the sandbox over it fills; `change` is put on top, for verification."""
    spec, name = job.spec, job.name + ("-verify" if change else "")
    done = prepared_workspace(
        job.parts.mirror,
        spec.base_sha,
        name,
        url=spec.repository.url,
        owner=job.parts.sandbox.OWNER,
        change=change,
    )
    message = f"{spec.base_ref} at {spec.base_sha[:12]}"
    with ExitStack() as stack:
        with job.record.stage(Phase.CHECKOUT, message):
            opened = stack.enter_context(done)
        yield opened


@contextmanager
def sandbox(
    job: RunContext,
    place: Workspace,
    kept: SetupResult | None = None,
    purpose: Literal["run", "verify"] = "run",
) -> Iterator[Sandbox]:
    """A sandbox over a workspace, which is filled meanwhile.

    Only that of the harness has the harness's program, and a gateway.
    """
    job.parts.stop()
    environment, limits = job.spec.environment, job.spec.limits
    exchange = place.exchange
    exchange.mkdir()
    borrowed = (Mount(source=path, target=str(path)) for path in place.objects)
    opened = SandboxSpec(
        run_id=job.record.run_id,
        attempt=job.attempt,
        worker=job.parts.worker,
        purpose=purpose,
        image=environment.image,
        workspace=place.path,
        exchange=exchange,
        mounts=(*borrowed, *job.mounts, *_tools(job, purpose), *(kept.mounts() if kept else ())),
        variables=environment.variables,
        resources=environment.resources,
        setup_network=bool(environment.setup) and not (kept and kept.there),
        stop=job.check_stop if purpose == "run" else job.parts.stop,
        clock=job.mail.clock if purpose == "run" else Clock(),
        gateway=purpose == "run" and gateway.is_needed(job),
        helper=job.parts.helper,
        lifetime=limits.timeout * (1 + len(environment.setup) + len(job.spec.verify)) + _SPARE,
    )
    with ExitStack() as stack:
        with job.record.stage(Phase.SANDBOX), _meanwhile(place.fill):
            made = stack.enter_context(job.parts.sandbox.open(opened))
        yield made


@contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """`work` goes on in a thread beside the body, and has ended afterwards, whatever happened."""
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(work)
        yield
    going.result()


def _tools(job: RunContext, purpose: str) -> Iterator[Mount]:
    parts = job.parts
    if purpose == "run" and parts.program is not None and parts.sandbox.TOOLS:
        yield from parts.program.mounts(parts.harness.PROGRAM or parts.program.file.name, parts.sandbox.TOOLS)


def drive_harness(job: RunContext, box: Sandbox) -> HarnessResult:
    """Run the harness with its secrets, and with a door to its model that needs no key inside."""
    spec, parts = job.spec, job.parts
    with job.record.stage(Phase.HARNESS):
        install_skills(job, box)
    here = parts.program.file if parts.program is not None and not parts.sandbox.TOOLS else ""
    going_on = job.resumed_session
    for name, content in resume.relocate_session(going_on, box.places.workspace).items():
        box.put(f"home/{name}", content)
    task = Task(
        spec=spec.harness,
        prompt=spec.prompt,
        limits=spec.limits,
        places=box.places,
        program=str(here),
        variables={**parts.variables, **parts.secrets},
        mcp=with_launch_scripts(box, spec.environment.mcp, spec.environment.variables),
        resume=going_on.id if going_on else "",
    )
    secrets = parts.confidential
    with ExitStack() as stack, job.record.stage(Phase.HARNESS, f"{spec.harness.kind} begins"):
        if gateway.is_needed(job):
            task = gateway.task_with_gateway(task, job, stack.enter_context(gateway.gateway(job, box)))
        stack.enter_context(_mail(job, Redactor(secrets)))
        driven = drive(box, parts.harness, task, job.record.folder, secrets, parts.watch, job.mail)
        driven = replace(driven, declared=job.outbox.after(driven.declared, job.record.add_event))
    for path in driven.files:
        job.record.register_artifact(path.name, path)
    return driven


def restore_changes(job: RunContext, place: Workspace, changeset: Changeset) -> None:
    """What an earlier run changed lies in the workspace again, for one that goes on from it."""
    before = job.parts.earlier
    if before is not None and before.patch:
        made = changeset.apply(job.spec.base_sha, before.patch)
        edits = changeset.edits(job.spec.base_sha, made)
        resume.put_back(edits, place.path, job.parts.sandbox.OWNER)
        what = "1 file" if len(edits) == 1 else f"{len(edits)} files"
        job.record.add_event(f"{what} that run {before.run_id} changed lie there again")


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


def _mail(job: RunContext, masked: Redactor) -> AbstractContextManager[None]:
    """The agent is told what people say to it, and the run's events tell of that."""
    store, run_id = job.record.store, job.record.run_id

    def note(letters: Sequence[UserMessage], told: bool) -> None:
        if told:
            messages.mark_delivered(store, letters, datetime.now(UTC))
        for letter in letters:
            said = f"{_NOTED[letter.act, told]}: {escape_invisible(masked.whole(letter.text))}"
            job.record.add_event(said, letter=letter.id, act=letter.act)

    speaks = issubclass(job.parts.harness.Reader, Speaker)
    return job.mail.open(lambda: messages.pending(store, run_id), note, speaks)


def judge(job: RunContext, outcome: Outcome, proposal: Proposal, patch: bytes) -> None:
    """Let pass what is good work and allowed. Raises RunnerError otherwise; what was found is recorded."""
    run_id = job.record.run_id
    count = len(proposal.changes)
    with job.record.stage(Phase.POLICY, "1 changed file" if count == 1 else f"{count} changed files"):
        declared = repr([item.fields for item in proposal.declared]).encode()
        contents = {"patch": patch, "summary": proposal.summary.encode(), "declared outputs": declared}
        refusals = policy.check(job.spec, proposal, contents, job.parts.secrets)
        if not any(refusal.rule == "secret" for refusal in refusals):
            job.record.save_artifact("patch", patch, "text/x-diff")
        job.record.add_refusals(refusals)
    job.parts.stop()
    job.account.check()
    if job.mail.interrupted:
        message, hint = "it was interrupted", f'go on with it: skillrunner continue {run_id} "go on"'
        raise RunnerError(Phase.HARNESS, Reason.CANCELLED, message, hint=hint)
    if job.mail.why:
        hint = f"skillrunner diff {run_id} shows what it did until then"
        raise RunnerError(Phase.HARNESS, Reason.CANCELLED, f"it was stopped: {job.mail.why}", hint=hint)
    if not outcome.ok:
        reason, hint = outcome.reason or Reason.HARNESS_FAILED, f"skillrunner logs {run_id}"
        raise RunnerError(Phase.HARNESS, reason, outcome.message, hint=hint, retryable=outcome.retryable)
    gateway.check_cost(job, outcome)
    if refusals:
        first = f"{refusals[0].subject} {refusals[0].message}"
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        message, hint = f"the policy refused the proposal: {first}{more}", f"skillrunner show {run_id}"
        raise RunnerError(Phase.POLICY, Reason.POLICY_REFUSED, message, hint=hint)


def check(job: RunContext, change: Change) -> tuple[Check, ...]:
    """The verification commands' results. Raises RunnerError when one failed and no draft is wanted."""
    spec = job.spec
    if not spec.verify:
        return ()
    kept = find_setup_result(job, Git(change.objects.parent), change.tree_sha)
    with workspace(job, change) as clean, job.record.stage(Phase.VERIFY):
        opened = sandbox(job, clean, kept, "verify")
        checks = verify(
            opened,
            lambda box: set_up(job, box, kept),
            spec.verify,
            spec.limits,
            job.record.add_event,
        )
    job.record.add_checks(checks)
    failed = ", ".join(one.command for one in checks if not one.ok)
    if failed and not spec.draft_on_failed_verify:
        hint = f"skillrunner show {job.record.run_id}"
        raise RunnerError(
            Phase.VERIFY, Reason.VERIFICATION_FAILED, f"verification failed: {failed}", hint=hint
        )
    return checks


def publish(job: RunContext, offer: Offer, changeset: Changeset) -> Receipt:
    """Hand the offer to its output; the receipt is recorded."""
    job.parts.stop()
    with job.record.stage(Phase.PUBLISH):
        receipt: Receipt = job.parts.output.publish(offer, job.parts.forge, changeset)
        job.record.add_receipt(receipt)
        return receipt
