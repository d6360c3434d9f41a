"""Work that is done once: what stages were asked, who shares artifacts, corrections."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("parent_id", sa.Uuid(), nullable=True))
    reopened: sa.Column[int] = sa.Column(
        "reopened", sa.SmallInteger(), nullable=False, server_default=sa.text("0")
    )
    op.add_column("jobs", reopened)
    op.add_column(
        "jobs", sa.Column("corrections", JSONB(), nullable=False, server_default=sa.text("'[]'"))
    )
    op.create_index("jobs_by_photo", "jobs", ["tenant", "photo_digest", "id"])
    op.add_column("stages", sa.Column("work", sa.Text(), nullable=True))
    op.create_table(
        "borrowers",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", "job_id"),
    )
    op.create_index("borrowers_by_job", "borrowers", ["job_id"])
    op.create_table(
        "corrections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("label", JSONB(), nullable=True),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("provenance", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('matte', 'label')", name="corrections_kind"),
        sa.CheckConstraint("(key IS NULL) = (form = 'label')", name="corrections_key"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("corrections_by_job", "corrections", ["job_id", "id"])
    op.create_index(
        "corrections_expiring",
        "corrections",
        ["expires_at"],
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("corrections")
    op.drop_table("borrowers")
    op.drop_column("stages", "work")
    op.drop_index("jobs_by_photo", table_name="jobs")
    for column in ("corrections", "reopened", "parent_id"):
        op.drop_column("jobs", column)
