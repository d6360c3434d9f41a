"""What is to be sent now, taken from the database with all that sending it needs."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.ids import WebhookId
from smart_filter_shared.jobs import batches, deliveries, queries, webhooks
from smart_filter_shared.jobs.batches import BatchRow
from smart_filter_shared.jobs.deliveries import Claimed, DeliveryState, Tried
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.webhooks import Webhook
from smart_filter_shared.sealing import Seal
from smart_filter_shared.telemetry.logs import logger

_NOBODY = Tried(0.0, error="the webhook is disabled, or it or the job is gone")
_log = logger("sender")


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery about to be sent.

    keys: it is signed with each.  job: that or the batch, as it is now; None for a test, and for
    a job that this version cannot read.
    """

    claimed: Claimed
    url: str
    keys: Sequence[bytes]
    job: JobRow | BatchRow | None


@dataclass(frozen=True, slots=True)
class Share:
    """How much may be taken.

    most: in all.  few: of one lane.  only, never: from these lanes alone, or from all others.
    """

    most: int
    few: int
    only: Collection[str] | None = None
    never: Collection[str] = ()


def take(
    connection: Connection, seal: Seal, shares: Sequence[Share], *, lease_seconds: float
) -> list[Letter]:
    """Claim what is due; what cannot be sent any more fails here and now."""
    claimed = [
        one
        for share in shares
        for one in deliveries.claim(
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
    known = webhooks.among(
        connection,
        {WebhookId(uuid.UUID(one.webhook)) for one in claimed if one.webhook != webhooks.DEFAULT},
    )
    jobs = queries.among(connection, {one.job_id for one in claimed if one.job_id is not None})
    ended = batches.among(connection, {one.batch_id for one in claimed if one.batch_id is not None})
    secrets = webhooks.secrets_of(connection, [(one.tenant, one.webhook) for one in claimed])
    letters = []
    for one in claimed:
        url = one.url or _url_of(one, known)
        job: JobRow | BatchRow | None = None
        if one.job_id is not None:
            job = jobs.get(one.job_id)
        elif one.batch_id is not None:
            job = ended.get(one.batch_id)
        keys = _keys(seal, one, secrets.get((one.tenant, one.webhook), []))
        is_there = job is not None or one.job_id in jobs or one.type == deliveries.TEST
        if url is None or not keys or not is_there:
            deliveries.conclude(connection, one, _NOBODY, DeliveryState.FAILED)
        else:
            letters.append(Letter(one, url, keys, job))
    return letters


def _url_of(claimed: Claimed, known: dict[WebhookId, Webhook]) -> str | None:
    if claimed.webhook == webhooks.DEFAULT:
        return None
    webhook = known.get(WebhookId(uuid.UUID(claimed.webhook)))
    return None if webhook is None or webhook.disabled is not None else webhook.url


def _keys(seal: Seal, claimed: Claimed, sealed: Sequence[bytes]) -> list[bytes]:
    try:
        return webhooks.opened(seal, claimed.tenant, claimed.webhook, sealed)
    except SetupFailed as error:
        _log.error("a delivery cannot be signed", delivery=str(claimed.id), reason=str(error))
        return []
