"""The verification of an attestation: one finding for each thing that somebody could have changed."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from runner.core.payload import parse_json, text_at
from runner.publish.attestation import envelope as envelopes
from runner.publish.attestation.envelope import Envelope, SignatureVerdict
from runner.publish.attestation.statement import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    TRAILER,
    RunPredicate,
    Statement,
)

PATCH = "patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one part of the verification found."""

    check: str  # "signature", "predicate", "work", "patch", "commit", "prompt"
    ok: bool | None  # None: there was nothing to check it with
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the statement is held against, as far as it is at hand."""

    patch: bytes | None = None
    prompt: bytes | None = None
    message: str | None = None  # of the commit that the statement names, where that commit is at hand
    commit: str = ""  # the commit that somebody asks about; empty: none


def signature_finding(envelope: Envelope, public_key: bytes, whose: str) -> Finding:
    """Whether the key signed it. Raises RunnerError where it is no key."""
    verdict = envelopes.check_signature(envelope, public_key)
    named = ", ".join(name[:16] or "no key by its name" for name, _ in envelope.signatures)
    told = {
        SignatureVerdict.GOOD: f"signed by {whose}",
        SignatureVerdict.MISSING: "it is not signed",
        SignatureVerdict.OTHER_KEY: f"not signed by {whose}; the envelope names {named}",
        SignatureVerdict.ALTERED: f"it is not what {whose} signed: payload or signature were altered",
    }
    return Finding(check="signature", ok=verdict is SignatureVerdict.GOOD, message=told[verdict])


def read_statement(envelope: Envelope) -> Statement | Finding:
    """The statement in an envelope, or what is wrong with it."""
    if envelope.payload_type != PAYLOAD_TYPE:
        return _wrong(f"the payload is {envelope.payload_type or 'of no type'}, not {PAYLOAD_TYPE}")
    try:
        data = parse_json(envelope.payload)
    except ValueError as error:
        return _wrong(f"the payload is no JSON: {error}")
    if text_at(data, "_type") != STATEMENT_TYPE:
        return _wrong(f"it is {text_at(data, '_type') or 'nothing'}, not {STATEMENT_TYPE}")
    if text_at(data, "predicateType") != PREDICATE_TYPE:
        named = text_at(data, "predicateType") or "none"
        return _wrong(f"the predicate type is {named}, not {PREDICATE_TYPE}")
    try:
        return Statement.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return _wrong(f"it does not fit its schema: {where}: {first['msg']}")


def findings(statement: Statement, evidence: Evidence) -> Iterator[Finding]:
    """What the statement says, held against itself and against the evidence."""
    predicate = statement.predicate
    yield Finding(check="predicate", ok=True, message=PREDICATE_TYPE)
    yield _work(predicate)
    yield _file("patch", predicate.work.change.patch_sha256, evidence.patch)
    yield _patch_subject(statement)
    yield _file("prompt", predicate.work.prompt.sha256, evidence.prompt)
    yield _commit(statement, evidence)


def commit_of(statement: Statement) -> str:
    """The commit that the statement names; empty: none."""
    return next((one.digest.gitCommit for one in statement.subject if one.digest.gitCommit), "")


def trailers_in(message: str) -> list[str]:
    """The digests that the trailers of a commit's message name."""
    return re.findall(rf"^{TRAILER}: sha256:([0-9a-f]{{64}})$", message, re.MULTILINE)


def _work(predicate: RunPredicate) -> Finding:
    made = predicate.work.sha256
    if made == predicate.work_sha256:
        return Finding(check="work", ok=True, message=f"sha256:{made}")
    message = f"`work` has the digest {made}, and `work_sha256` is {predicate.work_sha256}"
    return Finding(check="work", ok=False, message=message)


def _file(name: str, stated: str, content: bytes | None) -> Finding:
    if content is None:
        return Finding(check=name, ok=None, message=f"no {name} to compare it with")
    found = hashlib.sha256(content).hexdigest()
    if found == stated:
        return Finding(check=name, ok=True, message=f"sha256:{stated}")
    return Finding(
        check=name, ok=False, message=f"another {name}: its digest is {found}, and {stated} is attested"
    )


def _patch_subject(statement: Statement) -> Finding:
    """A statement about one patch may not name another one as its subject."""
    stated = statement.predicate.work.change.patch_sha256
    other = [
        one.digest.sha256 for one in statement.subject if one.name == PATCH and one.digest.sha256 != stated
    ]
    if other:
        return Finding(
            check="subject", ok=False, message=f"its subject is the patch {other[0]}, not {stated}"
        )
    names = ", ".join(
        f"{one.name} {(one.digest.gitCommit or one.digest.sha256 or '')[:12]}" for one in statement.subject
    )
    return Finding(check="subject", ok=True, message=names)


def _commit(statement: Statement, evidence: Evidence) -> Finding:
    commit, work = commit_of(statement), statement.predicate.work_sha256
    if evidence.commit and evidence.commit != commit:
        message = f"it attests {commit or 'no commit'}, not {evidence.commit}"
        return Finding(check="commit", ok=False, message=message)
    if not commit:
        return Finding(check="commit", ok=None, message="it names no commit")
    if evidence.message is None:
        return Finding(check="commit", ok=None, message=f"{commit} is not in this repository")
    named = trailers_in(evidence.message)
    if named == [work]:
        return Finding(check="commit", ok=True, message=f"{commit} names this work in its trailer")
    told = f"names sha256:{named[0]}" if named else f"has no trailer {TRAILER}"
    return Finding(check="commit", ok=False, message=f"{commit} {told}, not sha256:{work}")


def _wrong(message: str) -> Finding:
    return Finding(check="predicate", ok=False, message=message)
