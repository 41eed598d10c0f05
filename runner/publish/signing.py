"""Signatures of our hidden marks, with a key that stays on our hosts. Pure.

A mark's signature names its key, so that a host can tell a forged one from one of a host with another key:
what it cannot check is no better than an unsigned mark, and what it can check and is wrong never counts.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

KEY_VARIABLE = "SKILLRUNNER_SIGNING_KEY"
"""The name of the secret that holds the key, where several hosts share one."""

_ID = 12  # digits of a key's name


class Trust(StrEnum):
    """What the signature of a mark says."""

    OURS = "ours"  # our key made it
    FORGED = "forged"  # it names our key, which did not make it
    UNKNOWN = "unknown"  # there is none, or we do not have its key


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs marks and judges signatures; without a key it signs nothing and can check nothing."""

    key: bytes = field(default=b"", repr=False)
    required: bool = False  # whether nothing counts but what our key signed

    def of_repository(self, name: str) -> "Signer":
        """The signer of one repository: a mark that is copied to another one is not ours there."""
        if not self.key:
            return self
        made = hmac.digest(self.key, f"repository\0{name.lower()}".encode("utf-8", "surrogatepass"), "sha256")
        return Signer(made, self.required)

    @property
    def id(self) -> str:
        """The public name of the key; empty: there is none."""
        return hashlib.sha256(b"skillrunner key\0" + self.key).hexdigest()[:_ID] if self.key else ""

    def sign(self, kind: str, data: Mapping[str, Any]) -> str:
        """The signature of JSON data in a mark of this kind; empty without a key."""
        return f"{self.id}:{self._mac(kind, data)}" if self.key else ""

    def judge(self, kind: str, data: Mapping[str, Any], signature: object) -> Trust:
        """What a signature says of the data, which does not hold it. It may be anything: others write it."""
        if not self.key or not isinstance(signature, str):
            return Trust.UNKNOWN
        named, _, mac = signature.partition(":")
        if named != self.id:
            return Trust.UNKNOWN
        right = self._mac(kind, data).encode()
        return Trust.OURS if hmac.compare_digest(right, mac.encode("utf-8", "replace")) else Trust.FORGED

    def counts(self, kind: str, data: Mapping[str, Any], signature: object) -> bool:
        """Whether a mark may count, by its signature: that of ours does, a forged one never does."""
        found = self.judge(kind, data, signature)
        return found is Trust.OURS or (found is Trust.UNKNOWN and not self.required)

    def _mac(self, kind: str, data: Mapping[str, Any]) -> str:
        text = json.dumps([kind, data], sort_keys=True, separators=(",", ":"))
        return hmac.new(self.key, text.encode(), "sha256").hexdigest()


NO_KEY = Signer()
"""Signs nothing, and counts what is read as it is."""

_MARK = re.compile(r"<!-- skillrunner: [^\n]*? -->")
_SIGNATURE = re.compile(r"<!-- skillrunner-signature: ([^\n]*?) -->")


def sign_comment(signer: Signer, mark: str, number: int) -> str:
    """A line that vouches for the hidden mark in a comment on a pull request; empty without a key."""
    signature = signer.sign("comment", {"mark": mark, "number": number})
    return f"<!-- skillrunner-signature: {signature} -->" if signature else ""


def is_forged_comment(signer: Signer, body: str, number: object) -> bool:
    """Whether the signature beside the hidden mark in a comment names our key, which did not make it."""
    mark, signature = _MARK.search(body), _SIGNATURE.search(body)
    data = {"mark": mark[0] if mark else "", "number": number}
    return signature is not None and signer.judge("comment", data, signature[1]) is Trust.FORGED
