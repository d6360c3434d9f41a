"""Endpoint for live video: issue the token that admits a client to a live worker."""

import datetime as dt

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api.http.documents import json_response
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.schemas.live import LiveRequest
from smart_filter_api.services import idempotency
from smart_filter_api.services.callers import Submitter
from smart_filter_api.services.container import OpenServices
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_api.services.live_access import NOT_SET, LiveEndpoint
from smart_filter_shared.errors import FieldError, InvalidRequest, MalformedRequest, NotAvailable
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live import backgrounds
from smart_filter_shared.live.tokens import MAX_ORIGIN_CHARACTERS
from smart_filter_wire.pictures import LiveConnection

router = APIRouter(prefix="/v1/live", tags=["jobs"])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Start live video",
    description="Connect to `url` by WebSocket within a minute, with the subprotocols "
    "`smart-filter-live` and `token`. Then send camera frames; they come back with another "
    "background. The connection lasts until its newest token expires: request another and send it "
    "every 20 seconds.",
    response_model=LiveConnection,
    openapi_extra=json_document.describe_body(LiveRequest),
    responses=describe_responses(
        *idempotency.PROBLEMS, *("invalid_request", "not_available", "unsupported_media")
    ),
)
async def start_live(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Return a token that opens one connection within a minute, or extends one."""
    body = await json_document.read_body(request)
    payload = json_document.parse_document(LiveRequest, body)

    live: LiveEndpoint | None = request.app.state.live
    origin = request.headers.get("Origin")
    if origin is not None and len(origin) > MAX_ORIGIN_CHARACTERS:
        raise MalformedRequest(f"Origin has more than {MAX_ORIGIN_CHARACTERS} characters")

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        if payload.background is not None:
            _validate_background(payload.background)
        if live is None:
            raise NotAvailable([FieldError("", NOT_SET)])
        answer = _token_response(live, caller.tenant, payload, origin)
        once.remember(connection, answer, secret=services.secret_box is not None)
        return answer

    return await idempotency.write_once(
        services, request, caller, idempotency_key, write, payload=body
    )


def _token_response(
    live: LiveEndpoint, tenant: Tenant, payload: LiveRequest, origin: str | None
) -> Response:
    now = dt.datetime.now(dt.UTC)
    token, admission = live.tokens.issue(
        tenant, background=payload.background, now=now, origin=origin
    )
    shown = LiveConnection(url=live.url, token=token, expires_at=admission.expires_at)
    return json_response(shown, status.HTTP_201_CREATED)


def _validate_background(background: str) -> None:
    """Raise InvalidRequest for a background that live workers do not support."""
    try:
        backgrounds.parse_background(background)
    except ValueError as error:
        raise InvalidRequest([FieldError("/background", str(error))]) from None
