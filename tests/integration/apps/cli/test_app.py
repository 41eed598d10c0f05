"""`skillrunner app create`: a browser, and a strict stand-in for GitHub's pages, which the emulator lacks."""

import html
import json
import re
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from runner.apps.cli import app_setup
from runner.apps.cli.app_setup import Setup, serving, wait
from runner.clients.github import manifest as manifests
from runner.clients.github.manifest import NewApp, app_permissions, exchange_code, form_url, keep
from runner.core.errors import RunnerError
from tests.parts.cli import Done, Project
from tests.parts.site import Quiet, site

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"
CODE = "a180b1a3d263c81bc6441d7b990bae27d4c10679"
LEVELS = {"read", "write"}
KNOWN = {"actions", "checks", "contents", "discussions", "issues", "metadata", "pull_requests"} | {
    *("security_events", "statuses", "deployments", "packages")
}

NEEDED = {  # by GitHub's "Webhook events and payloads"
    "issues": "issues",
    "issue_comment": "issues",
    "push": "contents",
    "release": "contents",
    "pull_request": "pull_requests",
    "pull_request_review": "pull_requests",
    "check_run": "checks",
    "pull_request_review_comment": "pull_requests",
    "workflow_run": "actions",
    "discussion": "discussions",
    "discussion_comment": "discussions",
}


