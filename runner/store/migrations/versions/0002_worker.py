"""What a worker needs: decisions, a queue, schedules, pauses, workers, and what it hears."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("runs_ended", "runs", ["ended_at"])
    _decisions()
    _queue()
    _workers()
    _events()


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("skill", sa.String(64), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("trigger", sa.String(40), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("cause", sa.String(20)),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("due", sa.String(32)),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("expires", sa.String(32)),
    )
    op.create_index("decisions_newest", "decisions", ["repository", "skill", "at"])
    op.create_index("decisions_of_run", "decisions", ["run_id"])
    op.create_table(
        "schedules",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("line", sa.Text, primary_key=True),
        sa.Column("since", sa.String(32), nullable=False),
    )
    op.create_table(
        "pauses",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("skill", sa.String(64), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("resumed_at", sa.String(32)),
    )


def _queue() -> None:
    run = sa.ForeignKey("runs.id", ondelete="CASCADE")
    op.create_table(
        "queue",
        sa.Column("run_id", sa.String(40), run, primary_key=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("skill", sa.String(64), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("not_before", sa.String(32), nullable=False),
        sa.Column("work", sa.Text, nullable=False),
        sa.Column("admitted_at", sa.String(32)),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("stop", sa.Text, nullable=False),
        sa.Column("told", sa.Integer, nullable=False),
    )
    op.create_index("queue_order", "queue", ["admitted_at", "priority", "not_before"])
    op.create_index("queue_of_worker", "queue", ["owner"])
    op.create_index("queue_untold", "queue", ["told"])


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("silence", sa.Float, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("beats", sa.Integer, nullable=False),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("seen_at", sa.String(32), nullable=False),
    )
    op.create_index("workers_in_state", "workers", ["state", "seen_at"])


def _events() -> None:
    op.create_table(
        "heard",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("source", sa.String(10), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
    op.create_index("ix_heard_at", "heard", ["at"])
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
    )
    op.create_table(
        "cursors",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("data", sa.Text, nullable=False),
    )
