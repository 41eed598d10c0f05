"""Envelopes of signed payloads, by the Dead Simple Signing Envelope (DSSE) v1."""

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import mapping_at, parse_json, text_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from securesystemslib.signer import CryptoSigner, SSlibKey

MAX_BYTES = 8 * 1024**2
"""No statement of ours comes near this."""


class SignatureVerdict(StrEnum):
    """What a public key says of an envelope."""

    GOOD = "good"
    MISSING = "missing"  # it is not signed
    OTHER_KEY = "other_key"  # it names another key
    ALTERED = "altered"  # it names this key, and is not what that key signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An envelope as it lies in a file. Untrusted until a key has spoken."""

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]  # (name of the key, signature)
    bundle: bool = False  # whether it lies in a bundle of sigstore, which holds the certificate


def seal(payload: bytes, payload_type: str, signer: "CryptoSigner") -> bytes:
    """The JSON of a signed envelope."""
    from securesystemslib.dsse import Envelope as Dsse

    made = Dsse(payload, payload_type, {})
    made.sign(signer)
    return json.dumps(made.to_dict(), indent=2).encode() + b"\n"


def read_envelope(raw: bytes) -> Envelope:
    """The envelope in a file, or in a sigstore bundle. Raises RunnerError INVALID_INPUT."""
    try:
        data = parse_json(raw)
    except ValueError as error:
        raise _invalid(f"it is no JSON: {error}") from None
    inner = mapping_at(data, "dsseEnvelope")
    found: Mapping[str, Any] = inner or (data if isinstance(data, dict) else {})
    signatures = found.get("signatures")
    if not text_at(found, "payload") or not isinstance(signatures, list):
        raise _invalid("it is no DSSE envelope: it has no payload, or no list of signatures")
    try:
        return Envelope(
            payload=_decoded(text_at(found, "payload")),
            payload_type=text_at(found, "payloadType"),
            signatures=tuple((text_at(one, "keyid"), _decoded(text_at(one, "sig"))) for one in signatures),
            bundle=bool(inner),
        )
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"its payload or a signature is no base64: {error}") from None


def check_signature(envelope: Envelope, public_key: bytes) -> SignatureVerdict:
    """What a public key, in PEM, says of an envelope. Raises RunnerError INVALID_INPUT: it is no key."""
    from securesystemslib.dsse import Envelope as Dsse
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Signature

    key = public_key_of(public_key)
    if not any(signature for _, signature in envelope.signatures):
        return SignatureVerdict.MISSING
    signed = Dsse(envelope.payload, envelope.payload_type, {}).pae()
    for _, signature in envelope.signatures:  # the name of a key is a hint, and proves nothing
        try:
            key.verify_signature(Signature(key.keyid, signature.hex()), signed)
        except UnverifiedSignatureError:
            continue
        return SignatureVerdict.GOOD
    named = {name for name, _ in envelope.signatures}
    return SignatureVerdict.ALTERED if key.keyid in named else SignatureVerdict.OTHER_KEY


def public_key_of(pem: bytes) -> "SSlibKey":
    """The key in a PEM. Raises RunnerError INVALID_INPUT."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    try:
        return SSlibKey.from_crypto(load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm):
        message, hint = "this is no public key in PEM", "skillrunner attest key > key.pem prints one"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint) from None


def _decoded(text: str) -> bytes:
    """DSSE lets both alphabets of base64 be used."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)


def _invalid(message: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="name the run's file attestation.json")
