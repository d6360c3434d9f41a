"""Tables of models: cards, versions of weights, shadow results and data sets."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from smart_filter_shared.db.tables import Moment, metadata

# Model cards that workers publish: see model_registry/published_models.py.
models = Table(
    "models",
    metadata,
    Column("task", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("capability", Text, nullable=False),
    Column("card", JSONB, nullable=False),
    # Digest of the card, and the code version that published it.
    Column("fingerprint", Text, nullable=False),
    Column("release", ARRAY(Integer), nullable=False),
    # Why the publishing process cannot run the model; null when it can.
    Column("fault", Text),
    Column("seen_at", Moment, nullable=False),
    # When a process that can run the model last published it; null when none has.
    Column("offered_at", Moment),
)

# Trained weights of models: see model_registry/weight_versions.py.
model_versions = Table(
    "model_versions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("task", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    # Share of jobs that the version also runs on, while it is a shadow.
    Column("share", Double),
    # Quality of this version and of the version that was live then, on the same photos.
    Column("metrics", JSONB, nullable=False),
    # The weights that training started from; null: the model's own, or none.
    Column("parent", Text),
    # Version of the task's data set that it was trained on, if any; other training data; time.
    Column("data_set", Integer),
    Column("trained_on", Text, nullable=False),
    Column("trained_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("moved_at", Moment, nullable=False),
    # The weights that it replaced as live; null: the model's own.
    Column("replaced", Text),
    CheckConstraint(
        "state IN ('candidate', 'shadow', 'live', 'retired')", name="model_versions_state"
    ),
    CheckConstraint("(share IS NOT NULL) = (state = 'shadow')", name="model_versions_share"),
    Index("model_versions_by_model", "task", "model"),
    Index(
        "model_versions_live",
        "task",
        "model",
        unique=True,
        postgresql_where=text("state = 'live'"),
    ),
    Index(
        "model_versions_shadow",
        "task",
        "model",
        unique=True,
        postgresql_where=text("state = 'shadow'"),
    ),
)

# Agreement of shadow weights with the weights that produced the result, by photo: numbers only.
shadow_results = Table(
    "shadow_results",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("digest", Text, nullable=False),
    # Digest of the weights that produced the result; null for a model without weights.
    Column("against", Text),
    Column("at", Moment, nullable=False),
    # Null when the shadow run raised; `error` has the reason.
    Column("agreement", JSONB),
    Column("error", Text),
    Index("shadow_results_by_digest", "digest", "at"),
    Index("shadow_results_by_age", "at"),
)

# Training examples made of corrections: see feedback/examples.py.
data_items = Table(
    "data_items",
    metadata,
    Column("task", Text, primary_key=True),
    Column("correction_id", Uuid, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("part", Text, nullable=False),
    # Digest of the photo, and a 64-bit fingerprint that is similar for photos of one scene.
    Column("photo", Text, nullable=False),
    Column("fingerprint", BigInteger),
    Column("files", JSONB, nullable=False),
    Column("keys", ARRAY(Text), nullable=False),
    # Number of examples by label: {"huge": 2}.
    Column("counts", JSONB, nullable=False),
    Column("provenance", JSONB, nullable=False),
    Column("corrected_at", Moment, nullable=False),
    # Versions of its task's data set that contain it.
    Column("versions", ARRAY(Integer), nullable=False, server_default=text("'{}'")),
    CheckConstraint("part IN ('train', 'frozen')", name="data_items_part"),
    Index("data_items_by_job", "job_id"),
)

data_sets = Table(
    "data_sets",
    metadata,
    Column("task", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("parent", Integer),
    Column("created_at", Moment, nullable=False),
    # Digest of the stored manifest, null before there is one; and the number of removals that
    # the manifest lists.
    Column("manifest_digest", Text),
    Column("removals_told", Integer, nullable=False, server_default=text("0")),
    # Lease: only one process writes the manifest before this time.
    Column("leased_until", Moment),
)

# Removals from data sets, with their time; the removed content is not recorded.
data_removals = Table(
    "data_removals",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("task", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("removed_at", Moment, nullable=False),
    Index("data_removals_by_set", "task", "version"),
)
