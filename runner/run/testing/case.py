"""A case: a skill's own test. It has a small repository, the trigger of the skill, and the expected result.

It lies beside the skill, in `cases/<name>/`: `case.yaml`, the files of the base, `event.json`, the traffic
with the model, and the expected patch.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runner.clients.git import Git
from runner.config.documents import Data, closest
from runner.core.model import Phase
from runner.gateway.model.cassette import Exchange, dump, load
from runner.gateway.model.matching import Matching
from runner.gateway.model.nondeterminism import Span
from runner.run.testing.case_file import (
    FILE,
    MAX_TRAFFIC,
    CaseFile,
    CaseStep,
    bad,
    read_case_file,
    read_event,
    read_file,
    time_of,
)

EVENT, TRAFFIC, PATCH, TREE = "event.json", "traffic.jsonl", "expected.patch", "tree"
FOLDER = "cases"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case, read from its folder and checked."""

    skill: str
    folder: Path
    options: CaseFile
    event: Mapping[str, Any]
    now: datetime

    @property
    def name(self) -> str:
        return self.folder.name

    def traffic(self) -> tuple[Exchange, ...]:
        """The recorded traffic; empty when there is none. Raises RunnerError when it cannot be read."""
        path = self.folder / TRAFFIC
        return load(read_file(path, MAX_TRAFFIC, self._hint), str(path)) if path.exists() else ()

    def patch(self) -> str:
        """The expected patch; empty where nothing changes. Raises RunnerError when it cannot be read."""
        path = self.folder / PATCH
        raw = read_file(path, MAX_TRAFFIC, self._hint) if path.exists() else b""
        return raw.decode("utf-8", "surrogateescape")

    def matching(self, where: str) -> Matching:
        """How requests are compared, or the patch."""
        patterns = [re.compile(one.pattern) for one in self.options.filters if one.where == where]
        times = [time_of(one) for one in self.options.recorded]
        recorded = Span(*times) if times else None
        return Matching(patterns=patterns, recorded=recorded, file=str(self.folder / FILE))

    @property
    def _hint(self) -> str:
        return f"record it again: skillrunner record {self.skill} --case {self.name}"


def find_cases(skill: str, folder: Path, name: str | None = None) -> list[Case]:
    """The cases in a skill's folder, or the one called `name`. Raises RunnerError."""
    known = names(folder)
    if name is None:
        return [read(skill, folder / FOLDER / one) for one in known]
    if name not in known:
        hint = closest(name, known) if known else f"skillrunner record {skill} --case {name}"
        message = f"the skill {skill} has no case {name!r}"
        raise bad(message, hint)
    return [read(skill, folder / FOLDER / name)]


def names(folder: Path) -> list[str]:
    """The names of the cases in a skill's folder."""
    return sorted(path.parent.name for path in (folder / FOLDER).glob(f"*/{FILE}"))


def read(skill: str, folder: Path) -> Case:
    """Read the case in a folder. Raises RunnerError INVALID_INPUT with every fault of its file."""
    options = read_case_file(folder)
    event = read_event(folder / EVENT)
    return Case(skill=skill, folder=folder, options=options, event=event, now=time_of(options.now))


# --- the base ------------------------------------------------------------------------------------

Plain = tuple[str, int, bytes]
"""A path, its mode as git writes it, and its content."""


def files_below(folder: Path, left_out: Sequence[str] = ()) -> Iterator[Plain]:
    """Every file below a folder; a link counts as a file. `left_out` names folders directly in it."""
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        inside = here == folder
        folders[:] = sorted(
            name for name in folders if name != "__pycache__" and not (inside and name in left_out)
        )
        for path in sorted(here / name for name in (*names, *links)):
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield path.relative_to(folder).as_posix(), 0o120000, os.fsencode(path.readlink())
            elif stat.S_ISREG(mode):
                kind = 0o100755 if mode & 0o100 else 0o100644
                yield path.relative_to(folder).as_posix(), kind, path.read_bytes()


def build(
    case: Case, skill: Path, inside: str, repository: Path, others: Sequence[str] = ()
) -> tuple[str, ...]:
    """Create the case's bare repository, with the skill in `skill` at the path `inside`.

    `others` are skills that lie beside it. Returns its commits, of which the last is the base. The same files
    make the same commits.
    """
    repository.mkdir(parents=True)
    git = Git(repository, phase=Phase.CHECKOUT)
    branch = f"refs/heads/{case.options.branch}"
    flags = ("--quiet", "--bare", "--template=", f"--initial-branch={case.options.branch}")
    git.run("init", *flags, repository)
    folders = {skill: inside, **{skill.parent / name: str(Path(inside).parent / name) for name in others}}
    own = [
        (f"{place}/{path}", mode, content)
        for folder, place in folders.items()
        for path, mode, content in files_below(folder, (FOLDER,))
    ]
    stream: list[bytes] = []
    for number, step in enumerate(case.options.base):
        stream.append(_commit_head(case, step, number, branch))
        stream += map(_change, (*files_below(case.folder / step.files), *(own if number == 0 else ())))
        stream += (f"reset refs/tags/{tag}\nfrom {branch}\n\n".encode() for tag in step.tags)
    git.run("fast-import", "--quiet", "--date-format=raw", stdin=b"".join(stream))
    return tuple(git.output("rev-list", "--reverse", branch).split())


def _commit_head(case: Case, step: CaseStep, number: int, branch: str) -> bytes:
    at = time_of(step.at) if step.at else case.now - timedelta(days=len(case.options.base) - number)
    title = (step.tags[0] if step.tags else step.files).encode()
    who = f"committer Skillrunner <skillrunner@localhost> {int(at.timestamp())} +0000\n"
    return f"commit {branch}\n{who}data {len(title)}\n".encode() + title + b"\n"


def _change(file: Plain) -> bytes:
    path, mode, content = file
    raw = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'M %o inline "%s"\ndata %d\n%s\n' % (mode, raw, len(content), content)


# --- writing -------------------------------------------------------------------------------------


def create(folder: Path, told: Mapping[str, Any], event: Mapping[str, Any], files: Sequence[Plain]) -> None:
    """Create a case; `files` are those of its base, in the folder `tree`. Raises OSError."""
    for path, mode, content in files:
        target = folder / TREE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == 0o120000:
            target.symlink_to(os.fsdecode(content))
        else:
            target.write_bytes(content)
            target.chmod(mode & 0o777)
    (folder / TREE).mkdir(parents=True, exist_ok=True)
    if event:
        (folder / EVENT).write_text(json.dumps(event, indent=2) + "\n")
    _write(folder / FILE, told)


def write_expected(
    case: Case,
    harness: str,
    recorded: Span,
    expected: Mapping[str, Any],
    patch: str,
    traffic: Sequence[Exchange],
) -> None:
    """Write a result to the case as the expected one. Comments of the file stay."""
    data = _yaml().load((case.folder / FILE).read_bytes())
    data["harness"] = harness
    data["recorded"] = [one.isoformat(timespec="seconds") for one in (recorded.begin, recorded.end)]
    data["expect"] = dict(expected)
    _write(case.folder / FILE, data)
    _put(case.folder / PATCH, patch.encode("utf-8", "surrogateescape"))
    _put(case.folder / TRAFFIC, dump(traffic))


def _put(path: Path, content: bytes) -> None:
    if content:
        path.write_bytes(content)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, data: Data) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        _yaml().dump(data, file)


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
