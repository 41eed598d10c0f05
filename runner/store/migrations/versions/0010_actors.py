"""Keep whose event each decision is on: a skill may limit the runs of one person."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    text = sa.Text()
    with op.batch_alter_table("decisions") as batch:
        batch.add_column(sa.Column("actor", text, nullable=False, server_default=""))
    with op.batch_alter_table("decisions") as batch:
        batch.alter_column("actor", server_default=None, existing_type=text, existing_nullable=False)
