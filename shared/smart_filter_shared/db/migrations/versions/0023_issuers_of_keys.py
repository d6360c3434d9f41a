"""Add the key that issued a key, and the key that submitted a job."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add nullable columns, which code before this revision ignores."""
    op.execute("ALTER TABLE keys ADD COLUMN issued_by uuid")
    op.execute("CREATE INDEX keys_by_issuer ON keys (issued_by) WHERE issued_by IS NOT NULL")
    op.execute("ALTER TABLE jobs ADD COLUMN key_id uuid")
