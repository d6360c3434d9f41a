"""The first tables: jobs, stages, artifacts, tenants, models, workers, cells, keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('photo', 'intermediate', 'result')", name="artifacts_kind"),
        sa.PrimaryKeyConstraint("tenant", "key"),
    )
    op.create_index("artifacts_by_job", "artifacts", ["job_id"], unique=False)
    op.create_index(
        "artifacts_expiring",
        "artifacts",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("marked_at IS NULL"),
    )
    op.create_index(
        "artifacts_marked",
        "artifacts",
        ["marked_at"],
        unique=False,
        postgresql_where=sa.text("marked_at IS NOT NULL"),
    )
    op.create_table(
        "capabilities",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mark", sa.Double(), nullable=False),
        sa.Column("mean_seconds", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "cells",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("virtual_time", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("recipe", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("photo_key", sa.Text(), nullable=False),
        sa.Column("photo_digest", sa.Text(), nullable=False),
        sa.Column("background_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("estimated_seconds", sa.Double(), nullable=False),
        sa.Column("settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=Text()), nullable=True),
        sa.CheckConstraint("outcome IN ('succeeded', 'failed', 'canceled')", name="jobs_outcome"),
        sa.CheckConstraint("(outcome IS NULL) = (finished_at IS NULL)", name="jobs_finished"),
        sa.PrimaryKeyConstraint("id"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("jobs_by_tenant", "jobs", ["tenant", "id"], unique=False)
    op.create_index(
        "jobs_unsettled",
        "jobs",
        ["id"],
        unique=False,
        postgresql_where=sa.text("outcome IS NOT NULL AND NOT settled"),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "measures",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("what", "subject"),
    )
    op.create_table(
        "models",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("capability", sa.Text(), nullable=False),
        sa.Column("card", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task", "name"),
    )
    op.create_table(
        "stages",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("capability", sa.Text(), nullable=False),
        sa.Column("models", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("batch_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rank", sa.Double(), nullable=False),
        sa.Column("head_start", sa.Double(), nullable=False),
        sa.Column("open_needs", sa.SmallInteger(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "ready_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=True,
        ),
        sa.Column("attempt", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("releases", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("patience_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Uuid(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=Text()), nullable=True),
        sa.CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name="stages_lease"),
        sa.CheckConstraint(
            "state IN ('waiting', 'ready', 'running', 'succeeded', 'failed', 'canceled')",
            name="stages_state",
        ),
        sa.CheckConstraint("open_needs >= 0", name="stages_open_needs"),
        sa.PrimaryKeyConstraint("job_id", "stage"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "stages_due",
        "stages",
        ["not_before"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting' AND not_before IS NOT NULL"),
    )
    op.create_index(
        "stages_ready",
        "stages",
        ["capability", "rank"],
        unique=False,
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "stages_waiting",
        "stages",
        ["capability"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "stages_running",
        "stages",
        ["job_id", "stage"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "tenants",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weight", sa.Double(), server_default=sa.text("1"), nullable=False),
        sa.Column("finish", sa.Double(), nullable=False),
        sa.CheckConstraint("weight > 0", name="tenants_weight"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tombstones",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("capabilities", postgresql.ARRAY(Text()), nullable=False),
        sa.Column("threads", sa.SmallInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(
        "INSERT INTO cells (name, swept_at, expires_from, cleared_at) "
        "VALUES ('default', now(), now(), now())"
    )


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_table("tombstones")
    op.drop_table("tenants")
    op.drop_index(
        "stages_running", table_name="stages", postgresql_where=sa.text("state = 'running'")
    )
    op.drop_index(
        "stages_waiting", table_name="stages", postgresql_where=sa.text("state = 'waiting'")
    )
    op.drop_index("stages_ready", table_name="stages", postgresql_where=sa.text("state = 'ready'"))
    op.drop_index(
        "stages_due",
        table_name="stages",
        postgresql_where=sa.text("state = 'waiting' AND not_before IS NOT NULL"),
    )
    op.drop_table("stages")
    op.drop_table("models")
    op.drop_table("measures")
    op.drop_table("keys")
    op.drop_index(
        "jobs_unsettled",
        table_name="jobs",
        postgresql_where=sa.text("outcome IS NOT NULL AND NOT settled"),
    )
    op.drop_index("jobs_by_tenant", table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("cells")
    op.drop_table("capabilities")
    op.drop_index(
        "artifacts_marked",
        table_name="artifacts",
        postgresql_where=sa.text("marked_at IS NOT NULL"),
    )
    op.drop_index(
        "artifacts_expiring", table_name="artifacts", postgresql_where=sa.text("marked_at IS NULL")
    )
    op.drop_index("artifacts_by_job", table_name="artifacts")
    op.drop_table("artifacts")
