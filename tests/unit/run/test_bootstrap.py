"""The parts are chosen in one place, and what cannot be chosen is named with the way out."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.config.settings import FILE, load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.publish.outputs import _marker
from runner.publish.signing import Signer
from runner.run import bootstrap, stores
from runner.run.place import LocalPlace, local_place
from tests.parts.cli import Project, skill_files

YAML = "on: {manual: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"


@pytest.fixture
def place(project: Project, monkeypatch: pytest.MonkeyPatch) -> LocalPlace:
    monkeypatch.setenv("SKILLRUNNER_STATE_DIR", str(project.state))
    project.commit(skill_files("s", YAML))
    return local_place(project.root, None, {})


def with_origin(place: LocalPlace, url: str) -> LocalPlace:
    return replace(place, origin=url)


@pytest.mark.parametrize(
    ("url", "forge", "name"),
    [
        ("https://github.com/o/r.git", "auto", "github"),
        ("git@github.com:o/r.git", "auto", "github"),
        ("ssh://git@ssh.github.com:443/o/r.git", "auto", "github"),
        ("git@ssh.github.com:o/r.git", "auto", "github"),
        ("https://www.github.com/o/r", "auto", "github"),
        ("https://user@WWW.GitHub.com/o/r.git/", "auto", "github"),
        ("git+ssh://git@github.com/o/r.git", "auto", "github"),
        ("ssh://git@github.com:/o/r.git", "auto", "github"),
        ("git@github.com:/o/r.git", "auto", "github"),
        ("https://github.com./o/r", "auto", "github"),
        ("https://elsewhere.example/o/r", "auto", "local"),
        ("https://github.com/o/r.git", "local", "local"),
    ],
)
def test_the_forge_follows_from_origin(place: LocalPlace, url: str, forge: Any, name: str) -> None:
    found = replace(with_origin(place, url), config=place.config.model_copy(update={"forge": forge}))
    with stores.open_store(found.config) as runs:
        assert bootstrap.make_forge(found, runs).name == name


def test_an_unknown_forge_is_named(place: LocalPlace) -> None:
    found = replace(place, config=place.config.model_copy(update={"forge": "githup"}))
    with stores.open_store(found.config) as runs, pytest.raises(RunnerError) as caught:
        bootstrap.make_forge(found, runs)
    assert caught.value.message == "there is no `githup` among the forges"
    assert caught.value.hint == "did you mean github? there are: github, local"


def test_github_needs_an_origin_there(place: LocalPlace) -> None:
    found = replace(
        with_origin(place, "https://elsewhere.example/o/r"),
        config=place.config.model_copy(update={"forge": "github"}),
    )
    with stores.open_store(found.config) as runs, pytest.raises(RunnerError) as caught:
        bootstrap.make_forge(found, runs)
    assert caught.value.reason is Reason.FORGE_NOT_FOUND
    assert "--forge local" in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sandbox", "dokcer"), "no `dokcer` among the sandboxes"),
        (("--harness", "cluade-code"), "no `cluade-code` among the harnesses"),
    ],
)
def test_unknown_kinds_are_named(project: Project, arguments: tuple[str, ...], words: str) -> None:
    project.commit(skill_files("s", YAML))
    done = project.skillrunner("run", "s", *arguments)
    assert (done.code, words in done.out + done.err) == (3, True), done.err
    assert "did you mean" in done.out + done.err


def test_a_configured_program_must_be_there(project: Project) -> None:
    config = "sandbox: process\nharnesses: {command: {binary: /no/such/program}}\n"
    project.commit({**skill_files("s", YAML), "skillrunner.yaml": config})
    done = project.skillrunner("run", "s")
    assert "there is no file /no/such/program" in done.out + done.err


def test_only_what_has_a_package_is_installed(project: Project) -> None:
    config = "sandbox: process\nharnesses: {command: {version: tested}}\n"
    project.commit({**skill_files("s", YAML), "skillrunner.yaml": config})
    done = project.skillrunner("run", "s")
    assert "harnesses.command.version: nobody knows a package for command" in done.out + done.err
    assert "harnesses.command.binary" in done.out + done.err


def test_state_lies_where_it_is_said(place: LocalPlace, tmp_path: Path) -> None:
    assert place.config.state == Path(place.config.state_dir)
    assert bootstrap.make_defaults(place.config, {}).guarded == (
        "skills/**",
        ".agents/skills/**",
        ".github/skills/**",
    )


def test_maxima_and_locked_paths_reach_the_plan(tmp_path: Path) -> None:
    text = "maxima: {memory: 1g, timeout: 1h, run: 2h}\npolicy: {protected: [a], locked: [b]}\n"
    (tmp_path / FILE).write_text(text)
    made = bootstrap.make_defaults(load_config(tmp_path, environ={}), {})
    assert made.maxima == {"memory": 1024**3, "timeout": 3600}
    assert (made.guarded[-1], made.locked) == ("a", ("b",))


def test_a_run_gets_its_secrets_from_where_the_configuration_says(project: Project, tmp_path: Path) -> None:
    (tmp_path / "held").write_text("from-a-file\n")
    yaml = """
    on: {manual: {}}
    environment: {secrets: [A_TOKEN, B_TOKEN]}
    harness: {kind: command, command: [sh, -c, "printf %s $A_TOKEN $B_TOKEN | wc -c > docs/n"]}
    output: {pull_request: {title: t}}
    """
    sources = f"{{A_TOKEN: {{file: {tmp_path}/held}}, B_TOKEN: {{command: [echo, bb]}}}}"
    config = f"sandbox: process\nsecrets: {sources}\n"
    project.commit({**skill_files("s", yaml), "skillrunner.yaml": config})
    done = project.skillrunner("run", "s")
    assert done.code == 0, done.out + done.err
    assert project.git("show", "skillrunner/s/default:docs/n", cwd=project.origin).strip() == "13"
    shown = json.loads(project.skillrunner("pr", "show", "1", "--json").out)
    key = (project.state / "signing.key").read_text().strip()
    signer = Signer(key.encode(), required=True).of_repository(project.origin.name.removesuffix(".git"))
    assert _marker.read(shown["body"], signer) is not None, "what a laptop publishes is signed"


def test_no_skill_gets_the_key_that_signs_marks(project: Project, tmp_path: Path) -> None:
    (tmp_path / "held").write_text("k" * 40)
    yaml = YAML + "environment: {secrets: [SKILLRUNNER_SIGNING_KEY]}\n"
    config = f"sandbox: process\nsecrets: {{SKILLRUNNER_SIGNING_KEY: {{file: {tmp_path}/held}}}}\n"
    project.commit({**skill_files("s", yaml), "skillrunner.yaml": config})
    done = project.skillrunner("run", "s")
    assert done.code != 0
    assert "the skill s may not have SKILLRUNNER_SIGNING_KEY" in done.out + done.err


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("git@work:o/r.git", "work"),
        ("https://elsewhere.example/o/r", "elsewhere.example"),
        ("git@gitlab.example:group/below/r.git", "gitlab.example"),
        ("ssh://git@ghe.example:2222/o/r", "ghe.example"),
        ("git://git.example/r", "git.example"),
    ],
)
def test_with_a_token_a_host_that_no_forge_knows_is_refused_with_what_to_write(
    place: LocalPlace, url: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = with_origin(place, url)
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with stores.open_store(found.config) as runs:
        forge = bootstrap.make_forge(found, runs)
        assert forge.notice == f"nothing goes to {host}: branches and pull requests stay in {place.root}"
        assert forge.notice in forge.doctor()[0].message
        monkeypatch.setenv("GITHUB_TOKEN", "a-token")
        with pytest.raises(RunnerError) as caught:
            bootstrap.make_forge(found, runs)
        local = replace(found, config=found.config.model_copy(update={"forge": "local"}))
        assert bootstrap.make_forge(local, runs).name == "local"
    assert caught.value.reason is Reason.INVALID_CONFIG
    assert (
        f"the remote is on {host}, which no forge here serves, and GITHUB_TOKEN is set"
        in caught.value.message
    )
    for way in (
        f'github: {{git_url: "https://{host}", api_url: "https://{host}/api/v3"}}',
        "git remote set-url origin https://github.com/OWNER/NAME",
        "SKILLRUNNER_FORGE=local",
    ):
        assert way in caught.value.hint


def test_what_the_hint_says_to_write_works(place: LocalPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "a-token")
    found = with_origin(place, "git@ghe.example:o/r.git")
    with stores.open_store(place.config) as runs:
        with pytest.raises(RunnerError) as caught:
            bootstrap.make_forge(found, runs)
        written = caught.value.hint.partition(f"write in {FILE}: ")[2].partition(";")[0]
        (place.root / FILE).write_text(written)
        found = replace(found, config=load_config(place.root))
        assert bootstrap.make_forge(found, runs).name == "github"


def test_a_repository_without_a_remote_is_local_with_a_token_too(
    place: LocalPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "a-token")
    with stores.open_store(place.config) as runs:
        for origin in ("", place.origin, f"file://{place.origin}"):
            forge = bootstrap.make_forge(with_origin(place, origin), runs)
            assert (forge.name, forge.notice) == ("local", "")


SSH = """#!/bin/sh
[ "$1" = -G ] || exit 1
case "$2" in
  work) echo "user git"; echo "hostname github.com";;
  port) echo "hostname ssh.github.com";;
  *) echo "hostname $2";;
