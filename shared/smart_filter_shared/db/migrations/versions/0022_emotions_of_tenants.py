"""Add whether emotions are read in a tenant's photos."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add a nullable column, which code before this revision ignores."""
    op.execute("ALTER TABLE tenants ADD COLUMN emotions boolean")
