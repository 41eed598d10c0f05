"""Keep what keeps runs from starting, which skills there are, and who paused what."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _add_who()
    _add_host()
    op.create_table(
        "skills",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("skill", sa.String(64), primary_key=True),
        sa.Column("triggers", sa.Text, nullable=False),
        sa.Column("enabled", sa.Integer, nullable=False),
    )
    op.create_table(
        "troubles",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("place", sa.String(40), primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
    )


def _add_who() -> None:
    """Nobody kept who paused something. The reason that stood where none was given is no reason."""
    with op.batch_alter_table("pauses") as batch:
        batch.add_column(sa.Column("who", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE pauses SET reason = '' WHERE reason = 'somebody paused it'")
    with op.batch_alter_table("pauses") as batch:
        batch.alter_column("who", server_default=None, existing_type=sa.Text, existing_nullable=False)


def _add_host() -> None:
    """The key of an alert gets the machine, and room for the name of a folder: the table is made anew."""
    op.rename_table("alerts", "alerts_before")
    # A constraint keeps its name when its table is renamed, and the new table needs that name.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE alerts_before RENAME CONSTRAINT alerts_pkey TO alerts_before_pkey")
    op.create_table(
        "alerts",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("skill", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
    )
    op.execute(
        "INSERT INTO alerts (kind, repository, skill, host, message, since)"
        " SELECT kind, repository, skill, '', message, since FROM alerts_before"
    )
    op.drop_table("alerts_before")
