"""Kinds are found by name, our own and third parties' behind entry points, and checked when loaded."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from runner.apps.families import FAMILIES
from runner.core import plugins
from runner.core.errors import RunnerError, exit_code
from runner.core.plugins import PluginError
from runner.harnesses import HARNESSES, Harness
from runner.sandboxes import SANDBOXES
from tests.parts.plugins import unpack

GOOD = """
from runner.config.documents import Model
from runner.core.model import Outcome
from runner.harnesses import Harness, Launch, Reader

class Options(Model):
    '''A test.'''

class Reading(Reader):
    def read(self, stream, line):
        return []

    def outcome(self, ended, changed):
        return Outcome(ok=True)

class Other(Harness):
    name = "other"
    options = Options

    def launch(self, task):
        return Launch(argv=("true",))

    def reader(self):
        return Reading()

PLUGINS = (Other,)
"""

Installed = Callable[..., Path]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Installs packages for this test alone."""

    def add(code: str, name: str = "acme_harness", family: str = "harnesses") -> Path:
        file = tmp_path / f"{name}.py"
        file.write_text(code)
        monkeypatch.syspath_prepend(str(unpack(tmp_path / name, file, [family])))
        names.append(name)
        _forget()
        return tmp_path / name / f"{name}.py"

    names: list[str] = []
    _forget()
    yield add
    monkeypatch.undo()
    for name in names:
        sys.modules.pop(name, None)
    _forget()


def _forget() -> None:
    for function in (plugins._load, plugins._any_foreign):
        function.cache_clear()


def refused() -> PluginError:
    with pytest.raises(PluginError) as caught:
        HARNESSES.all()
    assert exit_code(caught.value.end) == 3
    assert "docs/plugins.md" in caught.value.hint
    return caught.value


def test_our_own_kinds() -> None:
    names = {"acp", "claude-code", "codex", "command", "copilot", "gemini", "opencode", "oz", "qwen"}
    assert set(HARNESSES.names()) == names
    assert SANDBOXES.names() == ["docker", "fake", "process"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)
def test_every_kind_goes_by_its_name(family: plugins.Family[plugins.Plugin]) -> None:
    assert [kind.name for kind in family.all().values()] == family.names()
    assert family.names() == sorted(set(family.names()))


