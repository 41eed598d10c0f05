"""An App's token, from an emulator that verifies the JWT and holds every token to its permissions."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.apps.worker.credentials import Credentials
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repositories import RepositoryList
from runner.clients.github.api import GitHubApi as Door
from runner.clients.github.app import Token, installation_token, owner_token
from runner.config.settings import Config, GitHubSettings
from runner.config.worker import AppOptions, WorkerConfig
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.publish.forges import Forge, NewPullRequest
from runner.publish.outputs import OUTPUTS
from runner.run import bootstrap, stores
from tests.parts.cli import Project
from tests.parts.github import APP_ID, OWNER, GitHub, private_key

pytestmark = pytest.mark.emulator
NEEDED = {"contents": "write", "pull_requests": "write", "metadata": "read"}


@pytest.fixture(scope="module")
def repository(github_servers: GitHub) -> str:
    github_servers.api("POST", "/user/repos", {"name": "for-the-app", "auto_init": True})
    github_servers.api("POST", "/user/repos", {"name": "another", "auto_init": True})
    return f"{OWNER}/for-the-app"


def ask(
    github: GitHub,
    repository: str,
    *,
    key: str | None = None,
    app_id: str = APP_ID,
    permissions: dict[str, str] = NEEDED,
) -> Token:
    return installation_token(
        github.url, app_id, github.app_key if key is None else key, repository, permissions
    )


def refused(github: GitHub, repository: str, **asked: str | dict[str, str]) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        ask(github, repository, **asked)  # type: ignore[arg-type]
    error = caught.value
    assert error.hint
    text = f"{error.message}{error.hint}{error!r}"
    for key in (github.app_key, str(asked.get("key", ""))):
        assert not any(line in text for line in key.splitlines() if len(line) > 40)
    assert error.__cause__ is None
    return error


def test_the_token_works_for_what_it_was_asked_for(github: GitHub, repository: str) -> None:
    token = ask(github, repository)
    assert token.slug == "skillrunner-test"
    assert timedelta(minutes=50) < token.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert token.value not in repr(token)
    door = Door(github.url, repository, lambda: token.value)
    sha = door.get("/branches/main")["commit"]["sha"]
    door.call("POST", "/git/refs", {"ref": "refs/heads/skillrunner/a", "sha": sha})
    pull = {"title": "T", "head": "skillrunner/a", "base": "main", "body": ""}
    assert door.call("POST", "/pulls", pull).json()["user"]["login"] == "skillrunner-test[bot]"


def test_the_token_works_for_nothing_else(github: GitHub, repository: str) -> None:
    token = ask(github, repository, permissions={"contents": "read", "metadata": "read"})
    sha = Door(github.url, repository, lambda: token.value).get("/branches/main")["commit"]["sha"]
    data = {"ref": "refs/heads/b", "sha": sha}
    other = ask(github, repository)
    for door in (
        Door(github.url, repository, lambda: token.value),
        Door(github.url, f"{OWNER}/another", lambda: other.value),
    ):
        with pytest.raises(RunnerError) as caught:
            door.call("POST", "/git/refs", data)
        assert caught.value.reason in (Reason.FORGE_DENIED, Reason.FORGE_NOT_FOUND)
    asked = [call.body for call in github.calls if call.path.endswith("/access_tokens")]
    assert asked[0] == {
        "repositories": ["for-the-app"],
        "permissions": {"contents": "read", "metadata": "read"},
    }


def forge(github: GitHub, repository: str, folder: Path) -> Forge:
    """As a worker with the App opens it."""
    (folder / "key.pem").write_text(github.app_key)
    app = AppOptions(id=APP_ID, private_key_file=str(folder / "key.pem"))
    config = Config(
        state_dir=str(folder),
        github=GitHubSettings(api_url=github.url, git_url=github.url),
        worker=WorkerConfig(app=app),
    )
    place = RepositoryList(config, Credentials(config), ErrorLog()).place(repository)
    with stores.open_store(config) as runs:
        return bootstrap.make_forge(place, runs)


def test_each_step_gets_what_it_needs_and_no_more(github: GitHub, repository: str, tmp_path: Path) -> None:
    whole = forge(github, repository, tmp_path)
    reads = whole.limited_to({"contents": "read"})
    assert reads.default_branch() == "main"
    new = NewPullRequest(branch="skillrunner/b", base="main", title="T", body="", draft=False)
    with pytest.raises(RunnerError) as caught:
        reads.create(new)
    assert caught.value.reason in (Reason.FORGE_DENIED, Reason.FORGE_NOT_FOUND)
    for output in ("pull_request", "issue", "pull_request"):
        needed = OUTPUTS.get(output).permissions
        assert whole.limited_to(needed).default_branch() == "main"
    asked = [call.body for call in github.calls if call.path.endswith("/access_tokens")]
    assert [one["permissions"] for one in asked] == [
        {"contents": "read", "metadata": "read"},
        {"contents": "write", "metadata": "read", "pull_requests": "write"},
        {"issues": "write", "metadata": "read"},
    ], "one token for each set of permissions, and each is used again"
    assert {tuple(one["repositories"]) for one in asked} == {("for-the-app",)}
    remotes = [whole.remote(), whole.limited_to({"contents": "read"}).remote()]
    assert len({json.dumps(dict(one.variables)) for one in remotes}) == 2


def test_what_the_app_was_not_given_is_told(github: GitHub, repository: str, tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        forge(github, repository, tmp_path).limited_to({"discussions": "write"}).default_branch()
    assert caught.value.reason is Reason.FORGE_REJECTED
    assert "may not do on" in caught.value.message
    assert "discussions: write" in caught.value.message


def test_a_token_of_a_person_has_one_size(project: Project) -> None:
    """Nobody can have a narrower one made of it."""
    config = Config(state_dir=str(project.state))
    place = RepositoryList(config, Credentials(config), ErrorLog()).place("acme/app")
    with stores.open_store(config) as runs:
        opened = bootstrap.make_forge(place, runs)
    assert opened.limited_to({"contents": "read"}) is opened


def test_a_token_for_an_owner_lists_and_does_no_more(github: GitHub, repository: str) -> None:
    token = owner_token(github.url, APP_ID, github.app_key, OWNER.upper())
    door = Door(github.url, repository, lambda: token.value)
    assert repository in {
        one["full_name"] for one in door.get("installation/repositories", per_page=100)["repositories"]
    }
    with pytest.raises(RunnerError):
        door.call("POST", "/git/refs", {"ref": "refs/heads/c", "sha": "a" * 40})
    with pytest.raises(RunnerError) as caught:
        owner_token(github.url, APP_ID, github.app_key, "alice")
    assert caught.value.reason is Reason.FORGE_NOT_FOUND
    assert "is not installed on alice" in caught.value.message


@pytest.mark.parametrize(
    "paste",
    [
        lambda key: key.replace("\n", "\\n"),
        lambda key: key.replace("\n", "\\r\\n"),
        lambda key: key.replace("\n", "\r\n"),
        lambda key: key.replace("\n", " "),
        lambda key: f'\n  "{key.strip()}"\n',
        lambda key: "\n".join(f"    {line}" for line in key.splitlines()),
    ],
    ids=["literal \\n", "literal \\r\\n", "CRLF", "one line", "quoted", "indented"],
)
def test_a_key_may_be_pasted_badly(github: GitHub, repository: str, paste: object) -> None:
    assert callable(paste)
    assert ask(github, repository, key=paste(github.app_key)).value


def _public(key: str) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    public = load_pem_private_key(key.encode(), None).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _other_kind() -> str:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _locked(key: str) -> str:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    locked = BestAvailableEncryption(b"passphrase")
    return (
        load_pem_private_key(key.encode(), None)
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
        .decode()
    )


def test_a_key_that_is_none_is_named_and_never_shown(github: GitHub, repository: str) -> None:
    key = github.app_key
    for bad, words in (
        ("", "is empty"),
        ("SHA256:uWcUC0zT3kXkL0EQbvVQOu0W0Ho3oJkRzXl0mUQ7cN8=", "is not a PEM"),
        (key[: len(key) // 2], "is not a PEM"),
        (key.replace(key.splitlines()[5], ""), "cut, changed or public"),
        (_public(key), "cut, changed or public"),
        (_locked(key), "has a passphrase"),
        (_other_kind(), "not an RSA key"),
    ):
        error = refused(github, repository, key=bad)
        assert error.reason is Reason.INVALID_CONFIG
        assert words in error.message
        assert "`app-private-key`" in error.message
        assert ".pem" in error.hint
    assert github.calls == []


def test_a_wrong_app_is_named(github: GitHub, repository: str) -> None:
    for app_id, key in (("999", github.app_key), (APP_ID, private_key())):
        error = refused(github, repository, app_id=app_id, key=key)
        assert error.reason is Reason.FORGE_DENIED
        assert f"`app-id` ({app_id})" in error.message
    for app_id in ("", "12 34", "${{ vars.APP }}"):
        error = refused(github, repository, app_id=app_id)
        assert (error.reason, "`app-id`" in error.message) == (Reason.INVALID_CONFIG, True)


def test_an_app_that_is_not_installed_is_named(github: GitHub, repository: str) -> None:
    error = refused(github, "alice/not-installed")
    assert error.reason is Reason.FORGE_NOT_FOUND
    assert "skillrunner-test is not installed on alice/not-installed" in error.message
    assert "/apps/skillrunner-test" in error.hint


def test_an_app_that_may_not_do_it_is_named(github: GitHub, repository: str) -> None:
    error = refused(github, repository, permissions={**NEEDED, "workflows": "write"})
    assert error.reason is Reason.FORGE_REJECTED
    assert "workflows: write" in error.message
    assert "accept them" in error.hint


def test_a_suspended_installation_is_named(github: GitHub, repository: str) -> None:
    github.fault = lambda method, path: (403, {}) if method == "POST" else None
    error = refused(github, repository)
    assert error.reason is Reason.FORGE_DENIED
    assert "suspended" in error.hint
    github.fault = lambda method, path: (500, {}) if method == "POST" else None
    assert refused(github, repository).reason is Reason.FORGE_UNAVAILABLE
