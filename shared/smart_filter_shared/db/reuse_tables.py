"""Tables of shared artifacts and of users' corrections."""

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from smart_filter_shared.db.tables import metadata

# References of jobs to artifacts of other jobs: see artifacts/references.py.
borrowers = Table(
    "borrowers",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("job_id", Uuid, primary_key=True),
    Index("borrowers_by_job", "job_id"),
)

# Users' corrections of a job's results: see feedback/corrections.py.
corrections = Table(
    "corrections",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("stage", Text, nullable=False),
    # mask, strokes or label; masks and strokes are objects stored under `key`.
    Column("form", Text, nullable=False),
    Column("key", Text),
    Column("label", JSONB),
    # Whether the correction may be kept as training material until its job is deleted.
    Column("consent", Boolean, nullable=False),
    # The API key that sent it, and the result that it corrects.
    Column("provenance", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # Null for a correction that is kept with consent.
    Column("expires_at", DateTime(timezone=True)),
    # When training examples were made of it (only with consent): see feedback/examples.py.
    Column("collected_at", DateTime(timezone=True)),
    CheckConstraint("kind IN ('matte', 'label')", name="corrections_kind"),
    CheckConstraint("(key IS NULL) = (form = 'label')", name="corrections_key"),
    Index("corrections_by_job", "job_id", "id"),
    Index(
        "corrections_uncollected",
        "id",
        postgresql_where=text("consent AND collected_at IS NULL"),
    ),
    Index(
        "corrections_expiring",
        "expires_at",
        postgresql_where=text("expires_at IS NOT NULL"),
    ),
)
