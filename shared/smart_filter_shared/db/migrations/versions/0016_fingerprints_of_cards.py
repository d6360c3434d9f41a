"""Which cards models run by, so that workers of another version leave their stages alone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("models", sa.Column("fingerprint", sa.Text(), nullable=True))
    op.add_column("models", sa.Column("release", ARRAY(sa.Integer()), nullable=True))


def downgrade() -> None:
    op.drop_column("models", "release")
    op.drop_column("models", "fingerprint")
