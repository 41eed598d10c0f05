"""When the present versions of folders came to a branch, read from its history in one walk."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from runner.clients.git.call import Git


def last_changes(git: Git, sha: str, folders: Collection[str]) -> Mapping[str, datetime]:
    """By folder: the date of the last commit or merge that changed it on the way of first parents to `sha`.

    One walk serves all folders: a walk for each costs the whole history as many times. A folder without a
    commit gets the epoch.
    """
    found: dict[str, datetime] = {}
    for at, names in _commits(git, sha, folders) if folders else ():
        for folder in folders:
            if folder not in found and any(_is_in(folder, name) for name in names):
                found[folder] = at
        if len(found) == len(folders):
            break
    return {folder: found.get(folder, datetime.fromtimestamp(0, UTC)) for folder in folders}


def _commits(git: Git, sha: str, folders: Collection[str]) -> Iterator[tuple[datetime, list[str]]]:
    """The commits that changed something in the folders, newest first, each with the names it changed."""
    # A merge is compared with its first parent: that is when the branch got what it brings.
    flags = ("--first-parent", "-m", "--no-renames", "--name-only", "-z", "--format=%x00%ct")
    told = git.run("log", *flags, sha, "--", *sorted(folders)).stdout
    for part in told.split(b"\0\0") if told else ():
        seconds, _, names = part.lstrip(b"\0").partition(b"\0\n")
        changed = [name.decode(errors="surrogateescape") for name in names.split(b"\0") if name]
        yield datetime.fromtimestamp(int(seconds), UTC), changed


def _is_in(folder: str, name: str) -> bool:
    return folder == "." or name == folder or name.startswith(f"{folder}/")
