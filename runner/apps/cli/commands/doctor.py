"""`skillrunner doctor`: what a run needs, what is there, and the next command."""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import place_of_options, settings, stands_in_worker_folder
from runner.apps.terminal import say, say_json
from runner.core.errors import ExitCode, RunnerError
from runner.core.model import DoctorLine
from runner.core.plugins import PluginError

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.config.settings import Config
    from runner.harnesses import Package
    from runner.run.place import LocalPlace, Place

_GIT = (2, 38)  # `git merge-tree --write-tree`
_ROOM = 2 * 1024**3  # bytes that should be free for workspaces


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with each value's origin.")
@click.option("--action", is_flag=True, help="Check the workflows that use the GitHub Action instead.")
@click.pass_context
def command(context: click.Context, as_json: bool, action: bool) -> None:
    """Check git, Docker, images, the token, the skills and the disk. Exits with 1 where something fails."""
    options: Options = context.obj
    place = _place(options, action)
    findings = [finding for look in _looks(place, action) for finding in _caught(look, place)]
    if as_json:
        say_json({"findings": [asdict(one) for one in findings], "config": _config(place)})
    else:
        for finding in findings:
            say(f"{_level(finding):<4}  {finding.subject:<10} {finding.message}")
            if finding.hint:
                say(f"      next: {finding.hint}")
    if not all(finding.ok for finding in findings):
        context.exit(ExitCode.FAILED)


def _level(finding: DoctorLine) -> str:
    """What works but leaves something to do is a warning; only a failure counts for the exit code."""
    if not finding.ok:
        return "FAIL"
    return "warn" if finding.hint else "ok"


def _place(options: "Options", action: bool) -> "Place":
    """Where one stands: in a checkout, or in a worker's folder."""
    if action or not stands_in_worker_folder(options):
        return place_of_options(options)
    from runner.run.place import Place

    return Place(config=settings(options), root=options.root.absolute(), origin="")


def _looks(place: "Place", action: bool) -> "Iterable[Callable[[Any], Iterator[DoctorLine]]]":
    from runner.run.place import LocalPlace

    if not isinstance(place, LocalPlace):
        return _WORKERS_LOOKS
    if not action:
        return _LOOKS
    from runner.apps.action.doctor import CHECKS

    return CHECKS


def _caught(look: Callable[["Place"], Iterator[DoctorLine]], place: "Place") -> list[DoctorLine]:
    try:
        return list(look(place))
    except PluginError:
        return []  # `_look_at_plugin` says it, for all of them
    except RunnerError as error:
        subject = look.__name__.rpartition("look_at_")[2]
        return [DoctorLine(ok=False, subject=subject, message=error.message, hint=error.hint)]


def _look_at_git(place: "Place") -> Iterator[DoctorLine]:
    from runner.clients.git import Git
    from runner.run.place import LocalPlace

    said = Git(place.root).output("version")
    found = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
    hint = "" if found >= _GIT else "install git 2.38 or newer"
    yield DoctorLine(ok=found >= _GIT, subject="git", message=said, hint=hint)
    try:
        _ = place.local.head_sha if isinstance(place, LocalPlace) else ""
    except RunnerError as error:
        yield DoctorLine(ok=False, subject="git", message=error.message, hint=error.hint)


def _look_at_plugin(place: "Place") -> Iterator[DoctorLine]:
    """What installed packages add, and which of them cannot be used."""
    from runner.apps.families import FAMILIES

    del place
    for one in (one for family in FAMILIES for one in family.third_parties()):
        if one.error is None:
            message = f"{one.package} adds to the {one.family}: {', '.join(one.kinds)}"
            yield DoctorLine(ok=True, subject="plugin", message=message)
        else:
            message = f"{one.package} cannot be used: {one.error.message}"
            yield DoctorLine(ok=False, subject="plugin", message=message, hint=one.error.hint)


def _look_at_sandbox(place: "Place") -> Iterator[DoctorLine]:
    from runner.sandboxes import SANDBOXES

    yield from SANDBOXES.get(place.config.sandbox).doctor(place.config.image)


def _look_at_skills(place: "LocalPlace") -> Iterator[DoctorLine]:
    from runner.skills import load
    from runner.skills.discover import discover

    found = discover(place.local.root, place.config.skills)
    loaded = load(found.files, plain=True)
    faults = len(loaded.faults) + len(found.faults)
    if faults:
        message = f"{faults} faults, {len(loaded.skills)} valid skills"
        yield DoctorLine(ok=False, subject="skills", message=message, hint="skillrunner validate")
    else:
        names = ", ".join(loaded.skills) or "none yet"
        hint = "" if loaded.skills else "skillrunner new NAME"
        yield DoctorLine(ok=True, subject="skills", message=names, hint=hint)
    asked = [skill.options.harness for skill in loaded.skills.values()]
    yield from _programs(sorted({one.kind for one in asked}), place.config)
    yield from _keys(asked, place.config)


