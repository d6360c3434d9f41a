"""Tables for operators: paused capabilities, the bucket's owner, samples and failures."""

from sqlalchemy import BigInteger, Column, DateTime, Double, Integer, Table, Text, Uuid

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

# Paused capabilities, whose stages no worker claims: see queue/pauses.py.
pauses = Table(
    "pauses",
    metadata,
    Column("capability", Text, primary_key=True),
    Column("paused_at", _Moment, nullable=False),
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
    Column("confirmed_at", _Moment),
    # Why the database and the marker disagree; null while they agree.
    Column("fault", Text),
)

# One sample each minute: see operations/timeseries.py. Counters only grow; the difference of two
# samples is the count of the time between them.
samples = Table(
    "samples",
    metadata,
    Column("at", _Moment, primary_key=True),
    Column("succeeded", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("canceled", BigInteger, nullable=False),
    Column("webhook_lag_seconds", Double, nullable=False),
)
queue_samples = Table(
    "queue_samples",
    metadata,
    Column("at", _Moment, primary_key=True),
    Column("capability", Text, primary_key=True),
    Column("waiting", Integer, nullable=False),
    Column("ready", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("oldest_wait_seconds", Double, nullable=False),
    Column("completed", BigInteger, nullable=False),
    Column("retries", BigInteger, nullable=False),
    Column("releases", BigInteger, nullable=False),
    Column("expiries", BigInteger, nullable=False),
)

# Failed jobs by minute, capability and error code: see operations/dead_letters.py.
failures = Table(
    "failures",
    metadata,
    Column("minute", _Moment, primary_key=True),
    Column("capability", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("last_job_id", Uuid, nullable=False),
    Column("last_at", _Moment, nullable=False),
)
