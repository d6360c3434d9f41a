"""Answer errors in remove.bg's format: `{"errors":[{"title","code","detail"}]}`.

Source: remove.bg's OpenAPI document 1.0.0; our own additional codes are marked.
"""

import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from smart_filter_api.problems import problem
from smart_filter_api.removebg import account
from smart_filter_shared.errors import (
    Error,
    InsufficientScope,
    InvalidRecipe,
    JobDeleted,
    MalformedRequest,
    NotAvailable,
    NotFound,
    Rejected,
    RetryAfter,
    SizeUnreadable,
    TryAgain,
    Unauthorized,
    UnsupportedMedia,
)
from smart_filter_shared.telemetry import logs

_BAD, _UNAVAILABLE = HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE
PREFIX: Final = "/v1.0"
# Retry-After of 503 answers in seconds; an immediate retry would hardly be faster.
SLOW_SECONDS: Final = 10
_JSON: Final = "application/json"
# Byte for byte what remove.bg answers for any problem with the key.
_NO_KEY: Final = b'{"errors":[{"title":"API Key invalid","code":"auth_failed"}]}'


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """The title and HTTP status of all errors with one code."""

    title: str
    status: HTTPStatus = _BAD


KINDS: Final[Mapping[str, ErrorKind]] = {
    "missing_source": ErrorKind("No image given"),
    "multiple_sources": ErrorKind(
        "Multiple image sources given: Please provide either the image_url, image_file or "
        "image_file_b64 parameter."
    ),
    "invalid_image_url": ErrorKind("Invalid image_url: Please provide a valid URL."),
    "failed_image_download": ErrorKind("Failed to download image from given image_url"),
    "failed_to_read_image": ErrorKind("There was an error reading the image."),
    "file_too_large": ErrorKind("File too large"),
    "invalid_file_type": ErrorKind("Invalid file type"),
    "invalid_dimensions": ErrorKind("Failed to read image dimensions"),
    "resolution_too_high": ErrorKind("Image resolution too high"),
    "invalid_size": ErrorKind("Invalid value for parameter 'size'"),
    "invalid_format": ErrorKind("Invalid format parameter given"),
    "invalid_channels": ErrorKind("Invalid value for parameter 'channels'"),
    "invalid_crop_margin": ErrorKind("Invalid crop_margin parameter given"),
    "invalid_position": ErrorKind("Invalid position parameter given"),
    "invalid_scale": ErrorKind("Invalid scale parameter given"),
    "invalid_semitransparency": ErrorKind("Invalid semitransparency parameter given"),
    "invalid_roi": ErrorKind("Invalid roi parameter given"),
    "roi_exceeds_bounds": ErrorKind("ROI exceeds image bounds"),
    "roi_region_empty": ErrorKind("ROI region is empty"),
    "multiple_bg_sources": ErrorKind(
        "Multiple background sources given: Please provide either the bg_color, the bg_image_url "
        "or the bg_image_file parameter."
    ),
    "invalid_bg_color": ErrorKind("Invalid bg_color parameter given"),
    "invalid_bg_image_url": ErrorKind("Invalid bg_image_url: Please provide a valid URL."),
    "failed_bg_download": ErrorKind("Failed to download background image from given bg_image_url"),
    "unknown_foreground": ErrorKind("Could not identify foreground in image."),
    "auth_failed": ErrorKind("API Key invalid", HTTPStatus.FORBIDDEN),
    # remove.bg's document has these errors without a code.
    "insufficient_credits": ErrorKind("Insufficient credits", HTTPStatus.PAYMENT_REQUIRED),
    "rate_limit_exceeded": ErrorKind("Rate limit exceeded", HTTPStatus.TOO_MANY_REQUESTS),
    # Our own codes: for parameters without a code in remove.bg's document, and for other errors.
    "invalid_type": ErrorKind("Invalid value for parameter 'type'"),
    "invalid_type_level": ErrorKind("Invalid value for parameter 'type_level'"),
    "invalid_crop": ErrorKind("Invalid crop parameter given"),
    "invalid_add_shadow": ErrorKind("Invalid add_shadow parameter given"),
    "invalid_shadow_type": ErrorKind("Invalid value for parameter 'shadow_type'"),
    "invalid_shadow_opacity": ErrorKind("Invalid shadow_opacity parameter given"),
    "malformed_request": ErrorKind("Malformed request"),
    "not_found": ErrorKind("Not found", HTTPStatus.NOT_FOUND),
    "method_not_allowed": ErrorKind("Method not allowed", HTTPStatus.METHOD_NOT_ALLOWED),
    "internal": ErrorKind("Internal error", HTTPStatus.INTERNAL_SERVER_ERROR),
    "timeout": ErrorKind("The image could not be processed in time", _UNAVAILABLE),
    "unavailable": ErrorKind("Service unavailable", _UNAVAILABLE),
}