esac
"""


@pytest.mark.parametrize(
    ("url", "settings", "name"),
    [
        ("git@work:o/r.git", {}, "github"),
        ("work:o/r", {}, "github"),
        ("ssh://git@port/o/r.git", {}, "github"),
        ("gh:o/r", {"url.https://github.com/.insteadOf": "gh:"}, "github"),
        ("https://mirror.example/o/r", {"url.git@work:.insteadOf": "https://mirror.example/"}, "github"),
        ("git@other:o/r.git", {}, "local"),
        ("git@-oProxyCommand=x:o/r.git", {}, "local"),
    ],
)
def test_names_of_the_users_own_ssh_and_git_are_followed(
    project: Project,
    tmp_path: Path,
    url: str,
    settings: dict[str, str],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SKILLRUNNER_STATE_DIR", str(project.state))
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    for key, value in settings.items():
        project.git("config", key, value)
    project.git("remote", "set-url", "origin", url)
    found = local_place(project.root, None, {})
    with stores.open_store(found.config) as runs:
        forge = bootstrap.make_forge(found, runs)
    assert forge.name == name
    if name == "github":
        assert (forge.repository, forge.remote().url) == ("o/r", "https://github.com/o/r.git")


def test_the_only_remote_is_the_one_that_is_meant(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLRUNNER_STATE_DIR", str(project.state))
    project.git("remote", "set-url", "origin", "https://github.com/o/r")
    project.git("remote", "rename", "origin", "upstream")
    assert local_place(project.root, None, {}).origin == "https://github.com/o/r"
    project.git("remote", "add", "fork", "https://github.com/me/r")
    found = local_place(project.root, None, {})
    assert found.origin == ""
    monkeypatch.setenv("GITHUB_TOKEN", "a-token")
    with stores.open_store(found.config) as runs, pytest.raises(RunnerError) as caught:
        bootstrap.make_forge(found, runs)
    assert (
        caught.value.message
        == "no remote is called origin, GITHUB_TOKEN is set, and there are fork, upstream"
    )
    assert "git remote rename NAME origin" in caught.value.hint
