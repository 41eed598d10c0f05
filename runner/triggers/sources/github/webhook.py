"""A delivery of GitHub's webhooks -> an event, or why it is refused. Pure.

GitHub's "Validating webhook deliveries": the signature is an HMAC of the body as it came, and is compared in
constant time. GitHub's "Webhook events and payloads": a payload has at most 25 MB.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from runner.core.payload import parse_json, text_at
from runner.triggers.sources import (
    MAX_BODY,
    Delivery,
    IgnoredDelivery,
    Ping,
    ReceivedBody,
    RefusedDelivery,
)
from runner.triggers.sources.github.trigger import github_triggers


def receive(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    serves: Callable[[str], bool],
    now: datetime,
) -> ReceivedBody:
    """What came. `secrets` holds several while one is being replaced; `serves` knows "owner/name" of ours."""
    if len(body) > MAX_BODY:
        return RefusedDelivery(413, "the body is larger than 25 MB")
    if not is_signed(headers.get("x-hub-signature-256", ""), body, secrets):
        return RefusedDelivery(401, "X-Hub-Signature-256 is missing or wrong")
    kind = headers.get("x-github-event", "")
    if kind == "ping":
        return Ping()
    trigger = github_triggers().get(kind)
    if trigger is None:
        return IgnoredDelivery(kind)
    payload = _parsed(body)
    if payload is None:
        return RefusedDelivery(
            400, "the body is no JSON object: set the webhook's content type to application/json"
        )
    repository = text_at(payload, "repository", "full_name")
    if not repository or not serves(repository):
        return RefusedDelivery(404, "not found")
    return Delivery(repository, trigger.event(payload, now, headers.get("x-github-delivery", "")))


def is_signed(signature: str, body: bytes, secrets: Sequence[str]) -> bool:
    """Whether one of `secrets` made the signature; an empty secret is none."""
    given = signature.encode(errors="replace")
    right = [hmac.compare_digest(given, _signature(secret, body)) for secret in secrets if secret]
    return any(right)


def _signature(secret: str, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        found = parse_json(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
