"""Tables of models: their cards, versions of weights, what shadows said, and data sets."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
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

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

# Cards, as workers publish them: see jobs/models.py.
models = Table(
    "models",
    metadata,
    Column("task", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("capability", Text, nullable=False),
    Column("card", JSONB, nullable=False),
    # Of the card; and which version of the code it is from. Null in rows of versions without.
    Column("fingerprint", Text),
    Column("release", ARRAY(Integer)),
    # Why the process that published it cannot run it; null when it can.
    Column("fault", Text),
    Column("seen_at", _Moment, nullable=False),
    # When somebody who can run it last said so; null when nobody has.
    Column("offered_at", _Moment),
)

# Weights that were trained for a model: see jobs/versions.py.
model_versions = Table(
    "model_versions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("task", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    # Of how many jobs it is tried, while it is a shadow.
    Column("share", Double),
    # How good it is, and how good what was live then, on the same photos.
    Column("metrics", JSONB, nullable=False),
    # The weights that training began with; null: the model's own, or none.
    Column("parent", Text),
    # Which version of its task's data set it was trained on, if any, and on what else; when.
    Column("data_set", Integer),
    Column("trained_on", Text, nullable=False),
    Column("trained_at", _Moment, nullable=False),
    Column("created_at", _Moment, nullable=False),
    Column("moved_at", _Moment, nullable=False),
    # Which weights it took the place of; null: the model's own.
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

# What weights that were tried said of a photo, against those that counted: numbers alone.
shadow_results = Table(
    "shadow_results",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("digest", Text, nullable=False),
    # What counted; null for a model without any weights.
    Column("against", Text),
    Column("at", _Moment, nullable=False),
    # Null when it raised.
    Column("agreement", JSONB),
    Column("error", Text),
    Index("shadow_results_by_digest", "digest", "at"),
    Index("shadow_results_by_age", "at"),
)

# What corrections have become: see jobs/data_items.py.
data_items = Table(
    "data_items",
    metadata,
    Column("task", Text, primary_key=True),
    Column("correction_id", Uuid, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("part", Text, nullable=False),
    # What photo it shows: its digest; and 64 bits that are alike for photos of one scene.
    Column("photo", Text, nullable=False),
    Column("fingerprint", BigInteger),
    Column("files", JSONB, nullable=False),
    Column("keys", ARRAY(Text), nullable=False),
    # How many examples of what: {"huge": 2}.
    Column("counts", JSONB, nullable=False),
    Column("provenance", JSONB, nullable=False),
    Column("corrected_at", _Moment, nullable=False),
    # Of the data set of its task, those that hold it.
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
    Column("created_at", _Moment, nullable=False),
    # Of the manifest as it lies in storage, and of how many removals it tells; null before.
    Column("manifest_digest", Text),
    Column("removals_told", Integer, nullable=False, server_default=text("0")),
    # Until when one process alone writes the manifest.
    Column("leased_until", _Moment),
)

# That something was taken out of a data set, and when; of what it was nothing is kept.
data_removals = Table(
    "data_removals",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("task", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("removed_at", _Moment, nullable=False),
    Index("data_removals_by_set", "task", "version"),
)