class GitHubPages(Quiet):
    """GitHub's page for new Apps and its exchange of codes, as its documents say, and no more lenient."""

    codes: dict[str, dict[str, Any]]
    asked: list[str]

    def do_POST(self) -> None:  # noqa: N802 - the server's word
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.asked.append(self.path)
        if found := re.fullmatch(r"/api/v3/app-manifests/([^/]+)/conversions", self.path):
            self._convert(found[1])
        elif re.fullmatch(r"(/organizations/acme)?/settings/apps/new\?state=[\w-]{20,}", self.path):
            self._make(parse_qs(body)["manifest"][0])
        else:
            self._say(404, {"message": "Not Found"})

    def _make(self, text: str) -> None:
        made = json.loads(text)
        known = {
            "name",
            "url",
            "redirect_url",
            "public",
            "default_permissions",
            "hook_attributes",
            "default_events",
        }
        assert set(made) <= known
        assert made["url"].startswith("http")
        assert set(made["default_permissions"]) <= KNOWN
        assert set(made["default_permissions"].values()) <= LEVELS
        assert ("default_events" in made) == ("hook_attributes" in made)
        of_events = {NEEDED[event] for event in made.get("default_events", ())}
        assert of_events <= set(made["default_permissions"])
        secret = "s" * 40 if "hook_attributes" in made else None
        self.codes[CODE] = {
            "id": 7,
            "slug": made["name"],
            "html_url": f"https://github.com/apps/{made['name']}",
            "pem": PEM,
            "webhook_secret": secret,
            "client_id": "Iv1.x",
            "client_secret": "never kept",
        }
        state = parse_qs(urlsplit(self.path).query)["state"][0]
        self.send_response(302)
        self.send_header("Location", f"{made['redirect_url']}?code={CODE}&state={state}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _convert(self, code: str) -> None:
        assert "Authorization" not in self.headers
        told = self.codes.pop(code, None)  # each code is good once
        self._say(404, {"message": "Not Found"}) if told is None else self._say(201, told)

    def _say(self, status: int, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def github(project: Project) -> Iterator[type[GitHubPages]]:
    GitHubPages.codes, GitHubPages.asked = {}, []
    with site(GitHubPages) as port:
        project.variables["SKILLRUNNER_GITHUB_GIT_URL"] = f"http://127.0.0.1:{port}"
        project.variables["SKILLRUNNER_GITHUB_API_URL"] = f"http://127.0.0.1:{port}/api/v3"
        yield GitHubPages


def opened(monkeypatch: pytest.MonkeyPatch) -> list[Setup]:
    """The setups that the command serves."""
    seen = list[Setup]()
    monkeypatch.setattr(app_setup, "wait", lambda setup, seconds: seen.append(setup) or wait(setup, seconds))
    return seen


def created(project: Project, monkeypatch: pytest.MonkeyPatch, browse: Any, *args: str) -> Done:
    """What the command says, while `browse` does what a person does in a browser."""
    seen = opened(monkeypatch)

    def person() -> None:
        end = time.monotonic() + 30
        while not seen and time.monotonic() < end:
            time.sleep(0.01)
        browse(seen[0])

    with ThreadPoolExecutor(1) as browser:
        going = browser.submit(person)
        done = project.skillrunner("app", "create", "--timeout", "30s", *args)
        going.result()
    return done


def press(setup: Setup) -> requests.Response:
    """Open the page and press its button."""
    page = requests.get(setup.url, timeout=5)
    assert page.status_code == 200
    (action,) = re.findall(r'action="([^"]+)"', page.text)
    (value,) = re.findall(r'name="manifest" value="([^"]+)"', page.text)
    return requests.post(html.unescape(action), {"manifest": html.unescape(value)}, timeout=5)


def test_an_app_is_made_and_its_keys_are_kept(
    project: Project, github: type[GitHubPages], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[requests.Response] = []
    hook = ("--webhook", "https://worker.example.com/webhooks/github", "--organization", "acme")
    done = created(
        project, monkeypatch, lambda setup: shown.append(press(setup)), "--name", "acme-bot", *hook
    )
    assert done.code == 0, done
    assert shown[0].status_code == 200
    assert "The App acme-bot is made." in shown[0].text
    folder = project.state / "apps" / "7"
    files = {one.name: one.read_text() for one in folder.iterdir()}
    assert files == {
        "private-key.pem": PEM,
        "webhook-secret": "s" * 40,
        "app.json": files["app.json"],
    }
    assert "never kept" not in files["app.json"]
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)} == {0o700}
    assert f'worker: {{app: {{id: "7", private_key_file: {folder / "private-key.pem"}}}}}' in done.out
    assert "https://github.com/apps/acme-bot/installations/new" in done.out
    for secret in (PEM, "s" * 40, CODE):
        assert secret not in done.out + done.err
    assert github.asked[0].startswith("/organizations/acme/settings/apps/new?state=")


def test_without_a_webhook_there_is_no_secret(
    project: Project, github: type[GitHubPages], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = created(project, monkeypatch, press, "--json")
    assert done.code == 0, done
    assert done.json()["webhook_secret_file"] is None
    assert Path(done.json()["private_key_file"]).read_text() == PEM
    assert not (project.state / "apps/7/webhook-secret").exists()
    assert github.asked[0].startswith("/settings/apps/new?state=")


def test_an_answer_with_another_state_changes_nothing(
    project: Project, github: type[GitHubPages], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's code would have us work as an App of theirs."""
    refused: list[int] = []

    def attack(setup: Setup) -> None:
        base = f"http://127.0.0.1:{setup.port}"
        wrong = ("code=theirs", "code=theirs&state=x", f"code=theirs&state={setup.state}x", "state=é")
        refused.extend(requests.get(f"{base}/callback?{one}", timeout=5).status_code for one in wrong)
        press(setup)

    done = created(project, monkeypatch, attack, "--json")
    assert refused == [403] * 4
    assert done.json()["id"] == "7"
    assert "/api/v3/app-manifests/theirs/conversions" not in github.asked


def test_only_who_was_given_the_address_sees_the_page() -> None:
    setup = Setup(make=lambda state, callback: ("x", {}), finish=str)
    with serving(setup):
        base = f"http://127.0.0.1:{setup.port}"
        assert requests.get(f"{base}/", timeout=5).status_code == 404
        assert requests.get(f"{setup.url}x", timeout=5).status_code == 404
        rebound = requests.get(setup.url, headers={"Host": f"evil.example:{setup.port}"}, timeout=5)
        assert (rebound.status_code, setup.state in rebound.text) == (421, False)
        page = requests.get(setup.url, timeout=5)
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert page.headers["Cache-Control"] == "no-store"
        assert requests.post(setup.url, timeout=5).status_code == 501
    assert setup.url.startswith("http://127.0.0.1:")


def test_an_answer_is_heard_once() -> None:
    heard: list[str] = []
    setup = Setup(make=lambda state, callback: ("x", {}), finish=lambda code: heard.append(code) or "done")
    with serving(setup):
        url = f"http://127.0.0.1:{setup.port}/callback?code=one&state={setup.state}"
        statuses = [requests.get(url, timeout=5).status_code for _ in range(3)]
    assert (statuses, heard) == ([200, 410, 410], ["one"])


def test_the_page_shows_what_is_asked_for_and_runs_none_of_it() -> None:
    setup = Setup(make=lambda state, callback: ('https://x/"><script>', {"name": "<img src=x>"}), finish=str)
    status, page = setup.answer("127.0.0.1:0", setup.path)
    assert status == 200
    assert "<script" not in page
    assert "<img" not in page


def test_no_answer_in_time_is_told(
    project: Project, github: type[GitHubPages], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(app_setup, "wait", lambda setup, seconds: waited.append(seconds))
    done = project.skillrunner("app", "create")
    assert (done.code, "GitHub sent no answer within 10m" in done.err) == (6, True), done
    assert waited == [600.0]
    assert not (project.state / "apps").exists()


def test_a_code_that_github_does_not_know_is_told(
    project: Project, github: type[GitHubPages], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(setup: Setup) -> None:
        url = f"http://127.0.0.1:{setup.port}/callback?code=latecode&state={setup.state}"
        assert "did not tell the App" in requests.get(url, timeout=5).text

    done = created(project, monkeypatch, late)
    assert done.code != 0
    assert "GitHub did not tell the App's keys" in done.err
    assert "latecode" not in done.err
    assert not (project.state / "apps").exists()


@pytest.mark.parametrize("code", ["", "../../user", "a b", "x" * 300])
def test_what_is_no_code_is_asked_of_nobody(code: str) -> None:
    with pytest.raises(RunnerError, match="no code that could be one"):
        exchange_code("http://127.0.0.1:1", code)


@pytest.mark.parametrize(
    "args",
    [
        ("--name", "a/b"),
        ("--name", ""),
        ("--organization", "a/b"),
        ("--webhook", "http://x/y"),
        ("--timeout", "soon"),
    ],
    ids=" ".join,
)
def test_what_is_not_possible_is_told_at_once(project: Project, args: tuple[str, ...]) -> None:
    done = project.skillrunner("app", "create", *args)
    assert (done.code, f"error: {args[0]} {args[1]!r} is" in done.err) == (3, True), done


def test_the_apps_of_two_creations_lie_beside_each_other(tmp_path: Path) -> None:
    for number in ("1", "2"):
        keep(NewApp(id=number, slug="x", url="https://x", private_key=PEM), tmp_path)
    with pytest.raises(OSError, match="not empty"):
        keep(NewApp(id="1", slug="x", url="https://x", private_key="other"), tmp_path)
    assert (tmp_path / "apps/1/private-key.pem").read_text() == PEM


def test_permissions_are_the_greatest_in_the_words_of_apps() -> None:
    wanted = [{"pull-requests": "read", "contents": "write"}, {"pull-requests": "write", "contents": "read"}]
    assert app_permissions(wanted) == {"contents": "write", "metadata": "read", "pull_requests": "write"}
    assert app_permissions([{"id-token": "write", "issues": "none"}]) == {"metadata": "read"}


def test_a_server_of_ones_own_is_asked_below_its_address() -> None:
    assert form_url("https://git.acme.com/", "", "s") == "https://git.acme.com/settings/apps/new?state=s"
    assert manifests.manifest("n", "h", "c", {})["public"] is False
