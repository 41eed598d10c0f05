"""The verdict of a case: the comparison of its result with the expected one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.gateway.model.cassette import difference
from runner.run.testing.case import Case
from runner.run.testing.rehearse import CaseRun


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseVerdict:
    """The verdict of a case on a skill."""

    skill: str
    case: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.problems


def compare_result(case: Case, came: CaseRun, seconds: float) -> CaseVerdict:
    """Compare the result of a case with the expected one."""
    wanted = case.options.expect
    problems = list(came.problems)
    if wanted is None:
        problems.append(f"nothing is expected yet: skillrunner record {case.skill} --case {case.name}")
    elif not problems:
        told = wanted.model_dump(exclude_unset=True)
        pairs = (
            ("the outcome", _lines(told), _lines(came.expected)),
            ("the patch", case.patch(), came.patch),
        )
        for what, before, now in pairs:
            if differs := difference(before.splitlines(), now.splitlines(), ("expected", "came")):
                problems.append(f"{what} differs from what is expected:\n{differs}")
    said = came.end.message
    if wanted is not None and problems and said and not any(said in one for one in problems):
        problems.append(f"the run ended {came.end.state}: {said}")
    warnings = []
    if case.options.harness and came.harness != case.options.harness:
        warnings.append(f"recorded with {case.options.harness}, and this is {came.harness}")
    return CaseVerdict(
        skill=case.skill,
        case=case.name,
        problems=tuple(problems),
        warnings=tuple(warnings),
        seconds=round(seconds, 2),
    )


def _lines(value: Any, at: str = "") -> str:
    """A value as lines, one for each scalar in it."""
    if isinstance(value, Mapping):
        return "".join(_lines(one, f"{at}.{key}" if at else str(key)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return "".join(_lines(one, f"{at}[{index}]") for index, one in enumerate(value))
    return f"{at}: {value}\n"
