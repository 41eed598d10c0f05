"""GitHub, or a server that speaks its API."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from runner.clients.github.api import GitHubApi as Door
from runner.core.errors import RunnerError
from runner.core.model import DoctorLine, Reason, Remote
from runner.publish.forges import NewPullRequest, PullRequest

_SETTLING = 3  # tries: right after a pull request is made, GitHub may answer 422 for what hangs on it


@dataclass(frozen=True, slots=True)
class GitHubForge:
    door: Door
    git_url: str
    name: str = "github"
    _seen: list[tuple[str, str]] = field(
        default_factory=list, repr=False
    )  # ETag and default branch, at most one

    def remote(self) -> Remote:
        """The repository over HTTPS; the token travels in a header that git sends to this origin alone.

        It is the token of this moment: ask for a remote when you use it, not before.
        """
        origin = urlsplit(self.git_url)
        url = f"{self.git_url.rstrip('/')}/{self.door.repository}.git"
        if not (token := self.door.token()):
            return Remote(url=url)
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        return Remote(
            url=url,
            variables={
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{origin.scheme}://{origin.netloc}/.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            },
        )

    def hasty(self) -> "GitHubForge":
        """The same for who comes again soon: it gives up where GitHub asks to wait."""
        return replace(self, door=self.door.without_waiting())

    def default_branch(self) -> str:
        """A worker asks all the time: while nothing changed GitHub answers 304, and does not count that."""
        seen = self._seen[-1:]
        answer = self.door.call("GET", "", headers={"If-None-Match": seen[0][0]} if seen else None)
        if seen and answer.status_code == 304:
            return seen[0][1]
        branch = str(answer.json()["default_branch"])
        self._seen[:] = [(answer.headers["ETag"], branch)] if "ETag" in answer.headers else []
        return branch

    def pull_requests(self, branch: str) -> Sequence[PullRequest]:
        owner = self.door.repository.split("/")[0]
        found = self.door.pages("/pulls", head=f"{owner}:{branch}", state="all")
        pulls = [_pull_request(item) for item in found if item["head"]["ref"] == branch]
        return sorted(pulls, key=lambda pull: pull.number, reverse=True)

    def create(self, new: NewPullRequest) -> tuple[PullRequest, bool]:
        data = {
            "title": new.title,
            "head": new.branch,
            "base": new.base,
            "body": new.body,
            "draft": new.draft,
        }
        try:
            return _pull_request(self.door.call("POST", "/pulls", data).json()), True
        except RunnerError as error:
            lost = error.reason is Reason.FORGE_UNAVAILABLE
            if not lost and "already exists" not in error.message:
                raise
            for pull in self.pull_requests(new.branch):
                if pull.state == "open":
                    return pull, False
            if not lost:
                raise
        return _pull_request(self.door.call("POST", "/pulls", data).json()), True

    def update(self, number: int, *, title: str, body: str) -> None:
        self.door.call("PATCH", f"/pulls/{number}", {"title": title, "body": body})

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        if labels:
            self._settled(
                lambda: self.door.call("POST", f"/issues/{number}/labels", {"labels": list(labels)})
            )

    def request_reviewers(self, number: int, reviewers: Sequence[str]) -> list[str]:
        """One request each, so that a reviewer who cannot review keeps no other one away."""
        warnings = []
        for reviewer in reviewers:
            team = "/" in reviewer
            data = {"team_reviewers" if team else "reviewers": [reviewer.rsplit("/", 1)[-1]]}
            try:
                self._settled(
                    lambda data=data: self.door.call("POST", f"/pulls/{number}/requested_reviewers", data)  # type: ignore[misc]
                )
            except RunnerError as error:
                warnings.append(f"{reviewer} was not asked for a review: {error.message}")
        return warnings

    def comment_once(self, number: int, body: str, marker: str) -> None:
        path = f"/issues/{number}/comments"
        if not any(marker in (item["body"] or "") for item in self.door.pages(path)):
            self.door.call("POST", path, {"body": f"{body}\n\n{marker}"})

    def permission(self, login: str) -> str:
        """What `login` may do on the repository: "none", "read", "triage", "write", "maintain" or "admin".

        GitHub's "Get repository permissions for a user": `permission` knows four of them, `role_name` all.
        """
        try:
            found = self.door.get(f"/collaborators/{login}/permission")
        except RunnerError as error:
            if error.reason is Reason.FORGE_NOT_FOUND:
                return "none"
            raise
        role = str(found.get("role_name") or "")
        return role if role in ("triage", "maintain") else str(found["permission"])

    def _settled(self, call: Callable[[], object]) -> None:
        for attempt in range(1, _SETTLING + 1):
            try:
                call()
            except RunnerError as error:
                if error.reason is not Reason.FORGE_REJECTED or attempt == _SETTLING:
                    raise
                self.door.sleep(float(attempt))
            else:
                return

    def doctor(self) -> Sequence[DoctorLine]:
        if not self.door.token():
            return [
                DoctorLine(
                    ok=False,
                    subject="token",
                    message=f"there is no token for {self.door.repository}",
                    hint="set GITHUB_TOKEN: contents and pull requests, read and write",
                )
            ]
        try:
            return list(_permissions(self.door.repository, self.door.get("")))
        except RunnerError as error:
            return [DoctorLine(ok=False, subject="token", message=error.message, hint=error.hint)]


def _permissions(repository: str, found: Mapping[str, Any]) -> Sequence[DoctorLine]:
    """What the repository's own answer says of the token that asked."""
    branch = found["default_branch"]
    seen = DoctorLine(
        ok=True, subject="repository", message=f"{repository} is there, its default branch is {branch}"
    )
    if found.get("archived"):
        seen = DoctorLine(
            ok=False, subject="repository", message=f"{repository} is archived", hint="unarchive it on GitHub"
        )
    push = found.get("permissions", {}).get("push")
    if push is None:
        can = DoctorLine(ok=True, subject="token", message="what it may write shows at the first push")
    elif push:
        can = DoctorLine(ok=True, subject="token", message="it may push branches")
    else:
        hint = "give the token: contents and pull requests, read and write"
        can = DoctorLine(ok=False, subject="token", message="it may not push", hint=hint)
    return [seen, can]


def _pull_request(item: Mapping[str, Any]) -> PullRequest:
    return PullRequest(
        number=item["number"],
        url=item["html_url"],
        state="merged" if item.get("merged_at") else item["state"],
        branch=item["head"]["ref"],
        base=item["base"]["ref"],
        title=item["title"],
        body=item.get("body") or "",
        draft=bool(item.get("draft")),
        labels=tuple(label["name"] for label in item.get("labels", ())),
        author=(item.get("user") or {}).get("login", ""),
    )
