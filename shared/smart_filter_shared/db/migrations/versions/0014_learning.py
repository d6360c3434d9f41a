"""Models that learn: versions of weights, shadows, data sets, and which weights stages run."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0014"
down_revision = "0013"

_Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("digests", "shadows"):
        op.add_column(
            "stages", sa.Column(name, JSONB(), nullable=False, server_default=sa.text("'{}'"))
        )
    _versions()
    _shadows()
    _data_sets()
    op.add_column("corrections", sa.Column("collected_at", _Moment, nullable=True))
    op.create_index(
        "corrections_uncollected",
        "corrections",
        ["id"],
        postgresql_where=sa.text("consent AND collected_at IS NULL"),
    )


def _versions() -> None:
    op.create_table(
        "model_versions",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("share", sa.Double(), nullable=True),
        sa.Column("metrics", JSONB(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("data_set", sa.Integer(), nullable=True),
        sa.Column("trained_on", sa.Text(), nullable=False),
        sa.Column("trained_at", _Moment, nullable=False),
        sa.Column("created_at", _Moment, nullable=False),
        sa.Column("moved_at", _Moment, nullable=False),
        sa.Column("replaced", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('candidate', 'shadow', 'live', 'retired')", name="model_versions_state"
        ),
        sa.CheckConstraint("(share IS NOT NULL) = (state = 'shadow')", name="model_versions_share"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("model_versions_by_model", "model_versions", ["task", "model"])
    for state in ("live", "shadow"):
        op.create_index(
            f"model_versions_{state}",
            "model_versions",
            ["task", "model"],
            unique=True,
            postgresql_where=sa.text(f"state = '{state}'"),
        )


def _shadows() -> None:
    op.create_table(
        "shadow_results",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("against", sa.Text(), nullable=True),
        sa.Column("at", _Moment, nullable=False),
        sa.Column("agreement", JSONB(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("shadow_results_by_digest", "shadow_results", ["digest", "at"])
    op.create_index("shadow_results_by_age", "shadow_results", ["at"])


def _data_sets() -> None:
    op.create_table(
        "data_items",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("correction_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("photo", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=True),
        sa.Column("files", JSONB(), nullable=False),
        sa.Column("keys", ARRAY(sa.Text()), nullable=False),
        sa.Column("counts", JSONB(), nullable=False),
        sa.Column("provenance", JSONB(), nullable=False),
        sa.Column("corrected_at", _Moment, nullable=False),
        sa.Column("versions", ARRAY(sa.Integer()), nullable=False, server_default=sa.text("'{}'")),
        sa.CheckConstraint("part IN ('train', 'frozen')", name="data_items_part"),
        sa.PrimaryKeyConstraint("task", "correction_id"),
    )
    op.create_index("data_items_by_job", "data_items", ["job_id"])
    op.create_table(
        "data_sets",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("created_at", _Moment, nullable=False),
        sa.Column("manifest_digest", sa.Text(), nullable=True),
        sa.Column("removals_told", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("task", "version"),
    )
    op.create_table(
        "data_removals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("removed_at", _Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", "task", "version"),
    )
    op.create_index("data_removals_by_set", "data_removals", ["task", "version"])


def downgrade() -> None:
    op.drop_index("corrections_uncollected", table_name="corrections")
    op.drop_column("corrections", "collected_at")
    for table in (
        *("data_removals", "data_sets", "data_items"),
        *("shadow_results", "model_versions"),
    ):
        op.drop_table(table)
    for name in ("shadows", "digests"):
        op.drop_column("stages", name)
