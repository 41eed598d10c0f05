"""What a step tells of runs that published by several outputs."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runner.apps.action.report import _runs, outputs
from runner.apps.action.runs import RunResult
from runner.core.model import End, Phase, Receipt, RunState, result_url
from runner.core.model.decision import Decision, Verdict

AT = datetime(2026, 1, 2, tzinfo=UTC)
PULL = Receipt(
    kind="pull_request", key="k", action="created", url="https://g/o/r/pull/7", number=7, branch="b"
)
PAGE = Receipt(kind="page", key="k", action="created", url="https://pages/1")
FILE = Receipt(kind="file_report", key="k", action="created", url="file:///reports/docs.md")


def result(*receipts: Receipt) -> RunResult:
    decision = Decision(
        key="k", skill="docs", trigger="push", verdict=Verdict.STARTED, message="m", at=AT, run_id="r"
    )
    end = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH, message="all was published")
    return RunResult(decision=decision, end=end, receipts=receipts)


@pytest.mark.parametrize(
    ("receipts", "url"),
    [((), ""), ((FILE, PULL), PULL.url), ((PULL, FILE), PULL.url), ((FILE, PAGE), FILE.url)],
)
def test_a_run_leads_to_its_changed_files(receipts: tuple[Receipt, ...], url: str) -> None:
    assert result_url(receipts) == url


def test_the_summary_links_what_can_be_opened() -> None:
    (row,) = [line for line in _runs([result(FILE, PAGE, PULL)], "") if line.startswith("| docs")]
    assert row.endswith("| [page](https://pages/1), [pull_request #7](https://g/o/r/pull/7) |")
    (row,) = [line for line in _runs([result(FILE)], "") if line.startswith("| docs")]
    assert row.endswith("| all was published |")


def test_the_summary_shows_an_answer_where_nothing_was_published() -> None:
    answered = replace(result(), answer="# Seven\n\nSeven modules, @everyone.")
    shown = "\n".join(_runs([answered], ""))
    assert "### docs said" in shown
    assert "Seven modules" in shown
    assert "@everyone" not in shown
    assert "# Seven" not in shown
    assert "said" not in "\n".join(_runs([replace(result(PULL), answer="x")], ""))


def test_the_summary_says_what_did_not_go_with_what_was_published() -> None:
    warned = replace(result(PULL), warnings=("the label a|b was not set on https://g/o/r/pull/7: no",))
    shown = "\n".join(_runs([warned], ""))
    assert "- **docs**, warning: the label a\\|b was not set on https://g/o/r/pull/7: no" in shown


def test_the_actions_outputs_name_the_pull_request_among_others() -> None:
    said = outputs(None, [], [result(FILE, PAGE, PULL)])
    assert (said["pull-request-url"], said["pull-request-number"]) == (PULL.url, "7")
    said = outputs(None, [], [result(PAGE)])
    assert (said["pull-request-url"], said["pull-request-number"]) == ("", "")
