"""Photos that a job names: at an address, or put straight into storage."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_SOURCE = "photo_key IS NOT NULL OR photo_url IS NOT NULL OR upload_id IS NOT NULL"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.alter_column("jobs", "photo_key", nullable=True)
    op.alter_column("jobs", "photo_digest", nullable=True)
    op.add_column("jobs", sa.Column("photo_url", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("upload_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("upload_etag", sa.Text(), nullable=True))
    op.create_check_constraint("jobs_photo", "jobs", _SOURCE)
    op.create_index(
        "jobs_by_upload", "jobs", ["upload_id"], postgresql_where=sa.text("upload_id IS NOT NULL")
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("marked_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="uploads_key"),
    )
    op.create_index(
        "uploads_expiring",
        "uploads",
        ["expires_at"],
        postgresql_where=sa.text("marked_at IS NULL"),
    )
    op.create_index(
        "uploads_marked",
        "uploads",
        ["marked_at"],
        postgresql_where=sa.text("marked_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("uploads")
    op.drop_index(
        "jobs_by_upload", table_name="jobs", postgresql_where=sa.text("upload_id IS NOT NULL")
    )
    op.drop_constraint("jobs_photo", "jobs")
    for column in ("upload_etag", "upload_id", "photo_url"):
        op.drop_column("jobs", column)
    op.alter_column("jobs", "photo_digest", nullable=False)
    op.alter_column("jobs", "photo_key", nullable=False)
