"""Endpoints for webhook deliveries: list, test and replay them; and for ends without a webhook."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api.http.documents import json_response, render_as
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.routes.webhooks import find_webhook, resolve_name
from smart_filter_api.s3_folders import folder_stores
from smart_filter_api.s3_folders.service import S3Folders
from smart_filter_api.schemas.parameters import parse_id
from smart_filter_api.services import idempotency
from smart_filter_api.services.callers import Administrator, Reader, Submitter
from smart_filter_api.services.container import OpenServices
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_shared.errors import NotFound, WebhookDisabled
from smart_filter_shared.ids import DeliveryId, Tenant
from smart_filter_shared.queue import events
from smart_filter_shared.tenants import quotas
from smart_filter_shared.webhooks import outbox
from smart_filter_shared.webhooks.endpoints import DEFAULT_WEBHOOK
from smart_filter_shared.webhooks.outbox import Delivery, DeliveryState
from smart_filter_wire import webhooks, words
from smart_filter_wire.webhooks import (
    DeliveryAttempt,
    DeliveryPage,
    EndedEvent,
    EndedEventPage,
    ReplayedDeliveries,
)

router = APIRouter(prefix="/v1", tags=["webhooks"])

_MAX_PAGE_SIZE = 200
_MAX_EVENTS = 1000


@router.post(
    "/webhooks/{webhook_id}/test",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send a test event",
    description='Sends `{"type":"webhook.test","timestamp","data":{"webhook_id"}}`, without '
    "retries.",
    response_model=webhooks.Delivery,
    responses=describe_responses(
        "not_found", *idempotency.PROBLEMS, *("webhook_disabled", "queue_full")
    ),
)
async def send_test_event(
    webhook_id: str,
    request: Request,
    services: OpenServices,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a test event for a webhook; its deliveries show the result."""

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        webhook = find_webhook(connection, webhook_id, caller.tenant)
        _require_enabled(connection, webhook_id, caller.tenant)
        quotas.check_deliveries(connection, caller.tenant, caller.limits, single=1)
        delivery = outbox.write_test(connection, caller.tenant, str(webhook.id))
        answer = json_response(_render_delivery(delivery), status.HTTP_202_ACCEPTED)
        once.remember(connection, answer)
        return answer

    return await idempotency.write_once(services, request, caller, idempotency_key, write)


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    summary="List deliveries, newest first",
    description="Deliveries of the last 7 days. The webhook `default` stands for the addresses "
    "that jobs name.",
    responses=describe_responses("not_found", "malformed_request"),
)
async def list_deliveries(
    webhook_id: str,
    request: Request,
    services: OpenServices,
    caller: Reader,
    *,
    state: words.DeliveryState | None = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE_SIZE)] = 50,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
) -> DeliveryPage:
    """Return a page of a webhook's deliveries."""

    def look(connection: Connection) -> list[Delivery]:
        return outbox.list_deliveries(
            connection,
            caller.tenant,
            resolve_name(connection, webhook_id, caller.tenant),
            state=state and DeliveryState(state),
            before=None if cursor is None else int(cursor),
            limit=limit + 1,  # one more row shows whether there is another page
        )

    async with services.database.listing(caller.tenant, request) as connection:
        rows = await connection.run_sync(look)
    more = len(rows) > limit
    return DeliveryPage(
        items=tuple(map(_render_delivery, rows[:limit])),
        next_cursor=str(rows[limit - 1].number) if more else None,
    )


