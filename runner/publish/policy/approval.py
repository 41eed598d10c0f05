"""Whether a proposal has to be approved by a person, and the digest to which their answer is bound."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from runner.core.globs import matches
from runner.core.model import ApprovalRules, Proposal, RunSpec

MIN_DIGITS = 12
"""How many digits of a digest a person gives at least."""


def reasons(
    rules: ApprovalRules, proposal: Proposal, published: Sequence[str], *, is_known_skill: bool
) -> Iterator[str]:
    """Why a person has to approve the proposal, in words; none: nobody has to.

    `published` are the kinds of output by which something is published, and `is_known_skill` tells whether
    something of this text of the skill was published before.
    """
    if not published:
        return
    if rules.always:
        yield "everything has to be approved"
    touched = [one.path for one in proposal.changes if matches(one.path, rules.paths, ignore_case=True)]
    if touched:
        more = f" and {len(touched) - 1} more" if len(touched) > 1 else ""
        yield f"it changes {touched[0]}{more}"
    lines = sum(one.additions + one.deletions for one in proposal.changes)
    if rules.max_lines is not None and lines > rules.max_lines:
        yield f"more than {rules.max_lines:,} lines are changed: {lines:,}"
    if rules.changed_skill and not is_known_skill:
        yield "nothing of this version of the skill was published before"
    if named := [kind for kind in published if kind in rules.outputs]:
        yield f"it publishes: {', '.join(named)}"


def digest_of(spec: RunSpec, proposal: Proposal, run_id: str, attempt: int) -> str:
    """The digest of all that is shown: whatever of it differs, differs here.

    The run and its attempt are part of it, so that no answer to one proposal is one to another.
    """
    shown = {
        "run": run_id,
        "attempt": attempt,
        "repository": spec.repository.name,
        "skill": spec.skill.digest,
        "base": [spec.base_ref, proposal.base_sha],
        "tree": proposal.tree_sha,
        "patch": proposal.patch_sha256,
        "summary": proposal.summary,
        "declared": [asdict(one) for one in proposal.declared],
        "outputs": [asdict(one) for one in spec.outputs],
    }
    text = json.dumps(shown, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
