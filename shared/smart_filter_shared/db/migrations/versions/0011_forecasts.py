"""What forecasts and deadlines need: paces, what was foreseen, until when a job may run."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_MEANS = ("seconds", "squares", "megapixels", "megapixels_squares", "products")
_FORESEEN = ("foreseen_p50", "foreseen_p90")


def upgrade() -> None:
    means: list[sa.Column[float]] = [
        sa.Column(name, sa.Double(), nullable=False) for name in _MEANS
    ]
    op.create_table(
        "paces",
        sa.Column("capability", sa.Text(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        *means,
        sa.PrimaryKeyConstraint("capability"),
    )
    op.create_table(
        "foresight",
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("p50_log", sa.Double(), nullable=False),
        sa.Column("p90_log", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("priority"),
    )
    for name in _FORESEEN:
        op.add_column("jobs", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("degraded", sa.ARRAY(sa.Text()), nullable=True))
    for table in ("jobs", "stages"):
        op.add_column(table, sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "jobs_deadlines",
        "jobs",
        ["deadline_at"],
        postgresql_where=sa.text("outcome IS NULL AND deadline_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("jobs_deadlines", table_name="jobs")
    for table in ("stages", "jobs"):
        op.drop_column(table, "deadline_at")
    op.drop_column("jobs", "degraded")
    for name in _FORESEEN:
        op.drop_column("jobs", name)
    op.drop_table("foresight")
    op.drop_table("paces")
