"""The verdict of a case: the comparison of its result with the expected one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.gateway.model.matching import PATCH, Lines, Matching
from runner.run.testing.case import Case
from runner.run.testing.case_file import ExpectedResult
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
    if not problems and not came.is_worth_keeping:
        problems.append(f"the run ended {came.end.state}: {came.end.message}\n{came.end.hint}".rstrip())
    elif wanted is None:
        problems.append(f"nothing is expected yet: skillrunner record {case.skill} --case {case.name}")
    elif not problems:
        problems += _differences(case, wanted, came)
        said = came.end.message
        if problems and said and not any(said in one for one in problems):
            problems.append(f"the run ended {came.end.state}: {said}")
    warnings = []
    if " " in came.harness and case.options.harness not in ("", came.harness):
        warnings.append(f"recorded with {case.options.harness}, and this is {came.harness}")
    return CaseVerdict(
        skill=case.skill,
        case=case.name,
        problems=tuple(problems),
        warnings=tuple(warnings),
        seconds=round(seconds, 2),
    )


def _differences(case: Case, wanted: ExpectedResult, came: CaseRun) -> list[str]:
    """How the result differs, and the patch; times may be others, and what the case's patterns match."""
    told = _lines(wanted.model_dump(exclude_unset=True))
    matching, found = case.matching(PATCH), []
    pairs: Mapping[str, tuple[Lines, Lines]] = {
        "the outcome": (Lines(told.splitlines()), Lines(_lines(came.expected).splitlines())),
        "the patch": (_patch(case.patch(), matching), _patch(came.patch, matching)),
    }
    for what, (before, now) in pairs.items():
        if not matching.equal(before, now, came.span):
            text = matching.describe_difference(before, now, came.span, ("expected", "came"))
            found.append(f"{what} differs from what is expected:\n{text}")
    return found


def _patch(text: str, matching: Matching) -> Lines:
    return Lines(text.splitlines(), matching.patterns, PATCH)


def _lines(value: Any, at: str = "") -> str:
    """A value as lines, one for each scalar in it."""
    if isinstance(value, Mapping):
        return "".join(_lines(one, f"{at}.{key}" if at else str(key)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return "".join(_lines(one, f"{at}[{index}]") for index, one in enumerate(value))
    return f"{at}: {value}\n"
