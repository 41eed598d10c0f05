"""The local forge's issues, and what is said on them and on its pull requests, kept in the run store."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.publish.forges import ItemTable, PullRequest, PullRequestTable, StoredItem
from runner.publish.forges._threads import Thread, ThreadChange, ThreadComment, Threads

_ISSUE, _COMMENT, LABEL = "issue", "comment", "label"
_ON_PULL_REQUEST = "pull_request"  # what a pull request has besides the columns of its own table
_OF_PULL_REQUEST = ("title", "body", "state")


@dataclass(frozen=True, slots=True)
class LocalThreads(Threads):
    pull_requests: PullRequestTable
    items: ItemTable
    author: str  # the runner's own

    def get(self, number: int) -> Thread:
        if (pull := self._pull_request(number)) is not None:
            return self._of_pull_request(pull)
        return self._of_issue(self._issue(number))

    def own(self, state: Literal["open", "all"] = "open") -> Sequence[Thread]:
        threads = [self._of_issue(item) for item in reversed(self.items.find(_ISSUE))]
        return [one for one in threads if one.is_own and state in ("all", one.state)]

    def search(self, query: str, limit: int = 100) -> Sequence[Thread]:
        """Words that title or body hold, `label:`, `is:` and `author:` as GitHub has them."""
        pulls = [self._of_pull_request(pull) for pull in self.pull_requests.all()]
        issues = [self._of_issue(item) for item in self.items.find(_ISSUE)]
        found = [one for one in (*pulls, *issues) if all(_fits(one, word) for word in query.split())]
        return sorted(found, key=lambda one: one.number, reverse=True)[:limit]

    def create(self, title: str, body: str, labels: Sequence[str] = ()) -> Thread:
        data = {"title": title, "body": body, "state": "open", "labels": list(labels), "author": self.author}
        return self._of_issue(self.items.insert(_ISSUE, data, numbered=True))

    def update(self, number: int, change: ThreadChange) -> Thread:
        values = {name: value for name, value in asdict(change).items() if value is not None}
        self._change(number, values)
        return self.get(number)

    def comments(self, number: int) -> Sequence[ThreadComment]:
        return [self._comment(item) for item in self.items.find(_COMMENT, parent=str(number))]

    def comment(self, number: int, body: str) -> ThreadComment:
        self.get(number)
        data = {"body": body, "author": self.author}
        return self._comment(self.items.insert(_COMMENT, data, parent=str(number)))

    def edit_comment(self, comment: ThreadComment, body: str) -> None:
        self.items.update(int(comment.id), {"body": body})

    def minimise_comment(self, comment: ThreadComment, reason: str) -> None:
        self.items.update(int(comment.id), {"minimised": reason})

    def known_labels(self) -> Sequence[str]:
        return [item.parent for item in self.items.find(LABEL)]

    def set_labels(self, number: int, labels: Sequence[str]) -> None:
        self._change(number, {"labels": list(dict.fromkeys(labels))})

    def assign(self, number: int, logins: Sequence[str], remove: Sequence[str] = ()) -> Sequence[str]:
        kept = [one for one in self.get(number).assignees if one not in remove]
        assigned = list(dict.fromkeys((*kept, *logins)))
        self._change(number, {"assignees": assigned})
        return assigned

    def lock(self, number: int, reason: str = "") -> None:
        self._change(number, {"locked": True, "lock_reason": reason})

    def unlock(self, number: int) -> None:
        self._change(number, {"locked": False, "lock_reason": ""})

    def add_sub_issue(self, parent: int, child: int) -> None:
        self.get(parent)
        self._change(child, {"parent": parent})

    def _change(self, number: int, values: Mapping[str, Any]) -> None:
        if self._pull_request(number) is None:
            self.items.update(self._issue(number).id, values)
            return
        own = {*_OF_PULL_REQUEST, "labels"}
        if columns := {name: value for name, value in values.items() if name in own}:
            self.pull_requests.update(number, **columns)
        if rest := {name: value for name, value in values.items() if name not in own}:
            found = self.items.find(_ON_PULL_REQUEST, parent=str(number))
            if found:
                self.items.update(found[0].id, rest)
            else:
                self.items.insert(_ON_PULL_REQUEST, rest, parent=str(number))

    def _pull_request(self, number: int) -> PullRequest | None:
        try:
            return self.pull_requests.get(number)
        except KeyError:
            return None

    def _issue(self, number: int) -> StoredItem:
        for item in self.items.find(_ISSUE, number=number):
            return item
        message = f"there is no issue or pull request {number} here"
        hint = "skillrunner pr list --all shows what there is"
        raise RunnerError(Phase.PUBLISH, Reason.FORGE_NOT_FOUND, message, hint=hint)

    def _of_pull_request(self, pull: PullRequest) -> Thread:
        extra = next((item.data for item in self.items.find(_ON_PULL_REQUEST, parent=str(pull.number))), {})
        data = {"title": pull.title, "body": pull.body, "labels": pull.labels, "author": pull.author, **extra}
        state = "open" if pull.state == "open" else "closed"
        return self._thread(pull.number, pull.url, {**data, "state": state}, is_pull_request=True)

    def _of_issue(self, item: StoredItem) -> Thread:
        assert item.number is not None
        at = {"created_at": item.created_at.isoformat(), "updated_at": item.updated_at.isoformat()}
        return self._thread(item.number, f"local:#{item.number}", {**item.data, **at})

    def _thread(
        self, number: int, url: str, data: Mapping[str, Any], *, is_pull_request: bool = False
    ) -> Thread:
        return Thread(
            number=number,
            url=url,
            is_pull_request=is_pull_request,
            state=data["state"],
            title=data["title"],
            body=data["body"],
            author=data.get("author", ""),
            is_own=data.get("author", "") == self.author,
            state_reason=data.get("state_reason", ""),
            labels=tuple(data.get("labels", ())),
            assignees=tuple(data.get("assignees", ())),
            milestone=data.get("milestone", ""),
            is_locked=bool(data.get("locked")),
            created_at=data.get("created_at", ""),
            updated_at=data.get("updated_at", ""),
        )

    def _comment(self, item: StoredItem) -> ThreadComment:
        return ThreadComment(
            id=str(item.id),
            url=f"local:#{item.parent}-{item.id}",
            author=item.data.get("author", ""),
            body=item.data["body"],
            is_own=item.data.get("author") == self.author,
            minimised=item.data.get("minimised", ""),
            created_at=item.created_at.isoformat(),
        )


def _fits(thread: Thread, word: str) -> bool:
    name, _, value = word.partition(":")
    match name:
        case "label":
            return value.strip('"').casefold() in {label.casefold() for label in thread.labels}
        case "author":
            return thread.author == value
        case "is":
            kind = "pr" if thread.is_pull_request else "issue"
            return value in (thread.state, kind)
        case _:
            return word.casefold() in f"{thread.title}\n{thread.body}".casefold()
