"""Statements of runs: their form by independent readers, and a verdict for each way to alter one."""

import base64
import hashlib
import json
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement as InTotoStatement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementPb
from jsonschema import Draft202012Validator
from securesystemslib.dsse import Envelope as Dsse
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from runner.clients import oidc, sigstore
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.private_folder import make_private
from runner.publish.attestation import local_key
from runner.publish.attestation.envelope import read_envelope, seal
from runner.publish.attestation.signers import AutoSigner, JobSigner, KeySigner, choose_signer
from runner.publish.attestation.statement import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Statement,
    canonical,
    payload,
    trailer,
)
from runner.publish.attestation.verify import (
    Evidence,
    Finding,
    findings,
    read_statement,
    signature_finding,
    trailers_in,
)

PATCH = b"--- a/x\n+++ b/x\n"
COMMIT = "c" * 40


def pem(signer: CryptoSigner) -> bytes:
    key = load_pem_private_key(signer.private_bytes, password=None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def work() -> dict[str, Any]:
    return {
        "run": {
            "id": "20261129-1",
            "attempt": 2,
            "runner": "0.1.0",
            "repository": "acme/docs",
            "base_ref": "main",
            "base_sha": "a" * 40,
            "spec": "",
            "cause": {"kind": "release", "key": "release:1", "subject": "v1", "actor": None},
        },
        "skill": {"name": "docs", "path": "skills/docs", "commit": "b" * 40, "sha256": "d" * 64},
        "prompt": {"sha256": sha256(b"Do it.")},
        "environment": {
            "sandbox": "docker",
            "image": "python:3.12-slim",
            "image_digest": "python@sha256:1",
            "setup": ["make docs"],
            "secrets": ["TOKEN"],
        },
        "harness": {"kind": "claude-code", "version": "2.1", "model": "sonnet", "answered": ["sonnet-5"]},
        "gateway": {"hosts": ["pypi"], "provider_tools": [], "tools": ["note"], "mcp": []},
        "change": {
            "tree": "e" * 40,
            "patch_sha256": sha256(PATCH),
            "patch_bytes": len(PATCH),
            "files": 1,
            "declared_sha256": sha256(b"[]"),
        },
        "verification": [{"command": "make té", "exit": 0, "ok": True, "output_sha256": sha256(b"")}],
        "refused": {
            "policy": [{"rule": "path", "subject": "a", "message": "b"}],
            "attempts": [{"attempt": 1, "message": "no"}],
            "network": [{"host": "evil.example", "reason": "not named", "times": 3}],
        },
        "approvals": [],
        "cost": {"usd": "0.30", "usd_at_least": None, "tokens_in": 10, "tokens_out": 5},
    }


def stated(**changes: Any) -> Statement:
    made = work()
    work_sha256 = sha256(json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    data = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": "acme/docs@skillrunner/docs", "digest": {"gitCommit": COMMIT}},
            {"name": "patch", "digest": {"sha256": sha256(PATCH)}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "work": made,
            "work_sha256": work_sha256,
            "at": "2026-11-29T08:00:00+00:00",
            "published": [{"kind": "pull_request", "key": "k", "action": "created", "url": "https://x/1"}],
        },
    }
    return Statement.model_validate(data | changes)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    make_private(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def signed(state: Path) -> dict[str, Any]:
    """An envelope as its file holds it."""
    made: dict[str, Any] = json.loads(KeySigner(state).sign(payload(stated()), print))
    return made


def resealed(envelope: dict[str, Any], change: Any) -> dict[str, Any]:
    """The envelope with another payload, and the signature of the old one."""
    data = json.loads(base64.b64decode(envelope["payload"]))
    change(data)
    return envelope | {"payload": base64.b64encode(json.dumps(data).encode()).decode()}


def verdict(envelope: dict[str, Any], public: bytes) -> Finding:
    return signature_finding(read_envelope(json.dumps(envelope).encode()), public, "the key")


def failed(statement: Statement, evidence: Evidence) -> list[str]:
    return [one.check for one in findings(statement, evidence) if one.ok is False]


MESSAGE = f"docs: x\n\nwhy\n\nSkillrunner-Run: 1\n{trailer(stated().predicate.work_sha256)}\n"
EVIDENCE = Evidence(patch=PATCH, prompt=b"Do it.", message=MESSAGE)


# --- what others say of it --------------------------------------------------------------------------


def test_in_toto_attestation_accepts_the_statement(signed: dict[str, Any]) -> None:
    read = json_format.Parse(base64.b64decode(signed["payload"]), StatementPb())
    InTotoStatement.copy_from_pb(read).validate()
    assert read.type == STATEMENT_TYPE
    assert [dict(one.digest) for one in read.subject] == [{"gitCommit": COMMIT}, {"sha256": sha256(PATCH)}]
    assert read.predicate["work"]["harness"]["kind"] == "claude-code"


def test_securesystemslib_verifies_the_envelope(signed: dict[str, Any], state: Path) -> None:
    key = SSlibKey.from_crypto(load_pem_public_key(local_key.public_key(state)))
    found = Dsse.from_dict(json.loads(json.dumps(signed)))
    assert found.payload_type == PAYLOAD_TYPE
    assert list(found.verify([key], 1)) == [key.keyid]
    with pytest.raises(VerificationError):
        found.verify([CryptoSigner.generate_ecdsa().public_key], 1)


def test_the_signature_is_that_of_the_standard(signed: dict[str, Any], state: Path) -> None:
    """By the words of DSSE v1 and plain ECDSA, without a library of either."""
    body = base64.b64decode(signed["payload"])
    pae = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(body), body)
    key = load_pem_public_key(local_key.public_key(state))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = base64.b64decode(signed["signatures"][0]["sig"])
    key.verify(signature, pae, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(signature, pae + b" ", ec.ECDSA(hashes.SHA256()))


def test_the_statement_fits_the_published_schema(signed: dict[str, Any]) -> None:
    path = Path(__file__).parents[3] / "schemas/attestation.schema.json"
    schema = Draft202012Validator(json.loads(path.read_text()))
    data = json.loads(base64.b64decode(signed["payload"]))
    assert list(schema.iter_errors(data)) == []
    del data["predicate"]["work"]["prompt"]
    assert not schema.is_valid(data)


def test_the_digest_of_the_work_can_be_computed_without_us() -> None:
    """Canonical JSON: sorted keys, no spaces, and no number that two programs could write differently."""
    made = stated().predicate.work
    by_hand = json.dumps(work(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical(made) == by_hand
    assert made.sha256 == sha256(by_hand)
    assert "té".encode() in by_hand


# --- tampering --------------------------------------------------------------------------------------


def test_what_is_as_stated_is_verified(signed: dict[str, Any], state: Path) -> None:
    assert verdict(signed, local_key.public_key(state)).ok
    assert [one.ok for one in findings(stated(), EVIDENCE)] == [True] * 6


def test_an_altered_payload_is_no_work_of_the_key(signed: dict[str, Any], state: Path) -> None:
    changed = resealed(signed, lambda data: data["predicate"]["work"].update(approvals=[{"by": "eve"}]))
    found = verdict(changed, local_key.public_key(state))
    assert (found.ok, found.message) == (
        False,
        "it is not what the key signed: payload or signature were altered",
    )


def test_an_altered_payload_type_is_no_work_of_the_key(signed: dict[str, Any], state: Path) -> None:
    assert not verdict(signed | {"payloadType": "text/plain"}, local_key.public_key(state)).ok


def test_an_altered_signature_is_told(signed: dict[str, Any], state: Path) -> None:
    one = signed["signatures"][0]
    changed = {**one, "sig": base64.b64encode(b"0" + base64.b64decode(one["sig"])).decode()}
    found = verdict(signed | {"signatures": [changed]}, local_key.public_key(state))
    assert "were altered" in found.message


def test_another_key_is_named(signed: dict[str, Any]) -> None:
    found = verdict(signed, pem(CryptoSigner.generate_ed25519()))
    assert found.ok is False
    assert found.message.startswith("not signed by the key; the envelope names ")
    assert signed["signatures"][0]["keyid"][:16] in found.message


def test_an_envelope_that_borrows_the_name_of_our_key_is_not_ours(state: Path) -> None:
    other = json.loads(seal(payload(stated()), PAYLOAD_TYPE, CryptoSigner.generate_ecdsa()))
    other["signatures"][0]["keyid"] = local_key.signer(state).public_key.keyid
    assert "were altered" in verdict(other, local_key.public_key(state)).message


@pytest.mark.parametrize("signatures", [[], [{"keyid": "x", "sig": ""}]])
def test_a_missing_signature_is_told(signed: dict[str, Any], state: Path, signatures: list[Any]) -> None:
    found = verdict(signed | {"signatures": signatures}, local_key.public_key(state))
    assert (found.ok, found.message) == (False, "it is not signed")


def test_a_signature_without_the_name_of_a_key_counts(signed: dict[str, Any], state: Path) -> None:
    """DSSE calls it a hint: other programs leave it empty."""
    one = {**signed["signatures"][0], "keyid": ""}
    stranger = json.loads(seal(b"{}", PAYLOAD_TYPE, CryptoSigner.generate_ecdsa()))["signatures"][0]
    assert verdict(signed | {"signatures": [stranger, one]}, local_key.public_key(state)).ok


def test_an_ed25519_key_verifies_as_well() -> None:
    signer = CryptoSigner.generate_ed25519()
    made = json.loads(seal(payload(stated()), PAYLOAD_TYPE, signer))
    assert verdict(made, pem(signer)).ok


@pytest.mark.parametrize(
    "raw", [b"", b"a key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_what_is_no_key_is_told(signed: dict[str, Any], raw: bytes) -> None:
    with pytest.raises(RunnerError, match="no public key in PEM") as caught:
        verdict(signed, raw)
    assert "skillrunner attest key" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"predicateType": "https://slsa.dev/provenance/v1"},
            "the predicate type is https://slsa.dev/provenance/v1",
        ),
        ({"predicateType": 3}, "the predicate type is none"),
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "it is https://in-toto.io/Statement/v0.1"),
        ({"subject": []}, "it does not fit its schema: subject"),
        ({"more": 1}, "it does not fit its schema: more"),
        ({"predicate": {}}, "it does not fit its schema: predicate.work"),
    ],
)
def test_another_kind_of_statement_is_told(
    signed: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    found = read_statement(
        read_envelope(json.dumps(resealed(signed, lambda data: data.update(change))).encode())
    )
    assert isinstance(found, Finding)
    assert found.ok is False
    assert found.message.startswith(words)


def test_another_type_of_payload_is_told(signed: dict[str, Any]) -> None:
    found = read_statement(read_envelope(json.dumps(signed | {"payloadType": "x"}).encode()))
    assert isinstance(found, Finding)
    assert found.message == f"the payload is x, not {PAYLOAD_TYPE}"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "it is no JSON"),
        (b"[]", "no DSSE envelope"),
        (b'{"payload": "e30=", "signatures": {}}', "no DSSE envelope"),
        (b'{"payload": "%%%", "signatures": []}', "no base64"),
        (b'{"payload": "e30=", "signatures": [{"sig": "%"}]}', "no base64"),
        (b"[" * 5000, "it is no JSON: it is nested too deeply"),
    ],
)
def test_what_is_no_envelope_is_told(raw: bytes, words: str) -> None:
    with pytest.raises(RunnerError, match=words):
        read_envelope(raw)


