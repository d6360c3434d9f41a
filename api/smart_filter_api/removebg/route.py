"""/v1.0: what clients of remove.bg ask, answered as they expect it."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from smart_filter_api import deps, spans, waiting
from smart_filter_api.deps import OpenServices
from smart_filter_api.intake import Addressed, Upload
from smart_filter_api.keys import Caller, Scope
from smart_filter_api.removebg import answer, balance, body, described, fields, sharing
from smart_filter_api.removebg.balance import Account
from smart_filter_api.removebg.errors import PREFIX, Route, documented, refused
from smart_filter_api.routes.outputs import followed, hand_over
from smart_filter_shared.errors import OutOfScope, RateLimited, Unauthorized

router = APIRouter(prefix=PREFIX, tags=["remove.bg"], route_class=Route)

_KEY = APIKeyHeader(name="X-Api-Key", auto_error=False, description="a key: `sf_live_…`")
_BEARER = HTTPBearer(auto_error=False, description="a key: `sf_live_…`")


async def _known(
    request: Request,
    services: OpenServices,
    key: Annotated[str | None, Depends(_KEY)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Caller:
    shown = key or (bearer.credentials if bearer is not None else "")
    if not shown:
        raise Unauthorized("send the header X-Api-Key")
    caller = await deps.identified(request, services, shown)
    request.state.is_known = True
    if caller.is_device:
        raise OutOfScope("the key is for a device: it submits photos and nothing else")
    return caller


Known = Annotated[Caller, Depends(_known)]


@router.post(
    "/removebg",
    summary="Cut people out, as remove.bg does",
    description="For programs that were written for remove.bg v1.0; everything else is told by "
    "`POST /v1/jobs`. Answered within 18 seconds, by 503 when that is too short. The same request "
    "sent again meanwhile waits for the same job.",
    operation_id="removebg_remove",
    response_class=Response,
    openapi_extra={"requestBody": described.BODY},
    responses={
        HTTPStatus.OK: described.RESULT,
        **documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.PAYMENT_REQUIRED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def remove(request: Request, services: OpenServices, caller: Known) -> Response:
    """Cut the people out of an image and answer with what is left."""
    if Scope.SUBMIT not in caller.scopes:
        raise OutOfScope(f"the key lacks the scope {Scope.SUBMIT}")
    async with body.received(request) as sent:
        # From here on: how long a body takes to arrive is its sender's affair.
        ends_at = anyio.current_time() + services.removebg_seconds
        image = sent.image
        header = None if image is None else image.header
        wish = fields.parse(
            sent.fields,
            has_image=image is not None,
            has_background=sent.background is not None,
            size=None if header is None else (header.width, header.height),
        )
        background = sent.background if wish.takes_background else None
        upload = Upload(image or Addressed(wish.image_url), background, wish.recipe)
        try:
            seat = await sharing.take(services, caller, upload, ends_at=ends_at)
        except RateLimited as error:  # requests a minute were counted before: these are megapixels
            raise refused("insufficient_credits", str(error)) from error
    if seat.is_first:
        await spans.tell(request, jobs=[seat.job_id])
    job = await waiting.until(
        services, caller.tenant, seat.job_id, seconds=max(0.0, ends_at - anyio.current_time())
    )
    if job.finished_at is None:
        ended = await sharing.leave(services, seat)
        if ended is None:
            detail = f"it took longer than {services.removebg_seconds:g} s; send it again later"
            raise refused("timeout", detail)
        job = ended
    # Nothing is kept for long of a tenant that says so; but for all who wait for the same job.
    ends_it = job.keep_nothing and await sharing.is_last(services, seat)
    then = partial(hand_over, services, job, wish.output)
    return await answer.of(
        services,
        job,
        wish,
        sent=partial(followed, request, then) if ends_it else None,
        as_json=answer.wants_json(", ".join(request.headers.getlist("accept"))),
        price=balance.price(caller) if seat.is_first else 0.0,
    )


@router.get(
    "/account",
    summary="Show what is left, as remove.bg does",
    description="A credit is a megapixel of those that the tenant may submit today.",
    operation_id="removebg_account",
    responses={
        HTTPStatus.OK: described.ACCOUNT,
        **documented(
            HTTPStatus.FORBIDDEN,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def account(services: OpenServices, caller: Known) -> Account:
    """Answer what the caller's tenant may still submit today."""
    return await balance.account(services, caller)


@router.post("/improve", include_in_schema=False)
async def improve(caller: Known) -> Response:
    """Refuse to give photos away."""
    del caller
    raise refused(
        "not_found",
        "photos are given to nobody for training; corrections of a job, with the consent of who "
        "is seen, are sent to /v1/jobs/{id}/corrections",
    )
