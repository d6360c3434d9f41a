"""Endpoint for live video: issue the token that admits a client to a live worker."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from smart_filter_api.http.documents import json_response
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.services import idempotency
from smart_filter_api.services.callers import Submitter
from smart_filter_api.services.container import OpenServices
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_shared.config.settings import LiveSettings
from smart_filter_shared.errors import FieldError, InvalidRequest, MalformedRequest, NotAvailable
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live import MAX_ORIGIN_CHARACTERS, Tokens, parse_background
from smart_filter_wire.catalog import LiveConnection

NOT_SET: Final = "live video needs the settings SMART_FILTER_LIVE_URL and SMART_FILTER_LIVE_SECRET"
# Path of a live worker's WebSocket (smart_filter_workers.live.app).
_PATH: Final = "/v1/live/socket"


@dataclass(frozen=True, slots=True)
class LiveEndpoint:
    """Where live video is served.  origin: of the live worker; url: of its WebSocket."""

    origin: str
    url: str
    tokens: Tokens


def from_settings(settings: LiveSettings) -> LiveEndpoint | None:
    """Return the endpoint from the settings; None when the URL or the secret is missing."""
    if settings.url is None or not settings.secret:
        return None
    keys = [key.get_secret_value() for key in settings.secret]
    origin = settings.url.rstrip("/")
    return LiveEndpoint(origin, origin + _PATH, Tokens(keys))


_MAX_BACKGROUND_CHARACTERS = 1000


class LiveRequest(BaseModel):
    """A request for a live video connection."""

    model_config = ConfigDict(extra="forbid")

    background: str | None = Field(
        default=None,
        max_length=_MAX_BACKGROUND_CHARACTERS,
        description="The first background, as in a recipe: `auto` (default), `keep`, `color:`, "
        "`blur:`, `preset:` with a generated design, or `keywords:`",
    )


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
        parse_background(background)
    except ValueError as error:
        raise InvalidRequest([FieldError("/background", str(error))]) from None
