"""Retention: claims of what is removed, what is held past its time, whose the bucket is."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_Moment = sa.DateTime(timezone=True)
_COLUMNS = (
    ("artifacts", "leased_until"),
    ("artifacts", "held_since"),
    ("uploads", "leased_until"),
    ("uploads", "held_since"),
    ("data_sets", "leased_until"),
)


def upgrade() -> None:
    for table, column in _COLUMNS:
        op.add_column(table, sa.Column(column, _Moment))
    op.create_table(
        "installation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.Uuid()),
        sa.Column("next_token", sa.Uuid()),
        sa.Column("confirmed_at", _Moment),
        sa.Column("fault", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO installation (id) VALUES (gen_random_uuid())")


def downgrade() -> None:
    op.drop_table("installation")
    for table, column in reversed(_COLUMNS):
        op.drop_column(table, column)
