"""Table of uploads: photos that clients put directly into object storage and jobs then name."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("key", Text, nullable=False),
    # As announced by the client; the uploaded object must match both.
    Column("media_type", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("expires_at", _Moment, nullable=False),
    # Once set, no job can name the upload: its object is being removed.
    Column("marked_at", _Moment),
    # Same meaning as in `artifacts`.
    Column("leased_until", _Moment),
    Column("held_since", _Moment),
    UniqueConstraint("key", name="uploads_key"),
    Index("uploads_expiring", "expires_at", postgresql_where=text("marked_at IS NULL")),
    Index("uploads_marked", "marked_at", postgresql_where=text("marked_at IS NOT NULL")),
)
