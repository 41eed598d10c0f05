"""What Alembic runs: the connection, and its transaction, come from `runner.store.database`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
