"""Claim the deliveries that are due, with everything that is needed to send them."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.ids import WebhookId
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.queue import batches
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.webhooks import endpoints, outbox
from smart_filter_shared.webhooks.endpoints import Webhook
from smart_filter_shared.webhooks.outbox import AttemptResult, ClaimedDelivery, DeliveryState

_UNDELIVERABLE = AttemptResult(0.0, error="the webhook is disabled, or it or the job is gone")
_log = logger("sender")


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery about to be sent.

    keys: the keys that sign it.  job: the current job or batch; None for a test, and for a job
    that this version cannot read.
    """

    claimed: ClaimedDelivery
    url: str
    keys: Sequence[bytes]
    job: JobRow | BatchRow | None


@dataclass(frozen=True, slots=True)
class ClaimLimits:
    """Limits of one claim.

    most: in total.  few: per lane.  only: claim from these lanes only; never: from none of these.
    """

    most: int
    few: int
    only: Collection[str] | None = None
    never: Collection[str] = ()


def claim_due(
    connection: Connection, seal: SecretBox, shares: Sequence[ClaimLimits], *, lease_seconds: float
) -> list[PendingDelivery]:
    """Claim what is due; deliveries that cannot be sent any more fail at once."""
    claimed = [
        one
        for share in shares
        for one in outbox.claim(
            connection,
            most=share.most,
            few=share.few,
            lease_seconds=lease_seconds,
            only=share.only,
            never=share.never,
        )
    ]
    if not claimed:
        return []
    known = endpoints.get_many(
        connection,
        {
            WebhookId(uuid.UUID(one.webhook))
            for one in claimed
            if one.webhook != endpoints.DEFAULT_WEBHOOK
        },
    )
    jobs = queries.get_many(connection, {one.job_id for one in claimed if one.job_id is not None})
    ended = batches.get_many(
        connection, {one.batch_id for one in claimed if one.batch_id is not None}
    )
    secrets = endpoints.read_secrets(connection, [(one.tenant, one.webhook) for one in claimed])
    letters = []
    for one in claimed:
        url = one.url or _url_of(one, known)
        job: JobRow | BatchRow | None = None
        if one.job_id is not None:
            job = jobs.get(one.job_id)
        elif one.batch_id is not None:
            job = ended.get(one.batch_id)
        keys = _keys(seal, one, secrets.get((one.tenant, one.webhook), []))
        is_there = job is not None or one.job_id in jobs or one.type == outbox.TEST_EVENT
        if url is None or not keys or not is_there:
            outbox.record_attempt(connection, one, _UNDELIVERABLE, DeliveryState.FAILED)
        else:
            letters.append(PendingDelivery(one, url, keys, job))
    return letters


def _url_of(claimed: ClaimedDelivery, known: dict[WebhookId, Webhook]) -> str | None:
    if claimed.webhook == endpoints.DEFAULT_WEBHOOK:
        return None
    webhook = known.get(WebhookId(uuid.UUID(claimed.webhook)))
    return None if webhook is None or webhook.disabled is not None else webhook.url


def _keys(seal: SecretBox, claimed: ClaimedDelivery, sealed: Sequence[bytes]) -> list[bytes]:
    try:
        return endpoints.open_secrets(seal, claimed.tenant, claimed.webhook, sealed)
    except SetupFailed as error:
        _log.error("delivery_not_signed", delivery=str(claimed.id), reason=str(error))
        return []
