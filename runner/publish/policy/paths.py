"""Which paths a proposal may touch, and which names could fool a file system or a reader."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from runner.core import globs
from runner.core.model import Allowance, FileChange, Refusal
from runner.publish.policy.protected import PROTECTED

# Code points that HFS+ ignores in names, so that ".g\u200cit" is ".git" there
# (git's own list: utf8.c, next_hfs_char).
_HFS_IGNORED = dict.fromkeys((*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF))
_IGNORABLE = re.compile(
    "[\u2800\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point without control and format characters, and the blank of Braille."""
_SHORT_NAME = 8  # characters, without the ending
_SHORT = re.compile(r"[^./~]{1,6}~\d{1,6}(?:\.[^./]{0,3})?", re.ASCII)
_DOT_GIT = re.compile(r"\.git|git~\d+", re.IGNORECASE)


def refusals(changes: Sequence[FileChange], allowance: Allowance) -> Iterator[Refusal]:
    """Every change whose path is not allowed, with the rule that says so."""
    for change in changes:
        yield from _name_refusals(change.path)
        yield from _place_refusals(change.path, allowance)
        if change.twin:
            message = f"differs from {change.twin}, which is there, only in case or Unicode form"
            yield Refusal(rule="path_collision", subject=change.path, message=message)
    yield from _collisions(change.path for change in changes if change.change != "deleted")


def _place_refusals(path: str, allowance: Allowance) -> Iterator[Refusal]:
    # Case is ignored where that refuses more: on many machines ".GITHUB" is ".github".
    guarded = globs.matches(path, with_folders((*PROTECTED, *allowance.guarded)), ignore_case=True)
    if guarded and not globs.matches(path, allowance.protected):
        yield Refusal(
            rule="protected_path",
            subject=path,
            message="is a protected path: name it under `protected` if this skill may change it",
        )
    if globs.matches(path, with_folders(allowance.locked), ignore_case=True):
        message = "is locked by `policy.locked` of whoever runs skillrunner: no skill may change it"
        yield Refusal(rule="protected_path", subject=path, message=message)
    if not globs.matches(path, allowance.paths):
        allowed = ", ".join(allowance.paths)
        yield Refusal(
            rule="path_outside",
            subject=path,
            message=f"is outside the paths this skill may change: {allowed or 'it has no output with files'}",
        )
    elif globs.matches(path, with_folders(allowance.exclude), ignore_case=True):
        message = f"is left out of the paths this skill may change: {', '.join(allowance.exclude)}"
        yield Refusal(rule="path_outside", subject=path, message=message)


def with_folders(patterns: Iterable[str]) -> Iterator[str]:
    """The patterns, and the folder of each that means all in one: a link may stand in its place."""
    for pattern in patterns:
        yield pattern
        if pattern.endswith("/**"):
            yield pattern.removesuffix("/**")


def _name_refusals(path: str) -> Iterator[Refusal]:
    for problem in _name_problems(path):
        yield Refusal(rule="path_trick", subject=path, message=problem)


def _name_problems(path: str) -> Iterator[str]:
    parts = path.split("/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        yield "is an absolute path"
    if any(part in ("", ".", "..") for part in parts) and not path.startswith("/"):
        yield "has an empty, `.` or `..` component"
    if any(is_dot_git(part) for part in parts):
        yield "has a component that is `.git` on some file system"
    if "\\" in path:
        yield "holds a backslash, which separates folders on Windows"
    if any(part.endswith((".", " ")) for part in parts if part not in ("", ".", "..")):
        yield "has a component that ends in a dot or a space, which Windows drops"
    if any(_is_short(part) for part in parts):
        yield "has a component like `NAME~1`, which is the short name of another one on Windows"
    if any(_is_invisible(char) for char in path):
        yield "holds a control, invisible or direction-changing character, or bytes that are not UTF-8"


def is_dot_git(part: str) -> bool:
    """Whether git on HFS+ or NTFS would take this name for `.git`."""
    plain = part.translate(_HFS_IGNORED).split(":", 1)[0].rstrip(". ")
    return _DOT_GIT.fullmatch(plain) is not None


def _is_short(part: str) -> bool:
    """Whether Windows may read this name as the short one of a longer name, of a protected one as well."""
    return len(part.partition(".")[0]) <= _SHORT_NAME and _SHORT.fullmatch(part) is not None


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") or bool(_IGNORABLE.match(char))


def _collisions(paths: Iterable[str]) -> Iterator[Refusal]:
    """Paths that are one file where case or Unicode form does not count."""
    listed = list(paths)
    folded = Counter(globs.fold(path) for path in listed)
    for path in listed:
        if folded[globs.fold(path)] > 1:
            yield Refusal(
                rule="path_collision",
                subject=path,
                message="differs from another changed path only in case or Unicode form",
            )
