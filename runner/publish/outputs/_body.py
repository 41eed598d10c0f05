"""The body of a pull request: why, what, evidence, cost, and how to steer. Pure."""

from dataclasses import replace
from typing import Any

from runner.core.model import Check, Proposal, Trigger
from runner.publish.outputs import Offer, _edits, _marker
from runner.publish.outputs._edits import STEER, WARNING
from runner.publish.outputs._marker import Marker
from runner.publish.outputs.escape import fence, neutralise

LIMIT = 65_536  # characters of a body that GitHub takes
_SUMMARY = 20_000
_OUTPUT = 2_000  # characters of a check's output
_LEAD = 20_000
_LEAST = 8_000  # of the body for what others wrote, before outputs of checks are left out
_FILES = 50
_CHECKS = 50


def body(offer: Offer, found: Marker, before: str = "") -> str:
    """All sections in order, and the marker at the end. What others wrote takes the room that ours leave.

    `before` is the body that stands there now: what a person wrote into it, or changed in our words, stays.
    """
    theirs, footer = _edits.read(before, offer.signer), _footer(offer)
    end = _marker.write(replace(found, sections=dict.fromkeys(_edits.OURS, "x" * 12)), offer.signer)
    sections = _sections(offer, LIMIT - theirs.size - len(footer) - len(end))
    written = {name: _marker.digest(text) for name, text in sections.items() if name}
    marker = replace(found, sections={**written, **theirs.edited_digests()})
    line = _marker.write(marker, offer.signer)
    return "\n\n".join(filter(None, (*theirs.combine(sections), footer, line))) + theirs.below


def _sections(offer: Offer, room: int) -> dict[str, str]:
    """Our sections by their headings, in so many characters; what is least needed goes first."""
    ours = (_warning(offer), _why(offer), _files(offer.proposal), _evidence(offer, _OUTPUT))
    if sum(map(len, ours)) > room - _LEAST:
        ours = (*ours[:3], _evidence(offer, 0))
    room -= sum(map(len, ours)) + 200  # and what stands between
    lead = neutralise(str(offer.output.options.get("body") or ""), max(0, min(_LEAD, room // 2)))
    said = neutralise(_said(offer), max(0, min(_SUMMARY, room - len(lead))))
    warning, why, files, evidence = ours
    found = {
        "": warning,
        "Why": f"{why}\n\n{lead}" if lead else why,
        "What": f"### What\n\nIn the agent's words:\n\n{said}" if said else "",
        "Files": files if room > 0 else "",
        "Evidence": evidence,
    }
    return {name: text for name, text in found.items() if text}


def _warning(offer: Offer) -> str:
    return "" if offer.verified else WARNING


def _why(offer: Offer) -> str:
    return f"### Why\n\n{neutralise(offer.spec.skill.description, 1_000)}\n\n{_cause(offer.spec.trigger)}"


def _evidence(offer: Offer, most: int) -> str:
    """The checks, each with at most so many characters of its output; the first of very many."""
    if not offer.checks:
        return "### Evidence\n\nThe skill has no `verify:` commands: nothing was checked but the policy."
    shown = [_check(check, most) for check in offer.checks[:_CHECKS]]
    if left := len(offer.checks) - len(shown):
        failed = sum(not check.ok for check in offer.checks[_CHECKS:])
        shown.append(f"and {left} more, of which {failed} failed")
    return "### Evidence\n\n" + "\n\n".join(shown)


def _said(offer: Offer) -> str:
    """What the harness declared for the body, else its last words."""
    declared: list[Any] = [item.fields.get("body") for item in offer.declared]
    texts = [text for text in declared if isinstance(text, str) and text.strip()]
    return texts[-1] if texts else offer.proposal.summary


def _cause(trigger: Trigger) -> str:
    what = trigger.kind.replace("_", " ")
    subject = f" {_code(trigger.subject)}" if trigger.subject else ""
    return f"Started by: {what}{subject}."


def _files(proposal: Proposal) -> str:
    changes = proposal.changes
    rows = [
        f"| {_code(change.path)} | {change.change} | +{change.additions} -{change.deletions} |"
        for change in changes[:_FILES]
    ]
    more = len(changes) - len(rows)
    rest = f"\n\nand {more} more" if more > 0 else ""
    return (
        "### Files\n\n| file | change | lines |\n|---|---|---|\n"
        + "\n".join(rows)
        + rest
        + _left_out(proposal)
    )


def _left_out(proposal: Proposal) -> str:
    if not proposal.left_out:
        return ""
    rows = "\n".join(f"- {_code(one)}" for one in proposal.left_out[:_FILES])
    return f"\n\nThe agent changed these as well, and the policy refused them:\n\n{rows}"


def _check(check: Check, most: int) -> str:
    how = f"exit {check.exit_code}" if check.exit_code is not None else "stopped"
    head = f"{'✅' if check.ok else '❌'} {_code(check.command)} ({how}, {check.duration:.1f} s)"
    output = check.output.strip()[-most:] if most else ""
    return f"{head}\n\n{fence(output)}" if output else head


def _footer(offer: Offer) -> str:
    spec, usage = offer.spec, offer.outcome.usage
    commit = spec.skill.commit[:12] if spec.skill.commit else f"{spec.skill.digest[:12]} (not committed)"
    told = usage.tokens_in or usage.cost_usd is not None or usage.cost_at_least is not None
    unknown = "" if usage.cost_usd is not None else "cost "
    cost = f" · {unknown}{usage.cost_text}" if told else ""
    tokens = f" · {usage.tokens_in:,} tokens in, {usage.tokens_out:,} out" if usage.tokens_in else ""
    facts = f"run {offer.run_id} · skill {spec.skill.name}@{commit} · {spec.harness.kind}{cost}{tokens}"
    return f"---\n{facts}\n\n{STEER}"


def _code(text: str) -> str:
    """`text` as inline code in a table: nothing in it can end the code or the cell."""
    clean = "".join(char if char.isprintable() and char not in "`|" else "?" for char in text)
    return f"`{clean[:200]}`"
