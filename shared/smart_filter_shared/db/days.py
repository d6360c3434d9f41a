"""Partitions by day: jobs and stages of one UTC day lie together.

A job's id is a UUIDv7, which begins with when it was made; so a day is a range of ids. The
partition's name says which: `jobs_2026_11_21` is that day, `jobs_until_2026_11_28` what was there
before there were days, and what came until then. Days are made ahead, by every migration and by
whoever takes submissions: a job whose day is missing cannot be written, as there is no partition
for whatever is left over. One would be looked through for every new day.

Workers and sweeps read and write jobs through `open_jobs` and `open_stages`: views of the days that
hold an unfinished job, of today and of every day to come. The bounds are constants in the views, so
that plans name those days alone: a transition reads and locks these, however many days are kept.
The sweeper renews the views from the rows, each second if needed. A view that is not renewed shows
too many days, never too few, with one exception: a job that is reopened on a closed day can be
claimed after the next sweep.

Each view is replaced in a transaction of its own (STEPS). A claim reads `open_stages` and then
`open_jobs`, a completion begins with `open_jobs`: with both locked by one transaction some of them
wait for it and it waits for others, whenever more than a few workers are busy. Between two steps
`open_jobs` shows more days than `open_stages`, never fewer: a stage that is found has its job.
"""

import datetime as dt
import re
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

TABLES: Final = {"jobs": "id", "stages": "job_id"}
# Every API process makes tomorrow's partitions each hour: 23 tries fail before a submission does.
# Each further day is empty, and costs every transition four to eight locks.
DAYS_AHEAD: Final = 1
# A UUIDv7 begins with the milliseconds since 1970; this many bits come after them.
_TIME_BITS: Final = 80
_DAY_MS: Final = 86_400_000
_DAY: Final = re.compile(r"_(until_)?(\d{4}_\d{2}_\d{2})$")
# The views are in use by every claim; one that does not let go makes this come again in a second.
_LOCK_TIMEOUT: Final = "200ms"
# A submission makes its ids first, stores up to 1,000 photos, and then writes its jobs: one that is
# written after midnight under ids of the day before must find that day open, or the part of its
# batch that is of the new day would count as all of it.
_GRACE: Final = dt.timedelta(hours=2)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A partition's days: since the first, None for all before, and until the day after its last.

    name: its ending, of the names of the partitions of both tables.
    """

    until: dt.date
    since: dt.date | None
    name: str


def first_id(day: dt.date) -> uuid.UUID:
    """Return the least UUID that a job of a day may have, in UTC."""
    began = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    return _id_at(int(began.timestamp() * 1000))


def within(key: str, ids: Collection[uuid.UUID]) -> str:
    """Return the SQL condition that a column is an id of one of the days of these ids.

    The bounds are constants: every plan, a generic one too, names the partitions of these days
    alone.  ids: at least one.
    """
    numbers = sorted({(one.int >> _TIME_BITS) // _DAY_MS for one in ids})
    days = [(_id_at(number * _DAY_MS), _id_at((number + 1) * _DAY_MS)) for number in numbers]
    either = " OR ".join(f"{key} >= '{first}' AND {key} < '{after}'" for first, after in days)
    return f"({either})"


def until(day: dt.date) -> str:
    """Return the ending of the names of partitions of all that is before a day."""
    return f"until_{day:%Y_%m_%d}"


def today(connection: Connection) -> dt.date:
    """Return the day by the database's clock, in UTC."""
    found = connection.scalar(text("SELECT (statement_timestamp() AT TIME ZONE 'UTC')::date"))
    assert isinstance(found, dt.date)
    return found


def make_ahead(connection: Connection) -> list[dt.date]:
    """Make today's partitions and those of days to come, where they are missing; return which.

    Nobody waits for it: a table is made beside the others and then attached, which takes no lock
    that reading or writing meets.
    """
    begins = today(connection)
    days = [begins + dt.timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    if not (missing := _missing(connection, days)):
        return []
    # Of several at once the others find them made.
    connection.execute(text("LOCK TABLE ONLY jobs, ONLY stages IN SHARE UPDATE EXCLUSIVE MODE"))
    missing = _missing(connection, days)
    for day in missing:
        make(connection, day)
    return missing


def make(connection: Connection, day: dt.date) -> None:
    """Make the partitions of a day of which there are none."""
    for table in TABLES:
        name = f"{table}_{day:%Y_%m_%d}"
        first, after = first_id(day), first_id(day + dt.timedelta(days=1))
        connection.execute(
            text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL) WITH (fillfactor = 70)")
        )
        connection.execute(
            text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES"
                 f" FROM ('{first}') TO ('{after}')")
        )  # fmt: skip


def partitions(connection: Connection) -> list[Span]:
    """Return those that there are, the oldest first."""
    rows = connection.execute(
        text("SELECT inhrelid::regclass::text AS name FROM pg_inherits"
             " WHERE inhparent = 'jobs'::regclass AND NOT inhdetachpending")
    )  # fmt: skip
    return sorted(_span(row.name) for row in rows)


def look(connection: Connection, *, renew: bool = False) -> None:
    """Make the views show every day that holds an unfinished job, all in one transaction.

    A job that has ended and is not counted yet is unfinished.  For a database on which no worker
    is busy; STEPS are the same in transactions of their own.
    renew: makes the views in any case, as columns may have come to the tables.
    Raises DatabaseUnavailable, by way of the transaction, when a view is in use for long.
    """
    if renew or not is_up_to_date(connection):
        for step in STEPS:
            step(connection)


