"""What operators do to many jobs of a tenant: each job in a transaction of its own.

So many at once would lock each other's rows out of order, and a tenant's whole queue in one
transaction would hold up everybody who claims from it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

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


# Why a job is not moved: it has ended meanwhile, or its photo is gone.
LEFT: Final = (InputsExpired, JobFinal, JobNotFinished, NotFound)


class Move(StrEnum):
    """What is done to all jobs of a tenant that it fits.

    cancel: those that have not ended are withdrawn.  redrive: those that have failed go on; the
    next sweep rings.
    """

    CANCEL = "cancel"
    REDRIVE = "redrive"


_WHICH: Final[Mapping[Move, TextClause]] = {Move.CANCEL: _UNFINISHED, Move.REDRIVE: _FAILED}


@dataclass(frozen=True, slots=True)
class Moved:
    """How many jobs were moved, and how many could not be: they ended, or their photo is gone."""

    moved: int
    left: int


def find(
    connection: Connection, move: Move, tenant: Tenant, *, after: JobId | None, most: int
) -> list[JobId]:
    """Return the next jobs of a tenant that are to be moved, behind one of them."""
    where = {"tenant": tenant, "after": after or _FIRST, "most": most}
    return [JobId(row.id) for row in connection.execute(_WHICH[move], where)]


def make(connection: Connection, move: Move, tenant: Tenant, job_id: JobId) -> None:
    """Move a job, in a transaction of its own.  Raises one of LEFT; then it stays as it is."""
    if move == Move.CANCEL:
        transitions.cancel(connection, job_id, tenant)
    else:
        transitions.redrive(connection, job_id, tenant)


def count(connection: Connection, move: Move, tenant: Tenant, *, most: int) -> int:
    """Return how many jobs of a tenant are to be moved now, counted up to `most`."""
    return len(find(connection, move, tenant, after=None, most=most))


def make_all(engine: Engine, move: Move, tenant: Tenant) -> Moved:
    """Move all jobs of a tenant that it fits.  Raises DatabaseUnavailable."""
    moved = left = 0
    for job_id in _found(engine, move, tenant):
        try:
            with sessions.transaction(engine) as connection:
                make(connection, move, tenant, job_id)
        except LEFT:
            left += 1
        else:
            moved += 1
    return Moved(moved, left)


def _found(engine: Engine, move: Move, tenant: Tenant) -> Iterator[JobId]:
    after: JobId | None = None
    while True:
        with sessions.transaction(engine) as connection:
            page = find(connection, move, tenant, after=after, most=_LOOKED_UP_AT_ONCE)
        yield from page
        if len(page) < _LOOKED_UP_AT_ONCE:
            return
        after = page[-1]
