"""Secrets that lie in files."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.apps.worker.secret_files import Variables, from_files
from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason

YAML = """
worker:
  repositories: [acme/*]
  database: DATABASE_URL
  app: {id: "1", private_key_env: APP_KEY}
  webhook_secrets: [HOOK_SECRET]
  secrets: {acme/*: [DOCS_TOKEN]}
harnesses: {codex: {fallback: [{upstream: "https://models.example.com/v1", key: OTHER_KEY}]}}
"""
NAMES = (
    "ANTHROPIC_API_KEY", "APP_KEY", "DATABASE_URL", "DOCS_TOKEN", "GITHUB_TOKEN", "HOOK_SECRET",
    "OPENAI_API_KEY", "OTHER_KEY", "PGPASSWORD",
)  # fmt: skip


def read(folder: Path, environ: dict[str, str]) -> dict[str, str]:
    (folder / "skillrunner.yaml").write_text(YAML)
    return from_files(load_config(folder, environ={}), environ)


def test_all_that_is_configured_can_lie_in_files(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_text(f"the value of {name}\n")
    found = read(tmp_path, {f"{name}_FILE": str(tmp_path / name) for name in NAMES})
    assert found == {name: f"the value of {name}" for name in NAMES}


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    assert read(tmp_path, {"SSL_CERT_FILE": "/etc/ssl/cert.pem", "GITHUB_TOKEN_FILE": ""}) == {}


def refused(folder: Path, environ: dict[str, str]) -> str:
    with pytest.raises(RunnerError) as raised:
        read(folder, environ)
    assert raised.value.reason is Reason.INVALID_CONFIG
    return f"{raised.value.message}; {raised.value.hint}"


def test_a_value_is_given_once(tmp_path: Path) -> None:
    said = refused(tmp_path, {"GITHUB_TOKEN_FILE": "/x", "GITHUB_TOKEN": "secret-value"})
    assert "GITHUB_TOKEN and GITHUB_TOKEN_FILE are both set" in said
    assert "secret-value" not in said


@pytest.mark.parametrize(
    ("content", "cause"), [(None, "No such file"), (b" \n", "is empty"), (b"\xff\xfe", "it is no text")]
)
def test_a_file_that_holds_no_secret_is_told(tmp_path: Path, content: bytes | None, cause: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    said = refused(tmp_path, {"GITHUB_TOKEN_FILE": str(file)})
    assert str(file) in said
    assert cause in said


def test_a_secret_is_read_again_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood in for a variable the first time is not taken for one that somebody set."""
    file, variables = tmp_path / "token", Variables()
    monkeypatch.setattr("os.environ", {"TOKEN_FILE": str(file)})

    def read(environ: Mapping[str, str]) -> Mapping[str, str]:
        assert "TOKEN" not in environ
        return {"TOKEN": file.read_text()} if "TOKEN_FILE" in environ else {}

    for value in ("first", "second"):
        file.write_text(value)
        variables.replace(read)
        assert os.environ["TOKEN"] == value
    del os.environ["TOKEN_FILE"]
    variables.replace(read)
    assert "TOKEN" not in os.environ
