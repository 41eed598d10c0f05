"""`skillrunner list`: runs, newest first; or the skills of the repository."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import place_of_options, scope_of, settings
from runner.apps.terminal import say, say_json
from runner.core.model import Run, RunState

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.run.place import LocalPlace
    from runner.store import Store
    from runner.store.records import RunScope


@click.command()
@click.option("--skills", is_flag=True, help="The skills of the working tree, instead of runs.")
@click.option("--skill", help="Only runs of this skill.")
@click.option(
    "--state", type=click.Choice([state.value for state in RunState]), help="Only runs in this state."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many runs.")
@click.option("--before", metavar="RUN", help="The page that follows after this run.")
@click.option("--all", "everywhere", is_flag=True, help="Runs of all repositories, not of this one alone.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def command(options: "Options", /, skills: bool, as_json: bool, everywhere: bool, **wanted: Any) -> None:
    """List the runs of this repository, newest first, or its skills; outside of one, all runs."""
    from runner.run import stores

    if skills:
        place = place_of_options(options)
        with stores.open_store(place.config) as runs:
            _list_skills(place, runs, scope_of(options), as_json)
        return
    with stores.open_store(settings(options)) as runs:
        _list_runs(runs, as_json, None if everywhere else scope_of(options), **wanted)


def _list_runs(
    runs: "Store",
    as_json: bool,
    scope: "RunScope | None",
    skill: str | None,
    state: str | None,
    limit: int,
    before: str | None,
) -> None:
    from runner.apps.console import age_text, one_line, table

    last = runs.run(before) if before else None
    wanted = RunState(state) if state else None
    found = runs.runs(limit=limit, before=last, skill=skill, state=wanted, scope=scope)
    if as_json:
        say_json([asdict(run) for run in found])
        return
    if not found:
        none = "no runs of this repository (--all lists others')" if scope else "no runs"
        say(f"{none}: `skillrunner run SKILL` makes one")
        return
    waits = _waits(runs)
    rows = [
        (
            run.id,
            *(() if scope else (one_line(run.repository, 40),)),
            run.skill,
            run.state,
            run.trigger,
            age_text(run.created_at),
            one_line(waits.get(run.id) or _why(run), 60),
        )
        for run in found
    ]
    where = () if scope else ("REPOSITORY",)
    for line in table(rows, heads=("RUN", *where, "SKILL", "STATE", "TRIGGER", "WHEN", "END")):
        say(line)
    if len(found) == limit:
        say(f"more: skillrunner list{'' if scope else ' --all'} --before {found[-1].id}")


def _waits(runs: "Store") -> dict[str, str]:
    """By run: what it waits for, where that is a person."""
    from runner.scheduler.obstacles import why_waiting
    from runner.store.approvals import ApprovalStore

    found = ApprovalStore(runs).waiting()
    return {one.approval.run_id: why_waiting(one.approval).message for one in found}


def _why(run: Run) -> str:
    return run.end.message if run.end else ""


def _list_skills(place: "LocalPlace", runs: "Store", scope: "RunScope | None", as_json: bool) -> None:
    from runner.apps.console import age_text, one_line, table
    from runner.skills import load
    from runner.skills.discover import discover

    loaded = load(discover(place.local.root, place.config.skills).files, plain=True)
    last = {name: next(iter(runs.runs(limit=1, skill=name, scope=scope)), None) for name in loaded.skills}
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
