"""Paths that people write with `~`, also where nobody has a home."""

import os
import pwd
from pathlib import Path

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason


def with_home(text: str) -> Path:
    """The path with `~` and `~name` replaced. Raises RunnerError where the user has no home folder.

    A container's user may have any number, with no entry in passwd and no HOME.
    """
    if not text.startswith("~"):
        return Path(text)
    name, _, rest = text[1:].partition("/")
    home = _home(name)
    if home.startswith("/"):
        return Path(home, rest)
    if name:
        message, hint = f"{text}: there is no user {name}", "write the whole path"
    else:
        message = (
            f"{text} needs a home folder, and the user {os.getuid()} has none:"
            " HOME is not set to a whole path, and passwd does not know the user"
        )
        hint = "set HOME, or SKILLRUNNER_STATE_DIR, to a folder that this user may write to"
    raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)


def _home(name: str) -> str:
    """The home folder of the user `name`, or of ours; empty: there is none."""
    if not name and os.environ.get("HOME"):
        return os.environ["HOME"]
    try:
        return pwd.getpwnam(name).pw_dir if name else pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""
