"""Alembic's entry: migrations run on the connection that `migrate.upgrade` holds."""

from alembic import context

from smart_filter_shared.db import (  # noqa: F401 - they put their tables there
    batch_tables,
    browser_tables,
    forecast_tables,
    operating_tables,
    reuse_tables,
    upload_tables,
    webhook_tables,
)
from smart_filter_shared.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # None holds its locks while the next one works.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
