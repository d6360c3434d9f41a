"""SQLAlchemy Core tables of batches and albums.

`jobs.batch_id` names a job's batch. These tables hold no counters.
"""

from sqlalchemy import CheckConstraint, Column, DateTime, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

# Photos that were submitted together. Progress is counted from the rows of `jobs`.
batches = Table(
    "batches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("total", Integer, nullable=False),
    # Album: number of best photos to compose; null for a plain batch.  ranked_at: time of the
    # ranking.
    Column("best", Integer),
    Column("ranked_at", _Moment),
    Column("created_at", _Moment, nullable=False),
    # When the last unfinished job ended; null again after a redrive.
    Column("finished_at", _Moment),
    # When the tenant deleted the batch; its jobs are being deleted.
    Column("deleted_at", _Moment),
    Column("webhook_url", Text),
    CheckConstraint("best >= 0", name="batches_best"),
    Index("batches_by_tenant", "tenant", "id"),
    Index("batches_deleted", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
)

# Batch items without a job: rejected at submission, or deleted later.
batch_gaps = Table(
    "batch_gaps",
    metadata,
    Column("batch_id", Uuid, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("job_id", Uuid),
    # The outcome that the batch's progress counts it as.
    Column("outcome", Text, nullable=False),
    Column("error", JSONB),
)
