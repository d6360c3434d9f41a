"""Daily partitions: jobs and stages of one UTC day share a partition.

A job's id is a UUIDv7, which begins with the creation time, so a day is a range of ids. The
partition's name says which: `jobs_2026_11_21` is that day, `jobs_until_2026_11_28` holds all rows
before that date, from the time before the table was partitioned. Every migration and every API
process create partitions ahead. A job whose day has no partition cannot be written: there is no
default partition, as PostgreSQL would scan it for each new day.

Workers and sweeps read and write jobs through `open_jobs` and `open_stages`: views of today, of
every later day, and of the days that hold an unfinished job. The bounds are constants in the views,
so plans name those days only: a transition reads and locks them alone, however many days are kept.

A past day is closed once all of its jobs have ended and are settled: it gets a row in
`closed_days`, and a trigger of its partition reports there what needs attention, whatever causes
it: a job that is unfinished again, and a job that expires sooner. So no sweep reads closed days to
find that out. The sweeper closes days and refreshes the views each second if needed. A stale view
shows too many days, never too few, with one exception: a job that is reopened on a closed day can
be claimed after the next sweep. Retention removes nothing meanwhile.

Only the owner of the tables may create, close and drop partitions and replace views. All processes
call functions of the database for it, which run with the owner's rights (migrations 0001, 0004).

Each view is replaced in a transaction of its own (VIEW_STEPS). A claim reads `open_stages` and then
`open_jobs`; a completion begins with `open_jobs`. One transaction that locks both views deadlocks
with them as soon as more than a few workers are busy. Between two steps `open_jobs` shows more days
than `open_stages`, never fewer, so a stage that is found has its job.
"""

import datetime as dt
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

TABLES: Final = {"jobs": "id", "stages": "job_id"}
# Every API process creates tomorrow's partitions each hour: 23 tries fail before a submission does.
# Each further day is empty, and costs every transition four to eight locks.
DAYS_AHEAD: Final = 1
# The SQL condition that the views show every unfinished job: false between the moment at which a
# job of a closed day is unfinished again and the next sweep.
READS_EVERY_UNFINISHED_JOB: Final = "NOT EXISTS (SELECT FROM closed_days WHERE reopened)"
# Days that one statement reads of many; each takes about 20 locks.
_DAYS_AT_ONCE: Final = 3
# Bits of a UUIDv7 after its timestamp, which is in milliseconds since 1970.
_TIMESTAMP_SHIFT: Final = 80
_DAY_MS: Final = 86_400_000
_PARTITION_NAME: Final = re.compile(r"_(until_)?(\d{4}_\d{2}_\d{2})$")
# Every claim uses the views, so replacing one times out quickly; the next sweep retries, a second
# later.
_LOCK_TIMEOUT: Final = "200ms"
# How long after midnight the day before stays open. A submission creates its ids, stores up to
# 1,000 photos, and then writes its jobs. A batch written after midnight with ids of the day before
# must find that day open; else its jobs of the new day would count as the whole batch.
_GRACE: Final = dt.timedelta(hours=2)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """The range of days of a partition.

    until: the day after its last.  since: its first day; None for a partition without a lower
    bound.  name: the suffix of the partition's name, the same for both tables.
    """

    until: dt.date
    since: dt.date | None
    name: str


def first_id(day: dt.date) -> uuid.UUID:
    """Return the lowest UUID that a job of a UTC day can have."""
    midnight = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    return _id_at(int(midnight.timestamp() * 1000))


def day_condition(key: str, ids: Collection[uuid.UUID], *, more_days: int = 0) -> str:
    """Return the SQL condition that a column is an id of one of the days of these ids.

    The bounds are constants, so every plan, even a generic one, names only the partitions of these
    days.  ids: at least one.  more_days: the number of days before and after each that count too.
    """
    around = range(-more_days, more_days + 1)
    numbers = sorted({_day_number(id_) + more for id_ in ids for more in around})
    days = [(_id_at(number * _DAY_MS), _id_at((number + 1) * _DAY_MS)) for number in numbers]
    ranges = " OR ".join(f"{key} >= '{first}' AND {key} < '{after}'" for first, after in days)
    return f"({ranges})"


def condition_of_batches(batch_ids: Collection[uuid.UUID]) -> str:
    """Return the SQL condition that a row of `jobs` is of a day on which these batches have jobs.

    A batch and its jobs get their ids within minutes, so midnight can lie between them.
    """
    return day_condition("jobs.id", batch_ids, more_days=1)


def group_by_day(ids: Iterable[uuid.UUID]) -> list[list[uuid.UUID]]:
    """Return these ids, those of each day in a list of their own."""
    groups: dict[int, list[uuid.UUID]] = {}
    for id_ in ids:
        groups.setdefault(_day_number(id_), []).append(id_)
    return list(groups.values())


