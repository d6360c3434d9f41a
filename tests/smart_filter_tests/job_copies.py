"""Copy jobs over many days inside the database, with events, deliveries and results.

Copies differ from their original in ids, times and keys of objects, and in nothing else. Photos and
intermediates are left out, as if their retention were over.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_tests import aging
from smart_filter_tests.aging import Column

# The column that finds a table's rows.
_KEYS: Final = {
    "jobs": "id",
    "batches": "id",
    "stages": "job_id",
    "ended_stages": "job_id",
    "unsettled_jobs": "job_id",
    "events": "job_id",
    "tombstones": "job_id",
    "deliveries": "job_id",
    "delivery_attempts": "job_id",
    "artifacts": "job_id",
}
# The time at which a row was written, which determines the transaction id that it names.
_WRITTEN_AT: Final = {"events": "at", "tombstones": "deleted_at"}
# Columns with keys of objects, which contain the job's id.
_OBJECTS: Final = {("jobs", "photo_key"), ("artifacts", "key"), ("ended_stages", "stages")}
_DELIVERIES: Final = {("deliveries", "id"), ("delivery_attempts", "delivery_id")}
_SECONDS_A_TRANSACTION: Final = 12
_PLAN: Final = text("""
    CREATE TEMP TABLE copies ON COMMIT DROP AS
    SELECT original, number,
        CAST(:oldest AS interval) - CAST(:between AS interval) * number / CAST(:units AS float8)
            - (statement_timestamp() - uuid_extract_timestamp(CAST(:first AS uuid))) AS by
    FROM generate_series(1, CAST(:units AS int)) AS number,
        unnest(CAST(:ids AS uuid[])) AS original
""")


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are copied together: a job, a batch and its jobs, or a job and a derived one.

    units: number of copies.  newest, oldest: the ages between which they lie, evenly spread.
    """

    ids: Sequence[uuid.UUID]
    units: int
    newest: dt.timedelta
    oldest: dt.timedelta


def write(connection: Connection, group: Group) -> None:
    """Write copies of a group."""
    connection.execute(
        _PLAN,
        {
            "ids": list(group.ids),
            "first": group.ids[0],
            "units": group.units,
            "between": group.oldest - group.newest,
            "oldest": group.oldest,
        },
    )
    tables = aging.columns(connection)
    for table, key in _KEYS.items():
        columns = [column for column in tables[table] if not column.is_identity]
        names = ", ".join(f'"{column.name}"' for column in columns)
        values = ", ".join(_value(table, key, column) for column in columns)
        rows = f"{table} AS original"
        if table == "delivery_attempts":
            rows += " JOIN deliveries AS of ON of.id = original.delivery_id"
        where = f"{'of' if table == 'delivery_attempts' else 'original'}.{key} = copies.original"
        if table == "artifacts":
            where += " AND kind = 'result'"
        connection.execute(
            text(
                f"INSERT INTO {table} ({names}) SELECT {values} FROM copies JOIN {rows} ON {where}"
            )
        )
    connection.execute(text("DROP TABLE copies"))


def _value(table: str, key: str, column: Column) -> str:
    """Return SQL for the value of a copy's column."""
    name = f'original."{column.name}"'
    if (table, column.name) in _DELIVERIES:
        return f"CAST({_random_digits(name)} AS uuid)"
    if (table, column.name) in _OBJECTS:
        original = f"original.{key}"
        copied = aging.shift_sql(
            Column(key, "uuid", False, True), original, "copies.by", tail=_random_digits(original)
        )
        return (
            f"CAST(replace(CAST({name} AS text), CAST({original} AS text), CAST({copied} AS text))"
            f" AS {column.type})"
        )
    if column.name == "written_in":
        at = f"original.{_WRITTEN_AT[table]}"
        age = f"extract(epoch FROM statement_timestamp() - ({at} - copies.by))"
        now = "CAST(CAST(pg_current_xact_id() AS text) AS int8)"
        return f"greatest(3, {now} - 1 - CAST({age} / {_SECONDS_A_TRANSACTION} AS int8))"
    changed = aging.shift_sql(column, name, "copies.by", tail=_random_digits(name))
    return name if changed is None else changed


def _random_digits(name: str) -> str:
    """Return SQL of 32 hexadecimal digits, derived from an id and a copy's number."""
    return f"md5(CAST({name} AS text) || copies.number)"
