#!/usr/bin/env python3
"""What users can see of the changes between two tags, and which pages of the docs mention it.

Looks at Python files: public functions, classes and methods with their signatures, command-line options
(argparse, click), environment variables. Needs Python 3.9 and git, nothing else.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

# Tests, hidden folders and skills are Python that the project's users never call.
NO_OFFER = re.compile(r"(^|/)(tests?/|test_|conftest|_test\.py|\.|skills/|setup\.py)")

Facts = dict[tuple[str, str], str]  # (kind, name) -> what is known of it


class Change(NamedTuple):
    kind: str  # "function", "class", "option", "variable"
    name: str
    change: str  # "added", "removed", "changed"
    file: str
    before: str
    after: str


def git(*args: str) -> str:
    done = subprocess.run(["git", *args], capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise SystemExit(f"git {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


class Version(NamedTuple):
    """A tag as a version; versions of one prefix ("v", "client-v") are compared."""

    numbers: tuple[int, ...]
    stage: int  # 0: before the release (rc, beta, ...), 1: the release, 2: after it (post, -1)
    rest: tuple[tuple[int, str], ...]  # what follows the numbers, its numbers by their value


VERSION = re.compile(r"(.*?)(?<![0-9.])([0-9]+(?:\.[0-9]+)*)((?:[-._+]?[A-Za-z].*|[-_+].*)?)")


def version(tag: str) -> "tuple[str, Version] | None":
    """The prefix and the version of a tag; None: it is no version."""
    found = VERSION.fullmatch(tag)
    if found is None:
        return None
    prefix, numbers, rest = found.groups()
    words = rest.partition("+")[0].lower()
    after = re.match(r"[-._]?(post|p[0-9]|r[0-9]|[0-9])", words)
    parts = [(int(part), "") if part.isdigit() else (0, part) for part in re.findall(r"[0-9]+|[a-z]+", words)]
    named = tuple(int(number) for number in numbers.split("."))
    while len(named) > 1 and named[-1] == 0:
        named = named[:-1]
    return prefix, Version(named, 2 if after else 0 if words else 1, tuple(parts))


def tags(holder: str) -> list[str]:
    """The tags that a commit holds, newest first: by version where they are versions."""
    listed = git("tag", "--merged", holder, "--sort=-version:refname").split()
    known = {tag: found[1] for tag in listed if (found := version(tag)) is not None}
    plain = {tag for tag in known if (found := version(tag)) and found[0] in ("", "v", "V")}
    versions = sorted(known, key=lambda tag: (tag in plain, known[tag]), reverse=True)
    return versions + [tag for tag in listed if tag not in known]


def before(new: str) -> "str | None":
    """The tag to compare `new` with: the highest lower version that it grew from.

    A release is compared with the release before it, not with its own candidates; on a maintenance branch
    that is the one before on this branch.
    """
    older = [tag for tag in tags(f"refs/tags/{new}") if tag != new]
    found = version(new)
    if found is None:
        return older[0] if older else None
    lower = [tag for tag in older if (one := version(tag)) and one[0] == found[0] and one[1] < found[1]]
    whole = [tag for tag in lower if (one := version(tag)) and one[1].stage > 0]
    return next(iter(whole if found[1].stage > 0 and whole else lower), None)


def show(tag: str, path: str) -> "bytes | None":
    """A file of a commit; Python itself reads its encoding, or a mark at its beginning."""
    done = subprocess.run(["git", "show", f"{tag}:{path}"], capture_output=True)
    return done.stdout if done.returncode == 0 else None


def changed_files(old: str, new: str) -> list[str]:
    return sorted(filter(None, git("diff", "--name-only", "-z", "--no-renames", old, new).split("\0")))


def facts(source: "bytes | None") -> Facts:
    """What one file offers to its users. Raises SyntaxError."""
    if source is None:
        return {}
    tree = ast.parse(source)
    found: Facts = dict(definitions(tree.body, ""))
    for node in ast.walk(tree):
        found.update(used(node))
    return found


def definitions(body: list[ast.stmt], owner: str) -> Iterator[tuple[tuple[str, str], str]]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            name = owner + node.name
            yield ("function", name), f"{name}({signature(node.args, bool(owner))})"
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield ("class", owner + node.name), f"class {owner}{node.name}"
            yield from definitions(node.body, f"{owner}{node.name}.")


def signature(args: ast.arguments, method: bool) -> str:
    """The parameters with their defaults, as a caller sees them: no annotations, no `self`."""
    for one in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
        if one is not None:
            one.annotation = None
    text = ast.unparse(args)
    return re.sub(r"^(self|cls)(, |$)", "", text) if method else text


def used(node: ast.AST) -> Iterator[tuple[tuple[str, str], str]]:
    """Options and variables that a piece of code reads."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(key, str):
            yield ("variable", key), ""
    if not isinstance(node, ast.Call):
        return
    called = ast.unparse(node.func)
    texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if called in ("os.getenv", "os.environ.get") and texts:
        yield (
            ("variable", texts[0]),
            "default " + (ast.unparse(node.args[1]) if len(node.args) > 1 else "None"),
        )
    if called.rsplit(".", 1)[-1] in ("add_argument", "option"):
        given = [ast.unparse(one.value) for one in node.keywords if one.arg == "default"]
        for text in texts:
            if text.startswith("--"):
                yield ("option", text.split("/")[0]), f"default {given[0]}" if given else ""


