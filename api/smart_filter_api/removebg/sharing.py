"""Identical requests under way share one job: clients that gave up too early send theirs again.

Such a request is claimed in the table `requests`, as one with an Idempotency-Key is, under a key
that no client can send: what it asks for. Whoever comes first submits; whoever comes while that
job has not ended waits for it too, in whichever API process. Who waits last, cancels.
"""

import contextlib
import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Final

import anyio
from sqlalchemy import Connection, text

from smart_filter_api import submission
from smart_filter_api.deps import Services
from smart_filter_api.intake import Upload
from smart_filter_api.keys import Caller
from smart_filter_api.removebg.errors import refused
from smart_filter_shared.errors import JobFinal, NotFound, TryAgain
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import queries, transitions
from smart_filter_shared.jobs.queries import JobRow

# Keys that clients send are printable ASCII.
_PREFIX: Final = "→ "
# Nobody takes so long to store a photo whose body is here: whoever claimed it has died.
_ABANDONED_SECONDS: Final = 60
# How often those who wait for another's submission look; it takes some hundredths.
_LOOK_SECONDS: Final = 0.05

_CLAIM = text("""
    INSERT INTO requests (tenant, key, fingerprint, claimed_at)
    VALUES (:tenant, :key, '', statement_timestamp())
    ON CONFLICT DO NOTHING
    RETURNING claimed_at
""")
# Who has claimed it is looked at under a lock, and its job in a statement behind that: in the
# same one the row is the newest there is, but the jobs are those of when the statement began.
_LOCK = text("""
    SELECT job_id, claimed_at < statement_timestamp() - make_interval(secs => :seconds) AS is_old
    FROM requests WHERE tenant = :tenant AND key = :key FOR UPDATE
""")
_IS_UNDER_WAY = text("SELECT EXISTS (SELECT FROM jobs WHERE id = :job_id AND outcome IS NULL)")
# When somebody joined last, or began anew.
_TOUCH = text("""
    UPDATE requests SET claimed_at = statement_timestamp(), job_id = :job_id
    WHERE tenant = :tenant AND key = :key
    RETURNING claimed_at
""")
_NAME_JOB = text("""
    UPDATE requests SET job_id = :job_id
    WHERE tenant = :tenant AND key = :key AND claimed_at = :joined_at
""")
_FREE = text("""
    DELETE FROM requests
    WHERE tenant = :tenant AND key = :key AND claimed_at = :joined_at AND job_id IS NULL
""")
# Before the request's row, as a deletion locks them: the other way round the two would deadlock.
_HOLD_JOB = text("SELECT FROM jobs WHERE id = :job_id FOR NO KEY UPDATE")
# Locked: whoever joins now waits, and then finds no job to join.
_LEAVE = text("""
    DELETE FROM requests
    WHERE tenant = :tenant AND key = :key AND job_id = :job_id AND claimed_at <= :joined_at
    RETURNING job_id
""")


_IS_LAST = text("""
    SELECT NOT EXISTS (
        SELECT FROM requests WHERE tenant = :tenant AND key = :key AND job_id = :job_id
            AND claimed_at > :joined_at
    )
""")


@dataclass(frozen=True, slots=True)
class Seat:
    """Somebody's place among those who wait for a job.

    is_first: whether it was submitted for them.  joined_at: by the database's clock.
    """

    tenant: Tenant
    key: str
    job_id: JobId
    joined_at: dt.datetime
    is_first: bool

    @property
    def named(self) -> dict[str, object]:
        """What a statement about it is given."""
        return {
            "tenant": self.tenant,
            "key": self.key,
            "job_id": self.job_id,
            "joined_at": self.joined_at,
        }


async def take(services: Services, caller: Caller, upload: Upload, *, ends_at: float) -> Seat:
    """Submit what is asked for, unless the same is under way.

    ends_at: when nobody waits any more, by the event loop's clock.
    Raises Refused then, and what submission.accept raises.
    """
    key = _PREFIX + hashlib.sha256(upload.fingerprint).hexdigest()
    while True:
        async with services.transaction() as connection:
            found = await connection.run_sync(_found, caller.tenant, key)
        if isinstance(found, Seat):
            return found
        if found is not None:
            return await _submitted(services, caller, upload, key, found)
        if anyio.current_time() > ends_at:
            raise refused("timeout", "the same image is still being taken in; try again later")
        await anyio.sleep(_LOOK_SECONDS)


async def leave(services: Services, seat: Seat) -> JobRow | None:
    """Give a job up that took too long; it is canceled unless somebody came later and waits.

    Returns the job when it has ended just before that.
    """

    def move(connection: Connection) -> JobRow | None:
        connection.execute(_HOLD_JOB, seat.named)
        if connection.execute(_LEAVE, seat.named).one_or_none() is None:
            return None
        try:
            transitions.cancel(connection, seat.job_id, seat.tenant)
        except JobFinal:
            return queries.find(connection, seat.job_id, seat.tenant)
        except NotFound:  # deleted meanwhile
            return None
        return None

    async with services.transaction() as connection:
        return await connection.run_sync(move)


async def is_last(services: Services, seat: Seat) -> bool:
    """Whether nobody has come later to wait for the same job."""
    async with services.reading() as connection:
        return bool((await connection.execute(_IS_LAST, seat.named)).scalar_one())


def _found(connection: Connection, tenant: Tenant, key: str) -> Seat | dt.datetime | None:
    """Return a seat at a job under way, when one was claimed to be submitted, or None: wait."""
    named: dict[str, object] = {"tenant": tenant, "key": key}
    at: dt.datetime | None = connection.execute(_CLAIM, named).scalar_one_or_none()
    if at is not None:
        return at
    claimed = connection.execute(_LOCK, {**named, "seconds": _ABANDONED_SECONDS}).one_or_none()
    if claimed is None or (claimed.job_id is None and not claimed.is_old):
        return None
    job_id = claimed.job_id
    if not connection.execute(_IS_UNDER_WAY, {"job_id": job_id}).scalar_one():
        job_id = None
    joined_at: dt.datetime = connection.execute(_TOUCH, {**named, "job_id": job_id}).scalar_one()
    if job_id is None:
        return joined_at
    return Seat(tenant, key, JobId(job_id), joined_at, is_first=False)


async def _submitted(
    services: Services, caller: Caller, upload: Upload, key: str, joined_at: dt.datetime
) -> Seat:
    def name(connection: Connection, row: JobRow) -> None:
        seat = Seat(caller.tenant, key, row.id, joined_at, is_first=True)
        connection.execute(_NAME_JOB, seat.named)

    try:
        accepted = await submission.accept(services, caller, upload, also=name)
    except BaseException:
        named = {"tenant": caller.tenant, "key": key, "joined_at": joined_at}
        with anyio.CancelScope(shield=True), contextlib.suppress(TryAgain):
            async with services.transaction() as connection:
                await connection.run_sync(lambda open_one: open_one.execute(_FREE, named))
        raise
    services.ringer.ring(accepted.ringing)
    return Seat(caller.tenant, key, accepted.job.id, joined_at, is_first=True)
