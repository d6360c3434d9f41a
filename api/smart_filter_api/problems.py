"""Every error as a problem document (RFC 9457), and the one table of HTTP statuses.

A document carries `code` (stable, for programs), `detail` and `remedy` (for people); `instance`
names the request, so that an operator finds it in the log.  `type` is the same in every
installation, and the header `Link` leads to its page in this one.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from smart_filter_api.problem_pages import PAGES
from smart_filter_shared.errors import (
    Error,
    FieldError,
    Limited,
    Misstated,
    TryAgain,
    Unauthorized,
)
from smart_filter_shared.telemetry import logs

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "https://smart-filter.dev/problems/"
# Where the service shows what each means; the path of every type.
PAGES_PATH = "/problems"
RETRY_AFTER_SECONDS = 2

_INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Kind:
    """What every problem of one code has in common."""

    status: HTTPStatus
    title: str


KINDS: Mapping[str, Kind] = {
    "malformed_request": Kind(HTTPStatus.BAD_REQUEST, "The request cannot be read"),
    "unauthorized": Kind(HTTPStatus.UNAUTHORIZED, "A valid key is needed"),
    "scope": Kind(HTTPStatus.FORBIDDEN, "The key does not allow this"),
    "csrf": Kind(HTTPStatus.FORBIDDEN, "The session's request may be forged"),
    "not_found": Kind(HTTPStatus.NOT_FOUND, "Not found"),
    "method_not_allowed": Kind(HTTPStatus.METHOD_NOT_ALLOWED, "Not a method of this address"),
    "job_final": Kind(HTTPStatus.CONFLICT, "The job has ended"),
    "job_not_finished": Kind(HTTPStatus.CONFLICT, "The job has not finished"),
    "job_deleted": Kind(HTTPStatus.GONE, "The job was deleted"),
    "inputs_expired": Kind(HTTPStatus.GONE, "The photo is not kept any more"),
    "output_expired": Kind(HTTPStatus.GONE, "The output is not kept any more"),
    "idempotency_in_progress": Kind(HTTPStatus.CONFLICT, "The same request is being worked on"),
    "idempotency_mismatch": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The key was used for another request"
    ),
    "photo_too_large": Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The photo is too large"),
    "unsupported_media": Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not an accepted picture"),
    "invalid_recipe": Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The recipe is not valid"),
    "contradiction": Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The recipe contradicts itself"),
    "invalid_request": Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "A field of the body is not valid"),
    "upload_missing": Kind(HTTPStatus.CONFLICT, "Nothing was put into the upload yet"),
    "webhook_disabled": Kind(HTTPStatus.CONFLICT, "The webhook is disabled"),
    "not_available": Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "Not available in this version"),
    "rate_limited": Kind(HTTPStatus.TOO_MANY_REQUESTS, "More than is allowed in a time"),
    "queue_full": Kind(HTTPStatus.TOO_MANY_REQUESTS, "As many jobs wait as may"),
    _INTERNAL: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here"),
    "unavailable": Kind(HTTPStatus.SERVICE_UNAVAILABLE, "The service is not available now"),
}
# Those that any endpoint of this version has; whatever can be got has a head (envelope.py).
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_CODE_OF_STATUS = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
}


class ProblemError(BaseModel):
    """One field that is wrong: where it is (a JSON Pointer) and what would be right."""

    detail: str
    pointer: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="names the kind of problem; ends with its code")
    title: str = Field(description="the same for every problem of this type")
    status: int
    detail: str
    instance: str = Field(description="names this request, as X-Request-Id does")
    code: str
    remedy: str = Field(description="what to do; the same for every problem of this type")
    errors: list[ProblemError] | None = Field(default=None, description="every field at fault")


def install(app: FastAPI) -> None:
    """Let an app answer every error that a route raises as a problem document."""
    app.add_exception_handler(Error, _ours)
    app.add_exception_handler(HTTPException, of_the_framework)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)


def answer(
    request: Request,
    code: str,
    detail: str,
    *,
    errors: Iterable[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document of a code in KINDS."""
    return Response(
        document(code, detail, request.state.request_id, errors).model_dump_json(exclude_none=True),
        status_code=KINDS[code].status,
        media_type=MEDIA_TYPE,
        headers={"Link": help_link(code), **(headers or {})},
    )