def compare(file: str, old: Facts, new: Facts) -> Iterator[Change]:
    for key in sorted(old.keys() | new.keys()):
        kind, name = key
        if key not in new:
            yield Change(kind, name, "removed", file, old[key], "")
        elif key not in old:
            yield Change(kind, name, "added", file, "", new[key])
        elif old[key] != new[key]:
            yield Change(kind, name, "changed", file, old[key], new[key])


def mentions(name: str, pages: dict[str, list[str]]) -> list[str]:
    """Where the docs name it, as page:line."""
    short = name.rsplit(".", 1)[-1]
    word = re.compile(rf"(?<![\w-]){re.escape(short)}(?![\w-])")
    return [
        f"{page}:{at}"
        for page, lines in pages.items()
        for at, line in enumerate(lines, 1)
        if word.search(line)
    ]


def pages_of(docs: str) -> dict[str, list[str]]:
    """The pages as they lie here now: they are what is to be edited."""
    listed = git("ls-files", "-z", "--", docs, "README.md").split("\0")
    found = {}
    for page in sorted(path for path in listed if path.endswith((".md", ".rst", ".txt"))):
        try:
            with open(page, encoding="utf-8", errors="replace") as file:
                found[page] = file.read().splitlines()
        except OSError:
            continue
    return found


def report(old: str, new: str, docs: str) -> dict:
    pages, changes, unread = pages_of(docs), [], []
    for file in changed_files(old, new):
        if not file.endswith(".py") or NO_OFFER.search(file):
            continue
        try:
            changes += compare(file, facts(show(old, file)), facts(show(new, file)))
        except (SyntaxError, ValueError, RecursionError) as error:
            unread.append(f"{file}: {error}")
    return {
        "from": old,
        "to": new,
        "commits": git("log", "--format=%h %s", f"{old}..{new}").splitlines(),
        "changes": [{**one._asdict(), "mentions": mentions(one.name, pages)} for one in changes],
        "unread": unread,
    }


def printed(found: dict) -> Iterator[str]:
    yield f"from {found['from']} to {found['to']}: {len(found['commits'])} commits"
    yield from (f"  {commit}" for commit in found["commits"])
    yield f"\n{len(found['changes'])} changes that users can see"
    for one in found["changes"]:
        yield f"- {one['change']} {one['kind']} {one['name']} ({one['file']})"
        for label in ("before", "after"):
            if one[label]:
                yield f"    {label}: {one[label]}"
        yield f"    mentioned: {', '.join(one['mentions']) or 'nowhere'}"
    yield from (f"! could not be read: {one}" for one in found["unread"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--from", dest="old", help="the older tag; default: the one before")
    parser.add_argument("--to", dest="new", help="the newer tag; default: the newest")
    parser.add_argument("--docs", default="docs", help="the folder of the docs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    known = tags("HEAD")
    new = given.new or (known[0] if known else None)
    is_tag = new is not None and new in git("tag").split()
    old = given.old or (before(new) if new is not None and is_tag else None)
    if new is None or old is None:
        print(f"there are not two tags to compare here: {', '.join(known) or 'none'}", file=sys.stderr)
        return 2
    found = report(old, new, given.docs)
    print(json.dumps(found, indent=2) if given.json else "\n".join(printed(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
