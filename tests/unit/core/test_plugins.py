"""Kinds are found by name: our own modules, and third parties' behind entry points."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.core import plugins


@pytest.fixture
def fresh() -> Iterator[None]:
    for function in (plugins._modules, plugins._any_foreign):
        function.cache_clear()
    yield
    for function in (plugins._modules, plugins._any_foreign):
        function.cache_clear()


def install(folder: Path, name: str, code: str) -> None:
    """A third party's package with one harness, as pip leaves it."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[skillrunner.harnesses]\n{name} = {name}\n")


def test_our_own_kinds_have_option_models() -> None:
    ours = {"claude-code", "codex", "command", "copilot", "gemini", "opencode", "oz", "qwen"}
    assert ours <= set(plugins.kinds("harnesses"))
    assert plugins.module("harnesses", "command").__name__ == "runner.harnesses.command"


def test_a_sandbox_is_named_after_its_module_and_has_no_options() -> None:
    assert {"docker", "fake", "process"} <= set(plugins.names("sandboxes"))
    assert plugins.kinds("sandboxes") == {}


def test_an_unknown_kind_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        plugins.module("harnesses", "nothing")


@pytest.mark.usefixtures("fresh")
def test_a_third_party_adds_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from runner.config.documents import Model\n"
    code += "class O(Model): pass\nKINDS = {'other': O, 'command': O}\n"
    install(tmp_path, "skillrunner_other_harness", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plugins.module("harnesses", "other").__name__ == "skillrunner_other_harness"
    assert plugins.module("harnesses", "command").__name__ == "runner.harnesses.command"


@pytest.mark.usefixtures("fresh")
def test_without_third_parties_no_package_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    assert list(plugins._foreign("harnesses")) == []
