"""Two triggers that hear the same event are refused where people look first."""

import pytest

from runner.triggers import TRIGGERS
from tests.parts.cli import Project, skill_files

SKILL = "on: {release: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_validate_refuses_two_triggers_that_hear_the_same_event(
    project: Project, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    project.write(skill_files("docs", SKILL))
    assert project.skillrunner("validate", *more).code == 0
    monkeypatch.setattr(type(TRIGGERS.get("push")), "action_events", lambda _: ("release",))
    done = project.skillrunner("validate", *more)
    assert done.code == 3
    told = done.err + done.out
    assert "the triggers push and release both hear GitHub's event release" in told
    assert "remove the package of one of them" in told
