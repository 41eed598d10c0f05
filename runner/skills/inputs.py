"""What a run is given -> the value of every input that its skill declares. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.config.documents import closest
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.skills.loader import Skill


def resolve_inputs(skill: Skill, given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every declared input. Raises RunnerError INVALID_INPUT naming the first that is wrong."""
    declared = skill.options.inputs
    for name in given:
        if name not in declared:
            raise _bad_input(f"the skill {skill.name} has no input `{name}`", closest(name, declared))
    return {name: _input(name, option, given.get(name)) for name, option in declared.items()}


def inputs_from_words(skill: Skill, words: Sequence[str], values: Mapping[str, str]) -> dict[str, str]:
    """The inputs that somebody gave in words: `depth=2` by name, and all others by their places.

    Each input without a name gets one word, in the order in which they are declared, and the last one all
    that is left. Words that no input takes are in the event, and in no input. Raises RunnerError
    INVALID_INPUT where one is wrong.
    """
    given = dict(values)
    free = [name for name in skill.options.inputs if name not in given]
    rest = list(words)
    for name in free[: len(rest)]:
        is_last = name == free[-1]
        given[name] = " ".join(rest) if is_last else rest.pop(0)
    resolve_inputs(skill, given)
    return given


def _input(name: str, option: Any, value: Any) -> Any:
    if value is None:
        if option.required and option.default is None:
            raise _bad_input(f"input `{name}` is required", f"--input {name}=VALUE")
        return option.default
    converted = _CONVERT[option.type](value)
    if converted is None or (option.type == "choice" and converted not in option.options):
        wanted = f"one of {', '.join(option.options)}" if option.type == "choice" else f"a {option.type}"
        raise _bad_input(f"input `{name}` should be {wanted} (value: {value!r})", f"--input {name}=VALUE")
    return converted


def _number(value: object) -> float | int | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number.is_integer() else number


_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CONVERT: Mapping[str, Callable[[object], Any]] = {
    "string": str,
    "choice": str,
    "number": _number,
    "boolean": lambda value: _BOOLEANS.get(str(value).lower()),
}


def _bad_input(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=hint)
