"""What an agent may ask for besides its files: outputs that the skill names, in the fields that they know.

Besides them it may say that there is nothing to do, `noop`, or that it could not do its work, `incomplete`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from pydantic import Field, ValidationError

from runner.config.documents import Model, Text
from runner.core.model import DeclaredOutput, Proposal, Refusal, RunSpec
from runner.publish.outputs import OUTPUTS
from runner.publish.outputs._item import references_of

NOOP, INCOMPLETE = "noop", "incomplete"


class Conclusion(Model):
    """What an agent says of its work as a whole."""

    reason: Text = Field(description="why, in a few sentences")


CONCLUSIONS = (NOOP, INCOMPLETE)


def refusals(proposal: Proposal, spec: RunSpec) -> Iterator[Refusal]:
    """Every cause for which what was declared cannot be published."""
    named = [output.kind for output in spec.outputs]
    for kind in dict.fromkeys(one.kind for one in proposal.declared):
        if kind not in (*named, *CONCLUSIONS):
            message = f"declares the output {kind[:60]!r}, and the skill names {', '.join(named)}"
            yield Refusal(rule="output_kind", subject="the agent", message=message)
    yield from _over_the_limits(proposal.declared, spec)
    known = {str(one.fields["id"]) for one in proposal.declared if one.fields.get("id")} | set(named)
    for number, one in enumerate(proposal.declared, 1):
        if one.kind not in (*named, *CONCLUSIONS):
            continue
        for fault in (*faults(one, spec), *_unknown_references(one, known)):
            yield Refusal(rule="output_fields", subject=f"declared output {number}", message=fault)
    ids = Counter(str(one.fields["id"]) for one in proposal.declared if one.fields.get("id"))
    for name in (name for name, count in ids.items() if count > 1):
        message = f"gives the id {name[:60]!r} to several outputs"
        yield Refusal(rule="output_fields", subject="the agent", message=message)


def faults(one: DeclaredOutput, spec: RunSpec) -> list[str]:
    """Everything that is wrong with one declared output of a kind that the skill names."""
    known = OUTPUTS.all().get(one.kind)
    model = Conclusion if one.kind in CONCLUSIONS else known.declares if known else None
    try:
        if model is not None:
            model.model_validate(dict(one.fields))
    except ValidationError as error:
        return [_fault(one.kind, problem) for problem in error.errors()]
    if known is None:
        return []
    output = next(output for output in spec.outputs if output.kind == one.kind)
    return [f"declares {one.kind}, which {fault}" for fault in known.check(one, spec, output)]


def limit(kind: str, spec: RunSpec) -> int | None:
    """How many of a kind a run may declare; None: as many as it likes."""
    if (output := OUTPUTS.all().get(kind)) is None or not output.each:
        return None
    return next(int(one.options.get("max", 1)) for one in spec.outputs if one.kind == kind)


def conclusion(proposal: Proposal, kind: str) -> str:
    """The reason of the first conclusion of a kind; empty: there is none."""
    return next((str(one.fields.get("reason", "")) for one in proposal.declared if one.kind == kind), "")


def _fault(kind: str, problem: object) -> str:
    assert isinstance(problem, dict)
    where = ".".join(str(part)[:40] for part in problem["loc"]) or "the declaration"
    return f"declares {kind} with a field that it cannot use: `{where}`: {problem['msg']}"


def _over_the_limits(declared: Sequence[DeclaredOutput], spec: RunSpec) -> Iterator[Refusal]:
    for output in spec.outputs:
        count, most = sum(one.kind == output.kind for one in declared), limit(output.kind, spec)
        if most is not None and count > most:
            message = f"declares {count} of {output.kind}, and the skill allows {most} (`max`)"
            yield Refusal(rule="output_count", subject="the agent", message=message)


def _unknown_references(one: DeclaredOutput, known: set[str]) -> Iterator[str]:
    for name in sorted(references_of(one.fields) - known):
        yield f"declares {one.kind}, which names `#id:{name}`, and nothing of this run has that id"
