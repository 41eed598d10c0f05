"""What a run states about what it publishes, before the commit and after it.

The commit's trailer holds the digest of the work, which is stored before the first write: another attempt
that publishes what this one left finds it again, and makes the same commit.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from runner import __version__
from runner.core.errors import RunnerError
from runner.core.jsonl import json_object
from runner.core.model import Receipt
from runner.core.payload import text_at
from runner.core.redact import Redactor, escape_invisible, readable
from runner.publish.attestation import statement as statements
from runner.publish.attestation.statement import (
    Agent,
    AgentEnvironment,
    Approval,
    Change,
    Cost,
    Digests,
    EarlierAttempt,
    GatewayPolicy,
    NetworkRefusal,
    PolicyRefusal,
    PromptDigest,
    PublishedItem,
    Refused,
    RunCause,
    RunIdentity,
    RunPredicate,
    RunWork,
    SkillIdentity,
    Statement,
    Subject,
    Verification,
)
from runner.publish.attestation.verify import PATCH, trailers_in
from runner.run.agent.transcript import TRANSCRIPT
from runner.run.context import RunContext
from runner.run.stages import publication
from runner.run.stages.gateway import CALLS, EGRESS, SETUP_EGRESS
from runner.store.approvals import ApprovalStore
from runner.workspace.changeset import Changeset

FILE = "attestation.json"
_WORK = "attestation-work.json"
_LONGEST = 2000  # characters of a text
_MOST = 1000  # items of a list that an agent can make long
_HEAD = 200  # lines of a transcript among which an agent says its version


@contextmanager
def attested(
    context: RunContext, ready: publication.Publication, changeset: Changeset, *, kept: bool = False
) -> Iterator[publication.Publication]:
    """The publication with the digest of its work; at the end what was published is attested.

    `kept`: an earlier attempt did the work, stated it, and may have pushed the commit that names it.
    Also after an error: what is out is out. What cannot be attested is a warning, for the work is done.
    """
    if context.options.statement_signer is None:
        yield ready
        return
    work = (_stored_work(context, ready) if kept else None) or _new_work(context, ready)
    try:
        yield replace(ready, work_sha256=work.sha256)
    except RunnerError:
        _attest(context, work, changeset)
        raise
    _attest(context, work, changeset)


def _attest(context: RunContext, work: RunWork, changeset: Changeset) -> None:
    signer, record = context.options.statement_signer, context.record
    receipts = record.store.receipts(record.run_id)
    if signer is None or not receipts:
        return
    try:
        stated = statements.payload(_statement(work, receipts, changeset))
        record.save_artifact(FILE, signer.sign(stated, record.add_event), "application/vnd.in-toto+dsse")
    except (RunnerError, ValidationError, OSError) as error:
        told = error.message if isinstance(error, RunnerError) else str(error)
        record.add_warning(f"what it published is not attested: {told}")


def _statement(work: RunWork, receipts: Sequence[Receipt], changeset: Changeset) -> Statement:
    predicate = RunPredicate(
        work=work,
        work_sha256=work.sha256,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        published=tuple(_publication(one) for one in receipts),
    )
    return Statement.model_validate(
        {
            "_type": statements.STATEMENT_TYPE,
            "subject": tuple(_subjects(work, receipts, changeset)),
            "predicateType": statements.PREDICATE_TYPE,
            "predicate": predicate,
        }
    )


def _subjects(work: RunWork, receipts: Sequence[Receipt], changeset: Changeset) -> Iterator[Subject]:
    """The commits of this work, and its patch; where nothing was changed, what the agent declared."""
    for receipt in receipts:
        if receipt.sha and work.sha256 in _trailers(changeset, receipt.sha):
            name = f"{work.run.repository}@{receipt.branch}"
            yield Subject(name=name, digest=Digests(gitCommit=receipt.sha))
    if work.change.patch_bytes:
        yield Subject(name=PATCH, digest=Digests(sha256=work.change.patch_sha256))
    else:
        yield Subject(name="declared", digest=Digests(sha256=work.change.declared_sha256))


def _trailers(changeset: Changeset, sha: str) -> list[str]:
    """What the commit itself names: a branch may stand on one that an earlier run has pushed."""
    try:
        return trailers_in(changeset.first_parents(sha, limit=1)[0].message) if changeset.has(sha) else []
    except (RunnerError, IndexError):
        return []


def _publication(receipt: Receipt) -> PublishedItem:
    return PublishedItem(
        kind=receipt.kind,
        key=_plain(receipt.key),
        action=receipt.action,
        url=_plain(receipt.url),
        number=receipt.number,
        sha=receipt.sha,
        branch=_plain(receipt.branch),
        item=receipt.item,
    )


def _stored_work(context: RunContext, ready: publication.Publication) -> RunWork | None:
    """What an earlier attempt stated of the same patch before it published."""
    for one in context.record.store.artifacts(context.record.run_id):
        if one.name == _WORK:
            try:
                work = RunWork.model_validate_json(Path(one.path).read_bytes())
            except (OSError, ValidationError):
                return None
            return work if work.change.patch_sha256 == _sha256(ready.patch) else None
    return None


def _new_work(context: RunContext, ready: publication.Publication) -> RunWork:
    work = _work(context, ready)
    context.record.save_artifact(_WORK, statements.canonical(work), "application/json")
    return work


def _work(context: RunContext, ready: publication.Publication) -> RunWork:
    spec = context.spec
    masked = Redactor(context.options.confidential)
    return RunWork(
        run=_run(context),
        skill=SkillIdentity(
            name=spec.skill.name, path=spec.skill.path, commit=spec.skill.commit, sha256=spec.skill.digest
        ),
        prompt=PromptDigest(sha256=_sha256(spec.prompt.encode("utf-8", "surrogatepass"))),
        environment=_surroundings(context, masked),
        harness=_agent(context),
        gateway=_gateway(context),
        change=_change(ready),
        verification=tuple(
            Verification(
                command=_text(one.command, masked),
                exit=one.exit_code,
                ok=one.ok,
                output_sha256=_sha256(one.output.encode("utf-8", "surrogatepass")),
            )
            for one in ready.checks
        ),
        refused=_refused(context, masked),
        approvals=_approvals(context),
        cost=_cost(context),
    )


def _approvals(context: RunContext) -> tuple[Approval, ...]:
    """Who agreed to exactly what is published."""
    masked = Redactor(context.options.confidential)
    last = ApprovalStore(context.record.store).last(context.record.run_id)
    if last is None or last.verdict != "approved" or last.decided_at is None:
        return ()
    why = _text(last.reason, masked) if last.reason else ""
    return (Approval(by=last.who, at=last.decided_at.isoformat(), sha256=last.digest, why=why),)


def _run(context: RunContext) -> RunIdentity:
    spec, trigger = context.spec, context.spec.trigger
    return RunIdentity(
        id=context.record.run_id,
        attempt=context.attempt,
        runner=__version__,
        repository=spec.repository.name,
        base_ref=_plain(spec.base_ref),
        base_sha=spec.base_sha,
        spec=spec.digest,
        cause=RunCause(
            kind=trigger.kind,
            key=_plain(trigger.key),
            subject=_plain(trigger.subject),
            actor=_plain(trigger.actor) if trigger.actor else None,
        ),
    )


def _surroundings(context: RunContext, masked: Redactor) -> AgentEnvironment:
    environment = context.spec.environment
    return AgentEnvironment(
        sandbox=environment.sandbox,
        image=environment.image or environment.dockerfile or environment.devcontainer,
        image_digest=context.image_digest or context.record.store.run(context.record.run_id).image_digest,
        setup=tuple(_text(one, masked) for one in environment.setup),
        secrets=environment.secrets,
    )


def _agent(context: RunContext) -> Agent:
    spec = context.spec.harness
    answered = dict.fromkeys(text_at(one, "model") for one in _lines(context, CALLS))
    return Agent(
        kind=spec.kind,
        version=_version(context),
        model=spec.model,
        answered=tuple(_plain(name) for name in answered if name)[:_MOST],
    )


def _version(context: RunContext) -> str | None:
    """The harness's version by its own words, else the one that was installed for it."""
    for number, event in enumerate(_lines(context, TRANSCRIPT)):
        if number >= _HEAD:
            break
        if event.get("type") == "session" and text_at(event, "version"):
            return _plain(text_at(event, "version"))
    return context.parts.install.exact_version if context.parts.install else None


