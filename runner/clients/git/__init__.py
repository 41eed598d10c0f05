"""The client of git: calls, objects, the user's own repository."""

from runner.clients.git.call import Git
from runner.clients.git.failures import GitResult
from runner.clients.git.history import last_changes
from runner.clients.git.local import LocalRepository, address, discover, main_worktree, remote_host, ssh_url
from runner.clients.git.objects import Entry, blobs, entries, files_at

__all__ = [
    "Entry",
    "Git",
    "GitResult",
    "LocalRepository",
    "address",
    "blobs",
    "discover",
    "entries",
    "files_at",
    "last_changes",
    "main_worktree",
    "remote_host",
    "ssh_url",
]