@router.post(
    "/webhooks/{webhook_id}/deliveries/replay",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Replay all failed deliveries",
    description="Deliveries that have failed for good start again with all their attempts; those "
    "that wait for another attempt are sent at once. When the tenant's limit of waiting deliveries "
    "is near, the oldest that fit are replayed; the answer has their number.",
    response_model=ReplayedDeliveries,
    responses=describe_responses("not_found", *idempotency.PROBLEMS, "webhook_disabled"),
)
async def replay_failed_deliveries(
    webhook_id: str,
    request: Request,
    services: OpenServices,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue all failed deliveries again, also deliveries that wait for another attempt."""

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        webhook = _require_enabled(connection, webhook_id, caller.tenant)
        capacity = quotas.check_deliveries(connection, caller.tenant, caller.limits)
        replayed = outbox.replay_failed(connection, caller.tenant, webhook, most=capacity)
        answer = json_response(ReplayedDeliveries(replayed=replayed), status.HTTP_202_ACCEPTED)
        once.remember(connection, answer)
        return answer

    return await idempotency.write_once(services, request, caller, idempotency_key, write)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Replay a delivery",
    description="It keeps its id and starts again with all its attempts; one that waits for "
    "another attempt is sent at once.",
    response_model=webhooks.Delivery,
    responses=describe_responses("not_found", *idempotency.PROBLEMS, "webhook_disabled"),
)
async def replay_delivery(
    webhook_id: str,
    delivery_id: str,
    request: Request,
    services: OpenServices,
    caller: Administrator,
    *,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue one delivery again."""

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        webhook = _require_enabled(connection, webhook_id, caller.tenant)
        again = outbox.replay(
            connection, caller.tenant, webhook, DeliveryId(parse_id(delivery_id, "delivery"))
        )
        answer = json_response(_render_delivery(again), status.HTTP_202_ACCEPTED)
        once.remember(connection, answer)
        return answer

    return await idempotency.write_once(services, request, caller, idempotency_key, write)


def _require_enabled(connection: Connection, webhook_id: str, tenant: Tenant) -> str:
    """Return the name of an enabled webhook in rows: its id, or `default`.

    Raises NotFound, WebhookDisabled.
    """
    if webhook_id == DEFAULT_WEBHOOK:
        return DEFAULT_WEBHOOK
    webhook = find_webhook(connection, webhook_id, tenant)
    if webhook.disabled is not None:
        raise WebhookDisabled(
            f"webhook {webhook.id} is disabled ({webhook.disabled}); PATCH it with "
            '{"enabled": true} first'
        )
    return str(webhook.id)


def _render_delivery(delivery: Delivery) -> webhooks.Delivery:
    waits = delivery.state is DeliveryState.WAITING
    return render_as(
        webhooks.Delivery,
        delivery,
        timestamp=delivery.happened_at,
        next_at=delivery.due_at if waits else None,
        attempts=tuple(
            render_as(DeliveryAttempt, attempt.tried, at=attempt.at)
            for attempt in delivery.attempts
        ),
    )


@router.get(
    "/events",
    summary="List the ends of jobs and batches",
    description="For programs that no webhook can reach, such as `smart-filter webhooks listen`. "
    "Without `cursor` the list is empty; poll with the `next_cursor` of each answer, every second "
    "or few. An event can come again, with the same `id`; a cursor that rests for minutes on a "
    "busy server can miss events.",
    responses=describe_responses("malformed_request"),
)
async def list_events(
    services: OpenServices,
    caller: Reader,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
) -> EndedEventPage:
    """Return the ends of the tenant's jobs and batches since a cursor, the oldest first."""
    after = None if cursor is None else int(cursor)
    page = await services.database.query(
        events.read_ends, caller.tenant, after=after, most=_MAX_EVENTS
    )
    return EndedEventPage(
        items=tuple(
            render_as(EndedEvent, end, id=str(end.id), timestamp=end.at) for end in page.ends
        ),
        next_cursor=str(page.cursor),
    )


# Not in the OpenAPI document: its callers are stores, which decide what they send.
@router.post("/events/s3", include_in_schema=False)
async def receive_s3_event(request: Request, caller: Submitter) -> dict[str, list[str]]:
    """Make jobs of the objects that an event names, and return the ids of the new ones.

    The answer follows their commit; after any error the store sends the event again.
    """
    folders: S3Folders | None = request.app.state.s3_folders
    if folders is None:
        raise NotFound("there are no S3 folders; set SMART_FILTER_S3_FOLDERS")
    changed = folder_stores.parse_notification(await json_document.read_body(request))
    return {"jobs": [str(job) for job in await folders.take_changed(caller.tenant, changed)]}
