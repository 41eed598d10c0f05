"""A delivery of GitHub's webhooks -> an event, or why it is refused. Pure.

GitHub's "Validating webhook deliveries": the signature is an HMAC of the body as it came, and is compared in
constant time. GitHub's "Webhook events and payloads": a payload has at most 25 MB.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runner.core.model.decision import Event
from runner.triggers.github import KINDS
from runner.triggers.sources.github.poll import event

LARGEST = 25 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    repository: str  # "owner/name", as GitHub writes it
    event: Event


@dataclass(frozen=True, slots=True)
class Ping:
    """Somebody set the webhook up."""


@dataclass(frozen=True, slots=True)
class IgnoredDelivery:
    """Rightly signed, and nothing that a skill could ask for."""

    kind: str


@dataclass(frozen=True, slots=True)
class RefusedDelivery:
    status: int
    why: str


Received = Delivery | Ping | IgnoredDelivery | RefusedDelivery


def receive(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    serves: Callable[[str], bool],
    now: datetime,
) -> Received:
    """What came. `secrets` holds several while one is being replaced; `serves` knows "owner/name" of ours."""
    given = {name.lower(): value for name, value in headers.items()}
    if len(body) > LARGEST:
        return RefusedDelivery(413, "the body is larger than 25 MB")
    if not is_signed(given.get("x-hub-signature-256", ""), body, secrets):
        return RefusedDelivery(401, "X-Hub-Signature-256 is missing or wrong")
    kind = given.get("x-github-event", "")
    if kind == "ping":
        return Ping()
    if kind not in KINDS:
        return IgnoredDelivery(kind)
    payload = _parsed(body)
    if payload is None:
        return RefusedDelivery(
            400, "the body is no JSON object: set the webhook's content type to application/json"
        )
    repository = _repository(payload)
    if not repository or not serves(repository):
        return RefusedDelivery(404, "not found")
    return Delivery(repository, event(kind, payload, now, given.get("x-github-delivery", "")))


def is_signed(signature: str, body: bytes, secrets: Sequence[str]) -> bool:
    """Whether one of `secrets` made the signature; an empty secret is none."""
    given = signature.encode(errors="replace")
    right = [hmac.compare_digest(given, _signature(secret, body)) for secret in secrets if secret]
    return any(right)


def _signature(secret: str, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _repository(payload: Mapping[str, Any]) -> str:
    found = payload.get("repository")
    name = found.get("full_name") if isinstance(found, Mapping) else None
    return name if isinstance(name, str) else ""
