"""History: how queues and jobs were, a row a minute, and why jobs failed."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "samples",
        sa.Column("at", _Moment, nullable=False),
        sa.Column("succeeded", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("canceled", sa.BigInteger(), nullable=False),
        sa.Column("webhook_lag_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("at"),
    )
    op.create_table(
        "queue_samples",
        sa.Column("at", _Moment, nullable=False),
        sa.Column("capability", sa.Text(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("ready", sa.Integer(), nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("oldest_wait_seconds", sa.Double(), nullable=False),
        sa.Column("completed", sa.BigInteger(), nullable=False),
        sa.Column("retries", sa.BigInteger(), nullable=False),
        sa.Column("releases", sa.BigInteger(), nullable=False),
        sa.Column("expiries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("at", "capability"),
    )
    op.create_table(
        "failures",
        sa.Column("minute", _Moment, nullable=False),
        sa.Column("capability", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("last_job_id", sa.Uuid(), nullable=False),
        sa.Column("last_at", _Moment, nullable=False),
        sa.PrimaryKeyConstraint("minute", "capability", "code"),
    )
    op.create_index("usage_by_day", "usage", ["day"])
    # What was counted before there was a history is none of its first minute.
    op.execute("""
        INSERT INTO samples (at, succeeded, failed, canceled, webhook_lag_seconds)
        SELECT date_trunc('minute', statement_timestamp()),
            coalesce(sum(count) FILTER (WHERE subject = 'succeeded'), 0),
            coalesce(sum(count) FILTER (WHERE subject = 'failed'), 0),
            coalesce(sum(count) FILTER (WHERE subject = 'canceled'), 0), 0
        FROM measures WHERE what = 'ended'
    """)
    op.execute("""
        INSERT INTO queue_samples (
            at, capability, waiting, ready, running, oldest_wait_seconds,
            completed, retries, releases, expiries
        )
        SELECT date_trunc('minute', statement_timestamp()), subject, 0, 0, 0, 0,
            coalesce(sum(count) FILTER (WHERE what = 'infer'), 0),
            coalesce(sum(count) FILTER (WHERE what = 'retries'), 0),
            coalesce(sum(count) FILTER (WHERE what = 'releases'), 0),
            coalesce(sum(count) FILTER (WHERE what = 'expiries'), 0)
        FROM measures WHERE what <> 'ended' GROUP BY subject
    """)


def downgrade() -> None:
    op.drop_index("usage_by_day", table_name="usage")
    op.drop_table("failures")
    op.drop_table("queue_samples")
    op.drop_table("samples")