@pytest.mark.parametrize(
    ("evidence", "check"),
    [
        (replace(EVIDENCE, patch=PATCH + b"+evil\n"), "patch"),
        (replace(EVIDENCE, prompt=b"Do other things."), "prompt"),
        (replace(EVIDENCE, message="docs: x\n"), "commit"),
        (replace(EVIDENCE, message=f"x\n\n{trailer('0' * 64)}\n"), "commit"),
        (replace(EVIDENCE, message=f"{MESSAGE}{trailer('0' * 64)}\n"), "commit"),
        (replace(EVIDENCE, commit="9" * 40), "commit"),
    ],
)
def test_other_evidence_is_told(evidence: Evidence, check: str) -> None:
    assert failed(stated(), evidence) == [check]


def test_what_is_not_at_hand_is_neither_right_nor_wrong() -> None:
    found = {one.check: one.ok for one in findings(stated(), Evidence())}
    assert found == {
        "predicate": True,
        "work": True,
        "subject": True,
        "patch": None,
        "prompt": None,
        "commit": None,
    }


def test_a_digest_of_other_work_is_told() -> None:
    good = stated().predicate
    other = good.model_copy(update={"work_sha256": "0" * 64})
    assert failed(stated().model_copy(update={"predicate": other}), Evidence()) == ["work"]


