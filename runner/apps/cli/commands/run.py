"""`skillrunner run`: one run of one skill, here and now."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import place_of_options, scope_at
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError, exit_code
from runner.core.model import End, Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.core.model import Run, Trigger
    from runner.run.launch import NewRun
    from runner.run.place import Host, LocalPlace
    from runner.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArguments:
    """What the command line asks for."""

    skill: str  # empty: that of the earlier run
    event: Path | None
    from_run: str | None
    trigger: str | None
    inputs: tuple[str, ...]
    base: str | None
    again: bool
    as_json: bool
    force: Mapping[str, Any]


@click.command()
@click.argument("skill", default="")
@click.option(
    "--event", type=click.Path(path_type=Path, allow_dash=True), help="The payload of an event, as JSON."
)
@click.option("--trigger", help="The event's kind, where the payload does not tell.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="A value for one of its inputs.")
@click.option("--from-run", metavar="RUN", help="With the event, inputs and base commit of an earlier run.")
@click.option(
    "--dry-run", is_flag=True, help="Print the prompt, the plan and what may come out; run nothing."
)
@click.option("--base", help="The branch to work on; default: the default branch.")
@click.option("--sandbox", help="docker, process (isolates nothing), or an installed kind.")
@click.option("--image", help="Another container image.")
@click.option("--harness", help="Another harness; for one that needs options, change the skill.")
@click.option("--model", help="Another model.")
@click.option("--forge", help="Where the pull request goes: auto, github, local, or a plugin's kind.")
@click.option("--again", is_flag=True, help="Propose what was closed unmerged.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's whole record at the end.")
@click.pass_context
def command(context: click.Context, /, dry_run: bool, **given: Any) -> None:
    """Run SKILL now and publish what comes out.

    The skill is read as it lies in the working tree; the work starts from the head of the base branch on the
    forge. Ctrl-C ends the run and removes its container.

    With --event it is said whether the event would start the skill by itself, and why not. --dry-run also
    names what the run would be refused for, and then exits as the run would.

    With --from-run SKILL may be left out: then it is that of the earlier run, as it was. A run keeps the
    event that started it, also one that was given with --event.
    """
    _check_usage(given)
    options: Options = context.obj
    forced = {name: given.pop(name) for name in ("sandbox", "image", "model", "harness")}
    force = {f"force_{name}": value for name, value in forced.items() if value is not None}
    forge = given.pop("forge")
    from runner.run import stores

    wish = RunArguments(force=force, **given)

    place = place_of_options(options, forge=forge)
    with stores.open_store(place.config) as runs:
        if dry_run:
            context.exit(_preview(place, runs, wish))
        else:
            context.exit(_run(place, runs, wish, options.quiet))


def _check_usage(given: Mapping[str, Any]) -> None:
    other = [f"--{name.rstrip('s')}" for name in ("event", "trigger", "inputs", "base") if given[name]]
    if given["from_run"] and other:
        raise click.UsageError(f"--from-run gives what {', '.join(other)} would: leave one of them out")
    if not given["skill"] and not given["from_run"]:
        raise click.UsageError("Missing argument 'SKILL'.")


def _run(place: "LocalPlace", runs: "Store", wish: RunArguments, quiet: bool) -> int:
    from runner.apps.console import Progress
    from runner.run import bootstrap
    from runner.run.launch import interrupt_on_sigterm, launch
    from runner.run.place import Host
    from runner.store import new_run_id

    run_id = new_run_id(datetime.now(UTC))
    with Progress(quiet=quiet, stream=sys.stderr) as progress, interrupt_on_sigterm():
        host = Host(place, runs, bootstrap.make_forge(place, runs))
        start = _start(host, place, wish, run_id)
        if wish.event and not quiet:
            say(_would_start(host, start), err=True)
        end = launch(host, start, progress.observe, progress.transcript)
    print_end(runs, run_id, end, wish.as_json, quiet)
    return exit_code(end)


def _would_start(host: "Host", start: "NewRun") -> str:
    from runner.run.start import verdict_on_event

    return f"by itself: {verdict_on_event(host, start)}"


def _start(host: "Host", place: "LocalPlace", wish: RunArguments, run_id: str) -> "NewRun":
    from runner.apps.cli import inputs
    from runner.run.start import new_run
    from runner.scheduler.loop_guard import OwnIdentity

    if wish.from_run:
        return _start_again(host, place, wish, run_id)
    skill = inputs.read_skill(place, wish.skill)
    mention = OwnIdentity(name=place.config.bot.name).mention
    trigger = inputs.read_trigger(skill, wish.event, wish.trigger, wish.inputs, run_id, mention)
    commit = inputs.commit_of(place, skill)
    made = new_run(host, run_id, skill, commit, trigger, branch=wish.base, force=wish.force, again=wish.again)
    return replace(made, skill_files=inputs.skill_files(place, skill))


def _start_again(host: "Host", place: "LocalPlace", wish: RunArguments, run_id: str) -> "NewRun":
    """What an earlier run did, with its skill as it was, or with one of the working tree."""
    from runner.apps.cli import inputs
    from runner.run import bootstrap
    from runner.run.start import SkillSource, new_run

    earlier = host.store.run(wish.from_run or "", scope_at(place.local.root))
    trigger, path, commit = _what_it_did(host, earlier, own_skill=bool(wish.skill))
    if wish.skill:
        skill = inputs.read_skill(place, wish.skill)
        commit = inputs.commit_of(place, skill)
    else:
        head, mirror = bootstrap.find_base(place, host.forge, None)
        commit = commit or head.sha
        skill = SkillSource(mirror=mirror, head=head.sha).find(earlier.skill, path, commit)
    made = new_run(host, run_id, skill, commit, trigger, sha=earlier.base_sha, force=wish.force)
    files = inputs.skill_files(place, skill) if wish.skill else None
    return replace(made, propose_again=wish.again, skill_files=files)


def _what_it_did(host: "Host", earlier: "Run", own_skill: bool) -> tuple["Trigger", str, str | None]:
    """(trigger, folder of the skill, commit of its text) of a run from the queue, or of one by hand."""
    from runner.run.agent.resume import planned_spec
    from runner.run.earlier_trigger import earlier_trigger
    from runner.run.start import trigger_of
    from runner.store.queue import RunQueue

    if (work := RunQueue(host.store).find_work(earlier.id)) is not None:
        return trigger_of(work), work.path, work.commit
    skill = planned_spec(host.store, earlier).skill
    if skill.commit is None and not own_skill:
        message = f"the skill of run {earlier.id} was not committed, so its text is not kept"
        hint = f"skillrunner run {earlier.skill} --from-run {earlier.id}"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
    return earlier_trigger(host.store, earlier), skill.path, skill.commit


def print_end(runs: "Store", run_id: str, end: End, as_json: bool, quiet: bool) -> None:
    """Print how a run ended, and what its agent said where it published nothing."""
    from runner.apps.console import answer_text

    if as_json:
        from runner.apps.cli.commands.show import record_json

        say_json(record_json(runs, run_id))
        return
    say(f"{end.state}: {end.message}" if end.message else end.state)
    if end.hint:
        say(f"  {end.hint}")
    if _is_unpublished(runs, run_id) and (answer := answer_text(runs, run_id)):
        say(f"\n{answer}\n")
    if not quiet:
        say(f"  look further: skillrunner show {run_id} | logs {run_id} | diff {run_id}")


def _is_unpublished(runs: "Store", run_id: str) -> bool:
    return not any(receipt.is_public for receipt in runs.receipts(run_id))


def _preview(place: "LocalPlace", runs: "Store", wish: RunArguments) -> int:
    """Print the plan, and every reason for which the run would be refused before its agent starts."""
    from runner.run import bootstrap
    from runner.run.dry_run import preview_lines, refusals
    from runner.run.launch import plan_run
    from runner.run.place import Host
    from runner.run.start import verdict_on_event
    from runner.store.specs import StoredSpec, dump

    host = Host(place, runs, bootstrap.make_forge(place, runs))
    start = _start(host, place, wish, "dry-run")
    spec, by_itself = plan_run(place, start), verdict_on_event(host, start) if wish.event else ""
    refused = list(refusals(host, start, spec))
    if wish.as_json:
        told = [{"error": one.message, "reason": one.reason, "hint": one.hint} for one in refused]
        more = {"prompt": spec.prompt, "by_itself": by_itself, "refused": told}
        say_json({**dump(StoredSpec(spec=spec)), **more})
    else:
        _print_plan(spec.prompt, [*preview_lines(spec), *([("by itself", by_itself)] if by_itself else [])])
        for one in refused:
            say(f"error: the run would be refused: {one.message}", err=True)
            say(f"hint: {one.hint}", err=True)
    return exit_code(refused[0].end) if refused else 0


def _print_plan(prompt: str, lines: "Sequence[tuple[str, str]]") -> None:
    say(prompt.rstrip())
    say("\n--- plan " + "-" * 60)
    for name, value in lines:
        say(f"{name:<12} {value}")
