"""Record the process of each worker, so that its machine can see whether it has ended."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a column; workers before this revision leave it empty."""
    op.execute("ALTER TABLE workers ADD COLUMN process text")