def _programs(kinds: Iterable[str], config: "Config") -> Iterator[DoctorLine]:
    """Where the programs of the skills' harnesses come from."""
    from runner.harnesses import HARNESSES

    for kind in kinds:
        harness, configured = HARNESSES.get(kind), config.harnesses.get(kind)
        program = harness.program
        if program is None:  # the skill names it
            continue
        ok, hint = True, ""
        if configured and configured.version:
            version = _version(harness.package, configured.version)
            message = f"{program} {version} is installed by the first run"
        elif configured and configured.binary:
            message = f"{configured.binary} is shown to the sandbox as {program}"
        elif _has_images(config):
            message = f"{program} has to be in the image, for {kind}"
            if harness.package is not None:
                hint = f"or write in skillrunner.yaml: harnesses: {{{kind}: {{version: tested}}}}"
        else:
            ok, message, hint = _on_this_machine(program, kind)
        yield DoctorLine(ok=ok, subject="harness", message=message, hint=hint)


def _has_images(config: "Config") -> bool:
    """Whether programs are in images: without a folder for tools, a sandbox runs those of the machine."""
    from runner.sandboxes import SANDBOXES

    kind = SANDBOXES.all().get(config.sandbox)
    return kind is None or bool(kind.tools)


def _on_this_machine(program: str, kind: str) -> tuple[bool, str, str]:
    """(whether it is there, message, hint) of a program that runs on the machine itself."""
    if where := shutil.which(program):
        return True, f"{program} is {where}, for {kind}", ""
    hint = "install it, or choose a sandbox whose image has it: --sandbox docker"
    return False, f"{program} is not on PATH of this machine, for {kind}", hint


def _version(package: "Package | None", wanted: str) -> str:
    from runner.run.environment.install import TESTED_VERSION

    return package.version if package is not None and wanted == TESTED_VERSION else wanted


def _keys(asked: Iterable[Any], config: "Config") -> Iterator[DoctorLine]:
    """Whether the model keys that the skills' harnesses need are at hand."""
    from runner.harnesses import model_of

    needed = {
        (one.kind, name)
        for one in asked
        if (model := model_of(one)) is not None
        for name in (model.key_variable, *config.other_keys(one.kind))
    }
    for kind, variable in sorted(needed):
        source = config.secrets.get(variable)
        told = source.model_dump(exclude_none=True) if source else {"env": variable}
        ((how, where),) = told.items()
        there = how != "env" or bool(os.environ.get(where))
        message = f"{variable} is {'set' if there else 'not set'}, for {kind}"
        if how != "env":  # asking might cost a PIN
            message = f"{variable} comes from `secrets`, by `{how}`, for {kind}"
        hint = "" if there else f"export {where}=..."
        yield DoctorLine(ok=there, subject="key", message=message, hint=hint)


def _look_at_forge(place: "Place") -> Iterator[DoctorLine]:
    from runner.run import bootstrap, stores

    with stores.open_store(place.config) as runs:
        yield from bootstrap.make_forge(place, runs).doctor()


def _look_at_repositories(place: "Place") -> Iterator[DoctorLine]:
    """The repositories that a worker with this configuration serves."""
    from runner.apps.worker.places import doctor

    yield from doctor(place.config)


def _look_at_disk(place: "Place") -> Iterator[DoctorLine]:
    free = shutil.disk_usage(
        next(path for path in (place.config.state, *place.config.state.parents) if path.exists())
    )
    hint = "" if free.free >= _ROOM else "free some space, or move state_dir to a larger disk"
    message = f"{free.free / 1024**3:.1f} GiB free at {place.config.state}"
    yield DoctorLine(ok=free.free >= _ROOM, subject="disk", message=message, hint=hint)


_WORKERS_LOOKS = (_look_at_git, _look_at_plugin, _look_at_sandbox, _look_at_repositories, _look_at_disk)
_LOOKS = (_look_at_git, _look_at_plugin, _look_at_sandbox, _look_at_skills, _look_at_forge, _look_at_disk)


def _config(place: "Place") -> dict[str, dict[str, object]]:
    """Every configuration value, and where it comes from; keys are dotted."""
    leaves = _leaves(place.config.model_dump(mode="json"))
    return {key: {"value": value, "origin": place.config.origin(key)} for key, value in leaves}


def _leaves(data: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield before + name, value
