"""What a worker needs: decisions, schedules, pauses, workers and a queue."""

from alembic import op

from runner.store.tables import metadata

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """The first revision makes all tables as they are now, so there may be nothing left to do."""
    metadata.create_all(op.get_bind())