def condition_of_day(name: str, key: str) -> str:
    """Return the SQL condition, with constants, that a column is an id of a partition's days."""
    span = _parse_partition_name(f"jobs_{name}")
    since = "" if span.since is None else f"{key} >= '{first_id(span.since)}' AND "
    return f"({since}{key} < '{first_id(span.until)}')"


def conditions_of_days(spans: Sequence[Partition], *keys: str) -> Iterator[list[str]]:
    """Yield the condition on each key that it is an id of the next few of these days.

    A transaction that reads many days rolls a savepoint back after each few: it releases the locks.
    """
    for first in range(0, len(spans), _DAYS_AT_ONCE):
        several = spans[first : first + _DAYS_AT_ONCE]
        yield [
            f"({' OR '.join(condition_of_day(span.name, key) for span in several)})" for key in keys
        ]


def until_suffix(day: dt.date) -> str:
    """Return the name suffix of the partitions of all rows before a day."""
    return f"until_{day:%Y_%m_%d}"


def today(connection: Connection) -> dt.date:
    """Return the current UTC day by the database's clock."""
    day = connection.scalar(text("SELECT (statement_timestamp() AT TIME ZONE 'UTC')::date"))
    assert isinstance(day, dt.date)
    return day


def create_upcoming(connection: Connection) -> list[dt.date]:
    """Create the missing partitions of today and the next `DAYS_AHEAD` days; return their days.

    Readers and writers do not wait: the table is created first and then attached, with a lock that
    does not conflict with theirs.
    """
    first = today(connection)
    days = [first + dt.timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    if not (missing := _missing(connection, days)):
        return []
    # Concurrent callers wait here, and then find the partitions.
    connection.execute(text("LOCK TABLE ONLY jobs, ONLY stages IN SHARE UPDATE EXCLUSIVE MODE"))
    missing = _missing(connection, days)
    for day in missing:
        create_day(connection, day)
    return missing


def create_day(connection: Connection, day: dt.date) -> None:
    """Create the partitions of a day that has none."""
    connection.execute(text("SELECT create_day(:day)"), {"day": day})


def drop_day(connection: Connection, name: str) -> None:
    """Drop the partitions of that name."""
    connection.execute(text("SELECT drop_day(:name)"), {"name": name})
    connection.execute(text("DELETE FROM closed_days WHERE name = :name"), {"name": name})


def close_ended_days(connection: Connection, *, most: int | None = None) -> None:
    """Close past days whose jobs have all ended and are settled.

    most: the number of days to check, others at each call; each takes about 15 locks.
    Raises DatabaseUnavailable, through the transaction, when writes of a day end too late.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    since = first_recent_day(connection)
    past = [span for span in _list_open(connection) if span.until <= since]
    if most is not None and len(past) > most:
        seconds = connection.scalar(text("SELECT CAST(date_part('epoch', now()) AS bigint)"))
        assert isinstance(seconds, int)
        first = seconds * most % len(past)
        past = [*past[first:], *past[:first]][:most]
    for span in past:
        connection.execute(text("SELECT close_day(:name)"), {"name": span.name})


def list_partitions(connection: Connection) -> list[Partition]:
    """Return the existing partitions, the oldest first."""
    rows = connection.execute(
        text("SELECT inhrelid::regclass::text AS name FROM pg_inherits"
             " WHERE inhparent = 'jobs'::regclass AND NOT inhdetachpending")
    )  # fmt: skip
    return sorted(_parse_partition_name(row.name) for row in rows)


def refresh_views(connection: Connection) -> None:
    """Close days and make the views show the others, all in one transaction.

    A job that has ended and is not settled yet counts as unfinished.  For a database without busy
    workers; `close_ended_days` and VIEW_STEPS do the same in a transaction each.
    Raises DatabaseUnavailable, through the transaction, when a view stays in use too long.
    """
    close_ended_days(connection)
    if not are_views_current(connection):
        for step in VIEW_STEPS:
            step(connection)


def are_views_current(connection: Connection) -> bool:
    """Return whether both views show the days that they should."""
    spans = _list_open(connection)
    return all(_read_shown(connection, table) == spans for table in TABLES)


def widen_jobs_view(connection: Connection) -> None:
    """Replace `open_jobs` by a view of the days to open and the days that it already shows."""
    _replace_view(
        connection, "jobs", {*_list_open(connection), *(_read_shown(connection, "jobs") or ())}
    )


def replace_stages_view(connection: Connection) -> None:
    """Replace `open_stages` by a view of the open days, among the days that `open_jobs` shows."""
    partitions = set(_read_shown(connection, "jobs") or ())
    shown: set[Partition] | None = None
    # Read again after the view is replaced: the replacement waits for every claim that used the old
    # view, so claims have committed and no stage of a closed day runs.
    while (spans := partitions & set(_list_open(connection)) or partitions) != shown:
        _replace_view(connection, "stages", spans)
        shown = spans


def narrow_jobs_view(connection: Connection) -> None:
    """Replace `open_jobs` by a view of the days that `open_stages` shows; these are not closed."""
    spans = _read_shown(connection, "stages")
    if spans is None:
        return
    if spans != _read_shown(connection, "jobs"):
        _replace_view(connection, "jobs", spans)
    connection.execute(
        text("DELETE FROM closed_days WHERE reopened AND name = ANY(:names)"),
        {"names": [span.name for span in spans]},
    )


# Each in a transaction of its own, in this order.
VIEW_STEPS: Final = (widen_jobs_view, replace_stages_view, narrow_jobs_view)


def _day_number(id_: uuid.UUID) -> int:
    return (id_.int >> _TIMESTAMP_SHIFT) // _DAY_MS


def _id_at(milliseconds: int) -> uuid.UUID:
    """Return the lowest UUIDv7 of a time, in milliseconds since 1970; at most the highest UUID."""
    return uuid.UUID(int=max(0, min(milliseconds << _TIMESTAMP_SHIFT, (1 << 128) - 1)))


def _missing(connection: Connection, days: Collection[dt.date]) -> list[dt.date]:
    spans = list_partitions(connection)
    return [
        day
        for day in days
        if not any(day < span.until and (span.since is None or span.since <= day) for span in spans)
    ]


def _parse_partition_name(table: str) -> Partition:
    match = _PARTITION_NAME.search(table)
    assert match is not None, table
    day = dt.datetime.strptime(match[2], "%Y_%m_%d").replace(tzinfo=dt.UTC).date()
    name = table.removeprefix("jobs_")
    if match[1]:
        return Partition(day, None, name)
    return Partition(day + dt.timedelta(days=1), day, name)


def _list_open(connection: Connection) -> list[Partition]:
    """Return the partitions that the views should show; the last stands for all later ones too."""
    # The lock keeps a partition from being dropped before it is read.
    connection.execute(text("LOCK TABLE ONLY jobs IN ACCESS SHARE MODE"))
    rows = connection.execute(
        text("""
            SELECT inhrelid::regclass::text AS name FROM pg_inherits
            WHERE inhparent = 'jobs'::regclass AND NOT inhdetachpending AND NOT EXISTS (
                SELECT FROM closed_days
                WHERE 'jobs_' || name = inhrelid::regclass::text AND NOT reopened
            )
        """)
    )
    spans = sorted(_parse_partition_name(row.name) for row in rows)
    # Later days are empty; the last partition shown stands for them.
    last = next(span for span in spans if span.until > today(connection))
    return [span for span in spans if span <= last]


def list_unfinished(connection: Connection) -> list[Partition]:
    """Return the partitions that can hold unfinished jobs, in order of their days.

    A day on which an ended job was started again is missing until the next sweep.
    """
    shown = _read_shown(connection, "jobs") or []
    return [
        span
        for span in list_partitions(connection)
        if not shown or span in shown or span > shown[-1]
    ]


def first_recent_day(connection: Connection, *, grace: dt.timedelta = _GRACE) -> dt.date:
    """Return the first day that the views show even when it holds no unfinished job.

    grace: how long after midnight the day before still counts as today.
    """
    day = connection.scalar(
        text("SELECT ((statement_timestamp() - :grace) AT TIME ZONE 'UTC')::date"),
        {"grace": grace},
    )
    assert isinstance(day, dt.date)
    return day


def _read_shown(connection: Connection, table: str) -> list[Partition] | None:
    """Return the partitions that a view shows, from the comment that `_replace_view` wrote.

    None: the view does not exist or has no comment.
    """
    listed = connection.scalar(
        text("SELECT obj_description(to_regclass(:view), 'pg_class')"), {"view": f"open_{table}"}
    )
    return None if listed is None else [_parse_partition_name(name) for name in str(listed).split()]


def _replace_view(connection: Connection, table: str, days: Collection[Partition]) -> None:
    spans = sorted(days)
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    connection.execute(
        text("""
            SELECT show_days(
                :parent, CAST(:since AS uuid[]), CAST(:until AS uuid[]), CAST(:names AS text[])
            )
        """),
        {
            "parent": table,
            "since": [None if span.since is None else first_id(span.since) for span in spans],
            "until": [*(first_id(span.until) for span in spans[:-1]), None],
            "names": [f"jobs_{span.name}" for span in spans],
        },
    )