def test_a_file_without_plugins_is_a_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_family"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helper.py").write_text("def open(spec): ...\n")
    (package / "real.py").write_text(GOOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plugins.Family[Harness]("nothing", "a_family", Harness).names() == ["other"]


def test_a_kind_is_the_same_object_each_time() -> None:
    assert HARNESSES.get("command") is HARNESSES.all()["command"]


def test_who_asks_for_an_unknown_kind_hears_what_there_is() -> None:
    with pytest.raises(RunnerError) as caught:
        SANDBOXES.get("dokcer")
    assert caught.value.message == "there is no `dokcer` among the sandboxes"
    assert caught.value.hint == "did you mean docker? there are: docker, fake, process"
    with pytest.raises(RunnerError) as caught:
        SANDBOXES.get("vm")
    assert caught.value.hint == "there are: docker, fake, process"


def test_a_third_party_adds_a_kind(installed: Installed) -> None:
    installed(GOOD)
    assert HARNESSES.get("other").launch.__module__ == "acme_harness"
    assert len(HARNESSES.names()) == 10
    (found,) = HARNESSES.third_parties()
    assert (found.package, found.family, found.kinds, found.error) == (
        "acme_harness 1.0",
        "harnesses",
        ("other",),
        None,
    )


def test_without_third_parties_no_package_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    _forget()
    monkeypatch.setattr("sys.path", [])
    assert list(HARNESSES.third_parties()) == []
    _forget()


BROKEN: Mapping[str, tuple[str, str, str]] = {
    "a method is missing": ("    def reader(self)", "    def read_it(self)", "Other lacks reader"),
    "an attribute is missing": ("    options = Options\n", "", "Other lacks options"),
    "two are missing": ('    name = "other"\n    options = Options\n', "", "Other lacks name, options"),
    "it does not derive": (
        "class Other(Harness)",
        "class Other",
        "Other does not derive from runner.harnesses.Harness",
    ),
    "it has no PLUGINS": ("PLUGINS = (Other,)", "", "has no PLUGINS"),
    "PLUGINS is no tuple": ("(Other,)", "[Other]", "PLUGINS is not a tuple of classes"),
    "PLUGINS holds an object": ("(Other,)", "(Other(),)", "PLUGINS is not a tuple of classes"),
    "its name is no name": (
        '"other"',
        '"An Other"',
        "Other has the name 'An Other': write a-z, 0-9, - and _",
    ),
    "its name is no text": ('"other"', "7", "Other has the name 7: write a-z, 0-9, - and _"),
    "its options are no model": (
        "options = Options",
        "options = dict",
        "Other.options is <class 'dict'>: Input should be a subclass of Model",
    ),
    "it has a word of its own": (
        'name = "other"',
        'name = "other"\n    mcp = "all"',
        "Other.mcp is 'all': Input should be 'any', 'ours' or ''",
    ),
    "it has a text for a flag": (
        'name = "other"',
        'name = "other"\n    resumes = "no"',
        "Other.resumes is 'no': Input should be a valid boolean",
    ),
    "its model is an address": (
        'name = "other"',
        'name = "other"\n    model = "http://x"',
        "Other.model is 'http://x': Input should be",
    ),
    "it cannot be created": (
        "    def launch(",
        "    def __init__(self):\n        raise OSError('no room')\n\n    def launch(",
        "Other cannot be created: OSError: no room",
    ),
    "it cannot be imported": ("PLUGINS", "import nothing_of_that_name\nPLUGINS", "ModuleNotFoundError"),
    "it exits": ("PLUGINS", "import sys\nsys.exit(0)\nPLUGINS", "it cannot be imported: SystemExit: 0"),
    "it is no Python": ("PLUGINS = ", "PLUGINS ==== ", "SyntaxError"),
    "it takes a name of ours": ('"other"', '"codex"', "Other takes the name `codex`, which "),
    "it takes a name of its own": ("(Other,)", "(Other, Other)", "Other takes the name `other`, which "),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_plugin_is_named_with_its_file(what: str, installed: Installed) -> None:
    before, after, message = BROKEN[what]
    assert before in GOOD
    file = installed(GOOD.replace(before, after))
    error = refused()
    assert message in error.message
    assert str(file) in error.message
    (found,) = HARNESSES.third_parties()
    assert found.error is not None
    assert (found.kinds, found.error.message) == ((), error.message)


def test_the_line_that_fails_when_it_is_imported_is_named(installed: Installed) -> None:
    file = installed("import os\n\nos.environ['NO_SUCH_VARIABLE']\n" + GOOD)
    message = refused().message
    assert f"{file}:3: it cannot be imported: KeyError: 'NO_SUCH_VARIABLE'" in message


def test_a_module_that_is_not_there_is_named(installed: Installed) -> None:
    installed(GOOD).unlink()
    sys.modules.pop("acme_harness", None)
    _forget()
    assert "acme_harness: it cannot be imported: ModuleNotFoundError" in refused().message


def test_two_packages_cannot_share_a_name(installed: Installed) -> None:
    first, second = installed(GOOD, "acme_one"), installed(GOOD, "acme_two")
    assert refused().message == f"{second}: Other takes the name `other`, which {first} has already"
    ok, broken = HARNESSES.third_parties()
    assert (ok.kinds, broken.kinds) == (("other",), ())
    assert broken.error is not None


def test_an_entry_point_names_a_module(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    file = installed(GOOD)
    points = file.parent / "acme_harness-1.0.dist-info/entry_points.txt"
    points.write_text("[skillrunner.harnesses]\nother = acme_harness:Other\n")
    assert "the entry point acme_harness:Other has no PLUGINS" in refused().message


def test_a_broken_plugin_of_one_family_leaves_the_others_alone(installed: Installed) -> None:
    installed("PLUGINS = 1\n", family="harnesses")
    refused()
    assert "docker" in SANDBOXES.names()
