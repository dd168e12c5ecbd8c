"""Run by Alembic: each migration in a transaction, on the connection that `infra.migrate` locked."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
