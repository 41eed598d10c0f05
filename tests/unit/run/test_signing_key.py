"""Where the key of our hidden marks comes from, and who may have it."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.publish.signing import KEY_VARIABLE, NO_KEY, Signer
from runner.run.place import Place
from runner.run.signing_key import find_signer


@pytest.fixture(autouse=True)
def _without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def place(folder: Path, keeps_state: bool = True, text: str = "") -> Place:
    (folder / "skillrunner.yaml").write_text(f"state_dir: state\n{text}")
    return Place(config=load_config(folder, environ={}), root=folder, origin="", keeps_state=keeps_state)


def refusal(one: Place) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        find_signer(one, publishes=True)
    assert caught.value.reason is Reason.INVALID_CONFIG
    return caught.value


def test_a_state_folder_keeps_one_key_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = (
            list(pool.map(lambda _: find_signer(place_), [None] * 16)) if (place_ := place(tmp_path)) else []
        )
    assert len(set(made)) == 1
    assert len(made[0].key) == 64
    (file,) = (tmp_path / "state").iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("signing.key", 0o600)
    assert find_signer(place(tmp_path)) == made[0]


def test_the_secret_goes_before_the_file_and_comes_from_where_the_configuration_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "s" * 32)
    assert find_signer(place(tmp_path)).key == b"s" * 32
    (tmp_path / "key").write_text("f" * 40 + "\n")
    named = f"secrets: {{{KEY_VARIABLE}: {{file: {tmp_path}/key}}}}\n"
    assert find_signer(place(tmp_path, text=named)).key == b"f" * 40
    assert not (tmp_path / "state").exists()


def test_an_action_signs_with_the_secret_alone_and_says_where_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_signer(place(tmp_path, keeps_state=False)) == NO_KEY
    required = place(tmp_path, keeps_state=False, text="policy: {signed_marks: true}\n")
    assert KEY_VARIABLE in refusal(required).message
    assert find_signer(required) == Signer(required=True), (
        "a fork's job gets no secret, and publishes nothing"
    )
    monkeypatch.setenv(KEY_VARIABLE, "s" * 32)
    assert find_signer(required).required


@pytest.mark.parametrize("content", ["", "short", "é" * 40, "\xff" * 40])
def test_a_key_that_is_none_is_named_and_never_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    file = tmp_path / "state" / "signing.key"
    file.write_text(content, encoding="latin-1")
    assert str(file) in refusal(place(tmp_path)).message
    assert file.read_text(encoding="latin-1") == content


def test_a_fork_s_job_goes_on_without_the_secret_that_the_configuration_names(tmp_path: Path) -> None:
    named = place(tmp_path, keeps_state=False, text=f"secrets: {{{KEY_VARIABLE}: {{env: {KEY_VARIABLE}}}}}\n")
    assert find_signer(named) == NO_KEY
    with pytest.raises(RunnerError) as caught:
        find_signer(named, publishes=True)
    assert caught.value.reason is Reason.SECRET_MISSING


def test_a_short_secret_is_refused_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "tooshort")
    error = refusal(place(tmp_path))
    assert "tooshort" not in f"{error.message} {error.hint}"
    assert "openssl rand -hex 32" in error.hint
