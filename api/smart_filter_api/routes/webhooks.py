"""Endpoints for webhooks: create, list, change and delete them, and rotate their secrets."""

from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Request, Response, status
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from smart_filter_api.auth import security_log
from smart_filter_api.http.documents import json_response, render_as
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.schemas.parameters import Address, parse_id
from smart_filter_api.services import idempotency
from smart_filter_api.services.callers import Administrator, Reader, RecentAdministrator
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_api.submission.photo_source import WEBHOOKS_DISABLED
from smart_filter_shared.errors import FieldError, InvalidWebhookUrl, NotAvailable
from smart_filter_shared.ids import Tenant, WebhookId
from smart_filter_shared.security import urls
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_shared.tenants import quotas
from smart_filter_shared.tenants.audit_log import AuditEvent
from smart_filter_shared.webhooks import endpoints
from smart_filter_shared.webhooks.endpoints import DEFAULT_WEBHOOK, Webhook
from smart_filter_wire import webhooks
from smart_filter_wire.webhooks import NewWebhook, WebhookPage, WebhookSecret


def _refuse_duplicates(events: list[str]) -> list[str]:
    return list(dict.fromkeys(events))


WebhookEvent = Literal["job.succeeded", "job.failed", "job.canceled", "batch.finished"]
Events = Annotated[
    list[WebhookEvent], Field(min_length=1, max_length=16), AfterValidator(_refuse_duplicates)
]


class WebhookRequest(BaseModel):
    """A request for a webhook."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Address = Field(
        description="An http or https URL on the public internet, or allowed by the operator",
        json_schema_extra={"format": "uri"},
        min_length=1,
    )
    events: Events | None = Field(default=None, description="All by default")

    @property
    def wanted_events(self) -> list[str]:
        """The events that are sent to the webhook."""
        return list(get_args(WebhookEvent)) if self.events is None else list(self.events)


class WebhookChange(BaseModel):
    """Changes to a webhook; null and omitted fields stay.  enabled: whether events are sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Address | None = None
    events: Events | None = None
    enabled: bool | None = None


router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Create a webhook",
    response_model=NewWebhook,
    openapi_extra=json_document.describe_body(WebhookRequest),
    responses=describe_responses(
        *idempotency.PROBLEMS,
        *("sign_in_again", "invalid_request", "invalid_webhook_url", "not_available"),
        *("queue_full", "unsupported_media"),
    ),
)
async def create_webhook(
    request: Request,
    services: OpenServices,
    caller: RecentAdministrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a webhook for the final events of jobs; its secret is shown only in this answer."""
    seal = require_seal(services, "/url")
    body = await json_document.read_body(request)

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        asked = json_document.parse_document(WebhookRequest, body, webhook_field="url")
        _check_url(services, asked.url)
        quotas.check_deliveries(connection, caller.tenant, caller.limits, webhooks=1)
        made, secret = endpoints.create(
            connection, seal, caller.tenant, url=asked.url, events=asked.wanted_events
        )
        security_log.record(connection, request, caller, AuditEvent.WEBHOOK_CREATED, made.id)
        shown = render_as(NewWebhook, made, secret=secret)
        answer = json_response(shown, status.HTTP_201_CREATED)
        answer.headers["Location"] = f"{router.prefix}/{made.id}"
        once.remember(connection, answer, secret=True)
        return answer

    return await idempotency.write_once(
        services, request, caller, idempotency_key, write, payload=body
    )


@router.get("", summary="List webhooks", responses=describe_responses())
async def list_webhooks(services: OpenServices, caller: Reader) -> WebhookPage:
    """Return all webhooks of the caller's tenant."""
    listed = await services.database.query(endpoints.list_webhooks, caller.tenant)
    return WebhookPage(items=tuple(map(_render_webhook, listed)))


@router.get(
    "/{webhook_id}",
    summary="Get a webhook",
    responses=describe_responses("not_found"),
)
async def get_webhook(webhook_id: str, services: OpenServices, caller: Reader) -> webhooks.Webhook:
    """Return a webhook, without its secret."""
    return _render_webhook(await services.database.query(find_webhook, webhook_id, caller.tenant))


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    openapi_extra=json_document.describe_body(WebhookChange),
    responses=describe_responses(
        *("malformed_request", "sign_in_again", "not_found", "invalid_request"),
        *("invalid_webhook_url", "queue_full", "unsupported_media"),
    ),
)
async def update_webhook(
    webhook_id: str, request: Request, services: OpenServices, caller: RecentAdministrator
) -> webhooks.Webhook:
    """Change the given fields; `enabled: false` fails waiting deliveries, which can be replayed."""
    body = await json_document.read_body(request)
    asked = json_document.parse_document(WebhookChange, body, webhook_field="url")
    if asked.url is not None:
        _check_url(services, asked.url)

    def write(connection: Connection) -> Webhook:
        if asked.enabled:
            quotas.check_deliveries(connection, caller.tenant, caller.limits, webhooks=1)
        changed = endpoints.change(
            connection,
            find_webhook(connection, webhook_id, caller.tenant),
            url=asked.url,
            events=asked.events,
            enabled=asked.enabled,
        )
        security_log.record(connection, request, caller, AuditEvent.WEBHOOK_CHANGED, changed.id)
        return changed

    return _render_webhook(await services.database.transact(write))


