#!/usr/bin/env python3
"""Stands in for an agent where there is no model: it does by rule what it can of the skill's task.

It reads the skill's own report of what changed, corrects the docs where they name it, and declares what it
did. Run again on corrected docs it changes nothing.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path("skills/docs-after-release/scripts")


def main() -> None:
    print("no model is used: this is a stand-in that works by rule", flush=True)
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "changes.py"), "--json"], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    print(f"{len(report['changes'])} changes between {report['from']} and {report['to']}", flush=True)
    pages = [*sorted(Path("docs").glob("*.md")), Path("README.md")]
    said = [line for page in pages for line in corrected(page, report)]
    print("\n".join(said) or "the docs are up to date", flush=True)
    if said:
        declare("\n".join(f"- {line}" for line in said))


def corrected(page: Path, report: dict) -> list[str]:
    """Correct one page; what was done to it, in words."""
    before = text = page.read_text()
    said = []
    for old, new, words in replacements(report):
        changed = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", lambda _, new=new: new, text)
        if changed != text:
            said.append(f"{page}: {words}")
            text = changed
    for one in report["changes"]:
        if (
            (one["kind"], one["change"]) == ("function", "added")
            and "## Functions" in text
            and one["after"] not in text
        ):
            head, rest = text.split("## Functions", 1)
            table, sep, tail = rest.lstrip("\n").partition("\n\n")
            text = f"{head}## Functions\n\n{table}\n| `{one['after']}` | new in {report['to']} |{sep}{tail}"
            said.append(f"{page}: added `{one['after']}`")
    if text != before:
        page.write_text(text)
    return said


def replacements(report: dict) -> list[tuple[str, str, str]]:
    """Texts of the docs that are wrong now, what to write instead, and why."""
    changes = report["changes"]
    found = []
    for gone in changes:
        for new in changes:
            same = gone["file"] == new["file"] and gone["kind"] == new["kind"] == "option"
            if same and (gone["change"], new["change"]) == ("removed", "added"):
                found.append((gone["name"], new["name"], f"`{gone['name']}` is now `{new['name']}`"))
    for one in changes:
        if one["kind"] == "function" and one["change"] == "changed":
            found.append(
                (
                    one["before"].rstrip(")"),
                    one["after"].rstrip(")"),
                    f"`{one['before']}` is now `{one['after']}`",
                )
            )
            found += defaults(one["before"], one["after"])
    versions = [report[tag].lstrip("v") for tag in ("from", "to")]
    found.append((f"greeter=={versions[0]}", f"greeter=={versions[1]}", f"the version is {versions[1]}"))
    return found


def defaults(before: str, after: str) -> list[tuple[str, str, str]]:
    """Sentences and calls that repeat a default which has changed."""
    was, now = (dict(re.findall(r"(\w+)=(\w+)", text)) for text in (before, after))
    times = {"1": "once", "2": "twice"}
    return [
        (old, new, f"the default of `{name}` is {now[name]}")
        for name in was
        if name in now and was[name] != now[name]
        for old, new in (
            (f"{name}={was[name]}", f"{name}={now[name]}"),
            (f"greets {times.get(was[name])} if", f"greets {times.get(now[name])} if"),
        )
    ]


def declare(body: str) -> None:
    """Say what the pull request should tell, the way any harness can."""
    with Path(os.environ["SKILLRUNNER_OUTPUTS"]).open("a") as outputs:
        outputs.write(json.dumps({"kind": "pull_request", "body": body}) + "\n")


if __name__ == "__main__":
    main()
