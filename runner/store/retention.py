"""Removes old runs with everything that belongs to them, and keeps their files and the database small.

Each skill's newest ended run stays.
"""

import os
from datetime import datetime
from pathlib import Path

from sqlalchemy import Select, and_, delete, exists, or_, select

from runner.store import rows, tables
from runner.store.database import database_errors
from runner.store.records import ACTIVE
from runner.store.runs import Store
from runner.store.workers import LIVING

MAX_RUNS = 100
"""How many runs one pass removes, so that it blocks nothing else for long."""


def outdated_runs(store: Store, before: datetime, place: str) -> dict[str, int]:
    """At most MAX_RUNS runs that ended before then, oldest first: run id -> number of turns.

    Runs with files in the state directory of another living worker are left out.
    """
    runs, later, queue = tables.runs, tables.runs.alias("later"), tables.queue
    newer = or_(
        later.c.created_at > runs.c.created_at,
        and_(later.c.created_at == runs.c.created_at, later.c.id > runs.c.id),
    )
    same = and_(later.c.repository == runs.c.repository, later.c.skill == runs.c.skill)
    query = (
        select(runs.c.id, queue.c.turn)
        .outerjoin(queue)
        .where(runs.c.ended_at < rows.utc_time(before), runs.c.state.not_in(ACTIVE))
        .where(or_(queue.c.told.is_(None), queue.c.told == 1))
        .where(or_(queue.c.owner.is_(None), queue.c.owner.not_in(_elsewhere(place))))
        .where(exists().where(same, newer, later.c.state.not_in(ACTIVE)))
        .order_by(runs.c.ended_at)
        .limit(MAX_RUNS)
    )
    with database_errors(store.database), store.engine.connect() as connection:
        return {run_id: turn or 0 for run_id, turn in connection.execute(query)}


def runs_over_size(store: Store, most: int, now: datetime, place: str) -> dict[str, int]:
    """The oldest ended runs whose files make the folder of runs larger than `most`: run id -> turns.

    At most MAX_RUNS, and not the newest of a skill, as in `outdated_runs`.
    """
    sizes = _sizes(store.folder / "runs")
    too_much = sum(sizes.values()) - most
    chosen: dict[str, int] = {}
    if too_much > 0:
        for run_id, turns in outdated_runs(store, now, place).items():
            if too_much <= 0:
                break
            chosen[run_id] = turns
            too_much -= sizes.get(run_id, 0)
    return chosen


def _sizes(folder: Path) -> dict[str, int]:
    """The bytes that the files of each run take on the disk."""
    if not folder.is_dir():
        return {}
    return {
        one.name: _size(Path(one.path)) for one in os.scandir(folder) if one.is_dir(follow_symlinks=False)
    }


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{parent}/{name}").st_blocks * 512
            except OSError:
                continue  # it was removed meanwhile
    return total


_LARGE = 16 * 1024**2  # unused bytes of a file that are worth the work of giving them back


def shrink(store: Store) -> int:
    """Give the disk back what a file database no longer uses, if that is a quarter of it; return the bytes.

    Nobody can write meanwhile. PostgreSQL does this itself.
    """
    if not store.database.is_file:
        return 0
    with database_errors(store.database), store.engine.connect() as connection:
        raw = connection.execution_options(isolation_level="AUTOCOMMIT")
        pages, unused, size = (
            int(raw.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
        if unused * size < _LARGE or unused * 4 < pages:
            return 0
        raw.exec_driver_sql("VACUUM")
        raw.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
    return unused * size


def _elsewhere(place: str) -> Select[tuple[str]]:
    """The workers of other state directories that a living worker uses."""
    workers = tables.workers
    used = select(workers.c.place).where(workers.c.state.in_(LIVING), workers.c.place != place)
    return select(workers.c.id).where(workers.c.place.in_(used))


def remove(store: Store, run_ids: list[str]) -> None:
    """Delete runs and all their rows; decisions stay."""
    with database_errors(store.database), store.engine.begin() as connection:
        connection.execute(delete(tables.runs).where(tables.runs.c.id.in_(run_ids)))


def forget_decisions(store: Store, before: datetime) -> None:
    """Delete decisions from before then. The last decided slot of each schedule stays for ever."""
    with database_errors(store.database), store.engine.begin() as connection:
        old = tables.decisions.c.at < rows.utc_time(before)
        connection.execute(delete(tables.decisions).where(old))
