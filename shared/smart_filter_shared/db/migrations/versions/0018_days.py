"""Jobs and stages lie in partitions by day; what there is becomes the first, where it lies.

Nothing is copied, and no index is built: PostgreSQL takes those of the old tables for parts of the
new ones. That no row is beyond the first partition is checked while everybody goes on: in
transactions of their own, a constraint is first written down and then looked into. So the move
itself, which everybody waits for, reads no row. Whoever does not let go of the tables for
_LOCK_TIMEOUT makes it let go itself, so that others get on, and try again.
"""

import datetime as dt
import time
from collections.abc import Callable
from functools import partial

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import OperationalError

from smart_filter_shared import ids
from smart_filter_shared.db import partitions

revision = "0018"
down_revision = "0017"

# As far as the first partition reaches: until then code that makes no days is well.
_FIRST = dt.timedelta(days=7)
# Longer than `deadlock_timeout`, after which a vacuum that nobody asked for gives way.
# Sent with the statement that waits: a session may be another's, behind a pooler.
_HURRY = "SET LOCAL lock_timeout = '2s'"
_TRIES = 100
_PAUSE_SECONDS = 1.0


def upgrade() -> None:
    until = _end_of_first()
    with op.get_context().autocommit_block():
        for table, key in partitions.TABLES.items():
            _patiently(partial(_bind, table, key, until))
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_first")
    _patiently(_lock_alone)
    for table, key in partitions.TABLES.items():
        _move(table, key, until)
    partitions.create_upcoming(op.get_bind())
    partitions.refresh_views(op.get_bind(), renew=True)


def _end_of_first() -> dt.date:
    """Return until when the first partition reaches: a week on, and past all that there is."""
    week = partitions.today(op.get_bind()) + _FIRST
    last = op.get_bind().scalar(sa.text("SELECT id FROM jobs ORDER BY id DESC LIMIT 1"))
    return week if last is None else max(week, ids.day_of(last) + dt.timedelta(days=1))


def _bind(table: str, key: str, until: dt.date) -> None:
    # One may be left of a try that broke off.
    op.execute(f"""
        {_HURRY}; ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_first,
        ADD CONSTRAINT {table}_first CHECK ({key} < '{partitions.first_id(until)}') NOT VALID
    """)


def _lock_alone() -> None:
    with op.get_bind().begin_nested():
        op.execute(f"{_HURRY}; LOCK TABLE jobs, stages IN ACCESS EXCLUSIVE MODE")


def _patiently(step: Callable[[], None]) -> None:
    for tries_left in reversed(range(_TRIES)):
        try:
            step()
            break
        except OperationalError:  # LockNotAvailable
            if not tries_left:
                raise
            time.sleep(_PAUSE_SECONDS)


def _move(table: str, key: str, until: dt.date) -> None:
    first = f"{table}_{partitions.until_suffix(until)}"
    op.execute(f"ALTER TABLE {table} RENAME TO {first}")
    _rename(first, "old || '_first_days'")
    # Constraints, indexes and privileges under the names that they had; of constraints not the one
    # that binds the first partition.
    op.execute(f"CREATE TABLE {table} (LIKE {first} INCLUDING DEFAULTS) PARTITION BY RANGE ({key})")
    op.execute(f"""
        DO $$
        DECLARE one record;
        BEGIN
            FOR one IN SELECT replace(conname, '_first_days', '') AS name,
                    pg_get_constraintdef(oid) AS told
                FROM pg_constraint
                WHERE conrelid = '{first}'::regclass AND contype IN ('c', 'p')
                    AND conname <> '{table}_first'
            LOOP
                EXECUTE format('ALTER TABLE {table} ADD CONSTRAINT %I %s', one.name, one.told);
            END LOOP;
            FOR one IN SELECT pg_get_indexdef(indexrelid) AS told FROM pg_index
                WHERE indrelid = '{first}'::regclass AND NOT indisprimary
            LOOP
                EXECUTE replace(replace(one.told, '_first_days', ''), '.{first} ', '.{table} ');
            END LOOP;
            FOR one IN SELECT privilege_type AS may, grantee::regrole AS who, NULL AS attname
                FROM pg_class, aclexplode(relacl)
                WHERE pg_class.oid = '{first}'::regclass AND grantee <> relowner AND grantee <> 0
                UNION ALL
                SELECT privilege_type, grantee::regrole, attname
                FROM pg_attribute, aclexplode(attacl)
                WHERE attrelid = '{first}'::regclass AND grantee <> 0
            LOOP
                EXECUTE format('GRANT %s %s ON {table} TO %s', one.may,
                    coalesce('(' || quote_ident(one.attname) || ')', ''), one.who);
            END LOOP;
        END $$
    """)  # noqa: S608 - our own names
    op.execute(f"""
        ALTER TABLE {table} ATTACH PARTITION {first}
        FOR VALUES FROM (MINVALUE) TO ('{partitions.first_id(until)}')
    """)
    op.execute(f"ALTER TABLE {first} DROP CONSTRAINT {table}_first")


def _rename(of: str, named: str) -> None:
    """Rename the checks, the key and the indexes of a table; `named` says how, in SQL."""
    op.execute(f"""
        DO $$
        DECLARE one record;
        BEGIN
            FOR one IN SELECT old, {named} AS new FROM (
                SELECT conname AS old FROM pg_constraint
                WHERE conrelid = '{of}'::regclass AND contype = 'p'
            ) AS keys
            LOOP
                EXECUTE format('ALTER TABLE {of} RENAME CONSTRAINT %I TO %I', one.old, one.new);
            END LOOP;
            FOR one IN SELECT old, {named} AS new FROM (
                SELECT relname AS old FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                WHERE indrelid = '{of}'::regclass AND NOT indisprimary
            ) AS indexes
            LOOP
                EXECUTE format('ALTER INDEX %I RENAME TO %I', one.old, one.new);
            END LOOP;
        END $$
    """)  # noqa: S608 - our own names


def downgrade() -> None:
    """Make the first partition the table again; what came after it is copied into it."""
    op.execute("LOCK TABLE jobs, stages IN ACCESS EXCLUSIVE MODE")
    op.execute("DROP VIEW open_jobs, open_stages")
    for table in partitions.TABLES:
        first = op.get_bind().scalar(
            sa.text(f"""
                SELECT inhrelid::regclass::text FROM pg_inherits
                WHERE inhparent = '{table}'::regclass AND inhrelid::regclass::text LIKE '%_until_%'
            """)  # noqa: S608 - our own names
        )
        if first is None:
            raise RuntimeError("the first days were dropped: what there was is not there any more")
        op.execute(f"ALTER TABLE {table} DETACH PARTITION {first}")
        op.execute(f"INSERT INTO {first} SELECT * FROM {table}")  # noqa: S608 - our own names
        op.execute(f"DROP TABLE {table}")
        op.execute(f"ALTER TABLE {first} RENAME TO {table}")
        _rename(table, "replace(old, '_first_days', '')")
