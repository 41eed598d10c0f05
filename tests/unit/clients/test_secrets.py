"""Secrets come by name from where the configuration says, and no error shows one."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.clients import secrets
from runner.clients.secrets import Secrets
from runner.config.settings import SecretSource, config_faults
from runner.core.errors import RunnerError
from runner.core.model import Reason
from tests.parts.site import Quiet, site

VALUE = "s3cret-value"


def value(**source: Any) -> str:
    return Secrets({"DOCS": SecretSource(**source)}).value("DOCS", "the skill s")


def refused(**source: Any) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        value(**source)
    error = caught.value
    assert error.reason is Reason.SECRET_MISSING
    assert error.message.startswith("the skill s needs DOCS")
    assert VALUE not in error.message + error.hint
    assert error.__cause__ is None
    return error


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_without_a_source_it_is_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", VALUE)
    assert Secrets({}).value("A_SECRET", "x") == VALUE
    with pytest.raises(RunnerError) as caught:
        Secrets({}).value("NOT_SET_HERE", "the skill s")
    assert caught.value.hint == "export NOT_SET_HERE=..."


def test_a_variable_may_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELSEWHERE", VALUE)
    assert value(env="ELSEWHERE") == VALUE
    assert refused(env="NOT_SET_HERE").hint == "export NOT_SET_HERE=..."


def test_a_file_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").write_text(f" {VALUE}\n")
    (tmp_path / "link").symlink_to("docs")  # as Kubernetes mounts them
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (str(tmp_path / "docs"), str(tmp_path / "link"), "~/docs"):
        assert value(file=path) == VALUE


def test_a_file_that_does_not_hold_it_is_named(tmp_path: Path) -> None:
    fifo, empty, binary, long = (tmp_path / name for name in ("fifo", "empty", "binary", "long"))
    os.mkfifo(fifo)
    empty.write_text("\n")
    binary.write_bytes(VALUE.encode() + b"\xff")
    long.write_text(VALUE + "x" * secrets.MAX_VALUE)
    for path, words in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "is no file"),
        (fifo, "is no file"),
        (empty, "holds nothing"),
        (binary, "holds no text"),
        (long, "more than 65,536 bytes"),
    ):
        message = refused(file=str(path)).message
        assert str(path) in message
        assert words in message


def test_a_command_prints_it_once_a_run(tmp_path: Path) -> None:
    count = tmp_path / "count"
    text = f"open({str(count)!r}, 'a').write('x'); print(' {VALUE} ')"
    found = Secrets({"DOCS": SecretSource(command=script(text))})
    assert [found.value("DOCS", "s"), found.value("DOCS", "s")] == [VALUE, VALUE]
    assert count.read_text() == "x"


def test_a_command_has_no_shell() -> None:
    assert value(command=("echo", "$HOME; echo no")) == "$HOME; echo no"


def test_a_null_byte_cannot_be_handed_on() -> None:
    assert "null byte" in refused(command=script("print('a\\0b')")).message


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/no/such/program",), "/no/such/program cannot be run"),
        (script(f"import sys; print('{VALUE}'); sys.exit('{VALUE}')"), "ended with code 1"),
        (script(f"import sys; print('{VALUE}', file=sys.stderr)"), "holds nothing"),
        (script(f"print('{VALUE}' * 99999)"), "printed too much"),
    ],
)
def test_a_command_that_fails_shows_nothing_of_what_it_prints(command: tuple[str, ...], words: str) -> None:
    assert words in refused(command=command).message


def test_a_command_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_TIMEOUT", 0.2)
    assert "took longer than" in refused(command=("sleep", "600")).message


def test_a_keyring_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert refused(keyring="docs/bot").hint == "pip install keyring, beside skillrunner"


def test_a_keyring_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {("https://docs", "bot"): VALUE}

    def get_password(service: str, user: str) -> str | None:
        if user == "locked":
            raise OSError(VALUE)
        return held.get((service, user))

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=get_password))
    assert value(keyring="https://docs/bot") == VALUE
    assert refused(keyring="docs/nobody").hint == "keyring set docs nobody"
    assert "does not answer (OSError)" in refused(keyring="docs/locked").message


@pytest.mark.parametrize(
    "source",
    ["{}", "{env: A, file: /x}", "{file: relative}", "{command: []}", "{keyring: docs}", "{vault: x}", "A"],
)
def test_a_source_that_cannot_be_is_a_fault(source: str) -> None:
    assert config_faults("skillrunner.yaml", f"secrets: {{DOCS: {source}}}\n".encode())


def test_a_worker_takes_no_sources_from_a_repository() -> None:
    from runner.apps.worker import repository

    assert "secrets" not in repository._OWN


class Platform:
    """What GitHub's runner offers a job; it notes what is asked."""

    def __init__(self) -> None:
        self.status, self.answer = 200, b'{"value": "a.jwt.of-the-job"}'
        self.asked: list[tuple[str, str | None]] = []


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    made = Platform()

    class Handler(Quiet):
        def do_GET(self) -> None:  # noqa: N802 - the name that the server calls
            made.asked.append((self.path, self.headers["Authorization"]))
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(made.answer)))
            self.end_headers()
            self.wfile.write(made.answer)

    with site(Handler) as port:
        url = f"http://127.0.0.1:{port}/token?api-version=2.0"
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", VALUE)
        yield made


def test_the_platform_says_who_the_job_is(platform: Platform) -> None:
    assert value(oidc="https://sts.example.com/?a=b&c") == "a.jwt.of-the-job"
    assert platform.asked == [
        ("/token?api-version=2.0&audience=https%3A%2F%2Fsts.example.com%2F%3Fa%3Db%26c", f"Bearer {VALUE}")
    ]


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (403, b"", "refused an identity token: 403"),
        (200, b"{}", "gave no identity token"),
        (200, b"no json", "gave no identity token"),
        (200, b"[]", "gave no identity token"),
    ],
)
def test_a_platform_that_does_not(platform: Platform, status: int, answer: bytes, words: str) -> None:
    platform.status, platform.answer = status, answer
    assert words in refused(oidc="x").message


def test_a_platform_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL", raising=False)
    error = refused(oidc="sts.example.com")
    assert "nobody here gives identity tokens" in error.message
    assert "id-token: write" in error.hint
