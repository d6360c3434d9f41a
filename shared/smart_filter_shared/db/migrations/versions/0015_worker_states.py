"""Workers tell what they were started for, and how they are."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column(
        "workers",
        sa.Column("wanted", ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'")),
    )
    op.add_column(
        "workers", sa.Column("state", sa.Text(), nullable=False, server_default=sa.text("'ready'"))
    )


def downgrade() -> None:
    op.drop_column("workers", "state")
    op.drop_column("workers", "wanted")
