"""Backgrounds that are pictures: the operator's for everybody, and tenants' own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    words = postgresql.ARRAY(sa.Text())
    op.create_table(
        "backgrounds",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("tags", words, nullable=False),
        sa.Column("moods", words, nullable=False),
        sa.Column("palette", words, nullable=False),
        sa.Column("brightness", sa.Double(), nullable=False),
        sa.Column("impression", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
        sa.UniqueConstraint("key", name="backgrounds_key"),
    )


def downgrade() -> None:
    op.drop_table("backgrounds")
