"""`skillrunner list`: runs, newest first; or the skills of the repository."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import place_of_options, settings
from runner.apps.terminal import say, say_json
from runner.core.model import Run, RunState

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.run.place import LocalPlace
    from runner.store import Store


@click.command()
@click.option("--skills", is_flag=True, help="The skills of the working tree, instead of runs.")
@click.option("--skill", help="Only runs of this skill.")
@click.option(
    "--state", type=click.Choice([state.value for state in RunState]), help="Only runs in this state."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many runs.")
@click.option("--before", metavar="RUN", help="The page that follows after this run.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def command(options: "Options", /, skills: bool, as_json: bool, **wanted: Any) -> None:
    """List runs, newest first, or skills."""
    from runner.run import bootstrap

    if skills:
        place = place_of_options(options)
        with bootstrap.open_store(place.config) as runs:
            _list_skills(place, runs, as_json)
        return
    with bootstrap.open_store(settings(options)) as runs:
        _list_runs(runs, as_json, **wanted)


def _list_runs(
    runs: "Store", as_json: bool, skill: str | None, state: str | None, limit: int, before: str | None
) -> None:
    from runner.apps.console import age_text, one_line, table

    last = runs.run(before) if before else None
    found = runs.runs(limit=limit, before=last, skill=skill, state=RunState(state) if state else None)
    if as_json:
        say_json([asdict(run) for run in found])
        return
    if not found:
        say("no runs: `skillrunner run SKILL` makes one")
        return
    rows = [
        (run.id, run.skill, run.state, run.trigger, age_text(run.created_at), one_line(_why(run), 60))
        for run in found
    ]
    for line in table(rows, heads=("RUN", "SKILL", "STATE", "TRIGGER", "WHEN", "END")):
        say(line)
    if len(found) == limit:
        say(f"more: skillrunner list --before {found[-1].id}")


def _why(run: Run) -> str:
    return run.end.message if run.end else ""


def _list_skills(place: "LocalPlace", runs: "Store", as_json: bool) -> None:
    from runner.apps.console import age_text, one_line, table
    from runner.skills import load
    from runner.skills.discover import discover

    loaded = load(discover(place.local.root, place.config.skills).files, plain=True)
    last = {name: next(iter(runs.runs(limit=1, skill=name)), None) for name in loaded.skills}
    if as_json:
        found = [
            {
                "name": skill.name,
                "path": skill.path,
                "description": skill.description,
                "triggers": list(skill.triggers),
                "last_run": asdict(run) if (run := last[skill.name]) else None,
            }
            for skill in loaded.skills.values()
        ]
        say_json(found)
        return
    rows = [
        (
            skill.name,
            ", ".join(skill.triggers) or "by hand",
            f"{run.state} {age_text(run.created_at)}" if (run := last[skill.name]) else "never",
            one_line(skill.description, 60),
        )
        for skill in loaded.skills.values()
    ]
    for line in table(rows, heads=("SKILL", "TRIGGERS", "LAST RUN", "DESCRIPTION")):
        say(line)
    if loaded.faults:
        say(f"{len(loaded.faults)} faults in other skills: skillrunner validate")
