"""The outbox of webhook deliveries: claims by senders, attempts, replays and listings.

Deliveries are written in the same transaction as their events (queue/events.py). A sender claims
them under a lease, as workers claim stages; the deliveries of a dead sender become claimable when
their leases end. A delivery may be sent more than once, under the same id: receivers deduplicate
by that id.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import (
    BatchId,
    DeliveryId,
    JobId,
    LeaseToken,
    Tenant,
    new_delivery_id,
)
from smart_filter_shared.queue import events

TEST_EVENT: Final = "webhook.test"
# How long finished deliveries are kept.
KEPT_DAYS: Final = 7

# Lanes are listed by jumping from one to the next in the index, so a lane with a hundred thousand
# waiting deliveries costs as much as a lane with one. Each lane has at most :few deliveries in
# flight over all senders, each tenant at most :each, and each receiver at most :at_host. When not
# all lanes fit into :most, each lane gets its turn.
_CLAIM = text("""
    WITH RECURSIVE lanes AS (
        (SELECT lane FROM deliveries WHERE state = 'waiting' ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (
            SELECT deliveries.lane FROM deliveries
            WHERE state = 'waiting' AND deliveries.lane > lanes.lane
            ORDER BY deliveries.lane LIMIT 1
        ) FROM lanes WHERE lanes.lane IS NOT NULL
    ), open_lanes AS MATERIALIZED (
        SELECT lane, greatest(0, :few - (
            SELECT count(*) FROM deliveries
            WHERE state = 'sending' AND deliveries.lane = lanes.lane
                AND leased_until > statement_timestamp()
        )) AS free
        FROM lanes
        WHERE lane IS NOT NULL AND (lane = ANY(CAST(:lanes AS text[]))) = :among
    ), due AS MATERIALIZED (
        SELECT found.id, found.tenant, found.place,
            split_part(lane, ' ', 2) AS host
        FROM open_lanes, LATERAL (
            SELECT id, tenant, row_number() OVER () AS place FROM (
                SELECT id, tenant FROM deliveries
                WHERE deliveries.lane = open_lanes.lane AND state = 'waiting'
                    AND due_at <= statement_timestamp()
                ORDER BY due_at LIMIT open_lanes.free
                FOR UPDATE SKIP LOCKED
            ) AS locked
        ) AS found
    ), sending AS MATERIALIZED (
        SELECT tenant, split_part(lane, ' ', 2) AS host FROM deliveries
        WHERE state = 'sending' AND leased_until > statement_timestamp()
    ), of_host AS (
        SELECT id, tenant, place, row_number() OVER (
            PARTITION BY host ORDER BY place, random()
        ) + (SELECT count(*) FROM sending WHERE sending.host = due.host) AS of_host
        FROM due
    ), of_tenant AS (
        SELECT id, place, row_number() OVER (PARTITION BY tenant ORDER BY place, random())
            + (SELECT count(*) FROM sending WHERE sending.tenant = of_host.tenant) AS of_tenant
        FROM of_host WHERE of_host <= :at_host
    ), chosen AS (
        SELECT id FROM of_tenant WHERE of_tenant <= :each ORDER BY place, random() LIMIT :most
    )
    UPDATE deliveries SET
        state = 'sending', attempt = attempt + 1, lease_token = gen_random_uuid(),
        leased_until = statement_timestamp() + make_interval(secs => :lease_seconds)
    FROM chosen WHERE deliveries.id = chosen.id
    RETURNING deliveries.id, tenant, webhook, url, lane, job_id, batch_id, type, happened_at,
        attempt, lease_token AS token
""")
_RECOVER = text("""
    UPDATE deliveries SET
        state = 'waiting', attempt = attempt - 1, due_at = statement_timestamp(),
        lease_token = NULL, leased_until = NULL
    WHERE id IN (
        SELECT id FROM deliveries
        WHERE state = 'sending' AND leased_until < statement_timestamp() FOR UPDATE SKIP LOCKED
    )
""")
_RELEASE = text("""
    UPDATE deliveries SET
        state = 'waiting', attempt = attempt - 1, due_at = statement_timestamp(),
        lease_token = NULL, leased_until = NULL
    FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[])) AS held (id, token)
    WHERE deliveries.id = held.id AND lease_token = held.token
""")
_FINISH = text("""
    UPDATE deliveries SET
        state = :state, lease_token = NULL, leased_until = NULL,
        due_at = statement_timestamp() + make_interval(secs => :wait_seconds),
        finished_at = CASE WHEN :state = 'waiting' THEN NULL ELSE statement_timestamp() END
    WHERE id = :id AND lease_token = :token
    RETURNING id
