"""The tables for operators: what they have stopped, and how things were."""

from sqlalchemy import BigInteger, Column, DateTime, Double, Integer, Table, Text, Uuid

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

# Capabilities from which nobody claims for now: see jobs/pauses.py.
pauses = Table(
    "pauses",
    metadata,
    Column("capability", Text, primary_key=True),
    Column("paused_at", _Moment, nullable=False),
)

# Which database the bucket belongs to, in one row: see installation.py.
installation = Table(
    "installation",
    metadata,
    Column("id", Uuid, primary_key=True),
    # The marker in the bucket holds one of the two; null before the first.
    Column("token", Uuid),
    Column("next_token", Uuid),
    # When the two last agreed.
    Column("confirmed_at", _Moment),
    # What keeps the two from agreeing; null when nothing does.
    Column("fault", Text),
)

# How things were at the turn of a minute: see jobs/history.py. What is counted only grows; what
# happened between two samples is their difference.
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

# Why jobs failed, by the minute: see jobs/failures.py.
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
