"""What a step tells of runs that published by several outputs."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runner.apps.action.report import _runs, outputs
from runner.apps.action.runs import RunResult
from runner.core.model import End, Phase, Receipt, RunState, result_url
from runner.core.model.decision import Decision, Verdict

PAGE_URL = "https://github.com/o/r/actions/runs/9"
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
    (row,) = [line for line in _runs([result(FILE, PAGE, PULL)], "", PAGE_URL) if line.startswith("| docs")]
    assert row.endswith("| [page](https://pages/1), [pull_request #7](https://g/o/r/pull/7) |")
    (row,) = [line for line in _runs([result(FILE)], "", PAGE_URL) if line.startswith("| docs")]
    assert row.endswith("| all was published |")


@pytest.mark.parametrize("receipts", [(), (PULL,)])
def test_the_summary_shows_what_the_agent_said_and_neutralises_it(receipts: tuple[Receipt, ...]) -> None:
    answered = replace(result(*receipts), answer="# Seven\n\nSeven modules, @everyone.")
    shown = "\n".join(_runs([answered], "", PAGE_URL))
    assert "**docs said:**" in shown
    assert "Seven modules" in shown
    assert "@everyone" not in shown
    assert "# Seven" not in shown


def test_the_summary_lists_what_was_published_and_what_was_not() -> None:
    staged = Receipt(kind="issue", key="i", action="staged", url="run:r")
    kept = Receipt(kind="report", key="r", action="created", url="run:r#report.md")
    updated = replace(PULL, kind="push_to_pull_request", action="updated", number=8)
    lines = list(_runs([result(PULL, updated, staged, kept, FILE)], "", PAGE_URL))
    assert [line for line in lines if line.startswith("- ")] == [
        "- pull request created: [pull_request #7](https://g/o/r/pull/7)",
        "- push to pull request updated: [push_to_pull_request #8](https://g/o/r/pull/7)",
        "- issue staged, not published",
        "- report created: the run's file report.md",
        "- file report created: file:///reports/docs.md",
    ]
    nothing = list(_runs([replace(result(staged), answer="Look.")], "", PAGE_URL))
    assert "- nothing was published" in nothing


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ([(0.25, None), (0.5, None)], "All runs together cost $0.75."),
        ([(0.25, None), (None, 0.5)], "All runs together cost at least $0.75."),
        ([(0.25, None), (None, None)], "All runs together cost at least $0.25."),
        ([(0.0, None), (0.0, None)], "All runs together cost $0.00."),
        ([(None, None), (None, None)], ""),
        ([(0.25, None)], ""),
    ],
)
def test_the_summary_adds_up_what_is_known_of_the_cost(
    costs: list[tuple[float | None, float | None]], said: str
) -> None:
    ran = [replace(result(PULL), cost_usd=exact, cost_at_least=least) for exact, least in costs]
    shown = "\n".join(_runs(ran, "", PAGE_URL))
    assert (said in shown) if said else ("together" not in shown)


def test_the_summary_says_where_the_artifacts_are() -> None:
    (line,) = [one for one in _runs([result()], "docs-9", PAGE_URL) if "artifact" in one]
    assert f"in the artifact `docs-9`, [below this run of the workflow]({PAGE_URL}#artifacts)." in line
    assert "artifact" not in "\n".join(_runs([result()], "", PAGE_URL))


def test_the_summary_says_what_did_not_go_with_what_was_published() -> None:
    warned = replace(result(PULL), warnings=("the label a|b was not set on https://g/o/r/pull/7: no",))
    shown = "\n".join(_runs([warned], "", PAGE_URL))
    assert "- **docs**, warning: the label a\\|b was not set on https://g/o/r/pull/7: no" in shown


def test_the_actions_outputs_name_the_pull_request_among_others() -> None:
    said = outputs(None, [], [result(FILE, PAGE, PULL)])
    assert (said["pull-request-url"], said["pull-request-number"]) == (PULL.url, "7")
    said = outputs(None, [], [result(PAGE)])
    assert (said["pull-request-url"], said["pull-request-number"]) == ("", "")
