"""The tables of batches and albums, as SQLAlchemy Core knows them.

Which jobs are of which batch stands in `jobs`; nothing here counts them.
"""

from sqlalchemy import CheckConstraint, Column, DateTime, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

# Photos that were submitted together.  Counts are counted from the jobs.
batches = Table(
    "batches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("total", Integer, nullable=False),
    # Of an album, how many are composed; null for a batch that is none.  ranked_at: that was.
    Column("best", Integer),
    Column("ranked_at", _Moment),
    Column("created_at", _Moment, nullable=False),
    # When no job of it was unfinished; null again after a redrive.
    Column("finished_at", _Moment),
    # Its owner does not want it any more; its jobs are being deleted.
    Column("deleted_at", _Moment),
    Column("webhook_url", Text),
    CheckConstraint("best >= 0", name="batches_best"),
    Index("batches_by_tenant", "tenant", "id"),
    Index("batches_deleted", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
)

# Items of batches behind which no job stands: refused at the door, or deleted since.
batch_gaps = Table(
    "batch_gaps",
    metadata,
    Column("batch_id", Uuid, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("job_id", Uuid),
    # What it counts as.
    Column("outcome", Text, nullable=False),
    Column("error", JSONB),
)
