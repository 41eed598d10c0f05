"""`skillrunner record`: run a skill with its real model, and keep that as a case."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import place_of_options
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.run.place import LocalPlace
    from runner.run.testing.case import Case, Plain
    from runner.run.testing.rehearse import CaseRun
    from runner.skills import Skill

_MOST_FILES, _MOST_BYTES = 1000, 4 * 1024**2


@click.command()
@click.argument("skill")
@click.option("--case", "name", default="recorded", show_default=True, metavar="NAME", help="Its name.")
@click.option(
    "--event", type=click.Path(path_type=Path, allow_dash=True), help="The payload of an event, as JSON."
)
@click.option("--trigger", help="The event's kind, where the payload does not tell.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="A value for one of its inputs.")
@click.option("--base", help="The branch whose files are the case's; default: the default branch.")
@click.option("--files", multiple=True, metavar="GLOB", help="Only these of its files; default: all.")
@click.option("--sandbox", help="docker, process (isolates nothing), or an installed kind.")
@click.option("--image", help="Another container image.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(options: "Options", /, skill: str, name: str, as_json: bool, **given: Any) -> None:
    """Run SKILL with its real model, publish nothing, and keep the run as a case beside the skill.

    A new case starts from the files of the base branch's head, without skills. One that is there keeps what
    it starts from, and is recorded again: change its files and its case.yaml by hand as you like.
    """
    forced = {key: given.pop(key) for key in ("sandbox", "image")}
    force = {f"force_{key}": value for key, value in forced.items() if value is not None}
    from runner.apps.cli import inputs
    from runner.run.launch import interrupt_on_sigterm
    from runner.run.testing.rehearse import accept_result, open_bench, run_case

    place = place_of_options(options, forge="local")
    found = inputs.read_skill(place, skill)
    with (
        interrupt_on_sigterm(),
        _case(place, found, name, given) as case,
        open_bench(options.root, options.config, force) as stage,
    ):
        came = run_case(stage, found, case, "record")
        accept_result(case, came)
    _tell(case, came, as_json, options.quiet)


def _tell(case: "Case", came: "CaseRun", as_json: bool, quiet: bool) -> None:
    if as_json:
        told = {"skill": case.skill, "case": case.name, "folder": str(case.folder)}
        click.echo(json.dumps({**told, "requests": len(came.traffic), "expect": came.expected}))
        return
    click.echo(f"{came.end.state}: {came.end.message}" if came.end.message else came.end.state)
    click.echo(f"recorded: {case.folder} ({len(came.traffic)} requests)")
    if not quiet:
        click.echo(f"  look at it, commit it, and replay it: skillrunner test {case.skill}")


@contextmanager
def _case(place: "LocalPlace", skill: "Skill", name: str, given: Mapping[str, Any]) -> "Iterator[Case]":
    """The case to record. A new one goes again when that fails."""
    from runner.run.testing import case as cases

    folder = place.local.root / skill.path / cases.FOLDER / name
    if Path(name).name != name or name.startswith("."):
        raise _bad(f"{name!r} is no name of a case", "use letters, digits, dots and hyphens")
    if (folder / cases.FILE).exists():
        _check_free(folder / cases.FILE, given)
        yield cases.read(skill.name, folder)
        return
    if folder.exists():
        raise _bad(f"{folder} is there, and holds no {cases.FILE}", "record another: --case NAME")
    try:
        _create(place, skill, folder, given)
        yield cases.read(skill.name, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _check_free(file: Path, given: Mapping[str, Any]) -> None:
    """A case that is there says itself what it starts from."""
    if said := [f"--{'input' if key == 'inputs' else key}" for key, one in given.items() if one]:
        message = f"{file} is there, and says what {', '.join(said)} would"
        raise _bad(message, "change it, or record another: --case NAME")


def _create(place: "LocalPlace", skill: "Skill", folder: Path, given: Mapping[str, Any]) -> None:
    from runner.apps.cli import inputs
    from runner.run import bootstrap
    from runner.run.testing import case as cases

    trigger = inputs.read_trigger(skill, given["event"], given["trigger"], given["inputs"], "case")
    with bootstrap.open_store(place.config) as runs:
        target = bootstrap.make_forge(place, runs)
        base, mirror = bootstrap.find_base(place, target, given["base"] or skill.base_branch)
    files = _files(mirror.directory, base.sha, place.config.skills, given["files"])
    tags = mirror.git.output("tag", "--points-at", base.sha).split()
    told: dict[str, Any] = {
        "version": 1,
        "repository": base.repository.name,
        "branch": base.ref,
        "now": datetime.now(UTC).isoformat(timespec="seconds"),
        "trigger": trigger.kind,
        **({"inputs": dict(trigger.inputs)} if trigger.inputs else {}),
        "base": [{"files": cases.TREE, **({"tags": tags} if tags else {})}],
    }
    cases.create(folder, told, trigger.event, files)


def _files(mirror: Path, sha: str, skills: tuple[str, ...], globs: tuple[str, ...]) -> "list[Plain]":
    """The files of the commit that a case keeps. Raises RunnerError when they are too many."""
    from runner.clients.git import Git, blobs, entries
    from runner.core.globs import matches

    git = Git(mirror, phase=Phase.LOAD)
    left_out = (*(f"{one.rstrip('/')}/**" for one in skills), "**/skill.yaml", "skill.yaml")
    kept = {
        path: one
        for path, one in entries(git, sha, sizes=True).items()
        if one.mode != 0o160000 and not matches(path, left_out) and (not globs or matches(path, globs))
    }
    size = sum(one.size for one in kept.values())
    if len(kept) > _MOST_FILES or size > _MOST_BYTES:
        message = f"{len(kept)} files with {size:,} bytes are too many for a case"
        raise _bad(message, f"--files 'docs/**' keeps some; at most {_MOST_FILES} and {_MOST_BYTES:,} bytes")
    contents = dict(blobs(git, {one.sha for one in kept.values()}))
    return [(path, one.mode, contents[one.sha]) for path, one in sorted(kept.items())]


def _bad(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
