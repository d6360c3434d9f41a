"""Add the device key that submitted a job, and the lifetime of links of tenants and jobs."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add nullable columns, which code before this revision ignores."""
    op.execute("ALTER TABLE tenants ADD COLUMN link_seconds integer")
    op.execute("ALTER TABLE jobs ADD COLUMN link_seconds integer, ADD COLUMN device_key_id uuid")
