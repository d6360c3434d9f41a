"""Send requests to a server, retry those that can succeed later, and read answers within limits.

A retry is the same request: POSTs carry an Idempotency-Key, so that a request whose response was
lost is not executed twice.
"""

import contextlib
import dataclasses
import datetime as dt
import email.utils
import random
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

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
    ServerUnreachable,
    TryLater,
    Unauthorized,
    UnexpectedAnswer,
)
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.reading import read_answer
from smart_filter_wire.formats import Problem

T = TypeVar("T")

IDEMPOTENCY_KEY = "Idempotency-Key"

# Full jitter, so that many clients of a lost server do not come back at the same moment.
# Source: Brooker, "Exponential Backoff and Jitter", 2015.
_FIRST_PAUSE_SECONDS = 0.5
_MAX_PAUSE_SECONDS = 8.0
# For a longer Retry-After the caller gets the error instead.
_MAX_RETRY_AFTER_SECONDS = 30.0
_HEADERS_OF_ENCODED_BODIES = frozenset({"content-encoding", "content-length", "transfer-encoding"})
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
_MEGA: Final = 1_000_000
_PAGE_SIZE: Final = 100


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits of one body, after its headers; bytes are counted after decompression."""

    max_bytes: int
    max_seconds: float


# The longest list of the API, 1000 items of a batch, has 2 MB.
JSON: Final = BodyLimits(64 * _MEGA, 300.0)
# A PNG of the largest picture, 50 megapixels with alpha, has 200 MB; it can take long on a phone.
FILE: Final = BodyLimits(1000 * _MEGA, 3600.0)
# A stream of events is open for as long as its job; the limit is for one event.
EVENT: Final = BodyLimits(64 * _MEGA, float("inf"))


@dataclass(slots=True)
class BodyCount:
    """Counts the pieces of one body; host: the server, for errors."""

    limits: BodyLimits
    host: str
    clock: Callable[[], float]
    started: float
    seen_bytes: int = 0

    @classmethod
    def begin(cls, client: Connection, request: Request, limits: BodyLimits) -> "BodyCount":
        """Start to count the body of the response to a request."""
        return cls(limits, _name_server(client, request), client.clock, client.clock())

    def add(self, piece: bytes) -> None:
        """Count a piece.  Raises UnexpectedAnswer, ServerUnreachable when it exceeds the limits."""
        self.seen_bytes += len(piece)
        if self.seen_bytes > self.limits.max_bytes:
            raise UnexpectedAnswer(
                f"{self.host} sends more than {self.limits.max_bytes // _MEGA} MB in one answer:"
                " is it a Smart Filter server?"
            )
        if self.clock() - self.started > self.limits.max_seconds:
            raise ServerUnreachable(
                f"{self.host} has not sent its whole answer within {self.limits.max_seconds:g} s"
            )


async def ask(
    client: Connection, request: Request, *, attempts: int | None = None
) -> httpx.Response:
    """Return the response to a request: 2xx or 304, with its body.

    attempts: maximum attempts; None: the client's maximum.
    Raises ServerUnreachable, Refused, UnexpectedAnswer.
    """
    attempts = attempts or client.attempts
    return await _send_with_retries(client, _fetch_document, request, attempts)


async def ask_file(client: Connection, request: Request) -> httpx.Response:
    """Return the response to a request for a file; raises what `ask` raises."""
    return await _send_with_retries(client, _fetch_file, request, client.attempts)


@contextlib.asynccontextmanager
async def open_response(client: Connection, request: Request) -> AsyncGenerator[httpx.Response]:
    """Give the response to a request once its headers are there; raises what `ask` raises."""
    response = await _send_with_retries(client, _open, request, client.attempts)
    try:
        yield response
    finally:
        await client.backend.close(response)


async def get(
    client: Connection, kind: type[T], *place: str, params: Mapping[str, str | int] | None = None
) -> T:
    """Return what is at a path below `v1`; raises what `ask` raises."""
    request = Request(method="GET", path=path(*place), params=params or {})
    return read_answer(kind, await ask_json(client, request))


async def send(
    client: Connection, kind: type[T], method: str, *place: str, json: object | None = None
) -> T:
    """Return the answer to a change at a path below `v1`; raises what `ask` raises."""
    request = Request(method=method, path=path(*place), json=json)
    ask_once = post if method == "POST" else ask_json
    return read_answer(kind, await ask_once(client, request))


async def delete(client: Connection, *place: str) -> None:
    """Delete what is at a path below `v1`; raises what `ask` raises."""
    await ask(client, Request(method="DELETE", path=path(*place)))


async def ask_json(client: Connection, request: Request) -> object:
    """Return the JSON document of the response; raises what `ask` raises."""
    return parse_document(client, await ask(client, request))


async def post(client: Connection, request: Request, key: str | None = None) -> object:
    """Return the JSON document of a POST, which is executed once even if it is retried.

    key: its Idempotency-Key; None: a random one.  Raises what `ask` raises.
    """
    return await ask_json(client, with_idempotency_key(request, key))


def with_idempotency_key(request: Request, key: str | None = None) -> Request:
    """Return a request with an Idempotency-Key.  Raises ValueError for an invalid key."""
    text = key or uuid.uuid4().hex
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"{text!r} is not an Idempotency-Key: use printable ASCII")
    # A string of structured fields.  Source: RFC 8941, 3.3.3.
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    headers = {**request.headers, IDEMPOTENCY_KEY: f'"{quoted}"'}
    return dataclasses.replace(request, headers=headers)


def parse_document(client: Connection, response: httpx.Response) -> object:
    """Return the JSON of a response.  Raises UnexpectedAnswer."""
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswer(
            f"{client.url} does not answer in JSON: is it a Smart Filter server?"
        ) from error


def pause_seconds(attempt: int) -> float:
    """Return how long to wait before the next attempt; attempt: number of attempts so far."""
    longest = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1))
    return random.uniform(0, longest)  # noqa: S311  # spreads load, no secret


def translate_error(client: Connection, request: Request, error: httpx.HTTPError) -> Error:
    """Return the client's own error for an error of httpx."""
    if isinstance(error, httpx.TransportError):
        server = _name_server(client, request)
        return ServerUnreachable(f"no answer from {server} ({str(error) or type(error).__name__})")
    return UnexpectedAnswer(f"{client.url} does not speak HTTP as expected ({error})")


