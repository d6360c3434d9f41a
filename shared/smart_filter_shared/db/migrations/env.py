"""Alembic's entry: migrations run on the connection that `migrate.upgrade` holds."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # None holds its locks while the next one works.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
