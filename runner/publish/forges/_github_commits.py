"""Commits that GitHub makes through its API: it signs those of an App, where nobody names an author.

`createCommitOnBranch` knows no modes and no links, so the commit is made of git's own objects.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.publish.forges._commits import CommitVerification, MadeCommit, SignedCommits

if TYPE_CHECKING:
    from runner.workspace.changeset import Edit

_NOTHING = "0" * 40
_RULES = re.compile(r"rule violation|protected branch", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GitHubCommits(SignedCommits):
    api: GitHubApi

    def make(self, parent: str, base_tree: str, edits: "Sequence[Edit]", message: str) -> MadeCommit:
        """Objects are named by what they hold: made twice, they are the same."""
        entries = [self._entry(edit) for edit in edits]
        tree = self._post("/git/trees", {"base_tree": base_tree, "tree": entries})["sha"]
        said = self._post("/git/commits", {"message": message, "tree": tree, "parents": [parent]})
        return MadeCommit(sha=said["sha"], tree=tree)

    def move(self, branch: str, before: str | None, after: str) -> None:
        """REST would push over whatever is there; GraphQL takes the commit that is expected."""
        query = (
            "mutation($id: ID!, $name: GitRefname!, $before: GitObjectID!, $after: GitObjectID!)"
            " { updateRefs(input: {repositoryId: $id, refUpdates:"
            " [{name: $name, beforeOid: $before, afterOid: $after, force: true}]}) { clientMutationId } }"
        )
        node = self.api.get("")["node_id"]
        ref = f"refs/heads/{branch}"
        try:
            self.api.graphql(query, id=node, name=ref, before=before or _NOTHING, after=after)
        except RunnerError as error:
            if error.reason is not Reason.FORGE_REJECTED:
                raise
            raise self._not_moved(branch, before, error) from error

    def verification(self, sha: str) -> CommitVerification:
        found = self.api.get(f"/git/commits/{sha}").get("verification") or {}
        return CommitVerification(
            verified=bool(found.get("verified")), reason=str(found.get("reason") or "unknown")
        )

    def _entry(self, edit: "Edit") -> Mapping[str, Any]:
        if edit.content is None:
            return {"path": edit.path, "mode": "100644", "type": "blob", "sha": None}
        encoded = {"content": base64.b64encode(edit.content).decode(), "encoding": "base64"}
        sha = self._post("/git/blobs", encoded)["sha"]
        return {"path": edit.path, "mode": f"{edit.mode:06o}", "type": "blob", "sha": sha}

    def _post(self, path: str, data: Mapping[str, Any]) -> Any:
        return self.api.call("POST", path, data, repeatable=True).json()

    def _not_moved(self, branch: str, before: str | None, error: RunnerError) -> RunnerError:
        """What a refusal means: GitHub's words for it are not written down anywhere."""
        message = f"{branch} was not moved: {error.message}"
        if self._head(branch) != before:
            hint = "somebody else wrote to the branch: look at it, then run it again"
            return RunnerError(Phase.PUBLISH, Reason.BRANCH_MOVED, message, hint=hint)
        reason = Reason.BRANCH_PROTECTED if _RULES.search(error.message) else error.reason
        hint = "see the rules for this branch in the repository's settings"
        return RunnerError(Phase.PUBLISH, reason, message, hint=hint)

    def _head(self, branch: str) -> str | None:
        try:
            return str(self.api.get(f"/git/ref/heads/{branch}")["object"]["sha"])
        except RunnerError as error:
            if error.reason is not Reason.FORGE_NOT_FOUND:
                raise
            return None
