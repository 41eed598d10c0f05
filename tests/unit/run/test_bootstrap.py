"""The parts are chosen in one place, and what cannot be chosen is named with the way out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.config.settings import FILE, load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.run import bootstrap
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
        ("https://elsewhere.example/o/r", "auto", "local"),
        ("https://github.com/o/r.git", "local", "local"),
    ],
)
def test_the_forge_follows_from_origin(place: LocalPlace, url: str, forge: Any, name: str) -> None:
    found = replace(with_origin(place, url), config=place.config.model_copy(update={"forge": forge}))
    with bootstrap.open_store(found.config) as runs:
        assert bootstrap.make_forge(found, runs).name == name


def test_an_unknown_forge_is_named(place: LocalPlace) -> None:
    found = replace(place, config=place.config.model_copy(update={"forge": "githup"}))
    with bootstrap.open_store(found.config) as runs, pytest.raises(RunnerError) as caught:
        bootstrap.make_forge(found, runs)
    assert caught.value.message == "there is no `githup` among the forges"
    assert caught.value.hint == "did you mean github? there are: github, local"


def test_github_needs_an_origin_there(place: LocalPlace) -> None:
    found = replace(
        with_origin(place, "https://elsewhere.example/o/r"),
        config=place.config.model_copy(update={"forge": "github"}),
    )
    with bootstrap.open_store(found.config) as runs, pytest.raises(RunnerError) as caught:
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
