"""What an agent may ask for besides its files: outputs that the skill names."""

from collections.abc import Iterator, Sequence

from runner.core.model import OutputSpec, Proposal, Refusal


def refusals(proposal: Proposal, outputs: Sequence[OutputSpec]) -> Iterator[Refusal]:
    """Every declared kind that is none of the skill's outputs, once."""
    named = [output.kind for output in outputs]
    for kind in dict.fromkeys(one.kind for one in proposal.declared):
        if kind not in named:
            message = f"declares the output {kind[:60]!r}, and the skill names {', '.join(named)}"
            yield Refusal(rule="output_kind", subject="the agent", message=message)
