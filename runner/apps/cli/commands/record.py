"""`skillrunner record`: run a skill with its real model, and keep that as a case."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import place_of_options, scope_at
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.core.model import Run, Trigger
    from runner.run.place import LocalPlace
    from runner.run.testing.case import Case, Plain
    from runner.run.testing.rehearse import CaseRun
    from runner.skills import Skill
    from runner.store import Store

_FLAGS = {"inputs": "--input", "from_run": "--from-run"}
_MOST_FILES, _MOST_BYTES = 1000, 4 * 1024**2


@click.command()
@click.argument("skill")
@click.option("--case", "name", default="recorded", show_default=True, metavar="NAME", help="Its name.")
@click.option(
    "--event", type=click.Path(path_type=Path, allow_dash=True), help="The payload of an event, as JSON."
)
@click.option("--from-run", metavar="RUN", help="What started this run, on the commit that it started from.")
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

    With --from-run it starts from what a run of SKILL started from: its event and inputs, its time and its
    commit. That may be any run in the run store, one that was started by hand as well; `latest` is the latest
    of this repository.
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
        say_json({**told, "requests": len(came.traffic), "expect": came.expected})
        return
    say(f"{came.end.state}: {came.end.message}" if came.end.message else came.end.state)
    say(f"recorded: {case.folder} ({len(came.traffic)} requests)")
    if not quiet:
        say(f"  look at it, commit it, and replay it: skillrunner test {case.skill}")


@contextmanager
def _case(place: "LocalPlace", skill: "Skill", name: str, given: Mapping[str, Any]) -> "Iterator[Case]":
    """The case to record. A new one goes again when that fails."""
    from runner.run.testing import case as cases
    from runner.run.testing.case_file import FILE, NAME

    folder = place.local.root / skill.path / cases.FOLDER / name
    if re.fullmatch(NAME, name) is None:
        hint = "begin with a letter or digit; then letters, digits, dots, hyphens and underscores"
        raise _bad(f"{name!r} is no name of a case", hint)
    if (folder / FILE).exists():
        _check_free(folder / FILE, given)
        yield cases.read(skill.name, folder)
        return
    if folder.exists():
        raise _bad(f"{folder} is there, and holds no {FILE}", "record another: --case NAME")
    try:
        _create(place, skill, folder, given)
        yield cases.read(skill.name, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _check_free(file: Path, given: Mapping[str, Any]) -> None:
    """A case that is there says itself what it starts from."""
    if said := [_FLAGS.get(name, f"--{name}") for name, one in given.items() if one]:
        message = f"{file} is there, and says what {', '.join(said)} would"
        raise _bad(message, "change it, or record another: --case NAME")


@dataclass(frozen=True, slots=True)
class _Start:
    """What a new case starts from."""

    trigger: "Trigger"
    now: datetime
    branch: str | None = None
    sha: str = ""  # empty: the branch's head


def _create(place: "LocalPlace", skill: "Skill", folder: Path, given: Mapping[str, Any]) -> None:
    from runner.run import bootstrap, stores
    from runner.run.plan import base_branch
    from runner.run.testing import case as cases

    with stores.open_store(place.config) as runs:
        start = _start(runs, place, skill, given)
        target = bootstrap.make_forge(place, runs)
        wanted = partial(base_branch, skill, start.trigger, run_id="", now=start.now)
        base, mirror = bootstrap.find_base(place, target, start.branch or wanted, bool(given["base"]))
        sha = mirror.resolve(start.sha or base.sha)
    files = _files(mirror.directory, sha, place.config.skills, given["files"])
    tags = mirror.git.output("tag", "--points-at", sha).split()
    told: dict[str, Any] = {
        "version": 1,
        "repository": base.repository.name,
        "branch": base.ref,
        "now": start.now.isoformat(timespec="seconds"),
        "trigger": start.trigger.kind,
        **({"inputs": dict(start.trigger.inputs)} if start.trigger.inputs else {}),
        "base": [{"files": cases.TREE, **({"tags": tags} if tags else {})}],
    }
    cases.create(folder, told, start.trigger.event, files)


def _start(runs: "Store", place: "LocalPlace", skill: "Skill", given: Mapping[str, Any]) -> _Start:
    from runner.apps.cli import inputs
    from runner.scheduler.loop_guard import OwnIdentity

    if given["from_run"] is None:
        mention = OwnIdentity(name=place.config.bot.name).mention
        trigger = inputs.read_trigger(
            skill, given["event"], given["trigger"], given["inputs"], "case", mention
        )
        return _Start(trigger, datetime.now(UTC), given["base"])
    if said := [
        _FLAGS.get(name, f"--{name}") for name in ("event", "trigger", "inputs", "base") if given[name]
    ]:
        raise _bad(f"--from-run says what {', '.join(said)} would", "leave one of them out")
    return _start_of_run(skill, runs, runs.run(given["from_run"], scope_at(place.local.root)))


def _start_of_run(skill: "Skill", runs: "Store", run: "Run") -> _Start:
    """What started a run. Raises RunnerError when it was another skill's, or its event was not kept."""
    from runner.run.agent.resume import planned_spec
    from runner.run.earlier_trigger import earlier_trigger

    if run.skill != skill.name:
        raise _bad(
            f"run {run.id} is of the skill {run.skill}", f"skillrunner record {run.skill} --from-run {run.id}"
        )
    spec = planned_spec(runs, run)
    return _Start(earlier_trigger(runs, run), spec.trigger.at, spec.base_ref, spec.base_sha)


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
