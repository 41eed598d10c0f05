"""What clock and chance make of a text: what has a shape, what is a time of the run, and what is neither."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.gateway.model.nondeterminism import Span, differs_in_time_alone, name_shapes, name_times

THEN = Span(datetime(2026, 11, 29, 0, 44, 5, tzinfo=UTC), datetime(2026, 11, 29, 0, 46, tzinfo=UTC))
NOW = Span(datetime(2027, 3, 7, 14, 9, 58, tzinfo=UTC), datetime(2027, 3, 7, 14, 11, tzinfo=UTC))


@pytest.mark.parametrize(
    "lines",
    [
        ("-rw-r--r-- 1 root root 12 Nov 29 00:44 a.md", "-rw-r--r-- 1 1000 1000    12 Nov 29  2026 a.md"),
        ("drwxr-xr-x 3 1000 1000 4096 Nov 29 00:44 docs", "drwxr-xr-x 1 ci ci 60 Mar  7 14:10 docs"),
        ("total 8\n-rwx------ 1 a a 1 Nov 29 00:44 b", "total 0\n-rwx------. 2 b b 1 Mar  7 14:10 b"),
        (" 4 -rw-r--r-- 1 a a 1.2K Nov 29 00:44 b", " 8 -rw-r--r-- 1 b b 1.2K Mar  7 14:10 b"),
        (
            "-rw-r--r-- 1 a a 1 2026-11-29 00:44:05.123456789 +0000 b",
            "-rw-r--r-- 1 b b 1 2027-03-07 14:10:00.000000000 +0000 b",
        ),
        ("lrwxrwxrwx 1 a a 4 Nov 29 00:44 l -> a.md", "lrwxrwxrwx 1 b b 4 Mar  7 14:10 l -> a.md"),
        (
            "Output: total 8\n-rw-r--r-- 1 a a 1 Nov 29 00:44 b",
            "Output: total 4\n-rw-r--r-- 1 a a 1 Mar  7 14:10 b",
        ),
        ("Sun Nov 29 00:44:05 UTC 2026", "Sun Mar  7 14:10:00 UTC 2027"),
        ("Date:   Sun Nov 29 00:44:05 2026 +0000", "Date:   Sun Mar 7 14:10:00 2027 +0100"),
        ("Sun, 29 Nov 2026 00:44:05 +0000", "Sun, 07 Mar 2027 14:10:00 +0100"),
        ("abc 3 minutes ago", "abc 2 years, 3 months ago"),
        ("===== 3 passed in 0.01s =====", "==== 3 passed in 12.01s ===="),
        ("1 failed, 2 passed in 0.01s", "1 failed, 2 passed in 61.20s (0:01:01)"),
        ("no tests ran in 0.01s", "no tests ran in 0.02s"),
        ("0.12s call     tests/test_x.py::test", "1.10s call     tests/test_x.py::test"),
        ("Ran 3 tests in 0.001s", "Ran 3 tests in 1.204s"),
        ("ok  \texample.com/x\t0.003s", "ok  \texample.com/x\t1.20s"),
        ("--- PASS: TestX (0.00s)", "--- PASS: TestX (0.10s)"),
        ("Time:        1.234 s, estimated 2 s", "Time:        0.9 s"),
        ("  3 passing (12ms)", "  3 passing (1s)"),
        ("test result: ok. finished in 0.00s", "test result: ok. finished in 1.10s"),
        ("real\t0m0.004s\nuser\t0m0.001s", "real\t1m2.104s\nuser\t0m1.001s"),
        (
            "  Size: 23   \tBlocks: 8    IO Block: 4096 file\nDevice: 254,0\tInode: 2458446  Links: 1",
            "  Size: 23   \tBlocks: 1    IO Block: 1024 file\nDevice: 0,17\tInode: 2  Links: 1",
        ),
        (
            "Access: (0644/-rw-r--r--)  Uid: ( 1000/   agent)   Gid: ( 1000/   agent)",
            "Access: (0644/-rw-r--r--)  Uid: (    0/    root)   Gid: (    0/    root)",
        ),
        ("/tmp/pytest-of-root/pytest-0/x", "/tmp/pytest-of-ci/pytest-12/x"),
    ],
)
def test_what_tools_print_by_the_clock_is_the_same(lines: tuple[str, str]) -> None:
    one, other = map(name_shapes, lines)
    assert one == other
    assert name_shapes(one) == one


@pytest.mark.parametrize(
    "lines",
    [
        ("-rw-r--r-- 1 a a 12 Nov 29 00:44 a.md", "-rw-r--r-- 1 a a 13 Nov 29 00:44 a.md"),
        ("-rw-r--r-- 1 a a 12 Nov 29 00:44 a.md", "-rwxr-xr-x 1 a a 12 Nov 29 00:44 a.md"),
        ("-rw-r--r-- 1 a a 12 Nov 29 00:44 a.md", "-rw-r--r-- 1 a a 12 Nov 29 00:44 b.md"),
        ("== 3 passed in 0.01s ==", "== 2 passed in 0.01s =="),
        ("total 12", "total 13"),
        ("it waits 5 s", "it waits 6 s"),
        ("Duration: 5 minutes", "Duration: 6 minutes"),
        ("retried in 0.5s", "retried in 0.7s"),
        ("ok  \tx\t0.003s", "FAIL\tx\t0.003s"),
        ("2026-01-05", "2026-01-06"),
        ("on Sun Nov 29", "on Mon Nov 30"),
    ],
)
def test_what_is_no_clock_still_counts(lines: tuple[str, str]) -> None:
    one, other = map(name_shapes, lines)
    assert one != other


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("2026-11-29", "2027-03-07"),
        ("Today is Sunday, November 29, 2026.", "Today is Sunday, March 7, 2027."),
        ("29 Nov 2026 and Nov 29", "7 Mar 2027 and Mar 7"),
        ("20261129-004500.log", "20270307-141000.log"),
        ("20261129T004500", "20270307T141000"),
        ("11/29/26 00:45", "03/07/27 14:10"),
        ("29.11.2026", "07.03.2027"),
        ("[00:45:10] done", "[14:10:10] done"),
        ("12:45:10 AM", "02:10:10 PM"),
        (f"{int(THEN.begin.timestamp())}", f"{int(NOW.end.timestamp())}"),
        (f"{int(THEN.begin.timestamp()) + 9}.123456", f"{int(NOW.begin.timestamp()) + 9}.5"),
        (f"{int(THEN.begin.timestamp()) + 9}123", f"{int(NOW.begin.timestamp()) + 9}999"),
        (f"{int(THEN.begin.timestamp()) + 9}123456789", f"{int(NOW.begin.timestamp()) + 9}123456780"),
    ],
)
def test_a_time_of_the_run_may_be_another(then: str, now: str) -> None:
    assert differs_in_time_alone(then, now, THEN, NOW)
    assert differs_in_time_alone(then, then, THEN, NOW)
    assert not differs_in_time_alone(now, then, THEN, NOW)
    assert "<now>" in name_times(then, [THEN])


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("due 2026-12-24", "due 2026-12-25"),  # a date that says more
        ("due 2026-12-24", "due 2027-03-07"),
        ("due 2026-11-29", "due 2027-03-08"),
        ("open from 09:00", "open from 14:10"),
        ("at 00:45", "at 14:30"),
        ("1234567890", "1234567891"),
        ("a 00:45 b", "b 14:10 a"),
        ("00:45", "00:45 14:10"),
        ("99:99", "98:98"),
        ("20261399", "20270307"),
    ],
)
def test_another_time_is_another_text(then: str, now: str) -> None:
    assert not differs_in_time_alone(then, now, THEN, NOW)


def test_a_run_over_midnight_has_two_dates() -> None:
    late = Span(NOW.begin, NOW.begin + timedelta(hours=10))
    assert all(late.holds(text) for text in ("2027-03-07", "2027-03-08", "23:59:59", "00:00", "Mon"))
    assert not late.holds("2027-03-09")
