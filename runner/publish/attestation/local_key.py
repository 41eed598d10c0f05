"""The key of this machine that signs attestations. It is made once, and stays in the state folder."""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

NAME = "attestation.key"
"""The file with the private key, in the state folder."""

_OTHERS = 0o077
_MAX = 64 * 1024


def signer(state: Path) -> "CryptoSigner":
    """Who signs with the key in `state`; the key is made where there is none. Raises RunnerError."""
    path = state / NAME
    if not os.path.lexists(path):
        _make(path)
    return _load(path)


def public_key(state: Path) -> bytes:
    """The public key, in PEM. Raises RunnerError as `signer` does."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    signer(state)
    key = load_pem_private_key(_content(state / NAME), password=None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _make(path: Path) -> None:
    """Put a new key there, whole or not at all; of several who do so at once, the first one's stays."""
    from securesystemslib.signer import CryptoSigner

    part = path.with_name(f"{NAME}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(CryptoSigner.generate_ecdsa().private_bytes)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    except FileExistsError:
        return
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}", "let the user own state_dir") from error
    finally:
        part.unlink(missing_ok=True)


def _load(path: Path) -> "CryptoSigner":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    again = f"mv {path} {path}.old; the next run makes another"
    try:
        return CryptoSigner(load_pem_private_key(_content(path), password=None))
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", again) from error
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their words may quote the key
        raise _unusable(path, "is no private key in PEM without a passphrase", again) from None


def _content(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode) or mode & _OTHERS:
            raise _unusable(path, f"can be read by others (mode {mode:04o})", f"chmod 600 {path}")
        return file.read(_MAX)


def _unusable(path: Path, what: str, hint: str) -> RunnerError:
    message = f"the key for attestations {path} {what}"
    return RunnerError(Phase.PUBLISH, Reason.INVALID_CONFIG, message, hint=hint)
