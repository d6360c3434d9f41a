"""Send requests to a server, and retry requests that can succeed later.

A retry is the same request: POSTs carry an Idempotency-Key, so that a request whose response was
lost is not executed twice.
"""

import contextlib
import dataclasses
import random
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TypeVar

import httpx

from smart_filter_client.errors import (
    Conflict,
    Error,
    Gone,
    NotFound,
    ServerUnreachable,
    TryLater,
    UnexpectedAnswer,
)
from smart_filter_client.http import error_responses
from smart_filter_client.http.body_limits import FILE, JSON, BodyCount, BodyLimits
from smart_filter_client.http.connection import Connection
from smart_filter_client.reading import read_answer
from smart_filter_client.requests import Request, path

T = TypeVar("T")

IDEMPOTENCY_KEY = "Idempotency-Key"

# Full jitter, so that many clients of a lost server do not come back at the same moment.
# Source: Brooker, "Exponential Backoff and Jitter", 2015.
_FIRST_PAUSE_SECONDS = 0.5
_MAX_PAUSE_SECONDS = 8.0
# For a longer Retry-After the caller gets the error instead.
_MAX_RETRY_AFTER_SECONDS = 30.0
_HEADERS_OF_ENCODED_BODIES = frozenset({"content-encoding", "content-length", "transfer-encoding"})


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
        # A presigned address holds a signature, so only its host is shown.
        url = client.url if request.is_for_server else httpx.URL(request.path).host
        return ServerUnreachable(f"no answer from {url} ({str(error) or type(error).__name__})")
    return UnexpectedAnswer(f"{client.url} does not speak HTTP as expected ({error})")


async def _send_with_retries(
    client: Connection,
    send: Callable[[Connection, Request], Awaitable[httpx.Response]],
    request: Request,
    attempts: int,
) -> httpx.Response:
    attempt = 0
    while True:
        attempt += 1
        failure, cause = None, None
        try:
            response = await send(client, request)
        except httpx.HTTPError as error:
            failure, cause = translate_error(client, request, error), error
        else:
            if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
                return response
            failure = _read_error(request, response)
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


def _read_error(request: Request, response: httpx.Response) -> Error:
    failure = error_responses.error_from(response)
    if isinstance(failure, UnexpectedAnswer) and not request.is_for_server:
        host = httpx.URL(request.path).host
        return UnexpectedAnswer(f"{host} rejected the upload: HTTP {response.status_code}")
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
