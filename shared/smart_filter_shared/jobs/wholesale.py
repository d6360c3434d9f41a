"""What operators do to many jobs of a tenant: each job in a transaction of its own.

So many at once would lock each other's rows out of order, and a tenant's whole queue in one
transaction would hold up everybody who claims from it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, TextClause, text

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import InputsExpired, JobFinal, JobNotFinished, NotFound
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import transitions

_LOOKED_UP_AT_ONCE = 200
_UNFINISHED = text("""
    SELECT id FROM jobs WHERE tenant = :tenant AND outcome IS NULL AND id > :after
    ORDER BY id LIMIT :most
""")
_FAILED = text("""
    SELECT id FROM jobs WHERE tenant = :tenant AND outcome = 'failed' AND id > :after
    ORDER BY id LIMIT :most
""")
_FIRST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Moved:
    """How many jobs were moved, and how many could not be: they ended, or their photo is gone."""

    moved: int
    left: int


def cancel(engine: Engine, tenant: Tenant) -> Moved:
    """Cancel all jobs of a tenant that have not ended.  Raises DatabaseUnavailable."""
    return _each(engine, tenant, _UNFINISHED, transitions.cancel)


def redrive(engine: Engine, tenant: Tenant) -> Moved:
    """Let all failed jobs of a tenant go on; the next sweep rings.  Raises DatabaseUnavailable."""
    return _each(engine, tenant, _FAILED, transitions.redrive)


def _each(
    engine: Engine,
    tenant: Tenant,
    which: TextClause,
    move: Callable[[Connection, JobId, Tenant], object],
) -> Moved:
    moved = left = 0
    for job_id in _found(engine, tenant, which):
        try:
            with sessions.transaction(engine) as connection:
                move(connection, job_id, tenant)
        except (InputsExpired, JobFinal, JobNotFinished, NotFound):
            left += 1
        else:
            moved += 1
    return Moved(moved, left)


def _found(engine: Engine, tenant: Tenant, which: TextClause) -> Iterator[JobId]:
    after: object = _FIRST
    while True:
        with sessions.transaction(engine) as connection:
            where = {"tenant": tenant, "after": after, "most": _LOOKED_UP_AT_ONCE}
            page = [JobId(row.id) for row in connection.execute(which, where)]
        yield from page
        if len(page) < _LOOKED_UP_AT_ONCE:
            return
        after = page[-1]
