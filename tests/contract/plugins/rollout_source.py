"""An event source and its trigger: a deployment system tells that it rolled a version out.

It posts `{"id": ..., "repository": ..., "environment": ..., "version": ...}` and signs the time and the body.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from runner.config.documents import Model
from runner.core.payload import scalar_at, text_at
from runner.core.units import Maybe
from runner.triggers import TRIGGERS, KeyPart, TriggerKind, TriggerOptions
from runner.triggers.options import Names, name_mismatch
from runner.triggers.sources import Delivery, EventSource, ReceivedBody, RefusedDelivery

_OLDEST = 300  # seconds: what was sent before that may be somebody's recording


class Rollout(Model, TriggerOptions):
    """A version was rolled out."""

    environments: Maybe[Names] = Field(default=None, description="Only into these environments")

    def mismatch(self, payload: Mapping[str, Any]) -> str:
        return name_mismatch("environments", text_at(payload, "environment"), self.environments)


class RolloutTrigger(TriggerKind):
    name = "rollout"
    options = Rollout
    subject_path = ("version",)
    key_parts = (KeyPart(("id",)),)


class RolloutSource(EventSource):
    name = "rollout"
    max_body = 64 * 1024

    def receive(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[str],
        serves: Callable[[str], bool],
        now: datetime,
    ) -> ReceivedBody:
        at = headers.get("x-rollout-at", "")
        if not _is_signed(headers.get("x-rollout-signature", ""), at, body, secrets):
            return RefusedDelivery(401, "X-Rollout-Signature is missing or wrong")
        if not at.isdecimal() or abs(now.timestamp() - int(at)) > _OLDEST:
            return RefusedDelivery(401, "X-Rollout-At is not now")
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            return RefusedDelivery(400, "the body is no JSON")
        repository = text_at(payload, "repository")
        if scalar_at(payload, "id") is None or not serves(repository):
            return RefusedDelivery(404, "not found")
        return Delivery(repository, TRIGGERS.get("rollout").event(payload, now))


def _is_signed(signature: str, at: str, body: bytes, secrets: Sequence[str]) -> bool:
    signed = at.encode(errors="replace") + b"." + body
    given = signature.encode(errors="replace")
    made = [hmac.new(secret.encode(), signed, hashlib.sha512).hexdigest() for secret in secrets if secret]
    right = [hmac.compare_digest(given, one.encode()) for one in made]
    return any(right)


PLUGINS = (RolloutTrigger, RolloutSource)
