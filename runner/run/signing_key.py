"""The key that signs our hidden marks: a secret that several hosts share, or a file of the state folder."""

import os
import secrets
import tempfile
from pathlib import Path

from runner.clients.secrets import Secrets
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.publish.signing import KEY_VARIABLE, Signer
from runner.run.place import Place

FILE = "signing.key"
_LEAST = 32  # characters


def find_signer(place: Place, *, publishes: bool = False) -> Signer:
    """What signs marks here; without the secret, and where no state folder is kept, nothing is signed.

    Raises RunnerError where the key is too short, or cannot be read; where it is named or required, and not
    there, only for who publishes: GitHub gives jobs of forks and Dependabot no secrets, who publish none.
    """
    required = place.config.policy.signed_marks
    if KEY_VARIABLE in place.config.secrets or os.environ.get(KEY_VARIABLE):
        try:
            key = Secrets(place.config.secrets).value(KEY_VARIABLE, "the signature of marks")
        except RunnerError:
            if publishes or place.keeps_state:
                raise
            return Signer(required=required)
        where = KEY_VARIABLE
    elif place.keeps_state:
        path = place.config.state / FILE
        key, where = _kept(path), str(path)
    elif required and publishes:
        message = f"policy.signed_marks is set, and there is no {KEY_VARIABLE} here"
        raise _invalid(message, f"make a secret {KEY_VARIABLE} and pass it to this step: docs/action.md")
    else:
        return Signer(required=required)
    if len(key) < _LEAST:
        raise _invalid(
            f"{where} holds {len(key)} characters, and a key has {_LEAST} or more", "openssl rand -hex 32"
        )
    return Signer(key.encode(), required)


def _kept(path: Path) -> str:
    """The key of the file, which is made when it is first asked for; of several who make it, one wins."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE}-")  # 0600
            made = Path(name)
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(secrets.token_hex(32) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                path.hardlink_to(made)  # fails where it is there already
            except FileExistsError:
                pass
            finally:
                made.unlink()
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        message = f"the key of our marks cannot be read: {path}: {getattr(error, 'strerror', None) or error}"
        raise _invalid(message, f"ls -l {path}; or move it away, to have another one made") from error


def _invalid(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
