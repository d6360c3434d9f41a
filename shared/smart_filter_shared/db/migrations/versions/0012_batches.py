"""Batches and albums: photos that are submitted together, and ranked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

_MOMENT = sa.DateTime(timezone=True)
_RATING = "album IS NOT NULL AND stage <> 'composite' AND state IN ('waiting', 'ready', 'running')"


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("best", sa.Integer(), nullable=True),
        sa.Column("ranked_at", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("deleted_at", _MOMENT, nullable=True),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.CheckConstraint("best >= 0", name="batches_best"),
    )
    op.create_index("batches_by_tenant", "batches", ["tenant", "id"])
    op.create_index(
        "batches_deleted",
        "batches",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_table(
        "batch_gaps",
        sa.Column("batch_id", sa.Uuid(), primary_key=True),
        sa.Column("index", sa.Integer(), primary_key=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error", postgresql.JSONB(), nullable=True),
    )
    op.add_column("jobs", sa.Column("batch_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("batch_index", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("album_rank", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("album_terms", postgresql.JSONB(), nullable=True))
    op.create_index(
        "jobs_of_batch",
        "jobs",
        ["batch_id", "outcome"],
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.add_column("stages", sa.Column("album", sa.Uuid(), nullable=True))
    op.create_index("stages_rating", "stages", ["album"], postgresql_where=sa.text(_RATING))
    op.add_column("deliveries", sa.Column("batch_id", sa.Uuid(), nullable=True))
    op.create_index(
        "deliveries_by_batch",
        "deliveries",
        ["batch_id"],
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("deliveries_by_batch", table_name="deliveries")
    op.drop_column("deliveries", "batch_id")
    op.drop_index("stages_rating", table_name="stages")
    op.drop_column("stages", "album")
    op.drop_index("jobs_of_batch", table_name="jobs")
    for column in ("album_terms", "album_rank", "batch_index", "batch_id"):
        op.drop_column("jobs", column)
    op.drop_table("batch_gaps")
    op.drop_table("batches")
