"""git, behind one door: calls, objects, the user's own repository."""

from runner.doors.git.call import Git
from runner.doors.git.failures import Done
from runner.doors.git.local import Local, address, discover, github_slug
from runner.doors.git.objects import Entry, blobs, entries, files_at

__all__ = [
    "Done",
    "Entry",
    "Git",
    "Local",
    "address",
    "blobs",
    "discover",
    "entries",
    "files_at",
    "github_slug",
]
