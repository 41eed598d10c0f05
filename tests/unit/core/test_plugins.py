"""Kinds are found by name: our own modules, and third parties' behind entry points."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.core import plugins
from tests.parts.plugins import install


@pytest.fixture
def fresh() -> Iterator[None]:
    for function in (plugins._modules, plugins._any_foreign):
        function.cache_clear()
    yield
    for function in (plugins._modules, plugins._any_foreign):
        function.cache_clear()


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
    (tmp_path / "skillrunner_other_harness.py").write_text(code)
    third = install(tmp_path / "third", tmp_path / "skillrunner_other_harness.py", ["harnesses"])
    monkeypatch.syspath_prepend(str(third))
    assert plugins.module("harnesses", "other").__name__ == "skillrunner_other_harness"
    assert plugins.module("harnesses", "command").__name__ == "runner.harnesses.command"


@pytest.mark.usefixtures("fresh")
def test_without_third_parties_no_package_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    assert list(plugins._foreign("harnesses")) == []
