"""The tables. Times are UTC texts in ISO 8601, which sort as they should in every database."""

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("repository", Text, nullable=False),
    Column("skill", String(64), nullable=False),
    Column("trigger", String(40), nullable=False),
    Column("trigger_key", Text, nullable=False),
    Column("base_sha", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("started_at", String(32)),
    Column("ended_at", String(32)),
    Column("end_phase", String(20)),
    Column("end_reason", String(40)),
    Column("end_message", Text, nullable=False, default=""),
    Column("end_hint", Text, nullable=False, default=""),
    Column("end_retryable", Integer, nullable=False, default=0),
    Column("cost_usd", Float),
    Column("tokens_in", Integer, nullable=False, default=0),
    Column("tokens_out", Integer, nullable=False, default=0),
    Column("worker", Text, nullable=False, default=""),
    Column("image_digest", Text, nullable=False, default=""),
    Column("harness", String(64), nullable=False, default=""),
    Column("spec", Text, nullable=False, default="{}"),
    Index("runs_newest", "created_at", "id"),
    Index("runs_of_skill", "repository", "skill", "created_at", "id"),
    Index("runs_in_state", "state", "created_at", "id"),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", String(32), nullable=False),
    Column("phase", String(20), nullable=False),
    Column("state", String(20)),
    Column("message", Text, nullable=False),
    Column("data", Text, nullable=False, default="{}"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("path", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("media_type", String(100), nullable=False),
)

checks = Table(
    "checks",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("command", Text, nullable=False),
    Column("exit_code", Integer),
    Column("duration", Float, nullable=False),
    Column("output", Text, nullable=False),
    Column("ok", Integer, nullable=False),
)

refusals = Table(
    "refusals",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("rule", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("message", Text, nullable=False),
)

receipts = Table(
    "receipts",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(40), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("action", String(20), nullable=False),
    Column("url", Text, nullable=False),
    Column("number", Integer),
    Column("sha", String(64), nullable=False, default=""),
    Column("branch", Text, nullable=False, default=""),
)

pull_requests = Table(
    "pull_requests",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(10), nullable=False),
    Column("branch", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("draft", Integer, nullable=False),
    Column("labels", Text, nullable=False, default="[]"),
    Column("reviewers", Text, nullable=False, default="[]"),
    Column("author", Text, nullable=False, default=""),
    Column("created_at", String(32), nullable=False),
    # One open pull request for a branch: whoever comes second finds the first.
    Column("open_branch", Text),
    UniqueConstraint("repository", "open_branch", name="one_open_pull_request_for_a_branch"),
    Index("pull_requests_of_branch", "repository", "branch"),
)

comments = Table(
    "comments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("marker", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    UniqueConstraint("repository", "number", "marker", name="one_comment_for_a_marker"),
)