def help_link(code: str) -> str:
    """Return the header that leads to the page of a code.  Source: RFC 8288; `help` of HTML."""
    return f'<{PAGES_PATH}/{code}>; rel="help"'


def document(code: str, detail: str, request_id: str, errors: Iterable[FieldError] = ()) -> Problem:
    """Return the document of a problem of a code in KINDS."""
    kind = KINDS[code]
    page = PAGES.get(code)
    return Problem(
        type=TYPE_BASE + code,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=f"urn:uuid:{request_id}",
        code=code,
        remedy="" if page is None else page.remedy,
        errors=[ProblemError(detail=one.detail, pointer=one.pointer) for one in errors] or None,
    )


def internal(request: Request) -> Response:
    """Return the document for a defect of ours; whoever caught it has logged it."""
    return answer(request, _INTERNAL, "the fault is not yours; the log has it under `instance`")


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:  # FastAPI's type
    """Return OpenAPI's description of the answers with these codes."""
    told: dict[int | str, list[str]] = {}
    # Whoever needs a key has a limit, and may use a session in its place.
    for code in (*codes, "csrf", "rate_limited") if "unauthorized" in codes else codes:
        told.setdefault(int(KINDS[code].status), []).append(code)
    return {
        status: {
            "description": "; ".join(f"`{code}`: {KINDS[code].title}" for code in those),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in those},
                }
            },
        }
        for status, those in told.items()
    }


def plainly(message: str) -> str:
    """Return what a validator said in words for whoever sent it, who knows no pydantic."""
    if message == "Extra inputs are not permitted":
        return "is no field of this document; leave it out"
    if message.startswith("String should match pattern"):
        return message.replace("String should match pattern", "does not match the pattern")
    return message.removeprefix("Value error, ")


async def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, Error):
        raise error
    return of(request, error)


def of(request: Request, error: Error) -> Response:
    """Return the document for an error; raises the error when no client is meant to see it."""
    if error.code not in KINDS or error.code == _INTERNAL:
        raise error  # a defect
    errors = error.errors if isinstance(error, Misstated) else []
    if isinstance(error, Limited):
        headers = {"Retry-After": str(max(1, math.ceil(error.retry_after_seconds)))}
        return answer(request, error.code, str(error), headers=headers)
    if isinstance(error, TryAgain):
        # Its message tells of addresses and users: for the operator, not for the client.
        logs.logger("api").warning("unavailable", reason=str(error))
        detail = "database or storage is away; send the request again"
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return answer(request, error.code, detail, headers=headers)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}
    return answer(request, error.code, str(error), errors=errors, headers=headers)


async def of_the_framework(request: Request, error: Exception) -> Response:
    """Return the document for an address, or a method of one, that there is not."""
    if not isinstance(error, HTTPException) or error.status_code not in _CODE_OF_STATUS:
        raise error
    code = _CODE_OF_STATUS[HTTPStatus(error.status_code)]
    headers = {"Allow": _allowed(request)} if code == "method_not_allowed" else {}
    return answer(
        request, code, f"there is no {request.method} {request.url.path}", headers=headers
    )


def _allowed(request: Request) -> str:
    # Starlette names the methods of the first route that has the path, and leaves out those
    # of its other routes.
    return ", ".join(
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": "GET" if method == "HEAD" else method})[0]
            == Match.FULL
            for route in request.app.routes
        )
    )


async def _invalid_parameters(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # The first part of a location is `query`, which a pointer does not need.
    errors = [
        FieldError("/" + "/".join(map(str, wrong["loc"][1:])), plainly(str(wrong["msg"])))
        for wrong in error.errors()
    ]
    detail = "; ".join(f"{wrong.pointer}: {wrong.detail}" for wrong in errors)
    return answer(request, "malformed_request", detail, errors=errors)
