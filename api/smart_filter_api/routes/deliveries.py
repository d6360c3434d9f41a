"""Deliveries: what was sent to a webhook, what came of it, and sending it once more."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import BaseModel
from sqlalchemy import Connection

from smart_filter_api.deps import Administrator, OpenServices, Reader
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.problems import documented
from smart_filter_api.routes.webhooks import ONCE, done_once, found, name_of
from smart_filter_api.schemas.webhooks import (
    AttemptAnswer,
    DeliveryAnswer,
    DeliveryPage,
    Replayed,
)
from smart_filter_shared.errors import NotFound, WebhookDisabled
from smart_filter_shared.ids import DeliveryId, Tenant
from smart_filter_shared.jobs import deliveries
from smart_filter_shared.jobs.deliveries import Delivery, DeliveryState
from smart_filter_shared.jobs.webhooks import DEFAULT

router = APIRouter(prefix="/v1/webhooks/{webhook_id}", tags=["webhooks"])

_ALWAYS = ("unauthorized", "scope", "not_found", "unavailable")
_MOST_LISTED = 200


@router.post(
    "/test",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send a test",
    description='`{"type":"webhook.test","timestamp","data":{"webhook_id"}}`, sent once.',
    response_model=DeliveryAnswer,
    responses=documented(*_ALWAYS, *ONCE, "webhook_disabled"),
)
async def send_test(
    webhook_id: str,
    request: Request,
    services: OpenServices,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Have a test sent to a webhook; its deliveries show what came of it."""

    def write(connection: Connection) -> tuple[BaseModel, int]:
        webhook = found(connection, webhook_id, caller.tenant)
        _open(connection, webhook_id, caller.tenant)
        delivery = deliveries.write_test(connection, caller.tenant, str(webhook.id))
        return _shown(delivery), status.HTTP_202_ACCEPTED

    return await done_once(services, request, caller.tenant, idempotency_key, write)


@router.get(
    "/deliveries",
    summary="List deliveries, newest first",
    description="Those of the last 7 days. `default`: to addresses that jobs named.",
    responses=documented(*_ALWAYS, "malformed_request"),
)
async def list_deliveries(
    webhook_id: str,
    services: OpenServices,
    caller: Reader,
    *,
    state: DeliveryState | None = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 50,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
) -> DeliveryPage:
    """Answer a page of what was and is sent to a webhook."""

    def look(connection: Connection) -> list[Delivery]:
        return deliveries.listed(
            connection,
            caller.tenant,
            name_of(connection, webhook_id, caller.tenant),
            state=state,
            before=None if cursor is None else int(cursor),
            limit=limit + 1,  # one more tells whether there is another page
        )

    async with services.reading() as connection:
        rows = await connection.run_sync(look)
    more = len(rows) > limit
    return DeliveryPage(
        items=[_shown(row) for row in rows[:limit]],
        next_cursor=str(rows[limit - 1].number) if more else None,
    )


@router.post(
    "/deliveries/replay",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send once more all that failed",
    description="What has failed for good, with all its attempts, and at once what has failed so "
    "far and waits for another attempt.",
    response_model=Replayed,
    responses=documented(*_ALWAYS, *ONCE, "webhook_disabled"),
)
async def replay_failed(
    webhook_id: str,
    request: Request,
    services: OpenServices,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Have all deliveries sent once more that have failed, for good or so far."""

    def write(connection: Connection) -> tuple[BaseModel, int]:
        named = _open(connection, webhook_id, caller.tenant)
        replayed = deliveries.replay_failed(connection, caller.tenant, named)
        return Replayed(replayed=replayed), status.HTTP_202_ACCEPTED

    return await done_once(services, request, caller.tenant, idempotency_key, write)


@router.post(
    "/deliveries/{delivery_id}/replay",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send a delivery once more",
    description="Under its id, and with all its attempts; one that waits is sent at once.",
    response_model=DeliveryAnswer,
    responses=documented(*_ALWAYS, *ONCE, "webhook_disabled"),
)
async def replay(
    webhook_id: str,
    delivery_id: str,
    request: Request,
    services: OpenServices,
    caller: Administrator,
    *,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Have one delivery sent once more."""

    def write(connection: Connection) -> tuple[BaseModel, int]:
        named = _open(connection, webhook_id, caller.tenant)
        again = deliveries.replay(connection, caller.tenant, named, _parsed(delivery_id))
        return _shown(again), status.HTTP_202_ACCEPTED

    return await done_once(services, request, caller.tenant, idempotency_key, write)


def _open(connection: Connection, webhook_id: str, tenant: Tenant) -> str:
    """Return how rows name a webhook that is told of things.

    Raises NotFound, WebhookDisabled.
    """
    if webhook_id == DEFAULT:
        return DEFAULT
    webhook = found(connection, webhook_id, tenant)
    if webhook.disabled is not None:
        raise WebhookDisabled(
            f"webhook {webhook.id} is disabled ({webhook.disabled}); PATCH it with "
            '{"enabled": true} first'
        )
    return str(webhook.id)


def _parsed(delivery_id: str) -> DeliveryId:
    try:
        return DeliveryId(uuid.UUID(delivery_id))
    except ValueError:
        raise NotFound(f"delivery {delivery_id}") from None


def _shown(delivery: Delivery) -> DeliveryAnswer:
    waits = delivery.state is DeliveryState.WAITING
    return DeliveryAnswer(
        id=delivery.id,
        type=delivery.type,
        job_id=delivery.job_id,
        batch_id=delivery.batch_id,
        url=delivery.url,
        state=delivery.state,
        timestamp=delivery.happened_at,
        next_at=delivery.due_at if waits else None,
        attempts=[
            AttemptAnswer(
                at=one.at,
                seconds=one.tried.seconds,
                status=one.tried.status,
                answer=one.tried.answer,
                error=one.tried.error,
            )
            for one in delivery.attempts
        ],
    )
