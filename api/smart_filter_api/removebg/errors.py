"""Errors as clients of remove.bg read them: `{"errors":[{"title","code","detail"}]}`.

Source: remove.bg's OpenAPI document 1.0.0; codes that it does not have are marked so.
"""

import contextlib
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from smart_filter_api import multipart, problems
from smart_filter_api.removebg import balance
from smart_filter_shared.errors import (
    Error,
    InvalidRecipe,
    JobDeleted,
    Limited,
    MalformedRequest,
    NotAvailable,
    NotFound,
    OutOfScope,
    Rejected,
    SizeUnreadable,
    TryAgain,
    Unauthorized,
    UnsupportedMedia,
)
from smart_filter_shared.telemetry import logs

_BAD, _LATER = HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE
PREFIX: Final = "/v1.0"
# What is too slow now is hardly faster at once.
SLOW_SECONDS: Final = 10
# What is left of a body that nobody wants may take so long to come.
_HEAR_SECONDS: Final = 10.0
# Literally what remove.bg answers, whatever is wrong with the key.
_JSON: Final = "application/json"
_NO_KEY: Final = b'{"errors":[{"title":"API Key invalid","code":"auth_failed"}]}'


@dataclass(frozen=True, slots=True)
class Kind:
    """What all errors of one code have in common."""

    title: str
    status: HTTPStatus = _BAD


KINDS: Final[Mapping[str, Kind]] = {
    "missing_source": Kind("No image given"),
    "multiple_sources": Kind(
        "Multiple image sources given: Please provide either the image_url, image_file or "
        "image_file_b64 parameter."
    ),
    "invalid_image_url": Kind("Invalid image_url: Please provide a valid URL."),
    "failed_image_download": Kind("Failed to download image from given image_url"),
    "failed_to_read_image": Kind("There was an error reading the image."),
    "file_too_large": Kind("File too large"),
    "invalid_file_type": Kind("Invalid file type"),
    "invalid_dimensions": Kind("Failed to read image dimensions"),
    "resolution_too_high": Kind("Image resolution too high"),
    "invalid_size": Kind("Invalid value for parameter 'size'"),
    "invalid_format": Kind("Invalid format parameter given"),
    "invalid_channels": Kind("Invalid value for parameter 'channels'"),
    "invalid_crop_margin": Kind("Invalid crop_margin parameter given"),
    "invalid_position": Kind("Invalid position parameter given"),
    "invalid_scale": Kind("Invalid scale parameter given"),
    "invalid_semitransparency": Kind("Invalid semitransparency parameter given"),
    "invalid_roi": Kind("Invalid roi parameter given"),
    "roi_exceeds_bounds": Kind("ROI exceeds image bounds"),
    "roi_region_empty": Kind("ROI region is empty"),
    "multiple_bg_sources": Kind(
        "Multiple background sources given: Please provide either the bg_color, the bg_image_url "
        "or the bg_image_file parameter."
    ),
    "invalid_bg_color": Kind("Invalid bg_color parameter given"),
    "invalid_bg_image_url": Kind("Invalid bg_image_url: Please provide a valid URL."),
    "failed_bg_download": Kind("Failed to download background image from given bg_image_url"),
    "unknown_foreground": Kind("Could not identify foreground in image."),
    "auth_failed": Kind("API Key invalid", HTTPStatus.FORBIDDEN),
    # Without a code in remove.bg's document.
    "insufficient_credits": Kind("Insufficient credits", HTTPStatus.PAYMENT_REQUIRED),
    "rate_limit_exceeded": Kind("Rate limit exceeded", HTTPStatus.TOO_MANY_REQUESTS),
    # Ours: of parameters for whose values it names no code, and of what else may happen.
    "invalid_type": Kind("Invalid value for parameter 'type'"),
    "invalid_type_level": Kind("Invalid value for parameter 'type_level'"),
    "invalid_crop": Kind("Invalid crop parameter given"),
    "invalid_add_shadow": Kind("Invalid add_shadow parameter given"),
    "invalid_shadow_type": Kind("Invalid value for parameter 'shadow_type'"),
    "invalid_shadow_opacity": Kind("Invalid shadow_opacity parameter given"),
    "malformed_request": Kind("The request cannot be read"),
    "not_found": Kind("Not found", HTTPStatus.NOT_FOUND),
    "method_not_allowed": Kind("Method not allowed", HTTPStatus.METHOD_NOT_ALLOWED),
    "internal": Kind("Something went wrong here", HTTPStatus.INTERNAL_SERVER_ERROR),
    "timeout": Kind("The image could not be processed in time", _LATER),
    "unavailable": Kind("The service is not available now", _LATER),
}


