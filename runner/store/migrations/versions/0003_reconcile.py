"""Bring every database that is marked 0002 to one shape.

Ten different sets of tables were in use under that mark: tables, columns and indexes were added without a
revision, and the revisions made the tables of whichever program ran them. The mark does not say what is
there, so this revision looks. It is the only one that does: each one after it knows what it finds.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_PAGE = 500  # runs whose specifications are in memory at a time


def upgrade() -> None:
    _make_tables()
    _add("workers", sa.Column("asked", sa.Integer, nullable=False, server_default="0"))
    _add("pauses", sa.Column("circuit", sa.Integer, nullable=False, server_default="0"), _mark_circuits)
    _add("decisions", sa.Column("continues", sa.String(40), nullable=False, server_default=""))
    _add("runs", sa.Column("subject", sa.Text, nullable=False, server_default=""), _copy_subjects)
    _add("queue", sa.Column("rank", sa.String(32), nullable=False, server_default=""), _compute_ranks)
    _add(
        "messages",
        sa.Column("act", sa.String(10), nullable=False, server_default="say"),
        _copy_stops,
        drop="stop",
    )
    _index("runs_ended", "runs", ["ended_at"])
    _index("runs_of_subject", "runs", ["repository", "skill", "subject", "created_at"])
    _index("queue_order", "queue", ["admitted_at", "rank", "run_id"])


def _add(
    table: str,
    column: sa.Column[str] | sa.Column[int],
    fill: Callable[[sa.Connection], None] | None = None,
    drop: str | None = None,
) -> None:
    """Add a column where it is absent, and have `fill` give the rows their values.

    The default serves the rows that are there. It is removed then: the program gives each value itself.
    """
    connection = op.get_bind()
    if column.name in {one["name"] for one in sa.inspect(connection).get_columns(table)}:
        return
    with op.batch_alter_table(table) as batch:
        batch.add_column(column)
    if fill is not None:
        fill(connection)
    with op.batch_alter_table(table) as batch:
        batch.alter_column(
            column.name, server_default=None, existing_type=column.type, existing_nullable=False
        )
        if drop is not None:
            batch.drop_column(drop)


def _index(name: str, table: str, columns: list[str]) -> None:
    """Make an index that is absent, or that has other columns."""
    found = {one["name"]: one["column_names"] for one in sa.inspect(op.get_bind()).get_indexes(table)}
    if found.get(name) == columns:
        return
    if name in found:
        op.drop_index(name, table)
    op.create_index(name, table, columns)


# --- the values of new columns ----------------------------------------------------------------------


def _mark_circuits(connection: sa.Connection) -> None:
    """The worker paused these: its reason always read so."""
    query = "UPDATE pauses SET circuit = 1 WHERE reason LIKE 'it failed % times in a row, the last time: %'"
    connection.execute(sa.text(query))


def _copy_subjects(connection: sa.Connection) -> None:
    """A run's subject stood in its specification alone, and before that in what was queued."""
    page = sa.text(
        "SELECT runs.id, runs.spec, queue.work FROM runs LEFT JOIN queue ON queue.run_id = runs.id"
        " WHERE runs.id > :after ORDER BY runs.id LIMIT :most"
    )
    update = sa.text("UPDATE runs SET subject = :subject WHERE id = :id")
    after = ""
    while rows := connection.execute(page, {"after": after, "most": _PAGE}).all():
        subjects = [
            {"id": run_id, "subject": _subject(_data(spec).get("trigger")) or _subject(_data(work))}
            for run_id, spec, work in rows
        ]
        known = [one for one in subjects if one["subject"]]
        if known:
            connection.execute(update, known)
        after = rows[-1].id


def _data(text: str | None) -> dict[str, object]:
    """A JSON object; what is none holds nothing for us, and must not stop the upgrade."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _subject(trigger: object) -> str:
    found = trigger.get("subject") if isinstance(trigger, dict) else None
    return found if isinstance(found, str) else ""


def _compute_ranks(connection: sa.Connection) -> None:
    """The order was that of priority and time; each number of priority is an hour by now."""
    query = "SELECT queue.run_id, queue.priority, runs.created_at FROM queue JOIN runs ON runs.id = run_id"
    ranks = [
        {"id": run_id, "rank": _rank(created_at, priority)}
        for run_id, priority, created_at in connection.execute(sa.text(query))
    ]
    if ranks:
        connection.execute(sa.text("UPDATE queue SET rank = :rank WHERE run_id = :id"), ranks)


def _rank(created_at: str, priority: int) -> str:
    rank = datetime.fromisoformat(created_at) + timedelta(hours=priority)
    return rank.isoformat(timespec="microseconds")


def _copy_stops(connection: sa.Connection) -> None:
    connection.execute(sa.text("UPDATE messages SET act = 'stop' WHERE stop = 1"))


# --- new tables -------------------------------------------------------------------------------------


def _make_tables() -> None:
    there = set(sa.inspect(op.get_bind()).get_table_names())
    for name, make in _TABLES.items():
        if name not in there:
            make()


def _begun() -> None:
    op.create_table(
        "begun",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("skill", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
    op.create_index("ix_begun_at", "begun", ["at"])


def _watched() -> None:
    op.create_table(
        "watched",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("read_at", sa.String(32), nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
        sa.Column("worker", sa.String(80), nullable=False),
    )


def _awaited() -> None:
    op.create_table(
        "awaited",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("skill", sa.String(64), primary_key=True),
        sa.Column("due", sa.String(32), nullable=False),
    )
    op.create_index("ix_awaited_due", "awaited", ["due"])


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("skill", sa.String(64), primary_key=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
    )


def _messages() -> None:
    run = sa.ForeignKey("runs.id", ondelete="CASCADE")
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(40), run, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("act", sa.String(10), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("delivered_at", sa.String(32)),
    )
    op.create_index("ix_messages_run_id", "messages", ["run_id"])


def _notes() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("skill", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
    op.create_index("notes_of_skill", "notes", ["repository", "skill", "id"])


_TABLES = {
    "begun": _begun,
    "watched": _watched,
    "awaited": _awaited,
    "alerts": _alerts,
    "messages": _messages,
    "notes": _notes,
}
