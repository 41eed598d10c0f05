"""`skillrunner test`: replay the cases of skills, with no model, no key and no network."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.apps.terminal import say, say_json
from runner.core.errors import ExitCode, RunnerError
from runner.core.model import Reason
from runner.core.redact import escape_invisible

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.run.testing.case import Case
    from runner.run.testing.rehearse import TestBench
    from runner.run.testing.verdict import CaseVerdict
    from runner.skills import Skill


@click.command()
@click.argument("skills", metavar="[SKILL]...", nargs=-1)
@click.option("--case", "name", metavar="NAME", help="This case alone.")
@click.option("--update", is_flag=True, help="Keep what comes out as what is expected from now on.")
@click.option("--sandbox", help="docker, process (isolates nothing), or an installed kind.")
@click.option("--image", help="Another container image.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write a JUnit report, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(
    context: click.Context,
    /,
    skills: tuple[str, ...],
    name: str | None,
    update: bool,
    junit: Path | None,
    as_json: bool,
    **forced: str | None,
) -> None:
    """Replay the cases of SKILLs; of all skills where none is named.

    The harness runs for real, on the case's own small repository; its model's answers are the recorded ones.
    A request that is not the recorded one fails the case, and so does another patch, another verdict of the
    policy, or another result of the verification. Exits with 1 where a case fails.

    With --update the recorded answers are given whatever is asked, and what comes out is kept: for a change
    of the prompt that would not change what the model says. Look at the difference before you commit it.
    """
    options: Options = context.obj
    from runner.run.launch import interrupt_on_sigterm
    from runner.run.testing.rehearse import open_bench

    force = {f"force_{key}": value for key, value in forced.items() if value is not None}
    verdicts: list[CaseVerdict] = []
    with interrupt_on_sigterm(), open_bench(options.root, options.config, force) as stage:
        for skill, case in _wanted(stage, skills, name):
            verdicts.append(_verdict(stage, skill, case, update))
            if not as_json:
                _print(verdicts[-1])
    if as_json:
        say_json({"cases": [{**asdict(one), "ok": one.ok} for one in verdicts]})
    else:
        _sum_up(verdicts, options.quiet)
    if junit is not None:
        junit.write_bytes(_report(verdicts))
    if not all(one.ok for one in verdicts):
        context.exit(ExitCode.FAILED)


def _wanted(stage: "TestBench", names: Sequence[str], case: str | None) -> Iterable[tuple["Skill", "Case"]]:
    """The cases, all of them read before the first one runs."""
    from runner.apps.cli import inputs
    from runner.config.documents import closest
    from runner.run.testing import case as cases
    from runner.run.testing.case_file import bad

    skills = [inputs.read_skill(stage.place, name) for name in names] or inputs.read_skills(stage.place)
    if not names and case is not None:
        known = {one.name: cases.names(stage.root / one.path) for one in skills}
        if not any(case in found for found in known.values()):
            hint = closest(case, sorted({name for found in known.values() for name in found}))
            raise bad(f"no skill has a case {case!r}", hint or "skillrunner record SKILL makes one")
        skills = [one for one in skills if case in known[one.name]]
    return [
        (one, found) for one in skills for found in cases.find_cases(one.name, stage.root / one.path, case)
    ]


def _verdict(stage: "TestBench", skill: "Skill", case: "Case", update: bool) -> "CaseVerdict":
    from runner.run.testing import case as cases
    from runner.run.testing.rehearse import accept_result, run_case
    from runner.run.testing.verdict import CaseVerdict, compare_result

    began = time.monotonic()
    try:
        came = run_case(stage, skill, case, "update" if update else "test")
        if came.end.reason is Reason.CANCELLED:
            raise KeyboardInterrupt
        if update:
            accept_result(case, came)
            case = cases.read(case.skill, case.folder)
    except RunnerError as error:
        message = f"{error.message}\n{error.hint}".rstrip()
        return CaseVerdict(skill=case.skill, case=case.name, problems=(message,))
    return compare_result(case, came, time.monotonic() - began)


def _print(verdict: "CaseVerdict") -> None:
    mark, colour = ("ok", "green") if verdict.ok else ("FAILED", "red")
    say(f"{mark} {verdict.skill}/{verdict.case} ({verdict.seconds:.1f} s)", colour=colour)
    for text in (*verdict.problems, *(f"warning: {one}" for one in verdict.warnings)):
        for line in escape_invisible(text).splitlines():
            say(f"    {line}")


def _sum_up(verdicts: Sequence["CaseVerdict"], quiet: bool) -> None:
    if not verdicts:
        say("no cases found: `skillrunner record SKILL` makes one")
    elif not quiet:
        failed = sum(not one.ok for one in verdicts)
        say(f"{len(verdicts)} case{'' if len(verdicts) == 1 else 's'}, {failed or 'none'} failed")


def _report(verdicts: Sequence["CaseVerdict"]) -> bytes:
    """As JUnit's XML, which CI systems read."""
    from xml.etree import ElementTree as Xml

    failed = sum(not one.ok for one in verdicts)
    counts = {"tests": str(len(verdicts)), "failures": str(failed)}
    suite = Xml.Element("testsuite", {"name": "skillrunner", **counts})
    for one in verdicts:
        named: dict[str, Any] = {"classname": one.skill, "name": one.case, "time": f"{one.seconds:.2f}"}
        case = Xml.SubElement(suite, "testcase", named)
        if not one.ok:
            told = escape_invisible("\n\n".join(one.problems))
            Xml.SubElement(case, "failure", {"message": told.splitlines()[0]}).text = told
    return bytes(Xml.tostring(suite, encoding="utf-8", xml_declaration=True))
