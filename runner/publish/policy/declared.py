"""What an agent may ask for besides its files: outputs that the skill names, in the fields that they know."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from runner.core.model import OutputSpec, Proposal, Refusal
from runner.publish.outputs import OUTPUTS


def refusals(proposal: Proposal, outputs: Sequence[OutputSpec]) -> Iterator[Refusal]:
    """Every declared kind that is none of the skill's outputs, once."""
    named = [output.kind for output in outputs]
    for kind in dict.fromkeys(one.kind for one in proposal.declared):
        if kind not in named:
            message = f"declares the output {kind[:60]!r}, and the skill names {', '.join(named)}"
            yield Refusal(rule="output_kind", subject="the agent", message=message)
    for number, one in enumerate(proposal.declared, 1):
        output = OUTPUTS.all().get(one.kind) if one.kind in named else None
        model = output.declares if output is not None else None
        try:
            if model is not None:
                model.model_validate(dict(one.fields))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part)[:40] for part in first["loc"]) or "the declaration"
            message = f"declares {one.kind} with a field that it cannot use: `{where}`: {first['msg']}"
            yield Refusal(rule="output_fields", subject=f"declared output {number}", message=message)
