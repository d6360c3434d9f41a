"""What happened to jobs, in order: for whoever waits for them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("written_in", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "id"),
    )
    op.create_index("events_new", "events", ["written_in"])


def downgrade() -> None:
    op.drop_table("events")
