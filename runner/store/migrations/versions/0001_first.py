"""The first tables: runs, what belongs to them, and the pull requests of the local forge.

A revision never imports `runner.store.tables`: those are the tables of today.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _runs()
    _of_runs()
    _results()
    _pull_requests()


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("skill", sa.String(64), nullable=False),
        sa.Column("trigger", sa.String(40), nullable=False),
        sa.Column("trigger_key", sa.Text, nullable=False),
        sa.Column("base_sha", sa.String(64), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("started_at", sa.String(32)),
        sa.Column("ended_at", sa.String(32)),
        sa.Column("end_phase", sa.String(20)),
        sa.Column("end_reason", sa.String(40)),
        sa.Column("end_message", sa.Text, nullable=False),
        sa.Column("end_hint", sa.Text, nullable=False),
        sa.Column("end_retryable", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float),
        sa.Column("tokens_in", sa.Integer, nullable=False),
        sa.Column("tokens_out", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("image_digest", sa.Text, nullable=False),
        sa.Column("harness", sa.String(64), nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
    )
    op.create_index("runs_newest", "runs", ["created_at", "id"])
    op.create_index("runs_of_skill", "runs", ["repository", "skill", "created_at", "id"])
    op.create_index("runs_in_state", "runs", ["state", "created_at", "id"])


def _of_runs() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        _run_id(),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("phase", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20)),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("ix_events_run_id", "events", ["run_id"])
    op.create_table(
        "artifacts",
        _run_id(primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
    )


def _results() -> None:
    op.create_table(
        "checks",
        _run_id(primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("duration", sa.Float, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("ok", sa.Integer, nullable=False),
    )
    op.create_table(
        "refusals",
        _run_id(primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("rule", sa.String(40), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
    )
    op.create_table(
        "receipts",
        _run_id(primary_key=True),
        sa.Column("kind", sa.String(40), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("sha", sa.String(64), nullable=False),
        sa.Column("branch", sa.Text, nullable=False),
    )


def _pull_requests() -> None:
    op.create_table(
        "pull_requests",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("branch", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("draft", sa.Integer, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("reviewers", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("open_branch", sa.Text),
        sa.UniqueConstraint("repository", "open_branch", name="one_open_pull_request_for_a_branch"),
    )
    op.create_index("pull_requests_of_branch", "pull_requests", ["repository", "branch"])
    op.create_table(
        "comments",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("marker", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.UniqueConstraint("repository", "number", "marker", name="one_comment_for_a_marker"),
    )


def _run_id(*, primary_key: bool = False) -> sa.Column[str]:
    run = sa.ForeignKey("runs.id", ondelete="CASCADE")
    return sa.Column("run_id", sa.String(40), run, primary_key=primary_key, nullable=False)