def _name_server(client: Connection, request: Request) -> str:
    # A presigned address holds a signature, so only its host is shown.
    return client.url if request.is_for_server else httpx.URL(request.path).host


async def _send_with_retries(
    client: Connection,
    open_or_read: Callable[[Connection, Request], Awaitable[httpx.Response]],
    request: Request,
    attempts: int,
) -> httpx.Response:
    attempt = 0
    while True:
        attempt += 1
        failure, cause = None, None
        try:
            response = await open_or_read(client, request)
        except httpx.HTTPError as error:
            failure, cause = translate_error(client, request, error), error
        else:
            if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
                return response
            failure = _read_error(client, request, response)
            if request.method == "DELETE" and attempt > 1 and _is_gone(failure):
                return response  # the response to the first attempt was lost
        pause = _pause_after(failure, attempt) if attempt < attempts else None
        if pause is None:
            raise failure from cause
        await client.backend.sleep(pause)


async def _fetch_document(client: Connection, request: Request) -> httpx.Response:
    asked = client.clock()
    response = await client.backend.open(request)
    seconds_left = request.max_seconds - (client.clock() - asked)
    limits = dataclasses.replace(JSON, max_seconds=min(JSON.max_seconds, seconds_left))
    return await _read_and_close(client, request, response, limits)


async def _fetch_file(client: Connection, request: Request) -> httpx.Response:
    response = await client.backend.open(request)
    return await _read_and_close(client, request, response, FILE if response.is_success else JSON)


