"""What the worker's clock costs: ticks when nothing is due and when something is, memory, next slots.

Ticks stand beside a scan over all schedules that keeps each one's next slot, the next slot beside croniter
and cronsim, each in the same run. Memory is that of a fresh process with nothing but the timetable in it.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parent.parent))

from croniter import croniter
from cronsim import CronSim

from runner.scheduler.timetable import Timetable
from runner.triggers.schedule import Schedule
from runner.triggers.slots import next_due, slots

START = datetime(2026, 6, 1, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]
GOAL_MS, GOAL_MB = 10, 200
NEXT = {"* * * * *": 2000, "*/15 9-17 * * 1-5": 1000, "30 2 * * *": 1000, "0 9 * * 1": 300, "0 0 1 * *": 100}


def schedule(number: int) -> Schedule:
    """No two alike among 172,800: each minute of the day, thirty days of the month, four zones."""
    minute, hour, day = number % 60, number // 60 % 24, number // 1440 % 30 + 1
    days = "* * *" if number % 3 else f"{day},{day % 28 + 2} * {number % 7}"
    return Schedule(cron=f"{minute} {hour} {days}", timezone=ZONES[number % 4])


def filled(count: int) -> Timetable:
    table = Timetable()
    for number in range(count):
        table.put(f"repository-{number // 10}/skill-{number % 10}", [schedule(number)], START)
    return table


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


class Scan:
    """What is easier: a list, and a look at each of its entries."""

    def __init__(self, count: int) -> None:
        made = [schedule(number) for number in range(count)]
        self.lines = [(next_due(line, START), line) for line in made]

    def due(self, now: datetime) -> list[Schedule]:
        found = []
        for number, (at, line) in enumerate(self.lines):
            if at <= now:
                found.append(line)
                self.lines[number] = (next_due(line, now), line)
        return found


def ticks(count: int, rounds: int) -> None:
    started = time.perf_counter()
    table, scan = filled(count), Scan(count)
    built = time.perf_counter() - started
    idle, floor = (milliseconds(partial(one.due, START), rounds) for one in (table, scan))
    print(
        f"{count:>7,} schedules  idle tick {idle:9.4f} ms   beside a scan {floor:9.4f} ms"
        f"   x{idle / floor:.4f}   goal <= {GOAL_MS} ms   (both built in {built:.1f} s)"
    )
    minutes = [START + timedelta(minutes=number) for number in range(1, rounds + 1)]
    found: list[int] = []
    ours, theirs = iter(minutes), iter(minutes)
    due = milliseconds(lambda: found.append(len(table.due(next(ours)))), rounds)
    floor = milliseconds(lambda: scan.due(next(theirs)), rounds)
    print(
        f"{'':17}  due tick  {due:9.4f} ms   beside a scan {floor:9.4f} ms   x{due / floor:.4f}"
        f"   {statistics.median(found):g} slots each"
    )


def resident_mb() -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def show_memory(count: int) -> None:
    """To be asked in a process of its own."""
    filled(100)
    empty = resident_mb()
    table = filled(count)
    table.due(START)
    print(
        f"{count:>7,} schedules  memory    {resident_mb():9.1f} MB   beside {empty:.1f} MB with 100"
        f"   goal <= {GOAL_MB} MB"
    )


def each_us(found: Iterator[object], count: int) -> float:
    """Microseconds for each of the first `count`."""
    started = time.perf_counter()
    for _ in islice(found, count):
        pass
    return (time.perf_counter() - started) / count * 1_000_000


def one_by_one(asked: Schedule) -> Iterator[datetime]:
    at = START
    while True:
        at = next_due(asked, at)
        yield at


def next_slots(zone: str) -> None:
    """Our first pass, which fills caches that all lines share, stands apart; the peers keep nothing."""
    end, local = START.replace(year=3000), START.astimezone(ZoneInfo(zone))
    for cron, count in NEXT.items():
        asked = Schedule(cron=cron, timezone=zone)
        first, ours = (each_us(slots(asked, START, end), count) for _ in range(2))
        single = each_us(one_by_one(asked), count)
        one = each_us(croniter(cron, local).all_next(datetime), count)
        other = each_us(CronSim(cron, local), count)
        print(
            f"next of {cron:20} in a window {ours:5.1f} us, alone {single:5.1f}, first pass {first:5.1f}"
            f"   beside croniter {one:6.1f} us  x{ours / one:.2f}"
            f"   cronsim {other:6.1f} us  x{ours / other:.2f}"
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=21)
    options.add_argument("--schedules", type=int, nargs="*", default=[100, 10_000, 100_000])
    options.add_argument("--memory", type=int, help="only the memory of this process, with so many schedules")
    given = options.parse_args()
    if given.memory:
        show_memory(given.memory)
        return
    for count in given.schedules:
        ticks(count, given.rounds)
    largest = str(max(given.schedules))
    subprocess.run([sys.executable, __file__, "--memory", largest], check=True)
    next_slots("Europe/Berlin")


if __name__ == "__main__":
    main()
