"""A GitHub of lists and webhooks whose clock a test moves, and what the API emulator lacks for hearing.

The emulator knows no ETags, no events and no comments of all issues of a repository, no repository
activities and no list of an installation, and its times have milliseconds: `layer` stands before it and
mends just these, from what the emulator itself holds where it can. `Scripted` stands for GitHub itself where
a test needs its clock, its lag and its faults in the hand.
"""

import copy
import hashlib
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter

from runner.clients.github.api import GitHubApi as Door
from runner.core.model.decision import Event
from tests.parts.pace import pacer

Answer = tuple[int, dict[str, str], bytes]
NAME = "acme/lib"
EPOCH = 1_800_000_000


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user(login: str) -> dict[str, Any]:
    return {"login": login, "id": 1, "node_id": f"U_{login}", "type": "User"}


class Inbox:
    """Takes events as a worker must: one that has a key in common with an earlier one is known."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.taken: list[Event] = []

    def deliver(self, event: Event) -> bool:
        keys = {event.key, *event.other_keys}
        new = not keys & self.keys
        self.keys |= keys
        if new:
            self.taken.append(event)
        return new


@dataclass
class Scripted:
    """GitHub, as far as its documentation tells of these lists. `lag` hides what is younger from lists."""

    clock: int = EPOCH
    lag: int = 0
    requests: list[tuple[str, int]] = field(default_factory=list)
    fail_from: int | None = None  # of the requests from now on, the first that fails
    broken: str = ""  # what requests hold that fail
    page: bytes = b""  # what answers in GitHub's place
    lists: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {
            name: []
            for name in (
                *("issues", "pulls", "comments", "events", "releases", "runs", "activity", "attempts"),
                *("reviews", "lines"),
            )
        }
    )
    hooks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # what its webhooks would tell
    ids: int = 0
    late: int = 0  # seconds after which lists show what comes to be from now on, out of its order
    shown: dict[int, str] = field(default_factory=dict)
    meanwhile: Callable[[], None] | None = None  # done once, after the next request for a list

    # --- what people do

    def _id(self) -> int:
        self.ids += 1
        self.shown[self.ids] = iso(self.clock + self.late)
        return self.ids

    def tell(self, kind: str, payload: dict[str, Any]) -> None:
        whole = {**payload, "repository": {"full_name": NAME}, "sender": user("ann")}
        self.hooks.append((kind, copy.deepcopy(whole)))

    def open_issue(self) -> None:
        issue = self._issue()
        self.lists["issues"].append(issue)
        self.tell("issues", {"action": "opened", "issue": issue})

    def _issue(self) -> dict[str, Any]:
        number = len(self.lists["issues"]) + 1
        now = iso(self.clock)
        return {
            "id": self._id(),
            "number": number,
            "title": f"Number {number}",
            "state": "open",
            "labels": [],
            "user": user("ann"),
            "created_at": now,
            "updated_at": now,
        }

    def open_pull(self, sha: str, repo: str = NAME) -> None:
        issue = {**self._issue(), "pull_request": {"url": "there"}}
        self.lists["issues"].append(issue)
        head = {"sha": sha, "ref": f"branch-{issue['number']}", "repo": {"full_name": repo}}
        pull = {**issue, "id": self._id(), "head": head, "base": {"ref": "main"}, "draft": False}
        del pull["pull_request"]
        self.shown[pull["id"]] = pull["created_at"]
        self.lists["pulls"].append(pull)
        self.tell("pull_request", {"action": "opened", "number": pull["number"], "pull_request": pull})

    def comment(self, index: int) -> None:
        issue = self._touched(index)
        if issue is None:
            return
        now = iso(self.clock)
        row = {
            "id": self._id(),
            "body": "/docs",
            "user": user("ann"),
            "issue_url": f"https://api.example/repos/{NAME}/issues/{issue['number']}",
            "created_at": now,
            "updated_at": now,
        }
        self.lists["comments"].append(row)
        self.tell("issue_comment", {"action": "created", "issue": issue, "comment": row})

    def review(self, index: int, state: str = "COMMENTED") -> None:
        """A review of a pull request, whose verdict a webhook writes in small letters."""
        if (pull := self._reviewed(index)) is not None:
            row = {
                "id": self._id(),
                "body": "Why?",
                "state": state,
                "user": user("ann"),
                "number": pull["number"],
                "created_at": iso(self.clock),
                "submitted_at": iso(self.clock),
            }
            self.lists["reviews"].append(row)
            told = {**row, "state": state.lower()}
            self.tell("pull_request_review", {"action": "submitted", "review": told, "pull_request": pull})

    def comment_on_line(self, index: int) -> None:
        if (pull := self._reviewed(index)) is not None:
            row = {
                "id": self._id(),
                "body": "Why this?",
                "path": "a.py",
                "user": user("ann"),
                "pull_request_url": f"https://api.example/repos/{NAME}/pulls/{pull['number']}",
                "created_at": iso(self.clock),
                "updated_at": iso(self.clock),
            }
            self.lists["lines"].append(row)
            said = {"action": "created", "comment": row, "pull_request": pull}
            self.tell("pull_request_review_comment", said)

    def _reviewed(self, index: int) -> dict[str, Any] | None:
        if not self.lists["pulls"]:
            return None
        pull = self.lists["pulls"][index % len(self.lists["pulls"])]
        self._touched(pull["number"] - 1)
        return pull

    def _touched(self, index: int, skew: int = 0) -> dict[str, Any] | None:
        if not self.lists["issues"]:
            return None
        issue = self.lists["issues"][index % len(self.lists["issues"])]
        issue["updated_at"] = iso(self.clock + skew)
        for pull in self.lists["pulls"]:
            if pull["number"] == issue["number"]:
                pull["updated_at"] = issue["updated_at"]
        return issue

    def happen(self, index: int, action: str, skew: int = 0, **about: Any) -> None:
        """Something that GitHub's issue events tell; the webhook's time is `skew` seconds off theirs."""
        issue = self._touched(index, skew)
        if issue is None:
            return
        at = iso(self.clock)
        row = {"id": self._id(), "event": action, "actor": user("ann"), "created_at": at, **about}
        self.lists["events"].append({**row, "number": issue["number"]})
        pull = next((one for one in self.lists["pulls"] if one["number"] == issue["number"]), None)
        if action in ("closed", "reopened"):
            for one in (issue, pull or issue):
                one["state"] = "closed" if action == "closed" else "open"
        if pull is not None:
            self.tell("pull_request", {"action": action, "number": 1, "pull_request": pull, **about})
        else:
            self.tell("issues", {"action": action, "issue": issue, **about})

    def push_pull(self, index: int, sha: str) -> None:
        pulls = [pull for pull in self.lists["pulls"] if pull["state"] == "open"]
        if not pulls:
            return
        pull = pulls[index % len(pulls)]
        pull["head"] = {**pull["head"], "sha": sha}
        self._touched(pull["number"] - 1)
        if pull["head"]["repo"]["full_name"] == NAME:
            self._activity(f"refs/heads/{pull['head']['ref']}", sha)
        self.tell("pull_request", {"action": "synchronize", "number": 1, "pull_request": pull})

    def push(self, ref: str, sha: str) -> None:
        self._activity(ref, sha)

    def _activity(self, ref: str, sha: str) -> None:
        before = next((row["after"] for row in self.lists["activity"][::-1] if row["ref"] == ref), "0" * 40)
        row = {
            "id": self._id(),
            "before": before,
            "after": sha,
            "ref": ref,
            "timestamp": iso(self.clock),
            "activity_type": "push",
            "actor": user("ann"),
        }
        self.lists["activity"].append(row)
        self.tell("push", {"ref": ref, "before": before, "after": sha, "head_commit": None})

    def release(self, age: int) -> None:
        """A release of a commit that is `age` seconds old, by which GitHub sorts its list."""
        row = {
            "id": self._id(),
            "tag_name": f"v{self.ids}",
            "draft": False,
            "prerelease": False,
            "author": user("ann"),
            "created_at": iso(self.clock - age),
            "published_at": iso(self.clock),
        }
        self.lists["releases"].append(row)
        self.tell("release", {"action": "published", "release": row})

    def start_run(self) -> None:
        now = iso(self.clock)
        row = {
            "id": self._id(),
            "name": "CI",
            "workflow_id": 1,
            "path": ".github/workflows/ci.yml",
            "run_attempt": 1,
            "status": "in_progress",
            "actor": user("ann"),
            "created_at": now,
            "updated_at": now,
        }
        self.lists["runs"].append(row)
        self.tell("workflow_run", {"action": "requested", "workflow_run": row})

    def end_run(self, index: int) -> None:
        going = [row for row in self.lists["runs"] if row["status"] != "completed"]
        if going:
            row = going[index % len(going)]
            row.update(status="completed", updated_at=iso(self.clock))
            self.lists["attempts"].append(dict(row))
            self.tell("workflow_run", {"action": "completed", "workflow_run": row})

    def run_again(self, index: int) -> None:
        done = [row for row in self.lists["runs"] if row["status"] == "completed"]
        if done:
            row = done[-1 - index % len(done)]
            row.update(status="in_progress", run_attempt=row["run_attempt"] + 1)

    # --- what its API answers

    def answer(self, url: str, headers: dict[str, str]) -> Answer:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        path = parts.path.removeprefix(f"/repos/{NAME}")
        if self.fail_from is not None:
            self.fail_from -= 1
        if (self.fail_from is not None and self.fail_from < 0) or (self.broken and self.broken in url):
            return self._said(url, 502, {}, b"{}")
        if self.page:
            return self._said(url, 200, {"Content-Type": "text/html"}, self.page)
        found, links = self._found(path, query, url)
        if found is None:
            return self._said(url, 404, {}, b'{"message": "Not Found"}')
        body = json.dumps(found).encode()
        etag = f'W/"{hashlib.sha256(body + links.encode()).hexdigest()}"'
        given = {"ETag": etag, "Content-Type": "application/json", "Date": self._date()}
        if headers.get("If-None-Match") == etag:
            return self._said(url, 304, given, b"")
        return self._said(url, 200, {**given, **({"Link": links} if links else {})}, body)

    def _said(self, url: str, status: int, headers: dict[str, str], body: bytes) -> Answer:
        self.requests.append((url, status))
        return status, headers, body

    def _date(self) -> str:
        return format_datetime(datetime.fromtimestamp(self.clock, UTC), usegmt=True)

    def _found(self, path: str, query: dict[str, str], url: str) -> tuple[Any, str]:
        if path == "":
            return {"full_name": NAME, "default_branch": "main"}, ""
        reviews = re.fullmatch(r"/pulls/(\d+)/reviews", path)
        named = {"/issues/comments": "comments", "/issues/events": "events", "/actions/runs": "runs"}
        named |= {"/pulls/comments": "lines"} | ({path: "reviews"} if reviews else {})
        query = {**query, **({"direction": "asc", "number": reviews[1]} if reviews else {})}
        name = named.get(path, path[1:])
        if name not in self.lists:
            return self._one(path), ""
        rows = copy.deepcopy(self._sorted(name, query))
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        size, page = int(query["per_page"]), int(query.get("page", 1))
        some = rows[size * (page - 1) : size * page]
        more = len(rows) > size * page
        bare = url.split("&page=")[0].split("?page=")[0]
        link = f'<{bare}{"&" if "?" in bare else "?"}page={page + 1}>; rel="next"' if more else ""
        return ({"workflow_runs": some} if name == "runs" else some), link

    def _sorted(self, name: str, query: dict[str, str]) -> list[dict[str, Any]]:
        born = {"activity": "timestamp", "releases": "published_at"}.get(name, "created_at")
        lag = 0 if name == "pulls" else self.lag  # a head that moves before it shows is the first that shows
        rows = [row for row in self.lists[name] if row[born] <= iso(self.clock - lag)]
        rows = [row for row in rows if self.shown[row["id"]] <= iso(self.clock)]
        if name == "events":
            rows = [
                {**row, "issue": next(one for one in self.lists["issues"] if one["number"] == row["number"])}
                for row in rows
            ]
        if "number" in query:
            rows = [row for row in rows if str(row["number"]) == query["number"]]
        if "ref" in query:
            rows = [row for row in rows if row["ref"] == query["ref"]]
        if query.get("state") == "open":
            rows = [row for row in rows if row["state"] == "open"]
        rows = [row for row in rows if row.get("updated_at", "~") >= query.get("since", "")]
        by = "updated_at" if query.get("sort") == "updated" else "created_at"
        by = "timestamp" if name == "activity" else by
        rows = sorted(rows, key=lambda row: (row[by], row["id"]))
        return rows if query.get("direction") == "asc" else rows[::-1]

    def _one(self, path: str) -> Any:
        kind, _, rest = path[1:].partition("/")
        if kind == "commits":
            who = {"name": "Ann", "email": "ann@example.com", "date": iso(self.clock)}
            inner = {"message": "m", "tree": {"sha": "1" * 40}, "author": who, "committer": who}
            return {"sha": rest, "html_url": "https://github.example", "commit": inner}
        if kind == "actions":
            _, number, *attempt = rest.split("/")
            rows = self.lists["attempts" if attempt else "runs"]
            wanted = [row for row in rows if row["id"] == int(number)]
            return next((r for r in wanted if not attempt or r["run_attempt"] == int(attempt[1])), None)
        rows = self.lists.get(kind, [])
        return next((row for row in rows if str(row.get("number")) == rest), None)


class Adapter(BaseAdapter):
    """The scripted GitHub in the place of the network: the door itself is the real one."""

    def __init__(self, answer: Callable[[str, dict[str, str]], Answer]) -> None:
        super().__init__()
        self.ask = answer

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        response = Response()
        status, headers, body = self.ask(str(request.url), dict(request.headers))
        response.status_code, response.raw, response.url = status, BytesIO(body), str(request.url)
        response.headers.update(headers)
        response.request = request
        return response

    def close(self) -> None:
        """Nothing is open."""


def door(github: Scripted) -> Door:
    made = Door(
        api_url="https://api.example", repository=NAME, token=lambda: "t", sleep=lambda _: None, pacer=pacer()
    )
    session = Session()
    session.mount("https://", Adapter(github.answer))
    made.__dict__["session"] = session
    return made


# --- before the emulator -------------------------------------------------------------------------


@dataclass
class Layered:
    """What the layer was asked, and what it is to say of pushes."""

    url: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)
    activity: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by "owner/name"


_MILLISECONDS = re.compile(rb"(?<=:\d\d)\.\d{3}Z")  # in the emulator's times, and not in GitHub's


@dataclass
class Emulator:
    """The emulator's own answers, and those that it lacks."""

    url: str
    token: str
    layered: Layered

    def get(self, path: str) -> Answer:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def rows(self, path: str) -> Any:
        return json.loads(self.get(f"{path}{'&' if '?' in path else '?'}per_page=100")[2])

    def answer(self, path: str) -> Answer:
        bare = path.split("?")[0]
        found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", bare)
        if bare == "/installation/repositories":
            made: Any = {"repositories": self.rows("/users/octocat/repos")}
        elif found and found[2] == "/activity":
            made = self.layered.activity.get(found[1], [])
        elif found and found[2] == "/issues/events":
            made = self._of_issues(f"/repos/{found[1]}", "events")[::-1]
        elif found and found[2] in ("/issues/comments", "/pulls/comments"):
            since = dict(parse_qsl(path.partition("?")[2]))["since"]
            what = found[2].split("/")[1]
            rows = self._of_issues(f"/repos/{found[1]}", "comments", what)
            made = [row for row in rows if row["updated_at"] >= since.replace("Z", ".000Z")]
        else:
            status, headers, body = self.get(re.sub(r"(since=[^&]*)Z", r"\1.000Z", path))
            return status, headers, _MILLISECONDS.sub(b"Z", body)
        return 200, {}, _MILLISECONDS.sub(b"Z", json.dumps(made).encode())

    def _of_issues(self, repository: str, what: str, of: str = "issues") -> list[Any]:
        rows = [
            {**row, **({"issue": issue} if what == "events" else {})}
            for issue in self.rows(f"{repository}/{of}?state=all")
            for row in self.rows(f"{repository}/{of}/{issue['number']}/{what}")
        ]
        return sorted(rows, key=lambda row: (row["created_at"], row["id"]))


class _Layer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    emulator: Emulator

    def do_GET(self) -> None:
        layered = self.emulator.layered
        status, headers, body = self.emulator.answer(self.path)
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if status == 200 and self.headers.get("If-None-Match") == etag:
            status, body = 304, b""
        layered.asked.append((self.path, status))
        self.send_response(status)
        self.send_header("ETag", etag)
        if "Link" in headers:
            self.send_header("Link", headers["Link"].replace(self.emulator.url, layered.url))
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def layer(upstream: str, token: str) -> Iterator[Layered]:
    layered = Layered()
    handler = type("Handler", (_Layer,), {"emulator": Emulator(upstream, token, layered)})
    with serving(handler) as layered.url:
        yield layered


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
