"""Live video: what lets a client in to a live worker, which knows nobody."""

import datetime as dt

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api import documents, idempotency
from smart_filter_api.deps import OpenServices, Submitter
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.live import NOT_SET, Live
from smart_filter_api.problems import documented
from smart_filter_api.schemas.live import LiveAnswer, LiveWish
from smart_filter_shared.errors import FieldError, InvalidRequest, NotAvailable
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live import backgrounds

router = APIRouter(prefix="/v1/live", tags=["jobs"])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Begin live video",
    description="Connect to `url` by WebSocket within a minute and send `token` as the first "
    "message; then frames of a camera go in, and come back with another background.",
    response_model=LiveAnswer,
    openapi_extra=documents.described(LiveWish),
    responses=documented(
        *("malformed_request", "idempotency_in_progress", "idempotency_mismatch"),
        *("invalid_request", "not_available", "unsupported_media"),
        *("unauthorized", "scope", "unavailable"),
    ),
)
async def begin(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer a token that opens one connection, within a minute."""
    body = await documents.read(request)
    wish = documents.parse(LiveWish, body)

    live: Live | None = request.app.state.live

    def write(connection: Connection) -> Response:
        if live is None:
            raise NotAvailable([FieldError("", NOT_SET)])
        answer = _answer(live, caller.tenant, wish)
        once.remember(connection, answer, secret=services.seal is not None)
        return answer

    async with idempotency.once(services, request, caller.tenant, idempotency_key, body) as once:
        if once.replayed is not None:
            return once.replayed
        if wish.background is not None:
            _refuse_wrong(wish.background)
        async with services.transaction() as connection:
            return await connection.run_sync(write)


def _answer(live: Live, tenant: Tenant, wish: LiveWish) -> Response:
    now = dt.datetime.now(dt.UTC)
    token, admission = live.tokens.issue(tenant, background=wish.background, now=now)
    answer = LiveAnswer(url=live.url, token=token, expires_at=admission.expires_at)
    return Response(
        answer.model_dump_json(),
        status_code=status.HTTP_201_CREATED,
        media_type="application/json",
    )


def _refuse_wrong(background: str) -> None:
    """Raise InvalidRequest for what no live worker can put behind people."""
    try:
        backgrounds.read(background)
    except ValueError as error:
        raise InvalidRequest([FieldError("/background", str(error))]) from None
