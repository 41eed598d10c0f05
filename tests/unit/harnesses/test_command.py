"""Any program as a harness: exit 0 is not enough, it must have done something."""

import pytest

from runner.core.model import Message, Reason
from runner.harnesses.command import Command, CommandReader
from tests.parts.recordings import exited, judged, read, stopped, task


def test_the_command_line_is_taken_as_it_stands() -> None:
    launch = Command().launch(task("command", command=("sh", "-c", "echo $HOME; cat")))
    assert launch.argv == ("sh", "-c", "echo $HOME; cat")
    assert launch.stdin == b"Do the work.\n"


def test_options_are_checked() -> None:
    options = Command.options
    assert options.model_validate({"command": ["make", "docs"]}).command == ("make", "docs")
    for wrong in ({}, {"command": []}, {"command": "make"}, {"command": [""]}, {"command": ["a"], "x": 1}):
        with pytest.raises(ValueError):
            options.model_validate(wrong)


def test_lines_are_messages() -> None:
    events = read(CommandReader(), b"one\n\n\xfftwo", b"oops\n")
    assert events == [
        Message(text="one"),
        Message(text="\ufffdtwo"),
        Message(role="system", text="oops"),
    ]


@pytest.mark.parametrize(
    ("code", "changed", "reason"),
    [(0, True, None), (0, False, Reason.NO_CHANGES), (3, True, Reason.HARNESS_FAILED)],
)
def test_what_an_exit_means(code: int, changed: bool, reason: Reason | None) -> None:
    found = judged(Command(), b"working\n", exited(code), changed)
    assert (found.ok, found.reason) == (reason is None, reason)


def test_a_death_is_explained() -> None:
    assert judged(Command(), b"", exited(2), True, stderr=b"no rule\n").message == (
        "the command exited with code 2: no rule"
    )
    assert judged(Command(), b"", exited(-9), True).message == "the command died by signal 9"


def test_a_command_that_was_stopped() -> None:
    found = judged(Command(), b"", stopped("timeout"), True)
    assert found.reason is Reason.WALL_CLOCK
    assert found.message == "the command reached its time limit after 60 s"


@pytest.mark.parametrize(
    ("api", "names"),
    [
        ("anthropic", ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_MODEL")),
        ("openai", ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL")),
        ("gemini", ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "GEMINI_MODEL")),
    ],
)
def test_with_an_api_any_program_has_a_model_and_no_key(api: str, names: tuple[str, str, str]) -> None:
    asked = task("command", model="m", command=("agent",), api=api)
    values = ("http://10.0.0.1:4000/token", "placeholder", "m")
    assert Command().launch(asked).variables == dict(zip(names, values, strict=True))
    access = Command().model_for({"api": api})
    assert access is not None
    assert access.key_variable == names[1]


def test_without_an_api_a_program_has_no_model() -> None:
    assert Command().model_for({}) is None
    assert Command().launch(task("command", command=("agent",))).variables == {}
