"""Sessions as Claude Code keeps them, and those who follow it: in folders with the names of workspaces."""

import json
import re
from collections.abc import Callable

from runner.core.jsonl import json_object
from runner.harnesses import Files


def project_files(projects: str) -> Callable[[Files, str], Files]:
    """For `Sessions.moved`: below the folder `projects` each workspace has one, named after its path.

    The lines of a session name the workspace as well.
    """

    def moved(files: Files, workspace: str) -> Files:
        folder = f"{projects}/{re.sub(r'[^A-Za-z0-9]', '-', workspace)}"
        rest = {path: path.removeprefix(f"{projects}/").partition("/")[2] for path in files}
        return {f"{folder}/{rest[path]}": _there(files[path], workspace) for path in files if rest[path]}

    return moved


def _there(content: bytes, workspace: str) -> bytes:
    return b"\n".join(_line(line, workspace) for line in content.split(b"\n"))


def _line(line: bytes, workspace: str) -> bytes:
    data = (json_object(line) or {}) if b'"cwd"' in line else {}
    return json.dumps({**data, "cwd": workspace}).encode() if "cwd" in data else line
