"""GitHub, or a server that speaks its API."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import chain, takewhile
from typing import Any
from urllib.parse import quote, urlsplit

from runner.clients.git import address
from runner.clients.github.api import INSIDERS, GitHubApi, is_own_branch
from runner.clients.github.manifest import app_permissions
from runner.clients.github.token_kinds import kind_of
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import DoctorLine, Phase, Reason, Remote
from runner.core.payload import value_at
from runner.core.retrying import retry
from runner.publish.forges import (
    Comment,
    Forge,
    ForgeContext,
    ForgeKind,
    LimitedToken,
    NewPullRequest,
    PullRequest,
    PullRequestCommands,
    _github_questions,
)
from runner.publish.forges._github_commits import GitHubCommits
from runner.publish.forges._github_reviews import GitHubReviews
from runner.publish.forges._github_threads import GitHubThreads
from runner.publish.forges._reviews import PullRequestHead

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_PASSED = frozenset({"success", "neutral", "skipped"})
_SETTLING = (
    1.0,
    2.0,
)  # seconds: right after a pull request is made, GitHub may answer 422 for what hangs on it


class GitHubKind(ForgeKind):
    """The GitHub that is configured: github.com, or a server that speaks its API."""

    name = "github"
    lists = True
    uses_app = True

    def token_variable(self, config: Config) -> str:
        return config.github.token_env

    def serves(self, origin: str, config: Config) -> bool:
        return _slug(origin, config) is not None

    def locate(self, name: str, config: Config) -> str | None:
        return f"{config.github.git_url}/{name}" if _NAME.fullmatch(name) else None

    def open(self, context: ForgeContext) -> "GitHubForge":
        options, slug = context.config.github, _slug(context.origin, context.config)
        if slug is None:
            raise RunnerError(
                Phase.PLAN,
                Reason.FORGE_NOT_FOUND,
                f"the remote `origin` is not on {options.git_url}: {context.origin or '(there is none)'}",
                hint="git remote set-url origin ..., or use the local forge: --forge local",
            )
        api = GitHubApi(api_url=options.api_url, repository=slug, token=context.token, pacer=context.pacer)
        return GitHubForge(api, options.git_url, options.token_env, context.limited_token)


PLUGINS = (GitHubKind,)


def _slug(origin: str, config: Config) -> str | None:
    """The "owner/name" of an origin that is on the configured GitHub."""
    found = address(origin)
    host = urlsplit(config.github.git_url).hostname
    return found[1] if found and found[0] in (host, f"ssh.{host}", f"www.{host}") else None


@dataclass(frozen=True, slots=True)
class GitHubForge(Forge):
    name = "github"
    holds_ledger = True

    api: GitHubApi
    git_url: str
    token_variable: str
    limited_token: LimitedToken | None = field(default=None, repr=False)
    _seen: list[tuple[str, str]] = field(
        default_factory=list, repr=False
    )  # ETag and default branch, at most one
    _logins: dict[str, str] = field(default_factory=dict, repr=False)  # by token, at most one

    def remote(self) -> Remote:
        """The repository over HTTPS; the token travels in a header that git sends to this origin alone.

        It is the token of this moment: ask for a remote when you use it, not before.
        """
        origin = urlsplit(self.git_url)
        url = f"{self.git_url.rstrip('/')}/{self.api.repository}.git"
        if not (token := self.api.token()):
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

    @property
    def repository(self) -> str:
        return self.api.repository

    def without_waiting(self) -> "GitHubForge":
        return replace(self, api=self.api.without_waiting())

    def limited_to(self, permissions: Mapping[str, str]) -> "GitHubForge":
        if self.limited_token is None:
            return self
        token = partial(self.limited_token, app_permissions([permissions]))
        api = replace(self.api, token=token)  # with a session of its own, as that holds the token
        return replace(self, api=api, limited_token=None)

    def check_credential(self) -> None:
        variable = self.token_variable
        if not self.api.token():
            raise RunnerError(
                Phase.PLAN,
                Reason.FORGE_DENIED,
                f"pull requests go to GitHub, and {variable} is not set",
                hint=f"export {variable}=..., or keep the pull request on this machine: --forge local",
            )

    def remote_of(self, repository: str, token: Callable[[], str]) -> Remote:
        other = replace(self.api, repository=repository, token=token)
        return replace(self, api=other).remote()

    def commands(self) -> PullRequestCommands:
        where = f"{self.git_url}/{self.repository}/pulls"
        message = f"the pull requests of this repository are on GitHub: {where}"
        hint = "gh pr list, or the local forge: SKILLRUNNER_FORGE=local"
        raise RunnerError(Phase.LOAD, Reason.UNSUPPORTED, message, hint=hint)

    def default_branch(self) -> str:
        """A worker asks all the time: while nothing changed GitHub answers 304, and does not count that."""
        seen = self._seen[-1:]
        answer = self.api.call("GET", "", headers={"If-None-Match": seen[0][0]} if seen else None)
        if seen and answer.status_code == 304:
            return seen[0][1]
        branch = str(answer.json()["default_branch"])
        self._seen[:] = [(answer.headers["ETag"], branch)] if "ETag" in answer.headers else []
        return branch

    def pull_requests(self, branch: str) -> Sequence[PullRequest]:
        owner = self.api.repository.split("/")[0]
        found = self.api.pages("/pulls", head=f"{owner}:{branch}", state="all")
        pulls = [
            _pull_request(item) for item in found if item["head"]["ref"] == branch and is_own_branch(item)
        ]
        return sorted(pulls, key=lambda pull: pull.number, reverse=True)

    def pull_requests_below(self, prefix: str, since: datetime) -> Sequence[PullRequest] | None:
        newest = self.api.pages("/pulls", state="all", sort="created", direction="desc")
        recent = takewhile(lambda item: (_created_at(item) or since) > since, newest)
        found = {
            item["number"]: _pull_request(item)
            for item in chain(recent, self.api.pages("/pulls", state="open"))
            if item["head"]["ref"].startswith(prefix) and is_own_branch(item)
        }
        return list(found.values())

    def create(self, new: NewPullRequest) -> tuple[PullRequest, bool]:
        data = {
            "title": new.title,
            "head": new.branch,
            "base": new.base,
            "body": new.body,
            "draft": new.draft,
        }
        try:
            return _pull_request(self.api.call("POST", "/pulls", data).json()), True
        except RunnerError as error:
            lost = error.reason is Reason.FORGE_UNAVAILABLE
            if not lost and "already exists" not in error.message:
                raise
            for pull in self.pull_requests(new.branch):
                if pull.state == "open" and pull.base == new.base:
                    return pull, False
            if not lost:
                raise
        return _pull_request(self.api.call("POST", "/pulls", data).json()), True

    def update(self, number: int, *, title: str, body: str) -> None:
        self.api.call("PATCH", f"/pulls/{number}", {"title": title, "body": body})

    def set_base(self, number: int, base: str) -> None:
        self.api.call("PATCH", f"/pulls/{number}", {"base": base})

    def set_draft(self, number: int, draft: bool) -> None:
        """REST cannot change it."""
        change = "convertPullRequestToDraft" if draft else "markPullRequestReadyForReview"
        node = self.api.get(f"/pulls/{number}")["node_id"]
        query = f"mutation($id: ID!) {{ {change}(input: {{pullRequestId: $id}}) {{ clientMutationId }} }}"
        self.api.graphql(query, id=node)

    def close(self, number: int, body: str) -> None:
        self.api.call("PATCH", f"/pulls/{number}", {"state": "closed", "body": body})

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        if labels:
            path, data = f"/issues/{number}/labels", {"labels": list(labels)}
            self._settled(partial(self.api.call, "POST", path, data, repeatable=True))

    def make_label(self, name: str) -> None:
        try:
            self.api.call("POST", "/labels", {"name": name, "color": "ededed"}, repeatable=True)
        except RunnerError as error:
            if error.reason is not Reason.FORGE_REJECTED or not self._has_label(name):
                raise

    def _has_label(self, name: str) -> bool:
        try:
            self.api.get(f"/labels/{quote(name, safe='')}")
        except RunnerError as error:
            if error.reason is not Reason.FORGE_NOT_FOUND:
                raise
            return False
        return True

    def remove_label(self, number: int, label: str) -> None:
        try:
            self.api.call("DELETE", f"/issues/{number}/labels/{quote(label, safe='')}")
        except RunnerError as error:
            if error.reason is not Reason.FORGE_NOT_FOUND:
                raise

    def request_reviewers(self, number: int, reviewers: Sequence[str]) -> list[str]:
        """One request each, so that a reviewer who cannot review keeps no other one away."""
        warnings = []
        for reviewer in reviewers:
            team = "/" in reviewer
            data = {"team_reviewers" if team else "reviewers": [reviewer.rsplit("/", 1)[-1]]}
            try:
                path = f"/pulls/{number}/requested_reviewers"
                self._settled(partial(self.api.call, "POST", path, data, repeatable=True))
            except RunnerError as error:
                warnings.append(f"{reviewer} was not asked for a review: {error.message}")
        return warnings

    def comments(self, number: int) -> Sequence[Comment]:
        found = self.api.pages(f"/issues/{number}/comments")
        return [Comment(author=_login(item), body=item.get("body") or "") for item in found]

    def signed_commits(self) -> GitHubCommits:
        return GitHubCommits(self.api)

    def checks_passed(self, sha: str) -> bool:
        """By the check runs of Actions and Apps, and by the statuses of everybody else."""
        runs = self.api.get(f"/commits/{sha}/check-runs", per_page=100)["check_runs"]
        statuses = self.api.get(f"/commits/{sha}/status")["statuses"]
        ends = {str(one.get("conclusion") or "pending") for one in runs} | {one["state"] for one in statuses}
        return bool(ends) and ends <= _PASSED

    def is_queued(self, number: int) -> bool:
        """REST does not tell, and an older server has no merge queue."""
        owner, name = self.api.repository.split("/")
        query = (
            f"query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name)"
            f" {{ pullRequest(number: {number}) {{ mergeQueueEntry {{ id }} }} }} }}"
        )
        try:
            found = self.api.graphql(query, owner=owner, name=name)
        except RunnerError as error:
            if error.reason not in (Reason.FORGE_REJECTED, Reason.FORGE_NOT_FOUND):
                raise
            return False
        return value_at(found, "repository", "pullRequest", "mergeQueueEntry") is not None

    def was_reopened(self, number: int) -> bool | None:
        """We never open one again, so whoever did is somebody else."""
        return any(item.get("event") == "reopened" for item in self.api.pages(f"/issues/{number}/events"))

    def comment_once(
        self, number: int, body: str, marker: str, counts: Callable[[str], bool] = lambda _: True
    ) -> None:
        """Add a comment unless one of ours has this marker: anybody may write a marker.

        A lost answer is looked for before the next try.
        """
        path = f"/issues/{number}/comments"

        def post() -> None:
            there = [item for item in self.api.pages(path) if marker in (item.get("body") or "")]
            if not any(counts(item["body"]) and self._is_by_us(item) for item in there):
                self.api.call("POST", path, {"body": f"{body}\n\n{marker}"})

        lost = Reason.FORGE_UNAVAILABLE
        retry(post, RunnerError, lambda error: error.reason is lost, _SETTLING, self.api.sleep)

    def _is_by_us(self, item: Mapping[str, Any]) -> bool:
        """Whether we wrote a comment; where nobody tells who we are, whether one with rights here did."""
        return _is_by(self._own_login(), item)

    def _own_login(self) -> str:
        """The login of the token of this moment, asked for once; empty: GitHub does not tell it, as yet."""
        token = self.api.token()
        if token not in self._logins and (login := self._ask_login()):
            self._logins.clear()
            self._logins[token] = login
        return self._logins.get(token, "")

    def _ask_login(self) -> str:
        """REST knows people, GraphQL Apps as well."""
        with suppress(RunnerError, KeyError):
            return str(self.api.get("user")["login"])
        with suppress(RunnerError, KeyError, TypeError):
            return str(self.api.graphql("query { viewer { login } }")["viewer"]["login"])
        return ""

    def threads(self) -> GitHubThreads:
        login = self._own_login()
        return GitHubThreads(self.api, login, partial(_is_by, login))

    def count_issues(self, query: str) -> int:
        return _github_questions.count_issues(self.api, query)

    def check_results(self, sha: str) -> Mapping[str, str]:
        return _github_questions.check_results(self.api, sha)

    def pull_request_head(self, number: int) -> PullRequestHead:
        item = self.api.get(f"/pulls/{number}")
        pull = _pull_request(item)
        return PullRequestHead(
            number=number,
            url=pull.url,
            state=pull.state,
            branch=pull.branch,
            sha=item["head"]["sha"],
            base=pull.base,
            is_in_repository=is_own_branch(item),
            is_own=self._is_by_us(item),
            labels=pull.labels,
        )

    def reviews(self) -> GitHubReviews:
        return GitHubReviews(self.api, partial(_is_by, self._own_login()))

    def react(self, comment: int, reaction: str) -> None:
        path = f"/issues/comments/{comment}/reactions"
        self.api.call("POST", path, {"content": reaction}, repeatable=True)

    def permission(self, login: str) -> str:
        """What `login` may do on the repository: "none" to "admin"; "unknown" where GitHub does not say.

        GitHub's "Get repository permissions for a user": `permission` knows four of them, `role_name` all.
        """
        try:
            found = self.api.get(f"/collaborators/{login}/permission")
        except RunnerError as error:
            if error.reason is Reason.FORGE_NOT_FOUND:  # nobody of this name, or nothing that we may see
                return "unknown"
            raise
        role = str(found.get("role_name") or "")
        return role if role in ("triage", "maintain") else str(found["permission"])

    def _settled(self, call: Callable[[], object]) -> None:
        retry(
            call, RunnerError, lambda error: error.reason is Reason.FORGE_REJECTED, _SETTLING, self.api.sleep
        )

    def doctor(self) -> Sequence[DoctorLine]:
        if not self.api.token():
            return [
                DoctorLine(
                    ok=False,
                    subject="token",
                    message=f"there is no token for {self.api.repository}",
                    hint=f"set {self.token_variable}: contents and pull requests, read and write",
                )
            ]
        try:
            seen = list(_permissions(self.api.repository, self.api.get("")))
            token = self.api.token()
            kind = kind_of(token, self._own_login() if token.startswith("ghs_") else "")
            told = f"it is {kind.name}, which cannot {kind.cannot}"
            return [*seen, DoctorLine(ok=True, subject="token", message=told)]
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


def _is_by(login: str, item: Mapping[str, Any]) -> bool:
    if login:
        return _login(item).casefold() == login.casefold()
    return item.get("author_association") in INSIDERS


def _login(item: Mapping[str, Any]) -> str:
    """Who wrote it; empty: the account is gone."""
    return str((item.get("user") or {}).get("login") or "")


def _created_at(item: Mapping[str, Any]) -> datetime | None:
    at = item.get("created_at")
    return datetime.fromisoformat(at) if at else None


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
        author=_login(item),
        created_at=_created_at(item) if "created_at" in item else None,
    )
