#!/usr/bin/env python3
"""Lists feature flags: their value, for how long they have had it, and every place that asks for them.

Python is read with its own parser; JavaScript, TypeScript, Go, Ruby, Java and others by a scanner that knows
comments from strings. Needs Python 3.9 and git, nothing else.
"""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

CALLS = "is_enabled,isEnabled,flag,feature_enabled,featureEnabled"
REGISTRY = "flags.json"
HASH = (".rb", ".py", ".sh", ".yml", ".yaml")
SLASH = (
    ".js",
    ".jsx",
    ".mjs",
    ".ts",
    ".tsx",
    ".go",
    ".java",
    ".kt",
    ".kts",
    ".cs",
    ".swift",
    ".php",
    ".rs",
    ".scala",
)
VENDORED = re.compile(r"(^|/)(node_modules|vendor|third_party|dist|build|\.venv)/|\.min\.js$")


class Place(NamedTuple):
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def git(*args: str) -> str:
    done = subprocess.run(["git", *args], capture_output=True, text=True, errors="replace")
    return done.stdout if done.returncode == 0 else ""


def read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


# --- the registry ---------------------------------------------------------------------------------


def registry(text: str, path: str) -> dict[str, object]:
    """Every flag and its value. Raises ValueError when the file cannot be read as what its name says."""
    if path.endswith(".json"):
        found = json.loads(text)
    elif path.endswith((".yml", ".yaml")):
        pairs = re.findall(r"^\s*[\"']?([\w.-]+)[\"']?:[ \t]*(\S[^#\n]*)?", text, re.MULTILINE)
        found = {
            name: {"true": True, "false": False}.get(value.strip(), value.strip()) for name, value in pairs
        }
    else:
        found = python_registry(text)
    return {str(name): plain(value) for name, value in flat(found)}


def flat(found: object) -> Iterator[tuple[str, object]]:
    """Flags may stand under a key of their own, such as {"flags": {...}}."""
    for name, value in found.items() if isinstance(found, dict) else ():
        if isinstance(value, dict) and not {"enabled", "default", "value"} & set(value):
            yield from flat(value)
        else:
            yield name, value


def plain(value: object) -> object:
    """The value of a flag: of {"enabled": true, "owner": ...} it is true."""
    if isinstance(value, dict):
        rollout = value.get("rollout", value.get("percentage", 100))
        decided = value.get("enabled", value.get("default", value.get("value")))
        return decided if rollout in (0, 100) else f"rolled out to {rollout} %"
    return value


def python_registry(text: str) -> dict[str, object]:
    """The dictionaries of plain texts and booleans at the top of a Python module."""
    found: dict[str, object] = {}
    for node in ast.parse(text).body:
        value = getattr(node, "value", None)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found[key.value] = item.value if isinstance(item, ast.Constant) else ast.unparse(item)
    return found


def age(flag: str, path: str) -> int:
    """Days since the lines that name the flag in the registry last changed; 0 when git does not know."""
    stamps = git("log", "-1", "--format=%ct", f"-G[\"']?{re.escape(flag)}[\"']?\\s*:", "--", path).split()
    now = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return int((now - int(stamps[0])) // 86_400) if stamps else 0


# --- the code -------------------------------------------------------------------------------------


def references(calls: list[str]) -> tuple[dict[str, list[Place]], list[str]]:
    """Where each flag is asked for, and which files could not be read."""
    found: dict[str, list[Place]] = {}
    unread = []
    for path in sorted(filter(None, git("ls-files", "-z").split("\0"))):
        if VENDORED.search(path) or path.startswith("skills/") or not path.endswith(HASH + SLASH):
            continue
        try:
            for flag, line in asked(path, read(path), calls):
                found.setdefault(flag, []).append(Place(path, line))
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            unread.append(f"{path}: {error}")
    return found, unread


def asked(path: str, text: str, calls: list[str]) -> Iterator[tuple[str, int]]:
    """Each flag that a file asks for, and the line."""
    if path.endswith(".py"):
        uses = [(getattr(node, "lineno", 0), flag_of(node, calls)) for node in ast.walk(ast.parse(text))]
        yield from sorted(((flag, line) for line, flag in uses if flag), key=lambda use: use[1])
        return
    code = without_comments(text, "#" if path.endswith(HASH) else "//")
    names = "|".join(re.escape(name) for name in calls)
    # Ruby may leave out the parentheses, and may write a flag as a symbol.
    pattern = re.compile(
        rf"(?<![\w.])(?:[\w.]+\.)?(?:{names})[?!]?\s*[(\s]\s*(?:([\"'`])([\w.-]+)\1|:([\w]+))"
    )
    for match in pattern.finditer(code):
        yield match[2] or match[3], code.count("\n", 0, match.start()) + 1


def flag_of(node: ast.AST, calls: list[str]) -> str | None:
    """The flag that a call in Python asks for."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0]
    asks = name in calls and isinstance(first, ast.Constant) and isinstance(first.value, str)
    return first.value if asks else None  # type: ignore[attr-defined]


def without_comments(text: str, line_mark: str) -> str:
    """The text with comments blanked out. A mark inside a string begins no comment."""
    block = r"/\*.*?\*/|" if line_mark == "//" else ""
    string = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"
    pattern = re.compile(rf"({string})|{block}{re.escape(line_mark)}[^\n]*", re.DOTALL)
    return pattern.sub(lambda found: found[1] or re.sub(r"[^\n]", " ", found[0]), text)


# --- the report -----------------------------------------------------------------------------------


def survey(path: str, calls: list[str], days: int) -> dict:
    flags = registry(read(path), path)
    where, unread = references(calls)
    listed = [
        describe(name, value, age(name, path), where.get(name, []), days) for name, value in flags.items()
    ]
    strangers = {
        name: [str(place) for place in places] for name, places in sorted(where.items()) if name not in flags
    }
    oldest = sorted(listed, key=lambda one: (one["state"] == "live", -one["days"], one["flag"]))
    return {"registry": path, "flags": oldest, "not_in_registry": strangers, "unread": unread}


def describe(name: str, value: object, had_for: int, places: list[Place], days: int) -> dict:
    state = "live"
    if isinstance(value, bool) and had_for >= days:
        state = "dead" if places else "unreferenced"
    return {
        "flag": name,
        "value": value,
        "days": had_for,
        "state": state,
        "references": [str(place) for place in places],
    }


def printed(found: dict) -> Iterator[str]:
    dead = [one for one in found["flags"] if one["state"] != "live"]
    yield f"{len(found['flags'])} flags in {found['registry']}, {len(dead)} of them dead"
    for one in found["flags"]:
        yield f"- {one['flag']}: {one['state']}, {json.dumps(one['value'])} for {one['days']} days"
        yield from (f"    {place}" for place in one["references"])
    for name, places in found["not_in_registry"].items():
        yield f"! {name} is asked for and not in the registry: {', '.join(places)}"
    yield from (f"! could not be read: {one}" for one in found["unread"])


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--registry", default=REGISTRY, help="the file of the flags and their values")
    parser.add_argument("--calls", default=CALLS, help="the functions that ask for a flag")
    return parser


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--days", type=float, default=90, help="how long a value must be unchanged")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    try:
        found = survey(given.registry, given.calls.split(","), int(given.days))
    except (OSError, SyntaxError, ValueError) as error:
        print(f"{given.registry}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=2) if given.json else "\n".join(printed(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