async def _open(client: Connection, request: Request) -> httpx.Response:
    """Return the response before its body is read, unless it is an error."""
    response = await client.backend.open(request)
    if response.is_success:
        return response
    return await _read_and_close(client, request, response, JSON)


async def _read_and_close(
    client: Connection, request: Request, response: httpx.Response, limits: BodyLimits
) -> httpx.Response:
    """Return a response with its body in memory.  Raises ServerUnreachable, UnexpectedAnswer."""
    count = BodyCount.begin(client, request, limits)
    content = bytearray()
    try:
        async for piece in client.backend.pieces(response):
            count.add(piece)
            content += piece
    finally:
        await client.backend.close(response)
    # The pieces are decoded already.
    headers = [
        (name, value)
        for name, value in response.headers.multi_items()
        if name not in _HEADERS_OF_ENCODED_BODIES
    ]
    return httpx.Response(
        response.status_code, headers=headers, content=bytes(content), request=response.request
    )


def _read_error(client: Connection, request: Request, response: httpx.Response) -> Error:
    failure = _error_from(response)
    if isinstance(failure, UnexpectedAnswer) and not request.is_for_server:
        server = _name_server(client, request)
        return UnexpectedAnswer(f"{server} rejected the upload: HTTP {response.status_code}")
    return failure


def _pause_after(failure: Error, attempt: int) -> float | None:
    """Return how long to wait before a retry; None when a retry would not help."""
    pause = pause_seconds(attempt)
    match failure:
        case ServerUnreachable() | Conflict(code="idempotency_in_progress"):
            return pause
        case TryLater(retry_after=None):
            return pause
        case TryLater(retry_after=float(after)):
            # Add jitter, so that clients with the same Retry-After do not come at once.
            return after + pause if after <= _MAX_RETRY_AFTER_SECONDS else None
    return None


def _is_gone(failure: Error) -> bool:
    return isinstance(failure, Gone | NotFound)


def _error_from(response: httpx.Response) -> Error:
    """Return the error for a response that is no success; its body has been read."""
    problem = _parse_problem(response)
    status = response.status_code
    if problem is None:
        # A proxy's response, while the server behind it is unreachable.
        if status in _RETRYABLE_STATUSES:
            return TryLater(
                "unavailable",
                status=status,
                title=f"HTTP {status}",
                retry_after=_parse_retry_after(response),
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
        retry_after=_parse_retry_after(response),
        request_id=response.headers.get("X-Request-Id", ""),
        remedy=problem.remedy,
    )


def _parse_retry_after(response: httpx.Response) -> float | None:
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


@dataclass(frozen=True, slots=True)
class _Page:
    items: tuple[Any, ...]
    next_cursor: str | None


async def iterate_list(
    client: Connection,
    path: str,
    kind: type[T],
    *,
    params: Mapping[str, str | int] | None = None,
    limit: int | None = None,
) -> AsyncGenerator[T]:
    """Yield the entries of a list.

    kind: of an entry.  limit: maximum number; None: all.
    """
    left = limit
    query: dict[str, str | int] = dict(params or {})
    while left is None or left > 0:
        query["limit"] = _PAGE_SIZE if left is None else min(_PAGE_SIZE, left)
        page = await _fetch_page(client, path, query)
        for item in page.items:
            yield read_answer(kind, item)
        if not page.items or page.next_cursor is None:
            return
        query["cursor"] = page.next_cursor
        left = None if left is None else left - len(page.items)


async def fetch_list(
    client: Connection,
    path: str,
    kind: type[T],
    params: Mapping[str, str] | None = None,
) -> list[T]:
    """Return the entries of a list of one page."""
    page = await _fetch_page(client, path, params or {})
    return [read_answer(kind, item) for item in page.items]


async def _fetch_page(client: Connection, path: str, params: Mapping[str, str | int]) -> _Page:
    request = Request(method="GET", path=path, params=params)
    return read_answer(_Page, await ask_json(client, request))
