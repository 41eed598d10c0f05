"""GitHub's issues, pull requests and comments. Source: its REST API, "Issues"; GraphQL, `minimizeComment`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import text_at
from runner.publish.forges._threads import Thread, ThreadChange, ThreadComment, Threads

_CLASSIFIERS = {"outdated", "resolved", "duplicate", "off-topic", "spam", "abuse"}


@dataclass(frozen=True, slots=True)
class GitHubThreads(Threads):
    api: GitHubApi
    login: str  # whose token it is; empty: GitHub does not tell
    is_by_us: Callable[[Mapping[str, Any]], bool]

    def get(self, number: int) -> Thread:
        return self._thread(self.api.get(f"/issues/{number}"))

    def own(self, state: Literal["open", "all"] = "open") -> Sequence[Thread]:
        """GitHub lists by `creator`, and knows an App there by its name with "[bot]"."""
        filters = {"creator": self.login} if self.login else {}
        found = self.api.pages("/issues", state=state, sort="created", direction="desc", **filters)
        return [self._thread(item) for item in found if "pull_request" not in item and self.is_by_us(item)]

    def search(self, query: str, limit: int = 100) -> Sequence[Thread]:
        host = self.api.api_url.rstrip("/")
        asked = f"repo:{self.api.repository} {query}"
        answer = self.api.call(
            "GET",
            f"{host}/search/issues",
            parameters={"q": asked, "sort": "created", "order": "desc", "per_page": min(limit, 100)},
        )
        return [self._thread(item) for item in answer.json()["items"]]

    def create(self, title: str, body: str, labels: Sequence[str] = ()) -> Thread:
        data = {"title": title, "body": body, **({"labels": list(labels)} if labels else {})}
        return self._thread(self.api.call("POST", "/issues", data).json())

    def update(self, number: int, change: ThreadChange) -> Thread:
        data = {
            name: value
            for name in ("title", "body", "state", "state_reason", "type")
            if (value := getattr(change, name)) is not None
        }
        if change.milestone is not None:
            data["milestone"] = self._milestone(change.milestone)
        return self._thread(self.api.call("PATCH", f"/issues/{number}", data).json())

    def _milestone(self, title: str) -> int | None:
        if not title:
            return None
        for item in self.api.pages("/milestones", state="all"):
            if item["title"] == title:
                return int(item["number"])
        message = f"{self.api.repository} has no milestone {title!r}"
        raise RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, message, hint="make it on GitHub first")

    def comments(self, number: int) -> Sequence[ThreadComment]:
        return [self._comment(item) for item in self.api.pages(f"/issues/{number}/comments")]

    def comment(self, number: int, body: str) -> ThreadComment:
        return self._comment(self.api.call("POST", f"/issues/{number}/comments", {"body": body}).json())

    def edit_comment(self, comment: ThreadComment, body: str) -> None:
        self.api.call("PATCH", f"/issues/comments/{comment.id}", {"body": body})

    def minimise_comment(self, comment: ThreadComment, reason: str) -> None:
        """REST cannot hide a comment."""
        node = self.api.get(f"/issues/comments/{comment.id}")["node_id"]
        kind = reason if reason in _CLASSIFIERS else "outdated"
        query = (
            "mutation($id: ID!, $why: ReportedContentClassifiers!) { minimizeComment(input: {subjectId: $id,"
            " classifier: $why}) { clientMutationId } }"
        )
        self.api.graphql(query, id=node, why=kind.upper().replace("-", "_"))

    def known_labels(self) -> Sequence[str]:
        return [str(item["name"]) for item in self.api.pages("/labels")]

    def set_labels(self, number: int, labels: Sequence[str]) -> None:
        self.api.call("PUT", f"/issues/{number}/labels", {"labels": list(labels)})

    def assign(self, number: int, logins: Sequence[str], remove: Sequence[str] = ()) -> Sequence[str]:
        path, answer = f"/issues/{number}/assignees", None
        if remove:
            answer = self.api.call("DELETE", path, {"assignees": list(remove)}).json()
        if logins:
            answer = self.api.call("POST", path, {"assignees": list(logins)}, repeatable=True).json()
        return self._thread(answer).assignees if answer else self.get(number).assignees

    def lock(self, number: int, reason: str = "") -> None:
        self.api.call("PUT", f"/issues/{number}/lock", {"lock_reason": reason} if reason else {})

    def unlock(self, number: int) -> None:
        self.api.call("DELETE", f"/issues/{number}/lock")

    def add_sub_issue(self, parent: int, child: int) -> None:
        identity = self.api.get(f"/issues/{child}")["id"]
        there = self.api.pages(f"/issues/{parent}/sub_issues")
        if all(item["id"] != identity for item in there):
            self.api.call("POST", f"/issues/{parent}/sub_issues", {"sub_issue_id": identity})

    def _thread(self, item: Mapping[str, Any]) -> Thread:
        return Thread(
            number=item["number"],
            url=item["html_url"],
            is_pull_request="pull_request" in item,
            state=item["state"],
            title=item["title"],
            body=item.get("body") or "",
            author=text_at(item, "user", "login"),
            is_own=self.is_by_us(item),
            state_reason=item.get("state_reason") or "",
            labels=tuple(one["name"] for one in item.get("labels", ())),
            assignees=tuple(one["login"] for one in item.get("assignees") or ()),
            milestone=text_at(item, "milestone", "title"),
            is_locked=bool(item.get("locked")),
            created_at=str(item.get("created_at") or ""),
            updated_at=str(item.get("updated_at") or ""),
        )

    def _comment(self, item: Mapping[str, Any]) -> ThreadComment:
        return ThreadComment(
            id=str(item["id"]),
            url=item["html_url"],
            author=text_at(item, "user", "login"),
            body=item.get("body") or "",
            is_own=self.is_by_us(item),
            created_at=str(item.get("created_at") or ""),
        )
