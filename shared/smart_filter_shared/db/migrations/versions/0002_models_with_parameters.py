"""Models with parameters, offers of pools, stages that are handed on, workers' set-up."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "stages",
        sa.Column("parameters", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column(
        "stages",
        sa.Column("rerouted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("models", sa.Column("fault", sa.Text(), nullable=True))
    op.add_column("models", sa.Column("offered_at", sa.DateTime(timezone=True), nullable=True))
    # Until now only those who could run a model published it.
    op.execute("UPDATE models SET offered_at = seen_at")
    op.add_column(
        "workers",
        sa.Column("failed", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("workers", "failed")
    op.execute("DELETE FROM models WHERE offered_at IS NULL")
    op.drop_column("models", "offered_at")
    op.drop_column("models", "fault")
    op.drop_column("stages", "rerouted")
    op.drop_column("stages", "parameters")
