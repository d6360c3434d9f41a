"""Tables of stored objects: artifacts, uploads, backgrounds, corrections, the bucket's owner."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from smart_filter_shared.db.tables import Moment, metadata

artifacts = Table(
    "artifacts",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    # In bytes.
    Column("length", BigInteger, nullable=False, server_default=text("0")),
    Column("expires_at", Moment, nullable=False),
    # Once set, the artifact is not served: its object is being removed.
    Column("marked_at", Moment),
    # Lease: only one process removes the object before this time.
    Column("leased_until", Moment),
    # When it expired while still referenced. It is not served, and retention checks it again at
    # `expires_at`.
    Column("held_since", Moment),
    CheckConstraint("kind IN ('photo', 'intermediate', 'result')", name="artifacts_kind"),
    Index("artifacts_by_job", "job_id"),
    Index("artifacts_expiring", "expires_at", postgresql_where=text("marked_at IS NULL")),
    Index("artifacts_marked", "marked_at", postgresql_where=text("marked_at IS NOT NULL")),
)

# What the rows of artifacts and uploads added to the stored bytes of tenants, and took away, and
# `tenants.used_bytes` does not include yet. Triggers write it (migration 0031).
stored_changes = Table(
    "stored_changes",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index("stored_changes_by_tenant", "tenant"),
)

# References of jobs to artifacts of other jobs: see artifacts/references.py.
borrowers = Table(
    "borrowers",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("job_id", Uuid, primary_key=True),
    Index("borrowers_by_job", "job_id"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("key", Text, nullable=False),
    # The client announces both; the uploaded object must match them.
    Column("media_type", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # Once set, no job can name the upload: its object is being removed.
    Column("marked_at", Moment),
    # Same meaning as in `artifacts`.
    Column("leased_until", Moment),
    Column("held_since", Moment),
    UniqueConstraint("key", name="uploads_key"),
    Index("uploads_expiring", "expires_at", postgresql_where=text("marked_at IS NULL")),
    Index("uploads_marked", "marked_at", postgresql_where=text("marked_at IS NOT NULL")),
)

# Backgrounds that are pictures: see stock.py. Generated backgrounds are code, not rows.
backgrounds = Table(
    "backgrounds",
    metadata,
    # Owner; empty for the operator's backgrounds, which every tenant may use.
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("moods", ARRAY(Text), nullable=False),
    Column("palette", ARRAY(Text), nullable=False),
    Column("brightness", Double, nullable=False),
    Column("impression", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    # The folder or bucket that it is synced from, empty when it was added by hand; and the change
    # stamp there, which shows a change without reading the file.
    Column("origin", Text, nullable=False),
    Column("stamp", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("key", name="backgrounds_key"),
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
    Column("created_at", Moment, nullable=False),
    # Null for a correction that is kept with consent.
    Column("expires_at", Moment),
    # When training examples were made of it (only with consent): see feedback/examples.py.
    Column("collected_at", Moment),
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

# Identity of the database that owns the bucket, in one row: see installation.py.
installation = Table(
    "installation",
    metadata,
    Column("id", Uuid, primary_key=True),
    # The marker object in the bucket holds one of these two; null before the first is written.
    Column("token", Uuid),
    Column("next_token", Uuid),
    # When the database and the marker last agreed.
    Column("confirmed_at", Moment),
    # Why the database and the marker disagree; null while they agree.
    Column("fault", Text),
)
