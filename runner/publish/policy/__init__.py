"""The deterministic rules that allow or refuse a proposal. Pure: values in, causes out.

Every rule looks at the whole proposal and names every cause; nothing stops at the first one, so that
one reading of the record is enough to mend the skill or to see the attack.
"""

from collections.abc import Mapping

from runner.core.model import Proposal, Refusal, RunSpec
from runner.publish.policy import declared, files, paths, secrets
from runner.publish.policy.declared import INCOMPLETE, NOOP, conclusion
from runner.publish.policy.secrets import PATCH

__all__ = ["INCOMPLETE", "NOOP", "PATCH", "check", "conclusion"]


def check(
    spec: RunSpec,
    proposal: Proposal,
    contents: Mapping[str, bytes],
    secret_values: Mapping[str, str],
) -> tuple[Refusal, ...]:
    """All causes to refuse `proposal`, in a stable order; empty when it is allowed.

    `contents` maps a name (PATCH, "summary", a file's path) to the bytes that would be published, and
    `secret_values` a secret's name to its value: both are searched, neither is ever repeated.
    """
    return (
        *paths.refusals(proposal.changes, spec.allowance),
        *files.refusals(proposal, spec.allowance),
        *declared.refusals(proposal, spec),
        *secrets.refusals(contents, secret_values),
    )
