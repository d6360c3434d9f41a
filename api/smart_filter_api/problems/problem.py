"""Answer every error with a problem document (RFC 9457); the one table of HTTP statuses.

A document has `code` (stable, for programs), `detail` and `remedy` (for people). `instance` is the
id of the request, under which an operator finds it in the log. `type` is the same in every
installation; the header `Link` leads to its page in this one.
"""

import errno
import html
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from smart_filter_api.problems import catalog, validation
from smart_filter_api.problems.catalog import PAGES
from smart_filter_shared.errors import (
    Error,
    FieldError,
    InvalidInput,
    MalformedRequest,
    RangeNotSatisfiable,
    RetryAfter,
    S3FolderMisconfigured,
    StorageUnavailable,
    TryAgain,
    Unauthorized,
)
from smart_filter_shared.telemetry import logs
from smart_filter_shared.typed_json import adapter
from smart_filter_wire.formats import Problem, ProblemError

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "https://smart-filter.dev/problems/"
# Path below which the service shows a page for each code.
PAGES_PATH = "/problems"
# Of a problem's page: the studio's style and fonts, and no script.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
RETRY_AFTER_SECONDS = 2
UNAVAILABLE_DETAIL = "database, storage or room on a disk is missing; retry the request"

_INTERNAL = "internal"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """The HTTP status and title of all problems with one code."""

    status: HTTPStatus
    title: str


