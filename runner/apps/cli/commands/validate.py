"""`skillrunner validate`: every fault of every skill, with its place and what to write instead."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.apps.terminal import say, say_json
from runner.core.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.config.documents import Fault
    from runner.skills import Skill
    from runner.skills.discover import SkillFolders


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file.")
@click.pass_context
def command(context: click.Context, paths: tuple[Path, ...], as_json: bool, config: Path | None) -> None:
    """Check skill files.

    A skill is a folder with a `skill.yaml`, or with a SKILL.md alone as other clients know it, which people
    run by hand. What is valid but may not mean what it looks like is a warning.

    PATHS are skills, their files, folders of skills or repositories; without any, the skills and the
    configuration of the repository around the current folder, or of the one that -C names. Exits with 3
    where there are faults.
    """
    from runner.skills import load
    from runner.skills.discover import skills_of_paths
    from runner.triggers import action_triggers

    action_triggers()  # of installed packages: two that hear the same event fit no repository
    found = skills_of_paths(paths) if paths else _here(context.obj.root, config)
    loaded = load(found.files, plain=True)
    told = [*found.faults, *loaded.faults, *_kind_faults(found.files, loaded.skills)]
    faults, warnings = sorted(set(told)), sorted(set(loaded.warnings))
    if as_json:
        skills = [{"name": skill.name, "file": skill.file} for skill in loaded.skills.values()]
        found_wrong = {"faults": list(map(asdict, faults)), "warnings": list(map(asdict, warnings))}
        say_json({"skills": skills, **found_wrong})
    else:
        _print(faults, warnings, len(loaded.skills))
    if faults:
        context.exit(ExitCode.INVALID)


def _kind_faults(files: Mapping[str, bytes], skills: Mapping[str, Skill]) -> Iterator[Fault]:
    from runner.apps.kind_faults import kind_faults_of_skill

    for skill in skills.values():
        if skill.options.environment.sandbox is not None:
            yield from kind_faults_of_skill(skill.file, files[skill.file])


def _here(start: Path, config: Path | None) -> SkillFolders:
    from runner.apps.kind_faults import kind_faults_of_config
    from runner.config.settings import FILE, config_faults, load_config
    from runner.skills.discover import FOLDERS, discover

    root = _root(start.resolve())
    file = config or root / FILE
    faults = config_faults(_shown(file), file.read_bytes()) if file.is_file() else []
    folders: Sequence[str] = FOLDERS if faults else load_config(root, file=config).skills
    found = discover(root, folders)
    found.faults.extend(faults)
    if file.is_file():
        found.faults.extend(kind_faults_of_config(_shown(file), file.read_bytes()))
    return found


def _root(start: Path) -> Path:
    """The nearest folder upwards that is a git working tree, or else `start`."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), start)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _print(faults: Sequence[Fault], warnings: Sequence[Fault], valid: int) -> None:
    for fault in sorted((*faults, *warnings)):
        say(fault.as_warning() if fault in warnings else str(fault))
        if fault.hint:
            say(f"    {fault.hint}")
    if not faults and not warnings and not valid:
        say("no skills found: `skillrunner new NAME` makes one")
        return
    counts = [_count(len(faults), "fault"), *([_count(len(warnings), "warning")] if warnings else [])]
    say(f"{', '.join(counts)}, {_count(valid, 'valid skill')}")


def _count(number: int, what: str) -> str:
    return (
        f"{number or 'no'} {what}{'' if number == 1 else 's'}" if number or what == "fault" else f"0 {what}s"
    )
