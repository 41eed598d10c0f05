"""What `.gitattributes` says of changed files, so that what is published is what `git add` would have made.

The workspace has the bytes of the commit, and the agent's files are read byte for byte. Git itself would turn
line ends around on the way in, and would hand a file to Git LFS. The first is done here; the second cannot
be, as the content would have to be uploaded, so it is told.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from runner.workspace.changeset import Changeset, Edit
from runner.workspace.git_index import SYMLINK, IndexEntry

FILE = ".gitattributes"
LFS_MESSAGE = "Git LFS keeps its content, and no run can upload that"

_NAMES = ("text", "eol", "filter")
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize ([0-9]+)\n"
)
_POINTER_SIZE = 1024  # bytes; git-lfs reads no longer one
_LONE_CR = re.compile(rb"\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Pointer:
    """What stands in git in place of a file that Git LFS keeps."""

    sha256: str
    size: int


def has_attributes(paths: Iterable[str]) -> bool:
    return any(path == FILE or path.endswith(f"/{FILE}") for path in paths)


def pointers(
    changeset: Changeset, before: Mapping[str, IndexEntry], changed: Iterable[str]
) -> Mapping[str, Pointer]:
    """By path: the pointer that the base has where the workspace has another file."""
    if not has_attributes(before):
        return {}
    small = {
        path: before[path].sha
        for path in changed
        if path in before and before[path].size <= _POINTER_SIZE and before[path].mode != SYMLINK
    }
    contents = changeset.contents({*small.values()})
    read = {path: _POINTER.fullmatch(contents.get(sha, b"")) for path, sha in small.items()}
    return {path: Pointer(found[1].decode(), int(found[2])) for path, found in read.items() if found}


def edits_as_added(changeset: Changeset, tree: str, edits: Iterable[Edit]) -> Iterator[Edit | None]:
    """Each edit as `git add` would store it by the attributes in `tree`; None where only LFS could."""
    listed = list(edits)
    plain = [edit.path for edit in listed if edit.content is not None and edit.mode != SYMLINK]
    said = changeset.attributes(tree, plain, _NAMES)
    for edit in listed:
        text, eol, filtering = said.get(edit.path, ("unspecified",) * 3)
        content = edit.content or b""
        if filtering == "lfs" and content and not _POINTER.fullmatch(content):
            yield None
        elif b"\r\n" in content and _converts(text, eol, content):
            yield replace(edit, content=content.replace(b"\r\n", b"\n"))
        else:
            yield edit


def _converts(text: str, eol: str, content: bytes) -> bool:
    """Whether git stores the file with plain line feeds (gitattributes(5), `text` and `eol`)."""
    if text in ("unset", "unspecified"):
        return text != "unset" and eol in ("lf", "crlf")
    return text != "auto" or (b"\0" not in content and _LONE_CR.search(content) is None)
