"""`skillrunner show`: everything that is known of one run."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import scope_of, settings
from runner.apps.terminal import say, say_json
from runner.core.payload import text_at

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.core.model import Run, RunEvent
    from runner.store import Store


@click.command()
@click.argument("run", default="latest")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record.")
@click.pass_obj
def command(options: "Options", run: str, as_json: bool) -> None:
    """Show RUN: its id, the beginning of it, or `latest`."""
    from runner.run import stores

    with stores.open_store(settings(options)) as runs:
        found = runs.run(run, scope_of(options))
        if as_json:
            say_json(record_json(runs, found.id))
            return
        for line in lines(runs, found):
            say(line)


def record_json(runs: "Store", run_id: str) -> dict[str, Any]:
    """The whole record of a run: its own fields, and all that belongs to it."""
    from runner.apps.console import answer_text
    from runner.store.approvals import ApprovalStore

    return {
        **asdict(runs.run(run_id)),
        "checks": [asdict(check) for check in runs.checks(run_id)],
        "refusals": [asdict(refusal) for refusal in runs.refusals(run_id)],
        "approvals": [asdict(approval) for approval in ApprovalStore(runs).of_run(run_id)],
        "receipts": [asdict(receipt) for receipt in runs.receipts(run_id)],
        "artifacts": [asdict(artifact) for artifact in runs.artifacts(run_id)],
        "events": [{"seq": seq, **asdict(event)} for seq, event in runs.events(run_id)],
        "spec": runs.spec_document(run_id),
        "answer": answer_text(runs, run_id),
    }


def lines(runs: "Store", run: "Run") -> Iterator[str]:
    """A run for people."""
    from runner.apps.console import age_text, answer_text, one_line

    yield f"{run.id}  {run.skill}  {run.state}"
    if run.end is not None:
        reason = f" ({run.end.phase}: {run.end.reason})" if run.end.reason else ""
        yield f"  {one_line(run.end.message, 1000)}{reason}"
        if run.end.hint:  # one that leads here leads no further
            hint = run.end.hint.replace(f"skillrunner show {run.id}", f"skillrunner logs {run.id}")
            yield f"  next: {one_line(hint, 300)}"
    yield from _approvals(runs, run)
    yield ""
    yield from _facts(runs, run)
    yield f"started     {age_text(run.started_at)}, attempt {run.attempt}"
    events = [event for _, event in runs.events(run.id)]
    if paused := _paused(events, run):
        yield paused
    for refusal in runs.refusals(run.id):
        yield f"refused     [{refusal.rule}] {one_line(refusal.subject)} {one_line(refusal.message, 300)}"
    for check in runs.checks(run.id):
        how = "stopped" if check.exit_code is None else f"exit {check.exit_code}"
        said = f"{one_line(check.command)} ({how}, {check.duration:.1f} s)"
        yield f"{'passed' if check.ok else 'FAILED':<11} {said}"
        yield from (
            f"            | {one_line(line)}" for line in check.output.splitlines()[-5:] if not check.ok
        )
    yield from _words(events, answer_text(runs, run.id))
    for receipt in runs.receipts(run.id):
        where = f" ({receipt.branch})" if receipt.branch else ""
        what = f"{receipt.kind} {receipt.action}: {receipt.url}" if receipt.is_public else "nothing"
        yield f"published   {what}{where}"
    for warning in dict.fromkeys(event.message for event in events if event.is_warning):
        yield f"warning     {one_line(warning, 1000)}"
    yield from _states(events, run)
    for artifact in runs.artifacts(run.id):
        yield f"file        {artifact.name}: {artifact.path} ({artifact.size:,} bytes)"


def _approvals(runs: "Store", run: "Run") -> Iterator[str]:
    """What it waits for, and who said what to that."""
    from runner.apps.console import age_text, one_line
    from runner.scheduler.obstacles import why_waiting
    from runner.store.approvals import ApprovalStore

    for approval in ApprovalStore(runs).of_run(run.id):
        if not approval.verdict:
            yield f"  {one_line(why_waiting(approval).message, 1000)}"
            yield f"  digest {approval.digest}; look at it: skillrunner diff {run.id}"
            continue
        who = f" by {one_line(approval.who)} ({one_line(approval.via, 200)})" if approval.who else ""
        said = f": {one_line(approval.reason, 1000)}" if approval.reason else ""
        yield f"  {approval.verdict}{who} {age_text(approval.decided_at)}{said}"


def _words(events: Sequence["RunEvent"], answer: str) -> Iterator[str]:
    """What its agent asked while it worked, and what it said last."""
    from runner.apps.console import one_line

    for event in events:
        if "question" in event.data:
            yield f"asked       {one_line(str(event.data['question']), 1000)}"
    if answer:
        yield f"said        {one_line(answer, 1000)}"


def _facts(runs: "Store", run: "Run") -> Iterator[str]:
    from runner.apps.console import one_line
    from runner.core.model import Usage

    spec = runs.spec_document(run.id)
    commit = text_at(spec, "skill", "commit")
    yield f"skill       {run.skill}@{commit[:12]}" if commit else f"skill       {run.skill}, not committed"
    yield f"started by  {run.trigger} {one_line(text_at(spec, 'trigger', 'subject'))}".rstrip()
    if before := text_at(spec, "continues"):
        yield f"goes on     from run {before}"
    yield f"base        {text_at(spec, 'base_ref')} at {run.base_sha[:12]} of {run.repository}"
    if trusted := text_at(spec, "trusted_sha"):
        tree = text_at(spec, "tree") or text_at(spec, "base_ref")
        whose = ", a stranger's" if spec.get("is_strangers") else ""
        yield f"tree        {one_line(tree)}{whose}; set-up ran on {trusted[:12]}"
    elif spec.get("is_strangers"):
        yield "event       from a fork: no secrets, and no hosts but the model's"
    yield f"harness     {run.harness}"
    yield f"image       {run.image_digest or 'none'}"
    if run.usage != Usage():
        yield f"cost        {run.usage.cost_text}, {run.tokens_in:,} tokens in, {run.tokens_out:,} out"


def _paused(events: Sequence["RunEvent"], run: "Run") -> str:
    """Since when its agent stands still; empty: it does not."""
    from runner.apps.console import age_text, one_line

    acts = [event for event in events if event.data.get("act") in ("pause", "resume", "stop")]
    if run.end is not None or not acts or acts[-1].data["act"] != "pause":
        return ""
    return f"paused      {age_text(acts[-1].at)}: {one_line(acts[-1].message)}"


def _states(events: Sequence["RunEvent"], run: "Run") -> Iterator[str]:
    entered = [(event.at, event.state) for event in events if event.state]
    steps = []
    following = [*(at for at, _ in entered[1:]), run.ended_at][: len(entered)]
    for (at, state), after in zip(entered, following, strict=True):
        took = f" {(after - at).total_seconds():.1f} s" if after and not state.is_end else ""
        steps.append(f"{state}{took}")
    if steps:
        yield f"states      {' → '.join(steps)}"