@router.delete(
    "/{webhook_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a webhook",
    responses=describe_responses("not_found"),
)
async def delete_webhook(
    webhook_id: str, request: Request, services: OpenServices, caller: Administrator
) -> None:
    """Delete a webhook, its secret and its deliveries."""

    def write(connection: Connection) -> None:
        webhook = find_webhook(connection, webhook_id, caller.tenant)
        endpoints.remove(connection, webhook)
        security_log.record(connection, request, caller, AuditEvent.WEBHOOK_DELETED, webhook.id)

    await services.database.transact(write)


@router.post(
    "/{webhook_id}/rotate",
    summary="Rotate a webhook's secret",
    description="`default` rotates the secret for addresses that jobs name. For a day, deliveries "
    "carry the signatures of both the new and the former secret.",
    response_model=WebhookSecret,
    responses=describe_responses(
        *idempotency.PROBLEMS, *("sign_in_again", "not_found", "not_available")
    ),
)
async def rotate_webhook_secret(
    webhook_id: str,
    request: Request,
    services: OpenServices,
    caller: RecentAdministrator,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Generate a new secret, which is shown only in this answer."""
    seal = require_seal(services, "/id")

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        webhook = resolve_name(connection, webhook_id, caller.tenant)
        rotated = endpoints.rotate(connection, seal, caller.tenant, webhook)
        security_log.record(connection, request, caller, AuditEvent.WEBHOOK_SECRET_ROTATED, webhook)
        shown = WebhookSecret(id=webhook, secret=rotated.secret, former_until=rotated.former_until)
        answer = json_response(shown)
        once.remember(connection, answer, secret=True)
        return answer

    return await idempotency.write_once(services, request, caller, idempotency_key, write)


def find_webhook(connection: Connection, webhook_id: str, tenant: Tenant) -> Webhook:
    """Return a tenant's webhook.  Raises NotFound, also for a malformed id or another tenant's."""
    return endpoints.find(connection, tenant, WebhookId(parse_id(webhook_id, "webhook")))


def resolve_name(connection: Connection, webhook_id: str, tenant: Tenant) -> str:
    """Return the name of a tenant's webhook in rows: its id, or `default`.  Raises NotFound."""
    return (
        DEFAULT_WEBHOOK
        if webhook_id == DEFAULT_WEBHOOK
        else str(find_webhook(connection, webhook_id, tenant).id)
    )


def require_seal(services: Services, field: str) -> SecretBox:
    """Return the box that encrypts secrets.  Raises NotAvailable when the setting is missing."""
    if services.secret_box is None:
        raise NotAvailable([FieldError(field, WEBHOOKS_DISABLED)])
    return services.secret_box


def _check_url(services: Services, url: str) -> None:
    """Raise InvalidWebhookUrl when a URL can never be reached."""
    fault = services.outbound.find_fault(urls.parse(url))
    if fault is not None:
        raise InvalidWebhookUrl([FieldError("/url", fault)])


def _render_webhook(webhook: Webhook) -> webhooks.Webhook:
    return render_as(webhooks.Webhook, webhook, enabled=webhook.disabled is None)
