"""Age an installation, or some of its jobs, by whole days.

A job's id is a UUIDv7, which begins with the millisecond in which the job was made. An older job
therefore has another id: the helpers change it in every table and return the new one. Object keys
stay the same; their folders still name the day on which the objects were stored.
"""

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_api.auth import api_keys
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.model_registry import weight_versions
from smart_filter_shared.operations import settlement
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.storage import keys as storage_keys
from smart_filter_tests import trainable_model
from smart_filter_tests.bench import Bench
from smart_filter_tests.maintenance import collector

# Columns that hold the id of a job or of a batch, besides `id` of these two tables.
_IDS: Final = frozenset({"job_id", "batch_id", "parent_id", "album", "last_job_id"})
_TABLES_OF_IDS: Final = frozenset({"jobs", "batches"})
# UPDATE moves rows one by one and ids would collide: first move all rows far away.
_KEYED_BY_TIME: Final = frozenset({"usage", "samples", "queue_samples", "failures"})
_FAR: Final = "interval '365000 days'"
_COLUMNS: Final = text("""
    SELECT relname AS table, attname AS name, format_type(atttypid, NULL) AS type,
        attidentity <> '' AS is_identity
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND attnum > 0 AND NOT attisdropped AND relname <> 'alembic_version'
    ORDER BY relname, attnum
""")

# Rows in an array keep the id of their job, with which a redrive restores them.
_SHIFT_ENDED_STAGES: Final = text("""
    UPDATE ended_stages SET stages = ARRAY(
        SELECT jsonb_populate_record(kept, jsonb_build_object('job_id', ended_stages.job_id))
        FROM unnest(stages) AS kept
    )
""")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    type: PostgreSQL's name of the type.  is_id: whether it holds the id of a job or of a batch.
    """

    name: str
    type: str
    is_identity: bool
    is_id: bool


def columns(connection: Connection) -> Mapping[str, Sequence[Column]]:
    by_table: dict[str, list[Column]] = {}
    for row in connection.execute(_COLUMNS):
        is_id = row.name in _IDS or (row.name == "id" and row.table in _TABLES_OF_IDS)
        column = Column(row.name, row.type, row.is_identity, is_id)
        by_table.setdefault(row.table, []).append(column)
    return by_table


def shift_sql(column: Column, name: str, by: str, *, tail: str | None = None) -> str | None:
    """Return SQL that shifts a column's value into the past; None when the value does not change.

    name: of the column in the statement.  by: SQL of an interval.  tail: SQL of 18 hexadecimal
    digits that replace the random part of an id, for a copy; None keeps that part.
    """
    if column.type == "timestamp with time zone":
        return f"{name} - {by}"
    if column.type == "date":
        return f"CAST({name} - {by} AS date)"
    if not column.is_id:
        return None
    milliseconds = f"CAST(1000 * extract(epoch FROM uuid_extract_timestamp({name}) - {by}) AS int8)"
    random = (
        f"right(replace(CAST({name} AS text), '-', ''), 20)"
        if tail is None
        else f"'7' || left({tail}, 3) || '8' || right({tail}, 15)"
    )
    return f"CAST(lpad(to_hex({milliseconds}), 12, '0') || {random} AS uuid)"


def older_id(job_id: uuid.UUID | str, *, number: int) -> JobId:
    """Return a job's id after the job is made `number` days older."""
    milliseconds = dt.timedelta(days=number) // dt.timedelta(milliseconds=1)
    return JobId(uuid.UUID(int=uuid.UUID(str(job_id)).int - (milliseconds << 80)))


def pass_days(connection: Connection, number: int) -> None:
    """Shift everything a database holds `number` days into the past.

    Background work of these days has not happened: see `clean_up`.
    """
    # Rows of the security log cannot be changed otherwise.
    connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
    by = f"interval '{number} days'"
    for table, listed in columns(connection).items():
        ways = (f"({by} + {_FAR})", f"(-{_FAR})") if table in _KEYED_BY_TIME else (by,)
        for way in ways:
            if changes := _shift_columns_sql(listed, way):
                connection.execute(text(f"UPDATE {table} SET {changes}"))
    connection.execute(text("ALTER TABLE audit_events ENABLE TRIGGER USER"))
    connection.execute(_SHIFT_ENDED_STAGES)