""")
_LOG = text("""
    INSERT INTO delivery_attempts (delivery_id, at, seconds, status, answer, error)
    VALUES (
        :id, statement_timestamp() - make_interval(secs => :seconds), :seconds, :status, :answer,
        :error
    )
""")
_WRITE_TEST = text(f"""
    INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at)
    SELECT CAST(:id AS uuid), tenant, CAST(id AS text), {events.outbox_lane("webhooks")},
        CAST(:type AS text), statement_timestamp(), statement_timestamp()
    FROM webhooks WHERE id = CAST(:webhook AS uuid) AND tenant = :tenant
""")  # noqa: S608 - the lane is made of names of columns
_LIST = text("""
    SELECT id, number, tenant, webhook, url, job_id, batch_id, type, happened_at, state, due_at
    FROM deliveries
    WHERE tenant = :tenant AND webhook = :webhook AND number < :before
        AND (CAST(:state AS text) IS NULL OR state = :state)
    ORDER BY number DESC LIMIT :limit
""")
_ATTEMPTS = text("""
    SELECT delivery_id, at, seconds, status, answer, error FROM delivery_attempts
    WHERE delivery_id = ANY(:ids) ORDER BY delivery_id, id
""")
# A delivery that is being sent is left alone; a waiting one becomes due at once.
_REPLAY = text("""
    UPDATE deliveries SET
        attempt = CASE WHEN state = 'waiting' THEN attempt ELSE 0 END,
        state = 'waiting', due_at = statement_timestamp(), finished_at = NULL
    WHERE tenant = :tenant AND webhook = :webhook AND state <> 'sending'
        AND (
            id = :id OR CAST(:id AS uuid) IS NULL AND (
                id IN (
                    SELECT id FROM deliveries
                    WHERE tenant = :tenant AND webhook = :webhook AND state = 'failed'
                    ORDER BY number LIMIT CAST(:most AS bigint)
                )
                OR state = 'waiting' AND attempt > 0 AND due_at > statement_timestamp()
            )
        )
""")
_FIND = text("""
    SELECT id, number, tenant, webhook, url, job_id, batch_id, type, happened_at, state, due_at
    FROM deliveries WHERE tenant = :tenant AND webhook = :webhook AND id = :id
""")
_DELETE_OLD = text("""
    WITH old AS MATERIALIZED (
        SELECT id FROM deliveries
        WHERE finished_at < statement_timestamp() - make_interval(days => :days)
        ORDER BY finished_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    ), log AS (
        DELETE FROM delivery_attempts USING old WHERE delivery_id = old.id
    )
    DELETE FROM deliveries USING old WHERE deliveries.id = old.id