def test_a_subject_that_is_another_patch_is_told() -> None:
    subject = [{"name": "patch", "digest": {"sha256": "0" * 64}}]
    assert failed(stated(subject=subject), Evidence()) == ["subject"]


def test_the_trailer_is_a_line_of_its_own() -> None:
    digest = "1" * 64
    assert trailers_in(f"a\n\n{trailer(digest)}\n") == [digest]
    assert trailers_in(f"a says {trailer(digest)}") == []
    assert trailers_in(f"{trailer(digest)}0") == []


# --- the key ----------------------------------------------------------------------------------------


def test_the_key_is_for_its_owner_alone_and_stays(state: Path) -> None:
    first = local_key.public_key(state)
    assert stat.S_IMODE((state / local_key.NAME).stat().st_mode) == 0o600
    assert local_key.public_key(state) == first
    assert [one.name for one in state.iterdir()] == [local_key.NAME]


def test_many_at_once_make_one_key(state: Path) -> None:
    start, found = threading.Barrier(8), list[bytes]()

    def make() -> None:
        start.wait()
        found.append(local_key.public_key(state))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [one.name for one in state.iterdir()] == [local_key.NAME]


def test_a_key_that_others_can_read_is_not_used(state: Path) -> None:
    local_key.signer(state)
    (state / local_key.NAME).chmod(0o640)
    with pytest.raises(RunnerError, match=r"can be read by others \(mode 0640\)") as caught:
        local_key.signer(state)
    assert caught.value.hint == f"chmod 600 {state / local_key.NAME}"