def _gateway(context: RunContext) -> GatewayPolicy:
    environment = context.spec.environment
    return GatewayPolicy(
        hosts=environment.network,
        provider_tools=environment.provider,
        tools=context.spec.tools,
        mcp=tuple(server.url or server.name for server in environment.mcp),
    )


def _change(ready: publication.Publication) -> Change:
    proposal = ready.proposal
    declared = [{"kind": one.kind, "fields": dict(one.fields)} for one in proposal.declared]
    said = json.dumps(declared, sort_keys=True, separators=(",", ":"), default=str)
    return Change(
        tree=proposal.tree_sha,
        patch_sha256=_sha256(ready.patch),
        patch_bytes=len(ready.patch),
        files=len(proposal.changes),
        declared_sha256=_sha256(said.encode()),
    )


def _refused(context: RunContext, masked: Redactor) -> Refused:
    """From the run's events, which all its attempts have added to."""
    events = [event.data for _, event in context.record.store.events(context.record.run_id)]
    refusals = [one["refusal"] for one in events if "refusal" in one]
    ended = [(one["ended_attempt"], one["ended"]) for one in events if "ended_attempt" in one]
    seen = Counter(
        (text_at(one, "host"), text_at(one, "refused"))
        for name in (SETUP_EGRESS, EGRESS)
        for one in _lines(context, name)
        if one.get("refused")
    )
    return Refused(
        policy=tuple(
            PolicyRefusal(**{name: _text(value, masked) for name, value in one.items()}) for one in refusals
        )[:_MOST],
        attempts=tuple(EarlierAttempt(attempt=at, message=_text(said, masked)) for at, said in ended),
        network=tuple(
            NetworkRefusal(host=_text(host, masked), reason=_text(why, masked), times=times)
            for (host, why), times in seen.most_common(_MOST)
        ),
    )


def _cost(context: RunContext) -> Cost:
    usage = context.record.usage
    return Cost(
        usd=_dollars(usage.cost_usd),
        usd_at_least=_dollars(usage.cost_at_least),
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
    )


def _dollars(amount: float | None) -> str | None:
    return None if amount is None else f"{Decimal(str(amount)):f}"


def _lines(context: RunContext, name: str) -> Iterator[dict[str, object]]:
    """The JSON objects in a file of each attempt until this one, where it is still on this machine."""
    record = context.record
    folders = dict.fromkeys(
        (*(record.store.run_folder(record.run_id, n + 1) for n in range(context.attempt)), record.folder)
    )
    for path in (folder / name for folder in folders):
        if path.is_file():
            with path.open("rb") as file:
                yield from (dict(found) for line in file if (found := json_object(line)) is not None)


def _text(text: str, masked: Redactor) -> str:
    return _plain(masked.redact(text))


def _plain(text: str) -> str:
    return escape_invisible(readable(text))[:_LONGEST]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