def age_jobs(
    connection: Connection, job_ids: Sequence[uuid.UUID | str], *, number: int
) -> list[JobId]:
    """Make jobs, and every row about them, `number` days older; return their new ids.

    A job that was derived from one of them names it only when it is among them.
    """
    which = [uuid.UUID(str(job_id)) for job_id in job_ids]
    by = f"interval '{number} days'"
    # Settlement skips locked jobs. Between two of the updates below, it would move stages of the
    # former id.
    connection.execute(text("SELECT FROM jobs WHERE id = ANY(:ids) FOR UPDATE"), {"ids": which})
    for table, listed in _order_tables(columns(connection)):
        names = {column.name for column in listed}
        if table == "delivery_attempts":
            where = "delivery_id IN (SELECT id FROM deliveries WHERE job_id = ANY(:ids))"
        elif table == "jobs":
            where = "id = ANY(:ids)"
        elif "job_id" in names:
            where = "job_id = ANY(:ids)"
        else:
            continue
        if changes := _shift_columns_sql(listed, by):
            connection.execute(text(f"UPDATE {table} SET {changes} WHERE {where}"), {"ids": which})
    older = [older_id(job_id, number=number) for job_id in which]
    connection.execute(text(f"{_SHIFT_ENDED_STAGES} WHERE job_id = ANY(:ids)"), {"ids": older})
    return older


def clean_up(bench: Bench) -> None:
    """Count ended jobs, and let retention remove everything that has expired."""
    bench.work(settlement.settle)
    retention = collector(bench)
    for _ in range(3):  # a mark, a removed object, a removed row
        while retention.remove_expired():
            pass


def replace_weights(bench: Bench, *, score: float) -> str:
    """Promote weights that give every smile the same score; return their digest."""
    content = trainable_model.network(score)
    digest = trainable_model.digest_of(content)
    key = storage_keys.weights(digest)
    bench.store.put(key, content, length=len(content), media_type="application/octet-stream")
    trained = weight_versions.TrainingRecord(
        task=TaskName.SMILE,
        model=trainable_model.CARD.name,
        digest=digest,
        key=key,
        metrics={**trainable_model.BETTER, "against": None},
        parent=None,
        data_set=None,
        trained_on="the tests",
        trained_at=dt.datetime.now(dt.UTC),
    )
    with bench.transaction() as connection:
        weight_versions.register(connection, trained)
        weight_versions.promote(connection, digest, anyway=True)
    return digest


def rotate_key(bench: Bench, tenant: Tenant) -> str:
    """Issue a key with every scope except the operator's; revoke the tenant's other keys."""
    with bench.transaction() as connection:
        connection.execute(
            text("""
                UPDATE keys SET revoked_at = statement_timestamp()
                WHERE tenant = :tenant AND revoked_at IS NULL
            """),
            {"tenant": tenant},
        )
        scopes = [api_keys.Scope.SUBMIT, api_keys.Scope.READ, api_keys.Scope.ADMIN]
        return api_keys.issue(connection, tenant=tenant, scopes=scopes).key


def _order_tables(
    tables: Mapping[str, Sequence[Column]],
) -> Iterator[tuple[str, Sequence[Column]]]:
    """Order tables so that attempts are updated before the deliveries that lead to their jobs."""
    yield "delivery_attempts", tables["delivery_attempts"]
    yield from ((name, listed) for name, listed in tables.items() if name != "delivery_attempts")


def _shift_columns_sql(listed: Sequence[Column], by: str) -> str:
    """Return SQL that shifts a row's columns into the past; empty when none of them changes."""
    changed = {column.name: shift_sql(column, f'"{column.name}"', by) for column in listed}
    return ", ".join(f'"{name}" = {sql}' for name, sql in changed.items() if sql is not None)
