"""Graves as news: whoever waits for what is deleted is told at once."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("tombstones", sa.Column("written_in", sa.BigInteger(), nullable=True))
    op.create_index(
        "tombstones_new",
        "tombstones",
        ["written_in"],
        postgresql_where=sa.text("written_in IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("tombstones_new", table_name="tombstones")
    op.drop_column("tombstones", "written_in")
