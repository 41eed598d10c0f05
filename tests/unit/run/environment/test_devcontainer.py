"""Of a devcontainer.json the safe part is taken, and what reaches for the host is refused by name."""

import json
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.run.environment.devcontainer import REFUSAL_REASONS, Devcontainer, parse_devcontainer

PATH = ".devcontainer/devcontainer.json"
IMAGE = {"image": "python:3.12"}


def read(content: str | bytes | dict[str, Any], path: str = PATH) -> Devcontainer:
    text = json.dumps(content) if isinstance(content, dict) else content
    return parse_devcontainer(path, text.encode() if isinstance(text, str) else text, "/workspace")


def refusal(content: str | bytes | dict[str, Any]) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        read(content)
    return caught.value


def test_json_with_comments_is_read() -> None:
    text = """// For all of us
    {
      "name": "x", /* not
      read */
      "image": "reg.example/a//b:1", // its name
      "customizations": {"vscode": {"extensions": ["${localEnv:X}"]}},
      "containerEnv": {"A": "a /* b */ \\" // c", "B": "1,}",},
      "postCreateCommand": "make ${HOME} ${containerWorkspaceFolder}",
    }"""
    found = read(text)
    assert found.image == "reg.example/a//b:1"
    assert found.variables == {"A": 'a /* b */ " // c', "B": "1,}"}
    assert found.setup == ("make ${HOME} /workspace",)


def test_commands_become_set_up_in_their_order() -> None:
    found = read(
        {
            **IMAGE,
            "postCreateCommand": {"one": "npm ci", "two": ["echo", "a b"]},
            "onCreateCommand": "first",
            "updateContentCommand": ["second", "$x"],
        }
    )
    assert found.setup == ("first", "second '$x'", "npm ci", "echo 'a b'")


def test_the_remote_environment_goes_before_the_containers() -> None:
    found = read({**IMAGE, "containerEnv": {"A": "1", "B": "2"}, "remoteEnv": {"B": "3", "C": None}})
    assert found.variables == {"A": "1", "B": "3"}


@pytest.mark.parametrize(
    ("path", "build", "dockerfile", "context"),
    [
        (PATH, {"dockerfile": "Dockerfile"}, ".devcontainer/Dockerfile", ".devcontainer"),
        (PATH, {"dockerfile": "../Dockerfile", "context": ".."}, "Dockerfile", ""),
        (".devcontainer.json", {"dockerfile": "env/Dockerfile"}, "env/Dockerfile", ""),
        (
            ".devcontainer/a/devcontainer.json",
            {"dockerfile": "D", "context": "../.."},
            ".devcontainer/a/D",
            "",
        ),
    ],
)
def test_paths_are_relative_to_the_file(path: str, build: Any, dockerfile: str, context: str) -> None:
    found = read({"build": build}, path)
    assert (found.dockerfile, found.context) == (dockerfile, context)


@pytest.mark.parametrize("key", sorted(REFUSAL_REASONS))
def test_what_reaches_for_the_host_is_refused_by_name(key: str) -> None:
    error = refusal({**IMAGE, key: "x"})
    assert error.reason is Reason.UNSUPPORTED
    assert f"`{key}`: {REFUSAL_REASONS[key]}" in error.message
    assert error.message.startswith(PATH)


@pytest.mark.parametrize("empty", [{"features": {}}, {"mounts": []}, {"privileged": False}, {"runArgs": []}])
def test_what_asks_for_nothing_is_fine(empty: dict[str, Any]) -> None:
    assert read({**IMAGE, **empty}).image == "python:3.12"


def test_all_that_is_refused_is_told_at_once() -> None:
    content = {**IMAGE, "privileged": True, "runArgs": ["-v"], "novelKey": 1, "build": {"options": []}}
    message = refusal(content).message
    for word in ("`privileged`", "`runArgs`", "`novelKey` is not known", "`build.options`"):
        assert word in message


@pytest.mark.parametrize(
    "value", ["${localEnv:AWS_SECRET}", "x${localEnv:A:b}", "${env:A}", "${localWorkspaceFolder}"]
)
@pytest.mark.parametrize("where", ["image", "postCreateCommand", "containerEnv", "remoteEnv"])
def test_nothing_of_the_host_is_put_in(monkeypatch: pytest.MonkeyPatch, where: str, value: str) -> None:
    monkeypatch.setenv("AWS_SECRET", "never-shown")
    error = refusal({**IMAGE, where: {"A": value} if where.endswith("Env") else value})
    assert error.reason is Reason.UNSUPPORTED
    assert "it is the host's" in error.message
    assert "never-shown" not in error.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        (b"\xff", "no JSON"),
        ("[]", "should be an object"),
        ('{"image": "a", "image": "b"}', "stands twice"),
        ({}, "neither"),
        ({**IMAGE, "build": {"dockerfile": "D"}}, "neither"),
        ({"image": 7}, "`image` should be a text"),
        ({"build": 7}, "`build` should be an object"),
        ({"build": {"dockerfile": "../../D"}}, "not in the repository"),
        ({"build": {"dockerfile": "/etc/D"}}, "not in the repository"),
        ({"build": {"dockerfile": "D", "context": "../.."}}, "not in the repository"),
        ({**IMAGE, "containerEnv": {"A B": "x"}}, "object of variables"),
        ({**IMAGE, "containerEnv": {"A": 1}}, "`containerEnv.A` should be a text"),
        ({**IMAGE, "postCreateCommand": [1]}, "`postCreateCommand` should be a text"),
    ],
)
def test_what_is_wrong_is_said(content: Any, words: str) -> None:
    error = refusal(content)
    assert error.reason is Reason.INVALID_SKILL
    assert words in error.message