# The first that an error is one of.
_FAMILIES: Final[tuple[tuple[type[Error], str], ...]] = (
    (OutOfScope, "auth_failed"),
    (NotAvailable, "unavailable"),  # no pool of workers serves what is needed
    (SizeUnreadable, "invalid_dimensions"),
    (UnsupportedMedia, "invalid_file_type"),
    (MalformedRequest, "malformed_request"),
    (InvalidRecipe, "malformed_request"),
    (JobDeleted, "unavailable"),  # meanwhile
    (NotFound, "unavailable"),
)


class OneError(BaseModel):
    """What is wrong; the title is for people, the code for programs."""

    title: str
    code: str
    detail: str | None = None


class Errors(BaseModel):
    """What every error is answered as."""

    errors: list[OneError] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong: a code of KINDS, and what would be right."""

    code: str
    detail: str


class Refused(Rejected):
    """A request cannot be done as it was sent; every fault is told."""

    def __init__(self, faults: Sequence[Fault], *, retry_after_seconds: int | None = None) -> None:
        super().__init__("; ".join(f"{fault.code}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds


def refused(code: str, detail: str) -> Refused:
    """Return the error for one fault; those that pass by themselves say when to come again."""
    again = SLOW_SECONDS if KINDS[code].status == _LATER else None
    return Refused([Fault(code, detail)], retry_after_seconds=again)


class Route(APIRoute):
    """A route whose errors are answered so, and whose answers tell of the rate limit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                response = await handle(request)
            except ClientDisconnect:
                raise
            except Error as error:
                response = of(error)
            except Exception:  # noqa: BLE001 - the top of a request: defects read as theirs, too
                response = _defect()
            response.headers.update(balance.rate_headers(request))
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                await _hear_out(request)
            return response

        return answered


def install(app: FastAPI) -> None:
    """Let an app answer so where there is no route as well; after problems.install."""
    app.add_exception_handler(HTTPException, _of_the_framework)


async def _of_the_framework(request: Request, error: Exception) -> Response:
    told = await problems.of_the_framework(request, error)
    if not request.url.path.startswith(f"{PREFIX}/"):
        return told
    lacks = HTTPStatus(told.status_code) == HTTPStatus.NOT_FOUND
    detail = f"there is no {request.method} {request.url.path}"
    answer = of(refused("not_found" if lacks else "method_not_allowed", detail))
    if "Allow" in told.headers:
        answer.headers["Allow"] = told.headers["Allow"]
    return answer


async def _hear_out(request: Request) -> None:
    """Take what is left of a body: old clients hang that are answered before they have sent all.

    Who waits to be asked for its body is not asked.
    """
    if "expect" in request.headers:
        return
    left = multipart.MAX_BODY_BYTES
    # RuntimeError: all of it was taken.
    with contextlib.suppress(ClientDisconnect, RuntimeError), anyio.move_on_after(_HEAR_SECONDS):
        async for piece in request.stream():
            left -= len(piece)
            if left < 0:
                return


def of(error: Error) -> Response:
    """Return the answer for an error."""
    if isinstance(error, Refused):
        return _answer(error.faults, retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, Unauthorized):
        return Response(_NO_KEY, status_code=HTTPStatus.FORBIDDEN, media_type=_JSON)
    if isinstance(error, Limited):
        seconds = max(1, math.ceil(error.retry_after_seconds))
        return _answer([Fault("rate_limit_exceeded", str(error))], retry_after_seconds=seconds)
    if isinstance(error, TryAgain):
        # Its message tells of addresses and users: for the operator, not for the client.
        logs.logger("api").warning("unavailable", reason=str(error))
        told = Fault("unavailable", "database or storage is away; send the request again")
        return _answer([told], retry_after_seconds=problems.RETRY_AFTER_SECONDS)
    code = next((code for kind, code in _FAMILIES if isinstance(error, kind)), None)
    return _defect() if code is None else of(refused(code, str(error)))


def _defect() -> Response:
    """Log the error that is being handled, and return what is answered."""
    logs.logger("api").exception("request_failed")
    return _answer([Fault("internal", "the fault is not yours; try again later")])


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:  # FastAPI's type
    """Return OpenAPI's description of the answers with these statuses."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        codes = [code for code, kind in KINDS.items() if kind.status == status]
        examples = {code: {"value": _example(code)} for code in codes[:1]}
        described[int(status)] = {
            "model": Errors,
            "description": ", ".join(f"`{code}`" for code in codes),
            "content": {_JSON: {"examples": examples}},
        }
    return described


def _example(code: str) -> dict[str, Any]:
    one = {"title": KINDS[code].title, "code": code}
    return {
        "errors": [
            one if code == "auth_failed" else {**one, "detail": "what would be right instead"}
        ]
    }


def _answer(faults: Sequence[Fault], *, retry_after_seconds: int | None = None) -> Response:
    document = Errors(
        errors=[
            OneError(title=KINDS[one.code].title, code=one.code, detail=one.detail)
            for one in faults
        ]
    )
    headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    return JSONResponse(
        document.model_dump(), status_code=KINDS[faults[0].code].status, headers=headers
    )