def is_up_to_date(connection: Connection) -> bool:
    """Return whether both views show the days that they should."""
    spans = _open(connection)
    return all(_shown(connection, table) == spans for table in TABLES)


def show_jobs(connection: Connection) -> None:
    """Make `open_jobs` show the days to open, and those that it shows already."""
    _show(connection, "jobs", {*_open(connection), *(_shown(connection, "jobs") or ())})


def show_stages(connection: Connection) -> None:
    """Make `open_stages` show the days that are open, of those that `open_jobs` shows."""
    known = set(_shown(connection, "jobs") or ())
    shown: set[Span] | None = None
    # Read again once the view is replaced: every claim that used the old view has committed, as
    # the replacement waits for it, so that nothing of a day that is closed runs.
    while (spans := known & set(_open(connection)) or known) != shown:
        _show(connection, "stages", spans)
        shown = spans


def hide_jobs(connection: Connection) -> None:
    """Make `open_jobs` show no more days than `open_stages`."""
    spans = _shown(connection, "stages")
    if spans is not None and spans != _shown(connection, "jobs"):
        _show(connection, "jobs", spans)


# Each in a transaction of its own, in this order.
STEPS: Final = (show_jobs, show_stages, hide_jobs)


def _id_at(milliseconds: int) -> uuid.UUID:
    """Return the least UUIDv7 of a moment; an id that is no UUIDv7 may be of any."""
    return uuid.UUID(int=min(milliseconds << _TIME_BITS, (1 << 128) - 1))


def _missing(connection: Connection, days: Collection[dt.date]) -> list[dt.date]:
    spans = partitions(connection)
    return [
        day
        for day in days
        if not any(day < one.until and (one.since is None or one.since <= day) for one in spans)
    ]


def _span(table: str) -> Span:
    named = _DAY.search(table)
    assert named is not None, table
    day = dt.datetime.strptime(named[2], "%Y_%m_%d").replace(tzinfo=dt.UTC).date()
    name = table.removeprefix("jobs_")
    if named[1]:
        return Span(day, None, name)
    return Span(day + dt.timedelta(days=1), day, name)


def _open(connection: Connection) -> list[Span]:
    """Return those to show; the last stands for all that come after it as well."""
    # A day that is dropped meanwhile could not be asked any more.
    connection.execute(text("LOCK TABLE ONLY jobs IN ACCESS SHARE MODE"))
    spans, since = partitions(connection), recent_since(connection)
    recent = [span for span in spans if span.until > since]
    # Days to come hold nothing, and the last of what is shown stands for them.
    last = next(span for span in recent if span.until > today(connection))
    past = [span for span in spans if span < recent[0]]
    return [*_unfinished(connection, past), *(span for span in recent if span <= last)]


def recent_since(connection: Connection, *, grace: dt.timedelta = _GRACE) -> dt.date:
    """Return the first day that is shown whatever it holds.

    grace: after midnight, how long the day before is that day.
    """
    found = connection.scalar(
        text("SELECT ((statement_timestamp() - :grace) AT TIME ZONE 'UTC')::date"),
        {"grace": grace},
    )
    assert isinstance(found, dt.date)
    return found


def _shown(connection: Connection, table: str) -> list[Span] | None:
    """Return what a view was made for, as `_show` has written it down; None: not known."""
    found = connection.scalar(
        text("SELECT obj_description(to_regclass(:view), 'pg_class')"), {"view": f"open_{table}"}
    )
    return None if found is None else [_span(name) for name in str(found).split()]


def _unfinished(connection: Connection, spans: Collection[Span]) -> list[Span]:
    """Return those that hold anything unfinished: two probes of indexes of nothing else each."""
    if not spans:
        return []
    each = ", ".join(
        f"""
            EXISTS (SELECT FROM jobs_{span.name} WHERE outcome IS NULL)
            OR EXISTS (SELECT FROM jobs_{span.name} WHERE outcome IS NOT NULL AND NOT settled)
        """  # noqa: S608 - names of our own
        for span in spans
    )
    found = connection.execute(text(f"SELECT {each}")).one()
    return [span for span, is_open in zip(spans, found, strict=True) if is_open]


def _show(connection: Connection, table: str, days: Collection[Span]) -> None:
    spans = sorted(days)
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    ranges = [*((span.since, span.until) for span in spans[:-1]), (spans[-1].since, None)]
    which = " OR ".join(_within(TABLES[table], *one) for one in ranges)
    connection.execute(
        text(f"CREATE OR REPLACE VIEW open_{table} AS SELECT * FROM {table} WHERE {which}")  # noqa: S608 - names of our own
    )
    names = " ".join(f"jobs_{span.name}" for span in spans)
    connection.execute(text(f"COMMENT ON VIEW open_{table} IS '{names}'"))


def _within(key: str, since: dt.date | None, end: dt.date | None) -> str:
    bounds = [f"{key} >= '{first_id(since)}'"] if since is not None else []
    bounds += [f"{key} < '{first_id(end)}'"] if end is not None else []
    return f"({' AND '.join(bounds) or 'true'})"
