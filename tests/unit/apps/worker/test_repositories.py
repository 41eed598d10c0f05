"""Which repositories a worker serves, and with whose token."""

from pathlib import Path
from typing import Any

import pytest

from runner.apps.worker.credentials import Credentials
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repositories import RepositoryList
from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason


def roster(tmp_path: Path, worker: str) -> RepositoryList:
    (tmp_path / "skillrunner.yaml").write_text(f"worker: {worker}\n")
    config = load_config(tmp_path, environ={})
    return RepositoryList(config, Credentials(config), ErrorLog())


def test_names_and_folders_as_they_are(tmp_path: Path) -> None:
    found = roster(tmp_path, "{repositories: [acme/web, ./here, '!acme/web', acme/api]}")
    assert found.names() == ("./here", "acme/api")


def test_what_github_cannot_tell_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = roster(tmp_path, "{repositories: ['acme/*', /srv/x, '!acme/c', 'other/*', some/one]}")
    away = RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "away", hint="wait")
    answers: dict[str, list[Any]] = {
        "acme": [["acme/a"], away, ["acme/a", "acme/b", "acme/c"]],
        "other": [away, ["other/y"], away],
    }

    def visible(owner: str) -> list[tuple[str, str]]:
        answer = answers[owner].pop(0)
        if isinstance(answer, RunnerError):
            raise answer
        return [(name, "") for name in answer]

    monkeypatch.setattr(found._listing, "_visible", visible)
    assert [found.names() for _ in range(3)] == [
        ("/srv/x", "acme/a", "some/one"),
        ("/srv/x", "acme/a", "other/y", "some/one"),
        ("/srv/x", "acme/a", "acme/b", "other/y", "some/one"),
    ]


def test_a_token_for_each_and_none_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "a-token")
    found = roster(tmp_path, "{repositories: [acme/web, /srv/x]}")
    assert (found.token("acme/web"), found.token("/srv/x")) == ("a-token", "")


@pytest.mark.parametrize(
    "app", ["{id: '1'}", "{id: '1', private_key_env: NOT_SET}", "{id: '1', private_key_file: /nowhere/key}"]
)
def test_an_app_without_a_key_is_explained(tmp_path: Path, app: str) -> None:
    with pytest.raises(RunnerError) as caught:
        roster(tmp_path, f"{{repositories: [acme/web], app: {app}}}").token("acme/web")
    assert "has no private key" in caught.value.message


def test_a_token_has_one_pace_and_an_app_one_for_each_owner(tmp_path: Path) -> None:
    token = roster(tmp_path, "{repositories: [acme/web, other/web]}")
    assert token.place("acme/web").rate_limiter is token.place("other/web").rate_limiter
    app = roster(tmp_path, "{repositories: [acme/web], app: {id: '1', private_key_env: KEY}}")
    assert app.place("acme/web").rate_limiter is app.place("ACME/api").rate_limiter
    assert app.place("acme/web").rate_limiter is not app.place("other/web").rate_limiter


def test_a_skill_has_what_its_repository_or_itself_is_promised(tmp_path: Path) -> None:
    found = roster(
        tmp_path,
        "{secrets: {'acme/*': [A], acme/web: [B], 'acme/web:docs-*': [C], '*:docs-all': [D], /srv/x: [E]}}",
    )

    def promised(repository: str, skill: str) -> str:
        secrets = found.place(repository).allowed_secrets
        assert secrets is not None
        return "".join(sorted(secrets(skill)))

    assert promised("acme/web", "docs-all") == "ABCD"
    assert promised("acme/web", "tidy") == "AB"
    assert promised("acme/api", "docs-after-release") == "A"
    assert promised("/srv/x", "tidy") == "E"
    assert promised("other/web", "tidy") == ""
    reads = found.place("acme/web").allowed_repositories
    assert reads is not None
    assert not reads("tidy"), "without a word nothing else is read"
