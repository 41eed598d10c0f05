"""Keyless signatures by sigstore: a certificate for the job's identity, and an entry in a public log.

The port is `KeylessSigner`. The package `sigstore` is an extra, because few machines have an identity.
"""

from typing import TYPE_CHECKING, Protocol

from runner.clients.oidc import identity_token
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from sigstore.models import ClientTrustConfig

AUDIENCE = "sigstore"
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
_INSTALL = "pip install 'skillrunner[sigstore]'"


class KeylessSigner(Protocol):
    """Signs an in-toto statement as whoever an identity token is for, and checks such signatures."""

    def sign(self, statement: bytes, token: str) -> bytes:
        """A sigstore bundle, as JSON. Raises RunnerError."""
        ...

    def verify(self, bundle: bytes, identity: str, issuer: str) -> bytes:
        """The statement in a bundle that `identity` signed. Raises RunnerError INVALID_INPUT."""
        ...


class Sigstore:
    """The public instance of sigstore, or another one."""

    def __init__(self, trust: "ClientTrustConfig | None" = None) -> None:
        """`trust` names the servers, and the keys that they are believed by; None: those of sigstore.dev."""
        self._trust = trust

    def sign(self, statement: bytes, token: str) -> bytes:
        require()
        from sigstore.dsse import Statement
        from sigstore.models import ClientTrustConfig
        from sigstore.oidc import IdentityToken
        from sigstore.sign import SigningContext

        try:
            context = SigningContext.from_trust_config(self._trust or ClientTrustConfig.production())
            with context.signer(IdentityToken(token)) as signer:
                return signer.sign_dsse(Statement(statement)).to_json().encode()
        except Exception as error:  # noqa: BLE001 - the package lets errors of its many parts through
            raise _failed("sigstore did not sign", error) from None

    def verify(self, bundle: bytes, identity: str, issuer: str) -> bytes:
        require()
        from sigstore.models import Bundle
        from sigstore.verify import Verifier
        from sigstore.verify.policy import Identity

        try:
            verifier = (
                Verifier(trusted_root=self._trust.trusted_root) if self._trust else Verifier.production()
            )
            _, payload = verifier.verify_dsse(
                Bundle.from_json(bundle), Identity(identity=identity, issuer=issuer)
            )
        except Exception as error:  # noqa: BLE001 - as above
            raise _failed(f"sigstore does not find it signed by {identity}", error) from None
        return payload


def require() -> None:
    """Raises RunnerError INVALID_CONFIG where the package is not installed."""
    if not is_installed():
        message = "the package sigstore is not installed"
        raise RunnerError(Phase.PUBLISH, Reason.INVALID_CONFIG, message, hint=_INSTALL)


def is_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("sigstore") is not None


def job_token() -> str:
    """The job's identity token for sigstore. Raises RunnerError SECRET_MISSING."""
    return identity_token(AUDIENCE)


def _failed(what: str, error: Exception) -> RunnerError:
    told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    hint = "`attestation: {signer: key}` in skillrunner.yaml signs with a key of this machine"
    return RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, f"{what}: {told}", hint=hint)
