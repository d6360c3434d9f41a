"""Webhooks: who is told of jobs' ends, and with what secret."""

import uuid
from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel
from sqlalchemy import Connection

from smart_filter_api import documents, idempotency
from smart_filter_api.deps import Administrator, OpenServices, Reader, Services
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.problems import documented
from smart_filter_api.schemas.webhooks import (
    CreatedWebhook,
    RotatedSecret,
    WebhookAnswer,
    WebhookChange,
    WebhookPage,
    WebhookRequest,
)
from smart_filter_api.submission import NO_KEY
from smart_filter_shared.errors import FieldError, NotAvailable, NotFound
from smart_filter_shared.ids import Tenant, WebhookId
from smart_filter_shared.jobs import webhooks
from smart_filter_shared.jobs.webhooks import DEFAULT, Webhook
from smart_filter_shared.sealing import Seal

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

ONCE = ("malformed_request", "idempotency_in_progress", "idempotency_mismatch")
_ALWAYS = ("unauthorized", "scope", "unavailable")

Answer = TypeVar("Answer")


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Have a webhook told of jobs' ends",
    response_model=CreatedWebhook,
    openapi_extra=documents.described(WebhookRequest),
    responses=documented(*_ALWAYS, *ONCE, "invalid_request", "not_available", "unsupported_media"),
)
async def create(
    request: Request,
    services: OpenServices,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Write a webhook; its secret is shown here and never again."""
    seal = sealing(services, "/url")
    body = await documents.read(request)

    def write(connection: Connection) -> Response:
        asked = documents.parse(WebhookRequest, body)
        made, secret = webhooks.create(
            connection, seal, caller.tenant, url=asked.url, events=asked.events
        )
        shown = CreatedWebhook(id=made.id, url=made.url, events=list(made.events), secret=secret)
        answer = answered(shown, status.HTTP_201_CREATED)
        answer.headers["Location"] = f"{router.prefix}/{made.id}"
        once.remember(connection, answer, secret=True)
        return answer

    async with idempotency.once(services, request, caller.tenant, idempotency_key, body) as once:
        if once.replayed is not None:
            return once.replayed
        async with services.transaction() as connection:
            return await connection.run_sync(write)


@router.get("", summary="List webhooks", responses=documented(*_ALWAYS))
async def list_webhooks(services: OpenServices, caller: Reader) -> WebhookPage:
    """Answer all webhooks of the caller's tenant."""
    async with services.reading() as connection:
        found = await connection.run_sync(webhooks.of_tenant, caller.tenant)
    return WebhookPage(items=[_shown(one) for one in found])


@router.get(
    "/{webhook_id}", summary="Look at a webhook", responses=documented(*_ALWAYS, "not_found")
)
async def show(webhook_id: str, services: OpenServices, caller: Reader) -> WebhookAnswer:
    """Answer a webhook, without its secret."""
    async with services.reading() as connection:
        return _shown(await connection.run_sync(found, webhook_id, caller.tenant))


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    openapi_extra=documents.described(WebhookChange),
    responses=documented(
        *_ALWAYS, "malformed_request", "not_found", "invalid_request", "unsupported_media"
    ),
)
async def change(
    webhook_id: str, request: Request, services: OpenServices, caller: Administrator
) -> WebhookAnswer:
    """Change what is given; with `enabled` false what waits for it fails, and can be replayed."""
    asked = documents.parse(WebhookChange, await documents.read(request))

    def write(connection: Connection) -> Webhook:
        return webhooks.change(
            connection,
            found(connection, webhook_id, caller.tenant),
            url=asked.url,
            events=asked.events,
            enabled=asked.enabled,
        )

    async with services.transaction() as connection:
        return _shown(await connection.run_sync(write))


@router.delete(
    "/{webhook_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a webhook",
    responses=documented(*_ALWAYS, "not_found"),
)
async def delete(webhook_id: str, services: OpenServices, caller: Administrator) -> None:
    """Forget a webhook, its secret, and all that was or is to be delivered to it."""

    def write(connection: Connection) -> None:
        webhooks.remove(connection, found(connection, webhook_id, caller.tenant))

    async with services.transaction() as connection:
        await connection.run_sync(write)


@router.post(
    "/{webhook_id}/rotate",
    summary="Draw a new secret",
    description="`default` rotates what signs deliveries to addresses that jobs name. The secret "
    "before signs as well for a day: deliveries carry both signatures then.",
    response_model=RotatedSecret,
    responses=documented(*_ALWAYS, *ONCE, "not_found", "not_available"),
)
async def rotate(
    webhook_id: str,
    request: Request,
    services: OpenServices,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Draw a new secret, which is shown here and never again."""
    seal = sealing(services, "/id")

    def write(connection: Connection) -> Response:
        named = name_of(connection, webhook_id, caller.tenant)
        rotated = webhooks.rotate(connection, seal, caller.tenant, named)
        shown = RotatedSecret(id=named, secret=rotated.secret, former_until=rotated.former_until)
        answer = answered(shown, status.HTTP_200_OK)
        once.remember(connection, answer, secret=True)
        return answer

    async with idempotency.once(services, request, caller.tenant, idempotency_key) as once:
        if once.replayed is not None:
            return once.replayed
        async with services.transaction() as connection:
            return await connection.run_sync(write)


async def done_once(
    services: Services,
    request: Request,
    tenant: Tenant,
    key: str | None,
    write: Callable[[Connection], tuple[BaseModel, int]],
) -> Response:
    """Do what a request asks for under its key; `write` returns what is answered, and how."""
    async with idempotency.once(services, request, tenant, key) as once:
        if once.replayed is not None:
            return once.replayed

        def write_and_remember(connection: Connection) -> Response:
            answer = answered(*write(connection))
            once.remember(connection, answer)
            return answer

        async with services.transaction() as connection:
            return await connection.run_sync(write_and_remember)


def found(connection: Connection, webhook_id: str, tenant: Tenant) -> Webhook:
    """Return a tenant's webhook.  Raises NotFound, the same for what is no id and not theirs."""
    try:
        parsed = WebhookId(uuid.UUID(webhook_id))
    except ValueError:
        raise NotFound(f"webhook {webhook_id}") from None
    return webhooks.find(connection, tenant, parsed)


def name_of(connection: Connection, webhook_id: str, tenant: Tenant) -> str:
    """Return how rows name a tenant's webhook, or the default.  Raises NotFound."""
    return DEFAULT if webhook_id == DEFAULT else str(found(connection, webhook_id, tenant).id)


def sealing(services: Services, field: str) -> Seal:
    """Return what seals secrets.  Raises NotAvailable when the operator has set no key."""
    if services.seal is None:
        raise NotAvailable([FieldError(field, NO_KEY)])
    return services.seal


def answered(shown: BaseModel, code: int) -> Response:
    """Return an answer that shows something."""
    return Response(shown.model_dump_json(), status_code=code, media_type="application/json")


def _shown(webhook: Webhook) -> WebhookAnswer:
    return WebhookAnswer(
        id=webhook.id,
        url=webhook.url,
        events=list(webhook.events),
        enabled=webhook.disabled is None,
        disabled=webhook.disabled,
        created_at=webhook.created_at,
    )
