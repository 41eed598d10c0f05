"""The tables. Times are UTC texts in ISO 8601, which sort as they should in every database."""

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from runner.store.event_tables import metadata as metadata  # with its tables, or they would not be made

runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("repository", Text, nullable=False),
    Column("skill", String(64), nullable=False),
    Column("trigger", String(40), nullable=False),
    Column("trigger_key", Text, nullable=False),
    Column("subject", Text, nullable=False, default=""),
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
    Column("cost_at_least", Float),
    Column("tokens_in", Integer, nullable=False, default=0),
    Column("tokens_out", Integer, nullable=False, default=0),
    Column("worker", Text, nullable=False, default=""),
    Column("image_digest", Text, nullable=False, default=""),
    Column("harness", String(64), nullable=False, default=""),
    Column("spec", Text, nullable=False, default="{}"),
    Index("runs_newest", "created_at", "id"),
    Index("runs_of_skill", "repository", "skill", "created_at", "id"),
    Index("runs_of_subject", "repository", "skill", "subject", "created_at"),
    Index("runs_in_state", "state", "created_at", "id"),
    Index("runs_ended", "ended_at"),
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

approvals = Table(
    "approvals",  # proposals that were shown to people, and what they said
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("target", Text, nullable=False),  # what it would be published to: of equal ones one waits
    Column("why", Text, nullable=False),
    Column("asked_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("verdict", String(10), nullable=False),  # empty: nobody has said anything
    Column("who", Text, nullable=False, default=""),
    Column("via", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("decided_at", String(32)),
    Column("proposal", Text, nullable=False),  # what is published then, on whichever machine; empty: it was
    Index("approvals_waiting", "verdict", "expires_at"),
)

messages = Table(
    "messages",  # what people say to an agent while it works
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("act", String(10), nullable=False),
    Column("at", String(32), nullable=False),
    Column("delivered_at", String(32)),  # when the agent was told
)

notes = Table(
    "notes",  # what agents remember of a skill, for its later runs
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("skill", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("run_id", String(40), nullable=False),  # whose note outlives it
    Column("at", String(32), nullable=False),
    Index("notes_of_skill", "repository", "skill", "id"),
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
    Column("item", Text),
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

forge_items = Table(
    "forge_items",  # what the local forge keeps besides pull requests
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("parent", Text, nullable=False),
    Column("number", Integer),
    Column("data", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    UniqueConstraint("repository", "number", name="one_item_for_a_number"),
    Index("forge_items_of_kind", "repository", "kind", "parent", "id"),
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

decisions = Table(
    "decisions",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("skill", String(64), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("trigger", String(40), nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("cause", String(20)),
    Column("message", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("due", String(32)),
    Column("run_id", String(40), nullable=False, default=""),
    Column("continues", String(40), nullable=False, default=""),
    Column("host", Text, nullable=False, default=""),
    Column("expires", String(32)),
    Column("subject_key", Text, nullable=False, default=""),  # what its run is about; empty: the skill itself
    Column("actor", Text, nullable=False, default=""),  # the login of whoever caused it; empty: nobody
    Index("decisions_newest", "repository", "skill", "at"),
    Index("decisions_of_run", "run_id"),
)

queue = Table(
    "queue",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("repository", Text, nullable=False),
    Column("skill", String(64), nullable=False),
    Column("priority", Integer, nullable=False),  # a lower one goes first
    Column("rank", String(32), nullable=False),  # made of the priority and the time: the order of all
    Column("not_before", String(32), nullable=False),
    Column("work", Text, nullable=False),  # JSON: what is to be done
    Column("admitted_at", String(32)),  # when it was given to the engine
    Column("owner", String(80), nullable=False, default=""),  # the worker that carries it out
    Column("turn", Integer, nullable=False, default=0),  # how often it was given to an engine
    Column("stop", Text, nullable=False, default=""),  # why it is to be stopped
    Column("told", Integer, nullable=False, default=0),  # its end was told to whoever waits for it
    Index("queue_order", "admitted_at", "rank", "run_id"),
    Index("queue_of_worker", "owner"),
    Index("queue_untold", "told"),
)

begun = Table(
    "begun",  # when workers began runs, as long ago as a rate may ask for
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("skill", String(64), nullable=False),
    Column("at", String(32), nullable=False, index=True),
)

schedules = Table(
    "schedules",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("line", Text, primary_key=True),
    Column("since", String(32), nullable=False),
)

watched = Table(
    "watched",  # the repositories that workers serve
    metadata,
    Column("repository", Text, primary_key=True),
    Column("read_at", String(32), nullable=False),  # when somebody could last read it, or first tried
    Column("fault", Text, nullable=False, default=""),  # why the last try failed; empty: it did not
    Column("worker", String(80), nullable=False),  # who tried last
    Column("next_try", String(32)),  # when a repository that failed is tried again; none: with the next poll
)

awaited = Table(
    "awaited",  # of each skill with a schedule the first slot that nobody has decided
    metadata,
    Column("repository", Text, primary_key=True),
    Column("skill", String(64), primary_key=True),
    Column("due", String(32), nullable=False, index=True),
)

skills = Table(
    "skills",  # the valid skills that workers have seen on the default branches
    metadata,
    Column("repository", Text, primary_key=True),
    Column("skill", String(64), primary_key=True),
    Column("triggers", Text, nullable=False, default=""),  # their names, with spaces between
    Column("enabled", Integer, nullable=False, default=1),
)

troubles = Table(
    "troubles",  # what keeps runs from starting, or events from being heard
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("place", String(40), primary_key=True),  # of the worker's state directory; empty: everywhere
    Column("repository", Text, primary_key=True),  # empty: any
    Column("subject", Text, primary_key=True),  # a skill or a list; empty: none
    Column("host", Text, nullable=False, default=""),
    Column("message", Text, nullable=False),
    Column("since", String(32), nullable=False),
)

alerts = Table(
    "alerts",  # what is wrong and was told
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("skill", Text, primary_key=True),  # empty: the repository
    Column("host", Text, primary_key=True),  # empty: no single machine has it
    Column("message", Text, nullable=False),
    Column("since", String(32), nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("repository", Text, primary_key=True),  # empty: all of them
    Column("skill", String(64), primary_key=True),  # empty: all of them
    Column("reason", Text, nullable=False, default=""),
    Column("circuit", Integer, nullable=False, default=0),  # no human did it: the skill failed too often
    Column("who", Text, nullable=False, default=""),  # the human, as their machine calls them
    Column("at", String(32), nullable=False),
    Column("resumed_at", String(32)),  # set: it is held no longer
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("host", Text, nullable=False),
    Column("place", String(40), nullable=False),  # its state directory, which may be one of many of a name
    Column("pid", Integer, nullable=False),
    Column("version", String(40), nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("silence", Float, nullable=False),  # seconds without a beat after which others take over
    Column("state", String(20), nullable=False),  # running, draining, stopped, lost
    Column("beats", Integer, nullable=False, default=0),
    Column("asked", Integer, nullable=False, default=0),  # to end: 1 when its runs have, 2 now
    Column("started_at", String(32), nullable=False),
    Column("seen_at", String(32), nullable=False),
    Index("workers_in_state", "state", "seen_at"),
)
