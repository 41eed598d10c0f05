"""What Alembic runs: the connection comes from `runner.store.database`."""

from alembic import context

from runner.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