""")
_NO_LIMIT: Final = 2**63 - 1


class DeliveryState(StrEnum):
    """The state of a delivery; the last two are final until the delivery is replayed."""

    WAITING = "waiting"
    SENDING = "sending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this sender must send now.

    webhook: an id, or `default`.
    url: the address that the job named; None: the webhook's.
    lane: deliveries of one lane may delay each other.
    job_id: None for a test or a batch.
    attempt: 1 for the first.
    token: fences the record of its result.
    """

    id: DeliveryId
    tenant: Tenant
    webhook: str
    url: str | None
    lane: str
    job_id: JobId | None
    type: str
    happened_at: dt.datetime
    attempt: int
    token: LeaseToken
    batch_id: BatchId | None = None


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of one attempt to send.

    seconds: until the response was complete.
    status: the receiver's HTTP status; answer: the first KB of its response as text.
    error: why there was no response.
    """

    seconds: float
    status: int | None = None
    answer: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry of the delivery log."""

    at: dt.datetime
    tried: AttemptResult


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery with all its attempts; number: rises from one delivery to the next."""

    id: DeliveryId
    number: int
    webhook: str
    url: str | None
    job_id: JobId | None
    type: str
    happened_at: dt.datetime
    state: DeliveryState
    due_at: dt.datetime
    attempts: tuple[Attempt, ...]
    batch_id: BatchId | None = None


def claim(
    connection: Connection,
    *,
    most: int,
    few: int,
    each: int,
    at_host: int,
    lease_seconds: float,
    only: Collection[str] | None = None,
    never: Collection[str] = (),
) -> list[ClaimedDelivery]:
    """Claim and return due deliveries.

    few: at most in flight per lane.  each: per tenant.  at_host: per receiver, of all tenants.

    only: the lanes to claim from; None: all lanes except `never`.
    """
    rows = connection.execute(
        _CLAIM,
        {
            "most": most,
            "few": few,
            "each": each,
            "at_host": at_host,
            "lease_seconds": lease_seconds,
            "among": only is not None,
            "lanes": list(never if only is None else only),
        },
    )
    return [read_row(ClaimedDelivery, row) for row in rows]


def recover(connection: Connection) -> int:
    """Make deliveries claimable again whose leases have ended; return their number."""
    return connection.execute(_RECOVER).rowcount


def release(connection: Connection, claimed: Collection[ClaimedDelivery]) -> None:
    """Release claimed deliveries that were not sent; their attempts are refunded."""
    held = {
        "ids": [delivery.id for delivery in claimed],
        "tokens": [delivery.token for delivery in claimed],
    }
    connection.execute(_RELEASE, held)


def record_attempt(
    connection: Connection,
    claimed: ClaimedDelivery,
    tried: AttemptResult,
    state: DeliveryState,
    *,
    wait_seconds: float = 0.0,
) -> None:
    """Record the result of an attempt; do nothing when the lease was lost.

    wait_seconds: the delay until the next attempt, for the state WAITING.
    """
    held = connection.execute(
        _FINISH,
        {
            "id": claimed.id,
            "token": claimed.token,
            "state": str(state),
            "wait_seconds": wait_seconds,
        },
    ).one_or_none()
    if held is not None:
        connection.execute(
            _LOG,
            {
                "id": claimed.id,
                "seconds": tried.seconds,
                "status": tried.status,
                "answer": tried.answer,
                "error": tried.error,
            },
        )


def write_test(connection: Connection, tenant: Tenant, webhook: str) -> Delivery:
    """Write and return a test delivery to a webhook."""
    where = {"id": new_delivery_id(), "tenant": tenant, "webhook": webhook}
    connection.execute(_WRITE_TEST, {**where, "type": TEST_EVENT})
    return read_row(Delivery, connection.execute(_FIND, where).one(), attempts=())


def list_deliveries(
    connection: Connection,
    tenant: Tenant,
    webhook: str,
    *,
    state: DeliveryState | None,
    before: int | None,
    limit: int,
) -> list[Delivery]:
    """Return a page of a webhook's deliveries, newest first, with all their attempts."""
    rows = connection.execute(
        _LIST,
        {
            "tenant": tenant,
            "webhook": webhook,
            "state": None if state is None else str(state),
            "before": _NO_LIMIT if before is None else before,
            "limit": limit,
        },
    ).all()
    attempts = _attempts(connection, [row.id for row in rows])
    return [read_row(Delivery, row, attempts=attempts.get(row.id, ())) for row in rows]


def replay(connection: Connection, tenant: Tenant, webhook: str, id_: DeliveryId) -> Delivery:
    """Make a delivery due again, with all its attempts left; return it.  Raises NotFound."""
    where = {"tenant": tenant, "webhook": webhook, "id": id_}
    connection.execute(_REPLAY, {**where, "most": 0})
    row = connection.execute(_FIND, where).one_or_none()
    if row is None:
        raise NotFound(f"there is no delivery {id_}")
    attempts = _attempts(connection, [row.id])
    return read_row(Delivery, row, attempts=attempts.get(row.id, ()))


def replay_failed(
    connection: Connection, tenant: Tenant, webhook: str, *, most: int | None = None
) -> int:
    """Make the failed and the retrying deliveries of a webhook due again; return their number.

    most: limit of the failed ones, the oldest first; None: no limit.
    """
    parameters = {"tenant": tenant, "webhook": webhook, "id": None, "most": most}
    return connection.execute(_REPLAY, parameters).rowcount


def delete_old(connection: Connection, *, most: int) -> int:
    """Delete deliveries that finished over KEPT_DAYS ago, at most `most`; return their number."""
    return connection.execute(_DELETE_OLD, {"days": KEPT_DAYS, "most": most}).rowcount


def _attempts(connection: Connection, ids: Collection[object]) -> Mapping[object, list[Attempt]]:
    attempts: dict[object, list[Attempt]] = {}
    for row in connection.execute(_ATTEMPTS, {"ids": list(ids)}):
        tried = AttemptResult(row.seconds, row.status, row.answer, row.error)
        attempts.setdefault(row.delivery_id, []).append(Attempt(row.at, tried))
    return attempts
