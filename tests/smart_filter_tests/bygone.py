"""Past days: what is written into them, has ended there and has expired; and they are dropped."""

import datetime as dt
import uuid
from typing import Final

from sqlalchemy import text

from smart_filter_shared.db import days
from smart_filter_shared.db.days import Span
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs import expiry, fairness, past_days, transitions
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.many_days import today_of

# Which day: so many days ago.
BACK: Final = 20


def emptied(bench: Bench) -> Bench:
    """Return a bench after a month of days, of which none holds anything, whatever was dropped."""
    bench.empty()
    with bench.transaction() as connection:
        for back in (BACK, BACK + 1):
            day = today_of(bench.engine) - dt.timedelta(days=back)
            if not any(one.since == day for one in days.partitions(connection)):
                days.make(connection, day)
        days.look(connection)
    return bench


def span(bench: Bench, *, back: int = BACK) -> Span:
    day = today_of(bench.engine) - dt.timedelta(days=back)
    return Span(day + dt.timedelta(days=1), day, f"{day:%Y_%m_%d}")


def id_of(bench: Bench, number: int = 0, *, back: int = BACK) -> uuid.UUID:
    """Return one of the ids that jobs of a past day may have."""
    since = span(bench, back=back).since
    assert since is not None
    return uuid.UUID(int=days.first_id(since).int + number)


def ended(bench: Bench, number: int = 0, *, back: int = BACK) -> JobId:
    """Write a job of a past day that was canceled, counted and has expired."""
    job_id = bench.submit(job_id=JobId(id_of(bench, number, back=back)))
    bench.do(transitions.cancel, job_id, TENANT)
    bench.do(days.look)
    bench.do(fairness.settle)
    let_expire(bench)
    return job_id


def let_expire(bench: Bench) -> None:
    """Let the time of all that has ended be over, objects included."""
    with bench.transaction() as connection:
        connection.execute(text("UPDATE jobs SET expires_at = statement_timestamp()"))
        connection.execute(text("DELETE FROM artifacts"))  # as retention does
        expiry.expire(connection, most=100)


def is_there(bench: Bench, *, back: int = BACK) -> bool:
    """Whether both partitions of a past day are there; else neither is."""
    name = span(bench, back=back).name
    with bench.transaction() as connection:
        found = connection.execute(
            text("SELECT to_regclass(:jobs) IS NOT NULL, to_regclass(:stages) IS NOT NULL"),
            {"jobs": f"jobs_{name}", "stages": f"stages_{name}"},
        ).one()
    assert found[0] == found[1]
    return bool(found[0])


def drop(bench: Bench, *, back: int = BACK) -> list[str]:
    """Drop a past day, or return what holds it."""
    return bench.do(past_days.drop, span(bench, back=back))


def batch(bench: Bench, *where: tuple[int, int]) -> BatchId:
    """Write a batch that has ended and expired, of jobs of these days and numbers."""
    batch_id, job_ids = bench.submit_batch(len(where))
    bench.do(transitions.cancel_batch, batch_id, TENANT)
    bench.do(fairness.settle)
    let_expire(bench)
    with bench.transaction() as connection:
        for job_id, (back, number) in zip(job_ids, where, strict=True):
            to = {"old": job_id, "new": id_of(bench, number, back=back)}
            connection.execute(text("UPDATE jobs SET id = :new WHERE id = :old"), to)
            connection.execute(text("UPDATE stages SET job_id = :new WHERE job_id = :old"), to)
    return batch_id
