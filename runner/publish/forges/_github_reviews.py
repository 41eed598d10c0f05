"""GitHub's reviews. Source: its REST API, "Pull request reviews"; GraphQL for threads and for hiding."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.clients.github.api import GitHubApi
from runner.core.hunks import Hunk, parse_hunks
from runner.core.payload import text_at
from runner.publish.forges._reviews import LineComment, NewReview, Review, Reviews

_STATES = {"APPROVED": "approve", "CHANGES_REQUESTED": "request_changes", "DISMISSED": "dismissed"}
_EVENTS = {"comment": "COMMENT", "approve": "APPROVE", "request_changes": "REQUEST_CHANGES"}
_THREADS = """query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) {
    reviews(last: 100) { nodes { id databaseId state isMinimized } }
    reviewThreads(last: 100) { nodes { id isResolved comments(first: 50) { totalCount nodes {
      author { login } pullRequestReview { databaseId } } } } } } } }"""
_RESOLVE = "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { clientMutationId } }"
_HIDE = (
    "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED})"
    " { clientMutationId } }"
)


@dataclass(frozen=True, slots=True)
class GitHubReviews(Reviews):
    api: GitHubApi
    is_by_us: Callable[[Mapping[str, Any]], bool]

    def diff(self, number: int) -> Mapping[str, Sequence[Hunk]]:
        """GitHub lists at most 3,000 files, and shows no patch of large and of binary ones."""
        found = self.api.pages(f"/pulls/{number}/files")
        return {item["filename"]: parse_hunks(item.get("patch") or "") for item in found}

    def reviews(self, number: int) -> Sequence[Review]:
        """A pending one, which its author alone sees, is none yet."""
        found = self.api.pages(f"/pulls/{number}/reviews")
        return [self._review(item) for item in found if item["state"] != "PENDING"]

    def submit(self, number: int, new: NewReview) -> Review:
        data = {"commit_id": new.commit, "event": _EVENTS[new.verdict], "body": new.body}
        said = [_comment(one) for one in new.comments]
        return self._review(
            self.api.call("POST", f"/pulls/{number}/reviews", {**data, "comments": said}).json()
        )

    def supersede(self, number: int, older: Collection[str], why: str) -> None:
        if not older:
            return
        owner, name = self.api.repository.split("/")
        found = self.api.graphql(_THREADS, owner=owner, name=name, number=number)
        pull = found["repository"]["pullRequest"]
        for review in pull["reviews"]["nodes"]:
            if str(review["databaseId"]) not in older:
                continue
            if review["state"] in ("APPROVED", "CHANGES_REQUESTED"):
                path = f"/pulls/{number}/reviews/{review['databaseId']}/dismissals"
                self.api.call("PUT", path, {"message": why, "event": "DISMISS"})
            elif review["state"] == "COMMENTED" and not review["isMinimized"]:
                self.api.graphql(_HIDE, id=review["id"])
        for thread in _left_to_us(pull["reviewThreads"]["nodes"], older):
            self.api.graphql(_RESOLVE, id=thread["id"])

    def _review(self, item: Mapping[str, Any]) -> Review:
        return Review(
            id=str(item["id"]),
            url=item["html_url"],
            state=_STATES.get(item["state"], "comment"),
            body=item.get("body") or "",
            is_own=self.is_by_us(item),
        )


def _comment(one: LineComment) -> dict[str, Any]:
    data: dict[str, Any] = {"path": one.path, "line": one.line, "side": one.side, "body": one.body}
    if one.start_line is not None and one.start_line < one.line:
        data |= {"start_line": one.start_line, "start_side": one.side}
    return data


def _left_to_us(threads: Sequence[Any], older: Collection[str]) -> Iterator[Any]:
    """The open threads that these reviews began, and in which nobody else has spoken."""
    for thread in threads:
        said = thread["comments"]["nodes"]
        whose = {text_at(one, "author", "login") for one in said}
        first = (said[0].get("pullRequestReview") or {}).get("databaseId") if said else None
        whole = thread["comments"]["totalCount"] == len(said)
        if not thread["isResolved"] and str(first) in older and len(whose) == 1 and whole:
            yield thread
