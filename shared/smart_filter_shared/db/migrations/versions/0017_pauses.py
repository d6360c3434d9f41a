"""Pauses: capabilities from which nobody claims, and workers that are told to claim no more."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("capability", sa.Text(), nullable=False),
        sa.Column("paused_at", _Moment, nullable=False),
        sa.PrimaryKeyConstraint("capability"),
    )
    op.add_column("workers", sa.Column("drained_from", _Moment, nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "drained_from")
    op.drop_table("pauses")
