"""Index what lists of jobs filter by: jobs that failed or were canceled, and metadata.

Both indexes are partial, because a job's row is written often. An update of a column that an index
names, in its columns or its condition, adds the row to every index of the table (no HOT update).
`outcome` is already named by `jobs_unfinished`, and `metadata` never changes, so no update stops
being HOT. Jobs that succeed are not in the first index, jobs without metadata not in the second:
they cost nothing more. `fastupdate` is off, because a worker would pay for emptying the pending
list of 4 MB in one transaction.
"""

from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0025"
down_revision = "0024"

_INDEXES: Final = {
    "jobs_unsuccessful": "(tenant, outcome, id) WHERE outcome IN ('failed', 'canceled')",
    "jobs_by_metadata": (
        "USING gin (metadata jsonb_path_ops) WITH (fastupdate = off) WHERE metadata <> '{}'"
    ),
}
_WITHOUT_INDEX: Final = text("""
    SELECT table_.inhrelid::regclass::text FROM pg_inherits AS table_
    WHERE table_.inhparent = 'jobs'::regclass AND NOT table_.inhdetachpending AND NOT EXISTS (
        SELECT FROM pg_index JOIN pg_inherits AS index_ ON index_.inhrelid = indexrelid
        WHERE indrelid = table_.inhrelid AND index_.inhparent = CAST(:name AS regclass)
    )
    ORDER BY 1
""")


def upgrade() -> None:
    """Add the indexes day by day; only the jobs of one day cannot be written meanwhile.

    CREATE INDEX CONCURRENTLY would wait forever for another process that waits for the lock of
    migrations, as its statement has an older snapshot. An interrupted upgrade continues with the
    days that lack an index.
    """
    with op.get_context().autocommit_block():
        for name, definition in _INDEXES.items():
            op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY jobs {definition}")
            lacking = op.get_bind().execute(_WITHOUT_INDEX, {"name": name}).scalars().all()
            for partition in lacking:
                index = f"{partition}_{name.removeprefix('jobs_')}"
                op.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {partition} {definition}")
                op.execute(f"ALTER INDEX {name} ATTACH PARTITION {index}")
