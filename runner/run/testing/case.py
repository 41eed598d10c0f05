"""A case: a skill's own test. It has a small repository, the trigger of the skill, and the expected result.

It lies beside the skill, in `cases/<name>/`: `case.yaml`, the files of the base, `event.json`, the traffic
with the model, and the expected patch.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.clients.git import Git
from runner.config.documents import (
    Data,
    Document,
    Many,
    Model,
    Text,
    check,
    closest,
    parse,
    raise_faults,
)
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.units import Maybe, parse_time
from runner.gateway.model.cassette import Exchange, dump, load

FILE, EVENT, TRAFFIC, PATCH, TREE = "case.yaml", "event.json", "traffic.jsonl", "expected.patch", "tree"
FOLDER = "cases"
_MAX_FILE = 256 * 1024
_NAME = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class CaseStep(Model):
    """One commit of the base: the files of a folder of the case, put over those of the step before."""

    files: _NAME
    tags: Many[Text] = ()
    at: Maybe[Text] = None  # ISO 8601; default: a day before the next step


class ExpectedCheck(Model):
    """One verification command and its exit code."""

    command: Text
    exit_code: Maybe[int]


class ExpectedResult(Model):
    """The expected result, besides the patch."""

    state: Text
    reason: Maybe[Text] = None
    refused: Many[Text] = ()  # "rule: subject"
    declared: Many[dict[str, Any]] = ()
    verify: Many[ExpectedCheck] = ()


class CaseFile(Model):
    """The model of `case.yaml`."""

    version: Literal[1]
    description: str = ""
    repository: Text = "example/repository"
    branch: _NAME = "main"
    now: Text
    trigger: Text = "manual"
    inputs: dict[str, str] = Field(default={})
    base: Annotated[Many[CaseStep], Field(min_length=1)]
    harness: str = ""  # and its version, when it was recorded
    expect: Maybe[ExpectedResult] = None


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
        return load(path.read_bytes(), str(path)) if path.exists() else ()

    def patch(self) -> str:
        path = self.folder / PATCH
        return path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""


def find_cases(skill: str, folder: Path, name: str | None = None) -> list[Case]:
    """The cases in a skill's folder, or the one called `name`. Raises RunnerError."""
    known = sorted(path.parent for path in (folder / FOLDER).glob(f"*/{FILE}"))
    if name is None:
        return [read(skill, one) for one in known]
    if folder / FOLDER / name not in known:
        names = [one.name for one in known]
        hint = closest(name, names) if names else f"skillrunner record {skill} --case {name}"
        message = f"the skill {skill} has no case {name!r}"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
    return [read(skill, folder / FOLDER / name)]


def read(skill: str, folder: Path) -> Case:
    """Read the case in a folder. Raises RunnerError INVALID_INPUT with every fault of its file."""
    document = parse(
        str(folder / FILE), (folder / FILE).read_bytes().replace(b"\r\n", b"\n"), limit=_MAX_FILE
    )
    options = None if document.is_broken else check(CaseFile, document)
    now = _instant(document, ("now",), options.now) if options else None
    for number, step in enumerate(options.base if options else ()):
        if not (folder / step.files).is_dir():
            place = document.value(("base", number, "files"))
            document.fault(place, "there is no such folder beside it", step.files, "make it, or correct it")
    if options is None or now is None or document.faults:
        raise_faults(document.faults, Phase.LOAD, Reason.INVALID_INPUT)
    return Case(skill=skill, folder=folder, options=options, event=_event(folder / EVENT), now=now)


def _instant(document: Document, path: tuple[str | int, ...], text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        document.fault(document.value(path), "is no time", text, "write 2026-01-05T09:00:00Z")
        return None


def _event(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    try:
        event = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, f"{path} is not JSON: {error}") from error
    if not isinstance(event, dict):
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, f"{path} holds no object")
    return event


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
    try:
        at = parse_time(step.at) if step.at else case.now - timedelta(days=len(case.options.base) - number)
    except ValueError as error:
        message = f"{case.folder / FILE}: base[{number}].at is no time: {step.at}"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message) from error
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
    case: Case, harness: str, expected: Mapping[str, Any], patch: str, traffic: Sequence[Exchange]
) -> None:
    """Write a result to the case as the expected one. Comments of the file stay."""
    data = _yaml().load((case.folder / FILE).read_bytes())
    data["harness"] = harness
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
