"""How long tenants' things are kept, their own recipes, and browsers' sessions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"

_EXPIRING = "expires_at IS NOT NULL AND expired_at IS NULL"
_KEPT = ("keep_input_seconds", "keep_result_seconds")


def upgrade() -> None:
    op.add_column("tenants", sa.Column("recipe", JSONB(), nullable=True))
    for table in ("tenants", "jobs"):
        for name in _KEPT:
            kept: sa.Column[float] = sa.Column(name, sa.Double(), nullable=True)
            op.add_column(table, kept)
        nothing: sa.Column[bool] = sa.Column(
            "keep_nothing", sa.Boolean(), nullable=False, server_default=sa.text("false")
        )
        op.add_column(table, nothing)
    handed_over: sa.Column[list[str]] = sa.Column(
        "handed_over", sa.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'")
    )
    op.add_column("jobs", handed_over)
    op.add_column("jobs", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True))
    # What is stored knows how long it was to be kept; where nothing is, the usual week.
    op.execute(
        """
        UPDATE jobs SET expires_at = coalesce(
            (SELECT max(expires_at) FROM artifacts WHERE job_id = jobs.id),
            finished_at + interval '7 days'
        )
        WHERE finished_at IS NOT NULL
        """
    )
    op.create_index("jobs_expiring", "jobs", ["expires_at"], postgresql_where=sa.text(_EXPIRING))
    op.create_table(
        "browser_sessions",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("browser_sessions_expiring", "browser_sessions", ["expires_at"])
    op.create_table(
        "browser_codes",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("browser_codes")
    op.drop_index("browser_sessions_expiring", table_name="browser_sessions")
    op.drop_table("browser_sessions")
    op.drop_index("jobs_expiring", table_name="jobs")
    for name in ("expired_at", "expires_at", "handed_over"):
        op.drop_column("jobs", name)
    for table in ("jobs", "tenants"):
        for name in ("keep_nothing", *reversed(_KEPT)):
            op.drop_column(table, name)
    op.drop_column("tenants", "recipe")
