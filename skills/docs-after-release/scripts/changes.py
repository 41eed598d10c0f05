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


def tags() -> list[str]:
    """Tags that HEAD holds, newest first: by version where they are versions."""
    return git("tag", "--merged", "HEAD", "--sort=-version:refname").split()


def show(tag: str, path: str) -> str | None:
    done = subprocess.run(["git", "show", f"{tag}:{path}"], capture_output=True, text=True, errors="replace")
    return done.stdout if done.returncode == 0 else None


def changed_files(old: str, new: str) -> list[str]:
    return sorted(filter(None, git("diff", "--name-only", "-z", "--no-renames", old, new).split("\0")))


def facts(source: str | None) -> Facts:
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
    known = tags()
    new = given.new or (known[0] if known else None)
    older = known[known.index(new) + 1 :] if new in known else []
    old = given.old or (older[0] if older else None)
    if new is None or old is None:
        print(f"there are not two tags to compare here: {', '.join(known) or 'none'}", file=sys.stderr)
        return 2
    found = report(old, new, given.docs)
    print(json.dumps(found, indent=2) if given.json else "\n".join(printed(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
