"""Store choices of many photos, which one action changes together."""

from alembic import op

revision = "0003"
down_revision = "0002"

_CHOICES = """
    CREATE TABLE choices (
        id uuid PRIMARY KEY,
        tenant text NOT NULL,
        -- Which photos: see jobs/choices.py.
        wanted jsonb NOT NULL,
        -- Later jobs make no photo a part of it.
        made_at timestamptz NOT NULL,
        -- When the jobs that it has deleted are removed; null while it has deleted none.
        delete_at timestamptz
    )
"""


def upgrade() -> None:
    """Add a table and a column; older processes leave both as they are."""
    op.execute(_CHOICES)
    op.execute("CREATE INDEX choices_deleting ON choices (delete_at) WHERE delete_at IS NOT NULL")
    op.execute("CREATE INDEX choices_by_age ON choices (made_at)")
    # The choice that has deleted the job: readers do not find it, and the deletion can be undone.
    op.execute("ALTER TABLE jobs ADD COLUMN deleted_by uuid")
    op.execute("CREATE INDEX jobs_deleted ON jobs (deleted_by) WHERE deleted_by IS NOT NULL")
