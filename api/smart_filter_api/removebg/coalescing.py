"""Let concurrent identical requests share one job, since clients that time out early retry.

A request is claimed in the table `requests`, like one with an Idempotency-Key, under a key that
clients cannot send: a hash of the request. The first request submits the job. Identical requests
that arrive before the job has ended wait for it too, in any API process. When the last of them
times out, it cancels the job.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Final

import anyio
from fastapi import Request
from sqlalchemy import Connection, text

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.intake.body import PhotoRequest
from smart_filter_api.limits import end_on_disconnect
from smart_filter_api.removebg.errors import refusal
from smart_filter_api.responses import long_poll
from smart_filter_api.responses.long_poll import FollowedJob
from smart_filter_api.services.container import Services
from smart_filter_api.services.database import ABANDONED_SECONDS
from smart_filter_api.submission import commit, submit
from smart_filter_shared.errors import JobFinal, NotFound, OutcomeUnknown
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.jobs.queries import JobRow

# Clients cannot send this key, since theirs are printable ASCII.
_PREFIX: Final = "→ "
# Poll interval while another request submits the job, which takes some hundredths of a second.
_POLL_SECONDS: Final = 0.05

_CLAIM = text("""
    INSERT INTO requests (tenant, key, fingerprint, claimed_at)
    VALUES (:tenant, :key, '', statement_timestamp())
    ON CONFLICT DO NOTHING
    RETURNING claimed_at
""")
# Lock the claim first and read its job in a second statement: a locking read returns the newest
# row, but other tables are read as of the start of the statement.
_LOCK = text("""
    SELECT job_id, claimed_at < statement_timestamp() - make_interval(secs => :seconds) AS is_old
    FROM requests WHERE tenant = :tenant AND key = :key FOR UPDATE
""")
_IS_UNDER_WAY = text("SELECT EXISTS (SELECT FROM jobs WHERE id = :job_id AND outcome IS NULL)")
# `claimed_at` is the time of the last join or restart.
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
# Lock the job before the request's row, in the same order as a deletion, to avoid deadlocks.
_HOLD_JOB = text("SELECT FROM jobs WHERE id = :job_id FOR NO KEY UPDATE")
# The row lock makes concurrent joins wait; afterwards they find no job to join.
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
class Waiter:
    """A request that waits for a job.

    is_first: whether this request submitted the job.  joined_at: by the database's clock.
    """

    tenant: Tenant
    key: str
    job_id: JobId
    joined_at: dt.datetime
    is_first: bool

    @property
    def parameters(self) -> dict[str, object]:
        """Return the parameters of the SQL statements."""
        return {
            "tenant": self.tenant,
            "key": self.key,
            "job_id": self.job_id,
            "joined_at": self.joined_at,
        }


async def join_or_submit(
    services: Services, request: Request, caller: Caller, upload: PhotoRequest, *, ends_at: float
) -> Waiter:
    """Submit a job, or join the job of an identical request, and return the waiter.

    ends_at: deadline by the event loop's clock.
    Raises RequestRefused at the deadline, ClientDisconnect before the request has submitted or
    joined a job, and the errors of a submission.
    """
    key = _PREFIX + hashlib.sha256(upload.fingerprint).hexdigest()
    while True:
        claim = await _claim(services, caller.tenant, key)
        if isinstance(claim, Waiter):
            return claim
        if claim is not None:
            return await _submit(services, caller, upload, key, claim)
        if anyio.current_time() > ends_at:
            raise refusal("timeout", "the same image is still being received; try again later")
        async with end_on_disconnect(request):
            await anyio.sleep(_POLL_SECONDS)


async def wait_for_end(
    services: Services, request: Request | None, seat: Waiter, *, ends_at: float
) -> JobRow:
    """Wait for the end of a job until a time of the event loop's clock, and return the job.

    request: as in `long_poll.wait_for_end`.  Raises ClientDisconnect, DatabaseUnavailable.
    """
    followed = FollowedJob(seat.tenant, seat.job_id, None)
    seconds = max(0.0, ends_at - anyio.current_time())
    return await long_poll.wait_for_end(services, request, followed, seconds=seconds)


async def abandon(services: Services, seat: Waiter) -> JobRow | None:
    """Stop waiting for a job; cancel it unless a later request still waits for it.

    Returns the job if it ended just before, else None.
    """

    def move(connection: Connection) -> JobRow | None:
        connection.execute(_HOLD_JOB, seat.parameters)
        if connection.execute(_LEAVE, seat.parameters).one_or_none() is None:
            return None
        try:
            CLIENT.cancel(connection, seat.job_id, seat.tenant)
        except JobFinal:
            return queries.find(connection, seat.job_id, seat.tenant)
        except NotFound:  # deleted meanwhile
            return None
        return None

    return await services.database.transact(move)


async def is_last(services: Services, seat: Waiter) -> bool:
    """Whether no later request waits for the same job."""
    return await services.database.query(
        lambda open_one: bool(open_one.execute(_IS_LAST, seat.parameters).scalar_one())
    )


async def _claim(services: Services, tenant: Tenant, key: str) -> Waiter | dt.datetime | None:
    """Join or claim a request, as `_join_or_claim` does; a claim that may be lost is freed."""
    claim: Waiter | dt.datetime | None = None

    def join_or_claim(connection: Connection) -> None:
        nonlocal claim
        claim = _join_or_claim(connection, tenant, key)

    try:
        await services.database.transact(join_or_claim)
    except OutcomeUnknown:
        if isinstance(claim, dt.datetime):
            await services.claims.free(_FREE, {"tenant": tenant, "key": key, "joined_at": claim})
        raise
    return claim


def _join_or_claim(connection: Connection, tenant: Tenant, key: str) -> Waiter | dt.datetime | None:
    """Join or claim a request.

    Returns a waiter for a job under way, the time of a new claim that must be submitted, or None
    when another request is submitting the job.
    """
    parameters: dict[str, object] = {"tenant": tenant, "key": key}
    at: dt.datetime | None = connection.execute(_CLAIM, parameters).scalar_one_or_none()
    if at is not None:
        return at
    claimed = connection.execute(_LOCK, {**parameters, "seconds": ABANDONED_SECONDS}).one_or_none()
    if claimed is None or (claimed.job_id is None and not claimed.is_old):
        return None
    job_id = claimed.job_id
    if not connection.execute(_IS_UNDER_WAY, {"job_id": job_id}).scalar_one():
        job_id = None
    joined_at: dt.datetime = connection.execute(
        _TOUCH, {**parameters, "job_id": job_id}
    ).scalar_one()
    if job_id is None:
        return joined_at
    return Waiter(tenant, key, JobId(job_id), joined_at, is_first=False)


async def _submit(
    services: Services, caller: Caller, upload: PhotoRequest, key: str, joined_at: dt.datetime
) -> Waiter:
    try:
        submission = await submit.prepare_submission(services, caller, upload)
        waiter = Waiter(caller.tenant, key, submission.job.job_id, joined_at, is_first=True)
        async with commit.open_submission(services, caller, submission) as call:
            accepted = await call(commit.insert_job, services, caller, submission)
            await call(lambda open_one: open_one.execute(_NAME_JOB, waiter.parameters))
    except BaseException:
        await services.claims.free(
            _FREE, {"tenant": caller.tenant, "key": key, "joined_at": joined_at}
        )
        raise
    services.doorbell.ring(accepted.ringing)
    return waiter
