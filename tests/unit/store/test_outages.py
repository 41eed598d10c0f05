"""Which errors of a database pass by themselves, and how an outage is told."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy.exc import DataError, InternalError, OperationalError, ProgrammingError

from runner.apps.worker.error_log import OUTAGE, ErrorLog, is_outage
from runner.apps.worker.lease import uptime
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.store import engine
from runner.store.database import database_errors, file_database, server_database

SERVER = server_database("postgresql://bot@db/runs")


def raised(kind: type[OperationalError], text: str) -> RunnerError:
    with pytest.raises(RunnerError) as caught, database_errors(SERVER):
        raise kind("SELECT 1", {}, Exception(text))
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "connection failed: FATAL:  the database system is starting up",
        "connection failed: FATAL:  the database system is shutting down",
        'connection to server at "10.0.0.9", port 5432 failed: Connection refused',
        "failed to resolve host 'db': [Errno -3] Temporary failure in name resolution",
        "server closed the connection unexpectedly",
        "FATAL:  sorry, too many clients already",
        "connection timeout expired",
    ],
)
def test_a_server_that_is_away_or_starts_is_waited_for(text: str) -> None:
    error = raised(OperationalError, text)
    assert (error.reason, is_outage(error)) == (Reason.STORE_FAILED, True)


@pytest.mark.parametrize(
    ("kind", "text", "waits"),
    [
        (OperationalError, 'FATAL:  password authentication failed for user "bot"', False),
        (OperationalError, 'FATAL:  role "bot" does not exist', False),
        (OperationalError, 'FATAL:  database "runs" does not exist', False),
        (OperationalError, 'FATAL:  no pg_hba.conf entry for host "10.0.0.1"', False),
        (ProgrammingError, 'relation "runs" does not exist', False),
        (DataError, "value too long for type character varying(64)", False),
        (InternalError, "cannot execute UPDATE in a read-only transaction", True),
    ],
)
def test_what_stays_the_same_is_not_waited_for(kind: type[OperationalError], text: str, waits: bool) -> None:
    assert is_outage(raised(kind, text)) is waits


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught, database_errors(file_database(tmp_path / "x")):
        raise OSError(5, "Input/output error")
    assert caught.value.retryable


def test_an_outage_is_told_once_whoever_meets_it_and_in_whatever_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    errors = ErrorLog(clock=lambda: now[0])
    for attempt, subject in enumerate(("care", "watch", "o/r", "care", "watch")):
        with errors.report_once(subject, f"{subject}: "):
            away = f"refused\n{attempt}"
            raise RunnerError(Phase.STORE, Reason.STORE_FAILED, away, retryable=True)
    errors.note_outage("another word for it", 0.0)
    assert errors.errors["o/r"] == "o/r: refused\n2", "what could not be read is known as that"
    now[0] = 1.0
    errors.note_answer(0.5)
    errors.note_answer(0.6)
    for subject in ("care", "watch", "o/r"):
        with errors.report_once(subject):
            pass
    assert errors.errors == {}
    said = [one.getMessage() for one in caplog.records]
    assert said == [
        "the database does not answer, and is waited for: refused 0",
        "the database answers again",
    ]
    with errors.report_once("care"):
        raise RunnerError(Phase.STORE, Reason.STORE_FAILED, "again", retryable=True)
    assert len(caplog.records) == 3, "the next outage is told again"


def test_a_late_failure_is_no_new_outage_and_an_early_answer_ends_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Threads report late: what counts is when a call began, not when it was told."""
    caplog.set_level(logging.INFO)
    now = [10.0]
    errors = ErrorLog(clock=lambda: now[0])
    errors.note_outage("refused", 9.0)
    errors.note_answer(9.5)
    assert OUTAGE in errors.present(), "it was asked before the outage"
    now[0] = 20.0
    errors.note_answer(19.0)
    errors.note_outage("timed out", 18.0)
    assert OUTAGE not in errors.present(), "the call began before the database answered"
    errors.note_outage("refused", 21.0)
    assert [one.levelname for one in caplog.records] == ["ERROR", "INFO", "ERROR"]


def test_an_outage_that_many_threads_meet_at_once_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    errors, together = ErrorLog(), Barrier(16)

    def meet(number: int) -> None:
        together.wait()
        for _ in range(50):
            errors.note_outage(f"refused {number}", uptime())
            with errors.report_once(f"o/{number}"):
                raise RunnerError(Phase.STORE, Reason.STORE_FAILED, "away", retryable=True)
            assert errors.present()

    with ThreadPoolExecutor(16) as pool:
        for one in [pool.submit(meet, number) for number in range(16)]:
            one.result()
    assert len(caplog.records) == 1


def test_the_queues_engine_complains_in_lines_of_ours() -> None:
    said: list[str] = []
    engine._redirect_log(said.append)
    trace = (
        "Traceback (most recent call last):\n  File x\nsqlalchemy.exc.OperationalError: (x) refused\n\tIs it?"
    )
    logging.getLogger("dbos").warning("Exception polling schedules: %s", trace)
    logging.getLogger("dbos").info("nothing")
    try:
        raise ValueError("deep")
    except ValueError:
        logging.getLogger("dbos").exception("it failed\nwith more")
    assert said == [
        "Exception polling schedules: sqlalchemy.exc.OperationalError: (x) refused",
        "it failed",
    ]
