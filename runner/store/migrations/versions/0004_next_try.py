"""Keep when a repository that could not be read is tried again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("watched") as batch:
        batch.add_column(sa.Column("next_try", sa.String(32)))
