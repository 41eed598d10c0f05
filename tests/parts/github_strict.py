"""What GitHub answers where the emulator of its API is lenient, or knows nothing of it.

Sources: GitHub's REST API, "Issues", "Labels", "Assignees", "Sub-issues", and GraphQL's `minimizeComment`.
A label that is not in the repository is refused here, where GitHub makes it if the token may: a runner that
relies on that fails with a token that may not.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

BODY = 65_536
Ask = Callable[[str], tuple[int, Any]]
"""The emulator's answer to a GET of a path."""

_ISSUE = re.compile(r"(/repos/[^/]+/[^/]+)/issues/(\d+)(/\w+)?")
_TEXT = re.compile(r"/repos/[^/]+/[^/]+/(issues|pulls)(/\d+|/comments/\d+|/\d+/comments)?")


@dataclass
class StrictModel:
    """What the emulator does not keep itself."""

    minimised: dict[str, str] = field(default_factory=dict)  # why, by the node id of a comment
    children: dict[str, list[int]] = field(default_factory=dict)  # ids of sub-issues, by their parent's path

    def answer(self, method: str, path: str, body: Any, ask: Ask) -> tuple[int, Any] | None:
        """What GitHub answers in the emulator's place; None: the emulator does."""
        path = path.partition("?")[0]
        if path == "/graphql" and "minimizeComment" in body["query"]:
            self.minimised[body["variables"]["id"]] = body["variables"]["why"]
            return 200, {"data": {"minimizeComment": {"clientMutationId": None}}}
        if (found := _ISSUE.fullmatch(path)) and found[3] == "/sub_issues":
            return self._sub_issues(method, path, body, found[1], ask)
        if method == "GET" and found and not found[3] and ask(path)[0] == 404:
            status, pull = ask(f"{found[1]}/pulls/{found[2]}")  # GitHub's pull requests are issues as well
            return (200, {**pull, "pull_request": {"url": pull["url"]}}) if status == 200 else None
        if refused := next(_refusals(method, path, body, ask), None):
            return refused[0], {"message": refused[1]}
        return None

    def _sub_issues(self, method: str, path: str, body: Any, repository: str, ask: Ask) -> tuple[int, Any]:
        there = self.children.setdefault(path, [])
        if method == "GET":
            return 200, [{"id": identity} for identity in there]
        known = [one["id"] for one in ask(f"{repository}/issues?state=all&per_page=100")[1]]
        if body["sub_issue_id"] not in known or body["sub_issue_id"] in there:
            return 422, {"message": "Issue may not contain duplicate sub-issues"}
        there.append(body["sub_issue_id"])
        return 201, ask(path.removesuffix("/sub_issues"))[1]


def _refusals(method: str, path: str, body: Any, ask: Ask) -> Iterator[tuple[int, str]]:
    if method not in ("POST", "PATCH", "PUT") or not isinstance(body, dict):
        return
    if _TEXT.fullmatch(path) and len(str(body.get("body") or "")) > BODY:
        yield 422, f"Validation Failed: body is too long (maximum is {BODY} characters)"
    if (found := _ISSUE.fullmatch(path)) is None:
        return
    repository, number = found[1], found[2]
    says = method == "POST" and found[3] == "/comments"
    if says and ask(f"{repository}/issues/{number}")[1].get("locked"):
        yield 403, "Unable to create comment because issue is locked."
    if found[3] == "/labels":
        known = {one["name"].casefold() for one in ask(f"{repository}/labels?per_page=100")[1]}
        for label in body["labels"]:
            if label.casefold() not in known:
                yield 422, f"Validation Failed: label {label} does not exist"


def assignable(logins: list[str], ask: Ask) -> list[str]:
    """Whom GitHub assigns: the others it leaves out and says nothing."""
    return [login for login in logins if ask(f"/users/{login}")[0] == 200]


def as_answer(found: tuple[int, Any]) -> tuple[int, dict[str, str], bytes]:
    return found[0], {}, json.dumps(found[1]).encode()
