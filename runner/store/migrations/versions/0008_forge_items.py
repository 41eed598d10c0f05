"""Keep what the local forge has besides pull requests, and which item of a run a receipt is of."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "forge_items",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.UniqueConstraint("repository", "number", name="one_item_for_a_number"),
    )
    with op.batch_alter_table("receipts") as batch:
        batch.add_column(sa.Column("item", sa.Text))
    op.create_index("forge_items_of_kind", "forge_items", ["repository", "kind", "parent", "id"])
