"""The very lines that wake GitHub: around midnight, the ends of months and years, and changes of a clock."""

import pytest

from runner.triggers._cron_lines import cron_lines


@pytest.mark.parametrize(
    ("cron", "zone", "lines"),
    [
        # minutes: five apart at the least, and rounded up where they are closer
        ("0,4 9 * * *", "UTC", ["0,5 9 * * *"]),
        ("0,5 9 * * *", "UTC", ["0,5 9 * * *"]),
        ("1,6 9 * * *", "UTC", ["1,6 9 * * *"]),
        ("1,5 9 * * *", "UTC", ["5 9 * * *"]),
        ("1,59 * * * *", "UTC", ["0,5 * * * *"]),
        ("59 23,0 * * *", "UTC", ["59 */23 * * *"]),
        ("0,59 0,23 * * *", "UTC", ["0 0-1,23 * * *"]),
        # fields in the fewest words
        ("* * * * *", "UTC", ["*/5 * * * *"]),
        ("*/20 */6 * * *", "UTC", ["*/20 */6 * * *"]),
        ("*/50 0 * * *", "UTC", ["*/50 0 * * *"]),
        ("10,30,50 1,3 * * *", "UTC", ["10,30,50 1,3 * * *"]),
        ("0 1-5,9,11-12 * 1-3,5 *", "UTC", ["0 1-5,9,11-12 * 1-3,5 *"]),
        ("0 9 * 1-12 0-6", "UTC", ["0 9 * * *"]),
        # a day before, and a day after
        ("0 0 1 * *", "Asia/Tokyo", ["0 15 28-31 * *"]),
        ("0 0 2 * *", "Asia/Tokyo", ["0 15 1 * *"]),
        ("0 9 1 * *", "Asia/Tokyo", ["0 0 1 * *"]),
        ("0 8 1 1 *", "Asia/Tokyo", ["0 23 28-31 1,12 *"]),
        ("0 0 15 3 *", "Asia/Tokyo", ["0 15 14 2-3 *"]),
        ("0 0 28 2 *", "Pacific/Kiritimati", ["0 10 27 1-2 *"]),
        ("0 23 31 * *", "America/New_York", ["0 3-4 1 * *"]),
        ("0 23 27 * *", "America/New_York", ["0 3-4 28 * *"]),
        ("0 23 28 * *", "America/New_York", ["0 3-4 1,29 * *"]),
        ("0 23 * 12 6", "America/New_York", ["0 3-4 * 1,12 0"]),
        ("0 0 * * 0", "Asia/Tokyo", ["0 15 * * 6"]),
        ("0 0 1 * 1", "Asia/Tokyo", ["0 15 28-31 * 0"]),
        ("30 5 * * *", "Asia/Kolkata", ["0 0 * * *"]),
        ("29 5 * * *", "Asia/Kolkata", ["59 23 * * *"]),
        # what a clock jumps over
        ("15 2 * * *", "Australia/Lord_Howe", ["15,45 15 * * *", "30 15 * 9-10 6"]),
        ("30 0 * * *", "America/Havana", ["0 5 * 3 0", "30 4-5 * * *"]),
        ("59 1 * * *", "Europe/Berlin", ["59 */23 * * *"]),
        ("0 2 * * *", "Europe/Berlin", ["0 0-1 * * *"]),
        ("59 2 * * *", "Europe/Berlin", ["0 1 * 3 0", "59 0-1 * * *"]),
        ("0 3 * * *", "Europe/Berlin", ["0 1-2 * * *"]),
    ],
)
def test_the_lines(cron: str, zone: str, lines: list[str]) -> None:
    assert cron_lines(cron, zone) == lines
