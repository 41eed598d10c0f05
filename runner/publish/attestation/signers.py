"""Who signs a statement: a key of this machine, or the identity of a job by sigstore."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runner.clients import oidc, sigstore
from runner.clients.sigstore import KeylessSigner, Sigstore
from runner.core.errors import RunnerError
from runner.publish.attestation import local_key
from runner.publish.attestation.envelope import seal
from runner.publish.attestation.statement import PAYLOAD_TYPE

Say = Callable[[str], None]


class StatementSigner(Protocol):
    """Signs the statement of a run."""

    def sign(self, statement: bytes, say: Say) -> bytes:
        """The file that holds the statement and its signature; `say` is told what is worth knowing.

        Raises RunnerError.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with the key in the state folder."""

    state: Path

    def sign(self, statement: bytes, say: Say) -> bytes:
        return seal(statement, PAYLOAD_TYPE, local_key.signer(self.state))


@dataclass(frozen=True, slots=True)
class JobSigner:
    """Signs as the job of GitHub Actions that this is."""

    keyless: KeylessSigner = field(default_factory=Sigstore)
    token: Callable[[], str] = sigstore.job_token

    def sign(self, statement: bytes, say: Say) -> bytes:
        return self.keyless.sign(statement, self.token())


@dataclass(frozen=True, slots=True)
class AutoSigner:
    """Signs as the job where its repository is public, and else with the key: sigstore's log is public."""

    key: KeySigner
    keyless: KeylessSigner = field(default_factory=Sigstore)
    token: Callable[[], str] = sigstore.job_token

    def sign(self, statement: bytes, say: Say) -> bytes:
        try:
            token = self.token()
            if (seen := oidc.visibility(token)) == "public":
                return self.keyless.sign(statement, token)
            say(f"attested with the key of this machine: the repository is {seen}, and sigstore's log public")
        except RunnerError as error:
            say(f"attested with the key of this machine: {error.message}")
        return self.key.sign(statement, say)


def choose_signer(kind: str, state: Path) -> StatementSigner | None:
    """The signer that the configuration names; None: nothing is attested."""
    key = KeySigner(state)
    if kind == "none":
        return None
    if kind == "sigstore":
        return JobSigner()
    if kind == "auto" and oidc.is_available() and sigstore.is_installed():
        return AutoSigner(key)
    return key