def test_a_link_in_place_of_the_key_is_not_followed(state: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(CryptoSigner.generate_ecdsa().private_bytes)
    (state / local_key.NAME).symlink_to(tmp_path / "other")
    with pytest.raises(RunnerError, match="cannot be read"):
        local_key.signer(state)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nSECR\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_told_and_not_quoted(state: Path, content: bytes) -> None:
    (state / local_key.NAME).touch(0o600)
    (state / local_key.NAME).write_bytes(content)
    with pytest.raises(RunnerError, match="no private key in PEM") as caught:
        local_key.signer(state)
    assert "SECR" not in f"{caught.value.message}{caught.value.hint}"
    assert caught.value.hint.startswith("mv ")


# --- who signs --------------------------------------------------------------------------------------


class StandIn:
    """In place of sigstore, which no test reaches: it signs nothing, and keeps what it was given."""

    def __init__(self, error: RunnerError | None = None) -> None:
        self.error, self.tokens = error, list[str]()

    def sign(self, statement: bytes, token: str) -> bytes:
        self.tokens.append(token)
        if self.error:
            raise self.error
        return json.dumps({"dsseEnvelope": {"payload": base64.b64encode(statement).decode()}}).encode()

    def verify(self, bundle: bytes, identity: str, issuer: str) -> bytes:
        raise NotImplementedError


def identity(**claims: str) -> str:
    return jwt.encode(claims, "a key of no importance, long enough", algorithm="HS256")


def test_the_job_of_a_public_repository_signs_as_itself(state: Path) -> None:
    keyless, token = StandIn(), identity(repository_visibility="public")
    made = AutoSigner(KeySigner(state), keyless, lambda: token).sign(b"{}", print)
    assert read_bundle(made) == b"{}"
    assert keyless.tokens == [token]
    assert not (state / local_key.NAME).exists()


def read_bundle(raw: bytes) -> bytes:
    return base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"])


@pytest.mark.parametrize("seen", ["private", "internal"])
def test_what_is_private_is_not_told_to_a_public_log(state: Path, seen: str) -> None:
    told, keyless = list[str](), StandIn()
    token = identity(repository_visibility=seen)
    made = AutoSigner(KeySigner(state), keyless, lambda: token).sign(payload(stated()), told.append)
    assert verdict(json.loads(made), local_key.public_key(state)).ok
    assert keyless.tokens == []
    assert f"the repository is {seen}" in told[0]


@pytest.mark.parametrize("token", ["no token", identity(sub="x")])
def test_what_a_token_does_not_say_is_not_public(state: Path, token: str) -> None:
    keyless = StandIn()
    AutoSigner(KeySigner(state), keyless, lambda: token).sign(payload(stated()), print)
    assert keyless.tokens == []


def test_where_sigstore_is_away_the_key_signs(state: Path) -> None:
    away = RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "sigstore did not sign: no route")
    told, token = list[str](), identity(repository_visibility="public")
    made = AutoSigner(KeySigner(state), StandIn(away), lambda: token).sign(payload(stated()), told.append)
    assert verdict(json.loads(made), local_key.public_key(state)).ok
    assert told == ["attested with the key of this machine: sigstore did not sign: no route"]


def test_who_asks_for_sigstore_gets_no_other_signature(state: Path) -> None:
    away = RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "sigstore did not sign: no route")
    with pytest.raises(RunnerError, match="no route"):
        JobSigner(StandIn(away), lambda: "token").sign(b"{}", print)


def test_the_configuration_chooses(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert not oidc.is_available()
    assert choose_signer("none", state) is None
    assert choose_signer("key", state) == choose_signer("auto", state) == KeySigner(state)
    assert isinstance(choose_signer("sigstore", state), JobSigner)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")
    assert isinstance(choose_signer("auto", state), AutoSigner)
    monkeypatch.setattr(sigstore, "is_installed", lambda: False)
    assert choose_signer("auto", state) == KeySigner(state)
    with pytest.raises(RunnerError, match="not installed") as caught:
        JobSigner(token=lambda: "t").sign(b"{}", print)
    assert "skillrunner[sigstore]" in caught.value.hint


def test_the_key_is_not_made_before_anything_is_signed(state: Path) -> None:
    choose_signer("key", state)
    assert list(state.iterdir()) == []
