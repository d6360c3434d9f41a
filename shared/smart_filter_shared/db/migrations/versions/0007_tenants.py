"""What tenants may do and have done: bounds, usage a day, keys for devices."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_OWED = ("owed", "megapixels", "seconds")


def upgrade() -> None:
    spent: sa.Column[float] = sa.Column(
        "spent_megapixels", sa.Double(), nullable=False, server_default=sa.text("0")
    )
    op.add_column("tenants", sa.Column("requests_per_minute", sa.Integer(), nullable=True))
    op.add_column("tenants", sa.Column("jobs_waiting", sa.Integer(), nullable=True))
    op.add_column("tenants", sa.Column("megapixels_per_day", sa.Double(), nullable=True))
    op.add_column("tenants", sa.Column("spent_on", sa.Date(), nullable=True))
    op.add_column("tenants", spent)
    submitted: sa.Column[int] = sa.Column(
        "jobs", sa.Integer(), nullable=False, server_default=sa.text("0")
    )
    op.add_column("keys", sa.Column("parent", sa.Uuid(), nullable=True))
    op.add_column("keys", sa.Column("max_jobs", sa.Integer(), nullable=True))
    op.add_column("keys", submitted)
    op.create_index("keys_by_tenant", "keys", ["tenant", "id"])
    op.create_index(
        "keys_by_parent", "keys", ["parent"], postgresql_where=sa.text("parent IS NOT NULL")
    )
    op.add_column(
        "jobs", sa.Column("megapixels", sa.Double(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column("jobs", sa.Column("counted_seconds", sa.Double(), nullable=True))
    op.create_index(
        "jobs_unfinished", "jobs", ["tenant"], postgresql_where=sa.text("outcome IS NULL")
    )
    op.add_column("tombstones", sa.Column("outcome", sa.Text(), nullable=True))
    op.add_column("tombstones", sa.Column("ended_on", sa.Date(), nullable=True))
    for name in _OWED:
        owing: sa.Column[float] = sa.Column(name, sa.Double(), nullable=True)
        op.add_column("tombstones", owing)
    op.create_index(
        "tombstones_owing", "tombstones", ["job_id"], postgresql_where=sa.text("owed IS NOT NULL")
    )
    op.create_table(
        "usage",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("megapixels", sa.Double(), nullable=False),
        sa.Column("model_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "day", "state"),
    )


def downgrade() -> None:
    op.drop_table("usage")
    op.drop_index("tombstones_owing", "tombstones", postgresql_where=sa.text("owed IS NOT NULL"))
    for column in (*reversed(_OWED), "ended_on", "outcome"):
        op.drop_column("tombstones", column)
    op.drop_index("jobs_unfinished", table_name="jobs", postgresql_where=sa.text("outcome IS NULL"))
    op.drop_column("jobs", "counted_seconds")
    op.drop_column("jobs", "megapixels")
    op.drop_index("keys_by_parent", table_name="keys")
    op.drop_index("keys_by_tenant", table_name="keys")
    for column in ("jobs", "max_jobs", "parent"):
        op.drop_column("keys", column)
    for column in (
        *("spent_megapixels", "spent_on"),
        *("megapixels_per_day", "jobs_waiting", "requests_per_minute"),
    ):
        op.drop_column("tenants", column)
