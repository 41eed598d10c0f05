"""`skillrunner run`: one run of one skill, here and now."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.commands import here
from runner.errors import RunnerError, exit_code
from runner.model import End, HarnessSpec, Phase, Reason, Run, RunSpec, RunState

if TYPE_CHECKING:
    from runner.commands import Options
    from runner.mirror import Mirror
    from runner.store import Store
    from runner.wire import Here


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line asks for."""

    skill: str
    event: Path | None
    trigger: str | None
    inputs: tuple[str, ...]
    base: str | None
    again: bool
    as_json: bool
    force: Mapping[str, Any]


@click.command()
@click.argument("skill")
@click.option(
    "--event", type=click.Path(path_type=Path, allow_dash=True), help="The payload of an event, as JSON."
)
@click.option("--trigger", help="The event's kind, where the payload does not tell.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="A value for one of its inputs.")
@click.option(
    "--dry-run", is_flag=True, help="Print the prompt, the plan and what may come out; run nothing."
)
@click.option("--base", help="The branch to work on; default: the default branch.")
@click.option("--sandbox", help="docker, or process, which isolates nothing.")
@click.option("--image", help="Another container image.")
@click.option("--harness", help="Another harness; for one that needs options, change the skill.")
@click.option("--model", help="Another model.")
@click.option("--forge", type=click.Choice(["auto", "github", "local"]), help="Where the pull request goes.")
@click.option("--again", is_flag=True, help="Propose what was closed unmerged.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's whole record at the end.")
@click.pass_context
def command(context: click.Context, /, dry_run: bool, **given: Any) -> None:
    """Run SKILL now and publish what comes out.

    The skill is read as it lies in the working tree; the work starts from the head of the base branch on the
    forge. Ctrl-C ends the run and removes its container.
    """
    options: Options = context.obj
    forced = {name: given.pop(name) for name in ("sandbox", "image", "model")}
    force = {f"force_{name}": value for name, value in forced.items() if value is not None}
    if kind := given.pop("harness"):
        force["force_harness"] = HarnessSpec(kind=kind)
    forge = given.pop("forge")
    wish = Wish(force=force, **given)
    from runner import wire

    place = here(options, forge=forge)
    with wire.store(place.config) as runs:
        if dry_run:
            _preview(place, runs, wish)
        else:
            context.exit(_run(place, runs, wish, options.quiet))


def _run(place: "Here", runs: "Store", wish: Wish, quiet: bool) -> int:
    from runner import wire
    from runner.console import Progress
    from runner.execute import execute
    from runner.record import Record
    from runner.store import hold, new_run_id

    run_id = new_run_id(datetime.now(UTC))
    folder = runs.run_folder(run_id)
    with Progress(quiet=quiet, stream=sys.stderr) as progress, _terminable():
        target = wire.forge(place, runs)
        _need_token(target, place)
        spec, mirror = _plan(place, target, wish, run_id)
        with hold(folder):
            runs.create_run(_record_of(spec, run_id), _as_data(spec))
            record = Record(runs, run_id, folder, progress.observe)
            record.keep("prompt.md", spec.prompt.encode(), "text/markdown")
            try:
                parts = wire.parts(place, spec, target, mirror, progress.transcript, wish.again)
            except RunnerError as error:
                record.finish(error.end)
                end = error.end
            else:
                end = execute(spec, record, parts)
    _tell(runs, run_id, end, wish.as_json, quiet)
    return exit_code(end)


def _plan(place: "Here", target: Any, wish: Wish, run_id: str) -> tuple[RunSpec, "Mirror"]:
    from runner import intake, wire
    from runner.plan import plan

    skill = intake.skill(place, wish.skill)
    trigger = intake.trigger(skill, wish.event, wish.trigger, wish.inputs, run_id)
    _, options = skill.output
    start, mirror = wire.base(place, target, wish.base or getattr(options, "base", None))
    commit = intake.commit_of(place, skill)
    defaults = wire.defaults(place.config, wish.force)
    return plan(skill, commit, trigger, start, run_id, datetime.now(UTC), defaults), mirror


def _need_token(target: Any, place: "Here") -> None:
    name = place.config.github.token_env
    if target.name == "github" and not os.environ.get(name):
        raise RunnerError(
            Phase.PLAN,
            Reason.FORGE_DENIED,
            f"pull requests go to GitHub, and {name} is not set",
            hint=f"export {name}=..., or keep the pull request on this machine: --forge local",
        )


def _record_of(spec: RunSpec, run_id: str) -> Run:
    return Run(
        id=run_id,
        repository=spec.repository.name,
        skill=spec.skill.name,
        trigger=spec.trigger.kind,
        trigger_key=spec.trigger.key,
        base_sha=spec.base_sha,
        state=RunState.QUEUED,
        created_at=datetime.now(UTC),
        worker=f"{os.uname().nodename}:{os.getpid()}",
        harness=spec.harness.kind,
    )


def _as_data(spec: RunSpec) -> Mapping[str, Any]:
    """The spec as it is stored. The event may be large, and holds what strangers wrote: its key is enough."""
    from dataclasses import asdict, replace

    return asdict(replace(spec, prompt="", trigger=replace(spec.trigger, event={})))


@contextmanager
def _terminable() -> Iterator[None]:
    """A polite request to end is an interruption: the container goes, and the run gets its end."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(runs: "Store", run_id: str, end: End, as_json: bool, quiet: bool) -> None:
    if as_json:
        from runner.commands.show import record_json

        click.echo(json.dumps(record_json(runs, run_id), default=str))
        return
    click.echo(f"{end.state}: {end.message}" if end.message else end.state)
    if end.hint:
        click.echo(f"  {end.hint}")
    if not quiet:
        click.echo(f"  look further: skillrunner show {run_id} | logs {run_id} | diff {run_id}")


def _preview(place: "Here", runs: "Store", wish: Wish) -> None:
    from runner import wire
    from runner.preview import facts

    spec, _ = _plan(place, wire.forge(place, runs), wish, "dry-run")
    if wish.as_json:
        click.echo(json.dumps({**_as_data(spec), "prompt": spec.prompt}, default=str))
        return
    click.echo(spec.prompt.rstrip())
    click.echo("\n--- plan " + "-" * 60)
    for name, value in facts(spec):
        click.echo(f"{name:<12} {value}")
