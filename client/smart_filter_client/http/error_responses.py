"""Convert error responses to errors: problem documents (RFC 9457) and other formats."""

import datetime as dt
import email.utils

import httpx

from smart_filter_client.errors import (
    Conflict,
    Error,
    Forbidden,
    Gone,
    InvalidRequest,
    NotFound,
    PhotoRefused,
    Refused,
    ServerFailed,
    TryLater,
    Unauthorized,
    UnexpectedAnswer,
)
from smart_filter_client.reading import read_answer
from smart_filter_wire.problems import Problem

_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
_ERROR_OF_STATUS: dict[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: PhotoRefused,
    415: PhotoRefused,
} | dict.fromkeys(_RETRYABLE_STATUSES, TryLater)
_FIRST_SERVER_ERROR = 500


def error_from(response: httpx.Response) -> Error:
    """Return the error for a response that is no success; its body has been read."""
    problem = _parse_problem(response)
    status = response.status_code
    if problem is None:
        if (
            status in _RETRYABLE_STATUSES
        ):  # a proxy's response, while the server behind it is unreachable
            return TryLater(
                "unavailable",
                status=status,
                title=f"HTTP {status}",
                retry_after=parse_retry_after(response),
            )
        request = response.request
        return UnexpectedAnswer(
            f"{request.method} {request.url} answers {status} without a reason:"
            " is it a Smart Filter server?"
        )
    usual = ServerFailed if status >= _FIRST_SERVER_ERROR else InvalidRequest
    return _ERROR_OF_STATUS.get(status, usual)(
        problem.code,
        status=status,
        title=problem.title,
        detail=problem.detail,
        errors=problem.errors or (),
        retry_after=parse_retry_after(response),
        request_id=response.headers.get("X-Request-Id", ""),
        remedy=problem.remedy,
    )


def parse_retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of Retry-After, or None without the header.

    Source: RFC 9110, 10.2.3: seconds, or a date. A date is compared with the response's own
    `Date`, so that clocks need not agree.
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = _parse_time(text)
    if until is None:
        return None
    now = _parse_time(response.headers.get("Date", "")) or dt.datetime.now(dt.UTC)
    return max(0.0, (until - now).total_seconds())


def _parse_time(text: str) -> dt.datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _parse_problem(response: httpx.Response) -> Problem | None:
    try:
        return read_answer(Problem, response.json())
    except (ValueError, RecursionError, UnexpectedAnswer):
        return None