# The code of the first class that matches an error.
_CODE_OF_ERROR: Final[tuple[tuple[type[Error], str], ...]] = (
    (InsufficientScope, "auth_failed"),
    (NotAvailable, "unavailable"),  # no worker pool serves a needed model
    (SizeUnreadable, "invalid_dimensions"),
    (UnsupportedMedia, "invalid_file_type"),
    (MalformedRequest, "malformed_request"),
    (InvalidRecipe, "malformed_request"),
    (JobDeleted, "unavailable"),  # deleted while the request waited
    (NotFound, "unavailable"),
)


class RemoveBgError(BaseModel):
    """One error; the title is for people, the code for programs."""

    title: str
    code: str
    detail: str | None = None


class RemoveBgErrors(BaseModel):
    """The body of every error response."""

    errors: list[RemoveBgError] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of a request: a code in KINDS, and what was expected."""

    code: str
    detail: str


class RequestRefused(Rejected):
    """A request is rejected; `faults` lists every error in it."""

    def __init__(self, faults: Sequence[Fault], *, retry_after_seconds: int | None = None) -> None:
        super().__init__("; ".join(f"{fault.code}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds


def refusal(code: str, detail: str) -> RequestRefused:
    """Return the exception for one fault; with Retry-After if its status is 503."""
    again = SLOW_SECONDS if KINDS[code].status == _UNAVAILABLE else None
    return RequestRefused([Fault(code, detail)], retry_after_seconds=again)


class Route(APIRoute):
    """A route with errors in remove.bg's format and rate-limit headers on all answers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                response = await handle(request)
            except ClientDisconnect:
                raise
            except Error as error:
                request.state.problem = error.code
                response = error_response(error)
            except Exception as error:  # noqa: BLE001 - the top of a request: bugs get the same format
                unavailable = problem.translate_full_disk(error)
                response = _internal_error() if unavailable is None else error_response(unavailable)
            response.headers.update(account.rate_headers(request))
            return response

        return answered


def install(app: FastAPI) -> None:
    """Register the handler for unknown paths below /v1.0; call it after `problem.install`."""
    app.add_exception_handler(HTTPException, _handle_framework_error)


async def _handle_framework_error(request: Request, error: Exception) -> Response:
    document = await problem.respond_to_framework_error(request, error)
    if not request.url.path.startswith(f"{PREFIX}/"):
        return document
    lacks = HTTPStatus(document.status_code) == HTTPStatus.NOT_FOUND
    detail = f"there is no {request.method} {request.url.path}"
    answer = error_response(refusal("not_found" if lacks else "method_not_allowed", detail))
    if "Allow" in document.headers:
        answer.headers["Allow"] = document.headers["Allow"]
    return answer


def error_response(error: Error) -> Response:
    """Return the response for an error."""
    if isinstance(error, RequestRefused):
        return _render_faults(error.faults, retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, Unauthorized):
        return Response(_NO_KEY, status_code=HTTPStatus.FORBIDDEN, media_type=_JSON)
    if isinstance(error, RetryAfter):
        seconds = max(1, math.ceil(error.retry_after_seconds))
        return _render_faults(
            [Fault("rate_limit_exceeded", str(error))], retry_after_seconds=seconds
        )
    if isinstance(error, TryAgain):
        # The message may hold addresses and user names, so only the operator's log gets it.
        logs.logger("api").warning("unavailable", reason=str(error))
        fault = Fault("unavailable", problem.UNAVAILABLE_DETAIL)
        return _render_faults([fault], retry_after_seconds=problem.RETRY_AFTER_SECONDS)
    code = next((code for kind, code in _CODE_OF_ERROR if isinstance(error, kind)), None)
    return _internal_error() if code is None else error_response(refusal(code, str(error)))


def _internal_error() -> Response:
    """Log the exception that is being handled, and return the response for it."""
    logs.logger("api").exception("request_failed")
    return _render_faults([Fault("internal", "an internal error; try again later")])


def describe_responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:  # FastAPI's type
    """Return the OpenAPI description of the responses with these statuses."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        codes = [code for code, kind in KINDS.items() if kind.status == status]
        examples = {code: {"value": _example(code)} for code in codes[:1]}
        described[int(status)] = {
            "model": RemoveBgErrors,
            "description": ", ".join(f"`{code}`" for code in codes),
            "content": {_JSON: {"examples": examples}},
        }
    return described


def _example(code: str) -> dict[str, Any]:
    error = {"title": KINDS[code].title, "code": code}
    return {
        "errors": [
            error
            if code == "auth_failed"
            else {**error, "detail": "what the service expects instead"}
        ]
    }


def _render_faults(faults: Sequence[Fault], *, retry_after_seconds: int | None = None) -> Response:
    document = RemoveBgErrors(
        errors=[
            RemoveBgError(title=KINDS[fault.code].title, code=fault.code, detail=fault.detail)
            for fault in faults
        ]
    )
    headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    return JSONResponse(
        document.model_dump(), status_code=KINDS[faults[0].code].status, headers=headers
    )
