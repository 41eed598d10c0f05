"""Defaults < file < environment < flags, and every value knows where it came from."""

from pathlib import Path
from typing import Any

import pytest

from runner.config.settings import FILE, Config, config_faults, load_config
from runner.core.errors import RunnerError
from runner.core.model import Limits, Reason


def load(root: Path, text: str | None = None, flags: dict[str, Any] | None = None, **environ: str) -> Config:
    if text is not None:
        (root / FILE).write_text(text)
    return load_config(root, environ=environ, flags=flags)


def refused(root: Path, text: str | None = None, flags: dict[str, Any] | None = None, **environ: str) -> str:
    with pytest.raises(RunnerError) as caught:
        load(root, text, flags, **environ)
    assert caught.value.reason is Reason.INVALID_CONFIG
    return caught.value.message


def test_nothing_need_be_said(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert (config.forge, config.sandbox, config.image) == ("auto", "docker", "")
    assert config.skills == ("skills", ".agents/skills", ".github/skills")
    assert config.limits.merge(Limits()) == Limits()
    assert config.origin("sandbox") == "default"
    assert config.state == Path("~/.local/state/skillrunner").expanduser()


def test_each_layer_goes_before_the_one_below(tmp_path: Path) -> None:
    text = "sandbox: process\nforge: local\nimage: a\nlimits: {timeout: 5m}\n"
    variables = {"SKILLRUNNER_FORGE": "github", "SKILLRUNNER_IMAGE": "b", "SKILLRUNNER_LIMITS_ATTEMPTS": "3"}
    config = load(tmp_path, text, {"image": "c", "sandbox": None}, **variables)
    assert (config.sandbox, config.forge, config.image) == ("process", "github", "c")
    assert config.limits.merge(Limits()) == Limits(timeout=300, attempts=3)
    origins = [config.origin(key) for key in ("sandbox", "forge", "image", "limits.timeout", "limits.idle")]
    file = str(tmp_path / FILE)
    assert origins == [file, "SKILLRUNNER_FORGE", "--image", file, "default"]


def test_lists_and_texts_from_variables(tmp_path: Path) -> None:
    config = load(
        tmp_path, SKILLRUNNER_SKILLS="automation, skills", SKILLRUNNER_BOT_NAME="7", SKILLRUNNER_IMAGE=""
    )
    assert config.skills == ("automation", "skills")
    assert config.bot.name == "7"
    assert config.origin("image") == "default"


def test_what_only_the_file_can_say(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """\
        harnesses:
          codex: {binary: /opt/codex, variables: {RUST_LOG: info}}
        policy: {protected: ["deploy/**"]}
        """,
    )
    assert config.harnesses["codex"].binary == "/opt/codex"
    assert config.policy.protected == ("deploy/**",)


@pytest.mark.parametrize("version", ["latest", "1", "../x"])
def test_a_harness_has_a_version_that_says_which(tmp_path: Path, version: str) -> None:
    assert "should be `tested`, or a version" in refused(
        tmp_path, f"harnesses: {{codex: {{version: '{version}'}}}}\n"
    )


def test_a_harness_has_one_program(tmp_path: Path) -> None:
    assert load(tmp_path, "harnesses: {codex: {version: 1.2.3-rc.1}}\n").harnesses["codex"].version
    both = "harnesses: {codex: {version: tested, binary: /opt/codex}}\n"
    assert "names binary and version" in refused(tmp_path, both)


def test_the_state_folder(tmp_path: Path) -> None:
    assert load(tmp_path, XDG_STATE_HOME="/var/x").state == Path("/var/x/skillrunner")
    assert load(tmp_path, XDG_STATE_HOME="relative").origin("state_dir") == "default"
    assert load(tmp_path, SKILLRUNNER_STATE_DIR="here").state == tmp_path / "here"


def test_every_fault_of_every_layer_is_told_with_its_place(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        "sandbx: docker\ngithub: {api_url: 'https://user:pw@host'}\n",
        {"forge": "Git Lab"},
        SKILLRUNNER_LIMITS_TIMEOUT="3",
        SKILLRUNNER_SANBOX="process",
    )
    file = tmp_path / FILE
    for place in (
        f"{file}:1:1: unknown key `sandbx`",
        f"{file}:2:19: should ",
        "--forge:1:1: should be a name",
        "SKILLRUNNER_LIMITS_TIMEOUT:1:1: should be a duration",
        "SKILLRUNNER_SANBOX:1:1: is not a variable that is read\n  did you mean `SKILLRUNNER_SANDBOX`?",
    ):
        assert place in message


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    assert load(tmp_path, SKILLRUNNER_PROMPT="/x", SKILLRUNNER_OUTPUTS="/y", HOME="/z").sandbox == "docker"


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_says_nothing(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == load(tmp_path)
    assert config_faults(FILE, text.encode()) == []


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"- a\n", "file is not a mapping"),
        (b"a: [\n", "not valid YAML"),
        (b"harnesses: {Codex: {}}\n", "should be a name"),
        (b"\xff", "file is not UTF-8"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / FILE).write_bytes(raw)
    assert message in refused(tmp_path)
    assert message in str(config_faults(FILE, raw)[0])


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="cannot be read: No such file"):
        load_config(tmp_path, file=tmp_path / "other.yaml", environ={})


def test_a_file_that_cannot_be_read_is_never_skipped(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert "cannot be read" in refused(tmp_path)