KINDS: Mapping[str, ProblemKind] = {
    "malformed_request": ProblemKind(HTTPStatus.BAD_REQUEST, "Malformed request"),
    "unauthorized": ProblemKind(HTTPStatus.UNAUTHORIZED, "Valid API key required"),
    "scope": ProblemKind(HTTPStatus.FORBIDDEN, "Insufficient scope"),
    "token_used_up": ProblemKind(HTTPStatus.FORBIDDEN, "Device token is used up"),
    "csrf": ProblemKind(HTTPStatus.FORBIDDEN, "CSRF check failed"),
    "sign_in_again": ProblemKind(HTTPStatus.FORBIDDEN, "Sign-in is too old"),
    "link_invalid": ProblemKind(HTTPStatus.FORBIDDEN, "Link is not valid"),
    "not_found": ProblemKind(HTTPStatus.NOT_FOUND, "Not found"),
    "method_not_allowed": ProblemKind(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed"),
    "job_final": ProblemKind(HTTPStatus.CONFLICT, "Job has already ended"),
    "no_picture": ProblemKind(HTTPStatus.NOT_ACCEPTABLE, "Job has no picture"),
    "job_not_finished": ProblemKind(HTTPStatus.CONFLICT, "Job has not finished"),
    "job_deleted": ProblemKind(HTTPStatus.GONE, "Job was deleted"),
    "inputs_expired": ProblemKind(HTTPStatus.GONE, "Photo has expired"),
    "output_expired": ProblemKind(HTTPStatus.GONE, "Output has expired"),
    "precondition_failed": ProblemKind(
        HTTPStatus.PRECONDITION_FAILED, "Output has another version"
    ),
    "range_not_satisfiable": ProblemKind(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "File has no such range"
    ),
    "link_expired": ProblemKind(HTTPStatus.GONE, "Link has expired"),
    "idempotency_in_progress": ProblemKind(
        HTTPStatus.CONFLICT, "Request with this idempotency key is in progress"
    ),
    "idempotency_mismatch": ProblemKind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "Idempotency key was used for another request"
    ),
    "photo_too_large": ProblemKind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Photo is too large"),
    "unsupported_media": ProblemKind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported media type"),
    "invalid_recipe": ProblemKind(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid recipe"),
    "contradiction": ProblemKind(HTTPStatus.UNPROCESSABLE_ENTITY, "Recipe fields conflict"),
    "invalid_request": ProblemKind(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid request body"),
    "invalid_photo_url": ProblemKind(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid photo URL"),
    "invalid_webhook_url": ProblemKind(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid webhook URL"),
    "upload_missing": ProblemKind(HTTPStatus.CONFLICT, "Upload is empty"),
    "webhook_disabled": ProblemKind(HTTPStatus.CONFLICT, "Webhook is disabled"),
    "not_available": ProblemKind(HTTPStatus.UNPROCESSABLE_ENTITY, "Not available on this server"),
    "rate_limited": ProblemKind(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "queue_full": ProblemKind(HTTPStatus.TOO_MANY_REQUESTS, "Queue is full"),
    _INTERNAL: ProblemKind(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
    "unavailable": ProblemKind(HTTPStatus.SERVICE_UNAVAILABLE, "Service unavailable"),
}
# All methods of this API; every GET also serves HEAD (http/middleware.py).
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_CODE_OF_STATUS = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
}


def install(app: FastAPI) -> None:
    """Register handlers that answer the errors of routes with problem documents."""
    app.add_exception_handler(Error, _handle_error)
    app.add_exception_handler(OSError, _handle_os_error)
    app.add_exception_handler(HTTPException, respond_to_framework_error)
    app.add_exception_handler(RequestValidationError, _handle_invalid_parameters)


def problem_response(
    request: Request,
    code: str,
    detail: str,
    *,
    errors: Iterable[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response with a problem document; code: one of KINDS.

    A person who opens an address in a browser gets a page with the same texts.
    """
    document = build_problem(code, detail, request.state.request_id, errors)
    is_page = request.headers.get("Sec-Fetch-Dest") == "document"
    return Response(
        _render_page(document)
        if is_page
        else adapter(Problem).dump_json(document, exclude_none=True),
        status_code=document.status,
        media_type="text/html" if is_page else MEDIA_TYPE,
        headers={
            "Link": help_link(code),
            "Vary": "Sec-Fetch-Dest",
            **({"Content-Security-Policy": _PAGE_POLICY} if is_page else {}),
            **(headers or {}),
        },
    )


def help_link(code: str) -> str:
    """Return the `Link` header to the page of a code.  Source: RFC 8288; `rel=help` of HTML."""
    return f'<{PAGES_PATH}/{code}>; rel="help"'


def build_problem(
    code: str, detail: str, request_id: str, errors: Iterable[FieldError] = ()
) -> Problem:
    """Return a problem document; code: one of KINDS."""
    kind = KINDS[code]
    return Problem(
        type=TYPE_BASE + code,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=f"urn:uuid:{request_id}",
        code=code,
        remedy=catalog.find_remedy(code, of_job=False),
        errors=tuple(ProblemError(error.sentence, error.pointer) for error in errors) or None,
    )


def internal_error(request: Request) -> Response:
    """Return the response for an internal error, which the caller has logged."""
    return problem_response(
        request, _INTERNAL, "an internal error; the server log has it under `instance`"
    )


def describe_responses(
    *codes: str, needs_key: bool = True
) -> dict[int | str, dict[str, Any]]:  # FastAPI's type
    """Return the OpenAPI description of the responses with these codes, and of those it implies.

    needs_key: whether the operation checks a key and its scope, which the database holds.
    """
    if needs_key:
        codes = ("unauthorized", "scope", "unavailable", *codes)
    codes_by_status: dict[int | str, list[str]] = {}
    # Operations that need a key also have a rate limit and accept a session; every operation
    # refuses unknown query parameters.
    extra = ("malformed_request", *(("csrf", "rate_limited") if "unauthorized" in codes else ()))
    for code in dict.fromkeys((*codes, *extra)):
        codes_by_status.setdefault(int(KINDS[code].status), []).append(code)
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
        for status, those in codes_by_status.items()
    }


def _render_page(problem: Problem) -> str:
    """Return a problem as HTML in the studio's style, without script."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="stylesheet" href="/studio/styles/tokens.css">\n'
        '<link rel="stylesheet" href="/studio/styles/base.css">\n'
        f'<title>{html.escape(problem.title)}</title>\n<main class="problem">\n'
        f"<h1>{html.escape(problem.title)}</h1>\n"
        f"<p>{_inline_html(problem.detail)}</p>\n<p>{_inline_html(problem.remedy)}</p>\n"
        f'<p><a href="/">Open the studio</a> · status {problem.status} · '
        f'<a href="{PAGES_PATH}/{problem.code}">{problem.code}</a></p>\n</main>\n</html>\n'
    )


async def _handle_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, Error):
        raise error
    return respond_to_error(request, error)


async def _handle_os_error(request: Request, error: Exception) -> Response:
    unavailable = translate_full_disk(error)
    if unavailable is None:
        raise error
    return respond_to_error(request, unavailable)


def translate_full_disk(error: Exception) -> StorageUnavailable | None:
    """Return the error of a full volume, such as the volume of temporary files; else None."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return StorageUnavailable(f"a volume of the API takes no file: {error}")
    return None


def respond_to_error(request: Request, error: Error) -> Response:
    """Return the response for an error; raise the error when clients must not see it."""
    if error.code not in KINDS or error.code == _INTERNAL:
        raise error  # a bug
    request.state.problem = error.code
    errors = error.errors if isinstance(error, InvalidInput) else []
    if isinstance(error, RetryAfter):
        headers = {"Retry-After": str(max(1, math.ceil(error.retry_after_seconds)))}
        return problem_response(request, error.code, str(error), headers=headers)
    if isinstance(error, TryAgain):
        # Most messages may hold addresses and user names, so only the operator's log gets them.
        logs.logger("api").warning("unavailable", reason=str(error))
        detail = str(error) if isinstance(error, S3FolderMisconfigured) else UNAVAILABLE_DETAIL
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return problem_response(request, error.code, detail, headers=headers)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}
    if isinstance(error, RangeNotSatisfiable):
        headers = {"Content-Range": f"bytes */{error.length}"}
    return problem_response(request, error.code, str(error), errors=errors, headers=headers)


async def respond_to_framework_error(request: Request, error: Exception) -> Response:
    """Return the response for an unknown path or an unsupported method."""
    if not isinstance(error, HTTPException) or error.status_code not in _CODE_OF_STATUS:
        raise error
    code = _CODE_OF_STATUS[HTTPStatus(error.status_code)]
    headers = {"Allow": _allowed_methods(request)} if code == "method_not_allowed" else {}
    return problem_response(
        request, code, f"there is no {request.method} {request.url.path}", headers=headers
    )


def _allowed_methods(request: Request) -> str:
    # Starlette lists only the methods of the first route with the path.
    return ", ".join(
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": "GET" if method == "HEAD" else method})[0]
            == Match.FULL
            for route in request.app.routes
        )
    )


async def _handle_invalid_parameters(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    refusal = MalformedRequest.of_fields(
        [validation.describe_parameter_error(wrong) for wrong in error.errors()]
    )
    return respond_to_error(request, refusal)


# The request id in examples.
_REQUEST_ID = "3f1c2b4a-9d8e-4f70-a1b2-c3d4e5f60718"


def example_problem(code: str) -> Problem:
    """Return an example document for a code.  Raises KeyError for an unknown one."""
    page = PAGES[code]
    # The detail of a recipe problem starts with its field names.
    complaint = page.detail.rpartition(f"{page.pointers[-1]}: ")[2] if page.pointers else ""
    errors = [FieldError(pointer, complaint) for pointer in page.pointers]
    return build_problem(code, page.detail, _REQUEST_ID, errors)


def render_markdown(code: str) -> str:
    """Return the page of a code as Markdown.  Raises KeyError for an unknown one."""
    page, kind = PAGES[code], KINDS[code]
    causes = "\n".join(f"- {cause}" for cause in page.causes)
    return (
        f"# {kind.title}\n\n"
        f"`{code}` · status {kind.status.value} · `{TYPE_BASE}{code}`\n\n"
        f"{page.meaning}\n\n"
        f"## Causes\n\n{causes}\n\n"
        f"## Remedy\n\n{page.remedy}\n\n"
        f"## Example of `detail`\n\n> {page.detail}\n"
    )


def render_html(code: str) -> str:
    """Return the page of a code as HTML, without style or script."""
    page, kind = PAGES[code], KINDS[code]
    causes = "".join(f"<li>{_inline_html(cause)}</li>\n" for cause in page.causes)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{html.escape(kind.title)}</title>\n"
        f"<h1>{html.escape(kind.title)}</h1>\n"
        f"<p><code>{code}</code> · status {kind.status.value} · "
        f"<code>{TYPE_BASE}{code}</code></p>\n"
        f"<p>{_inline_html(page.meaning)}</p>\n"
        f"<h2>Causes</h2>\n<ul>\n{causes}</ul>\n"
        f"<h2>Remedy</h2>\n<p>{_inline_html(page.remedy)}</p>\n"
        f"<h2>Example</h2>\n<pre>{html.escape(_example_json(code))}</pre>\n</html>\n"
    )


def _example_json(code: str) -> str:
    example = example_problem(code)
    return adapter(Problem).dump_json(example, exclude_none=True, indent=2).decode()


def _inline_html(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
