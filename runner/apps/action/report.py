"""A step's report: its log lines, the job's summary, and outputs. Pure except for the log."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from runner.apps.action.job_input import JobInput
from runner.apps.action.job_output import JobOutput
from runner.apps.action.kept import hint_there
from runner.apps.action.runs import RunResult
from runner.apps.action.trusted import TrustedRepository
from runner.core.errors import RunnerError
from runner.core.model import Receipt
from runner.core.model.decision import Decision, Event, Verdict
from runner.publish.outputs.escape import neutralise, one_line

_WIDEST = 300
_LONGEST_ANSWER = 10_000
_OPENS = re.compile(r"https?://")  # what a browser opens


def log_decisions(job_output: JobOutput, job: JobInput, decisions: Sequence[Decision]) -> None:
    """Log one line for each decision."""
    if not decisions:
        job_output.print_line(f"{job.event}: {NOTHING}")
    for one in decisions:
        job_output.print_line(f"{one.skill}: {verdict_text(one)}: {one.message}")


NOTHING = "nothing is due, and no skill asks for this event"


def verdict_text(decision: Decision) -> str:
    """A decision's verdict and cause: "started", "skipped: filter"."""
    return f"{decision.verdict}: {decision.cause}" if decision.cause else str(decision.verdict)


def summary(
    job: JobInput,
    repository: TrustedRepository,
    decisions: Sequence[Decision],
    ran: Sequence[RunResult],
    artifact: str,
) -> str:
    """The job's summary, in Markdown; `artifact` is the name of what is kept of its runs, or empty."""
    page = f"{job.server_url}/{job.repository}/actions/runs/{job.run_id}"
    return "\n".join([*_faults(repository), *_decisions(job, decisions), *_runs(ran, artifact, page)])


def _faults(trusted: TrustedRepository) -> Iterator[str]:
    if trusted.skill_set.faults:
        yield "### Invalid skills\n"
        for fault in trusted.skill_set.faults:
            yield f"- `{fault.file}:{fault.line}:{fault.column}` {_cell(fault.message)}"
        yield ""


def _decisions(job: JobInput, decisions: Sequence[Decision]) -> Iterator[str]:
    yield f"### Skillrunner: {_cell(job.event)}\n"
    if not decisions:
        yield f"{NOTHING.capitalize()}.\n"
        return
    yield from ("| skill | decision | why |", "|---|---|---|")
    for one in decisions:
        yield f"| {one.skill} | {verdict_text(one)} | {_cell(one.message)} |"
    yield ""


def _cost(one: RunResult) -> str:
    if one.cost_usd is not None:
        return f"${one.cost_usd:.2f}"
    return "" if one.cost_at_least is None else f"at least ${one.cost_at_least:.2f}"


def _runs(ran: Sequence[RunResult], artifact: str, page: str) -> Iterator[str]:
    """`page` is the address of the workflow's run."""
    if not ran:
        return
    yield from ("### Runs\n", "| skill | run | end | cost | result |", "|---|---|---|---|---|")
    for one in ran:
        links = ", ".join(_link(receipt) for receipt in one.receipts if _OPENS.match(receipt.url))
        result = links or _cell(one.end.message)
        yield f"| {one.decision.skill} | {one.decision.run_id} | {one.end.state} | {_cost(one)} | {result} |"
    yield ""
    if len(ran) > 1 and (total := _total(ran)):
        yield f"All runs together cost {total}.\n"
    for one in ran:
        if one.end.reason is not None and one.end.hint:
            hint = hint_there(one.end.hint, artifact)
            yield f"- **{one.decision.skill}**: {_cell(one.end.message)} Next: {_cell(hint)}"
    for one in ran:
        yield from (f"- **{one.decision.skill}**, warning: {_cell(warning)}" for warning in one.warnings)
    for one in ran:
        yield from _run(one)
    if artifact:
        where = f"[below this run of the workflow]({page}#artifacts)"
        yield f"\nThe record, transcript and patch of each run are in the artifact `{artifact}`, {where}."


def _run(one: RunResult) -> Iterator[str]:
    """What one run published, and what its agent said last."""
    if not one.is_stored or not (one.answer or one.receipts):
        return
    yield f"\n### {one.decision.skill}\n"
    yield from (f"- {_published(receipt)}" for receipt in one.receipts)
    if not any(receipt.is_public for receipt in one.receipts):
        yield "- nothing was published"
    if one.answer:
        yield f"\n**{one.decision.skill} said:**\n\n{neutralise(one.answer, _LONGEST_ANSWER)}\n"


def _published(receipt: Receipt) -> str:
    what = f"{receipt.kind.replace('_', ' ')} {receipt.action}"
    if receipt.action in ("staged", "suggested"):
        return f"{what}, not published"
    return f"{what}: {_link(receipt)}" if _OPENS.match(receipt.url) else _cell(receipt.text)


def _total(ran: Sequence[RunResult]) -> str:
    """What the runs cost together, as far as that is known; empty: nothing is."""
    costs = [one.cost_at_least if one.cost_usd is None else one.cost_usd for one in ran]
    known = [cost for cost in costs if cost is not None]
    is_exact = all(one.cost_usd is not None for one in ran)
    return f"{'' if is_exact else 'at least '}${sum(known):.2f}" if known else ""


def _link(receipt: Receipt) -> str:
    number = f" #{receipt.number}" if receipt.number else ""
    return f"[{receipt.kind}{number}]({receipt.url})"


def failure(error: RunnerError) -> str:
    """The summary of an error that came before any decision."""
    hint = f"\n\nNext: {neutralise(error.hint, _WIDEST)}" if error.hint else ""
    return f"### Skillrunner could not decide\n\n{neutralise(error.message, 2000)}{hint}"


def _cell(text: str) -> str:
    return one_line(text, _WIDEST).replace("|", "\\|")


def outputs(event: Event | None, decisions: Sequence[Decision], ran: Sequence[RunResult]) -> dict[str, str]:
    """The outputs of `action.yml`; where there were several runs, those of the last one that published."""
    due = [one for one in decisions if one.verdict is Verdict.STARTED]
    by_skill: dict[str, list[str]] = {}
    for one in due:
        by_skill.setdefault(one.skill, []).append(one.key)
    said = {
        "decisions": json.dumps([_as_data(one) for one in decisions]),
        "matrix": json.dumps({"include": [{"skill": one.skill, "key": one.key} for one in due]}),
        "runs": json.dumps(by_skill),
        "subject": event.subject_key if event else "",
    }
    if not ran:
        return said
    chosen = ([one for one in ran if one.receipts] or list(ran))[-1]
    receipt = next((one for one in chosen.receipts if one.kind == "pull_request"), None)
    costs = [one.cost_usd for one in ran if one.cost_usd is not None]
    known = len(costs) == len(ran)
    return said | {
        "run-id": chosen.decision.run_id,
        "state": chosen.end.state,
        "pull-request-url": receipt.url if receipt else "",
        "pull-request-number": str(receipt.number) if receipt else "",
        "cost-usd": f"{sum(costs):.6f}" if known else "",
    }


def _as_data(decision: Decision) -> Mapping[str, Any]:
    said = asdict(decision)
    return {name: str(value) for name, value in said.items() if value not in (None, "", {})}
