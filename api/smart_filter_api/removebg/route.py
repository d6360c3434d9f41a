"""/v1.0: the endpoints of the remove.bg compatible interface."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials
from starlette.requests import ClientDisconnect

from smart_filter_api.auth.api_keys import Caller, Scope
from smart_filter_api.http import middleware
from smart_filter_api.intake.body import PhotoRequest, RemotePhoto
from smart_filter_api.removebg import account as removebg_account
from smart_filter_api.removebg import answer, body, coalescing, fields, openapi
from smart_filter_api.removebg.account import RemoveBgAccount
from smart_filter_api.removebg.errors import PREFIX, Route, describe_responses, refusal
from smart_filter_api.responses.output import mark_downloaded, stream_then
from smart_filter_api.services import callers
from smart_filter_api.services.container import OpenServices
from smart_filter_api.submission import recipe_parser
from smart_filter_shared.errors import InsufficientScope, RateLimited, Unauthorized

router = APIRouter(prefix=PREFIX, tags=["remove.bg"], route_class=Route)

_KEY = APIKeyHeader(name="X-Api-Key", auto_error=False, description="An API key: `sf_live_…`")


async def _authenticate(
    request: Request,
    services: OpenServices,
    key: Annotated[str | None, Depends(_KEY)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(callers.BEARER)],
) -> Caller:
    shown = key or (bearer.credentials if bearer is not None else "")
    if not shown:
        raise Unauthorized("the header X-Api-Key is missing")
    caller = await callers.identify_caller(request, services, shown)
    request.state.is_known = True
    if caller.is_device:
        raise InsufficientScope("a device key can only submit photos through /v1/jobs")
    return caller


AuthenticatedCaller = Annotated[Caller, Depends(_authenticate)]


async def _hold_wait(
    services: OpenServices, caller: AuthenticatedCaller
) -> AsyncIterator[ExitStack]:
    """Count a wait until its answer is sent, or until what is yielded is closed.

    Raises InsufficientScope, RateLimited.
    """
    if Scope.SUBMIT not in caller.scopes:
        raise InsufficientScope(f"the key lacks the scope {Scope.SUBMIT}")
    with ExitStack() as place:
        place.enter_context(services.limits.waits.hold(caller))
        yield place


@router.post(
    "/removebg",
    summary="Remove the background, remove.bg compatible",
    description="For programs written for remove.bg v1.0; `POST /v1/jobs` offers more. The answer "
    "comes within 18 seconds, or is a 503 when the job takes longer. An identical request sent "
    "meanwhile waits for the same job.",
    response_class=Response,
    openapi_extra={"requestBody": openapi.BODY},
    responses={
        HTTPStatus.OK: openapi.RESULT,
        **describe_responses(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.PAYMENT_REQUIRED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def remove_background(
    request: Request,
    services: OpenServices,
    caller: AuthenticatedCaller,
    place: Annotated[ExitStack, Depends(_hold_wait)],
) -> Response:
    """Cut the people out of an image and return the result."""
    async with body.receive_body(request) as sent:
        # The time limit starts after the body has arrived.
        ends_at = anyio.current_time() + services.settings.removebg.seconds
        image = sent.image
        header = None if image is None else image.header
        published = await recipe_parser.list_known(services)
        payload = fields.parse(
            sent.fields,
            takes_any_subject=any(model.offered and model.card.any_subject for model in published),
            has_image=image is not None,
            has_background=sent.background is not None,
            outbound=services.outbound,
            size=None if header is None else (header.width, header.height),
        )
        saved = await recipe_parser.saved_layers(services, caller.tenant, payload.recipe)
        background = sent.background if payload.takes_background else None
        photo = image or RemotePhoto(payload.image_url)
        upload = PhotoRequest(
            photo,
            background,
            payload.recipe,
            photo_name=sent.photo_name,
            implied=fields.imply_white(payload.implied, [layer.fields for layer in saved]),
        )
        try:
            seat = await coalescing.join_or_submit(
                services, request, caller, upload, ends_at=ends_at
            )
        except (
            RateLimited
        ) as error:  # the daily megapixels; requests per minute were counted before
            raise refusal("insufficient_credits", str(error)) from error
    if seat.is_first:
        await middleware.record_submission(request, jobs=[seat.job_id])
    try:
        job = await coalescing.wait_for_end(services, request, seat, ends_at=ends_at)
    except ClientDisconnect:
        # A client that times out early sends its request again, and joins the job until then.
        place.close()
        job = await coalescing.wait_for_end(services, None, seat, ends_at=ends_at)
        if job.finished_at is None:
            await coalescing.abandon(services, seat)
        raise
    if job.finished_at is None:
        ended = await coalescing.abandon(services, seat)
        if ended is None:
            seconds = services.settings.removebg.seconds
            detail = f"processing took longer than {seconds:g} s; try again later"
            if services.events.are_waits_over:
                detail = "the server is stopping; send the picture again"
            raise refusal("timeout", detail)
        job = ended
    # With `keep_nothing`, the last request that waits for the job ends the retention of its files.
    ends_it = job.keep_nothing and await coalescing.is_last(services, seat)
    then = partial(mark_downloaded, services, job, payload.output)
    return await answer.render_result(
        services,
        job,
        payload,
        sent=partial(stream_then, request, then) if ends_it else None,
        as_json=answer.wants_json(request.headers.get("accept", "")),
        price=removebg_account.credits_per_megapixel(caller) if seat.is_first else 0.0,
    )


@router.get(
    "/account",
    summary="Show the remaining credits, remove.bg compatible",
    description="One credit is one megapixel of the tenant's daily limit.",
    responses={
        HTTPStatus.OK: openapi.ACCOUNT,
        **describe_responses(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def get_remove_bg_account(
    services: OpenServices, caller: AuthenticatedCaller
) -> RemoveBgAccount:
    """Return the credits that the caller's tenant has left today."""
    return await removebg_account.get_account(services, caller)


@router.post("/improve", include_in_schema=False)
async def improve(caller: AuthenticatedCaller) -> Response:
    """Reject remove.bg's improvement program: photos are not shared for training."""
    del caller
    raise refusal(
        "not_found",
        "photos are not shared for training; with the consent of the people in the photo, send "
        "corrections of a job to /v1/jobs/{id}/corrections",
    )
