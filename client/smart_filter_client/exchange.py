"""Asks a server, and asks again where that may help.

A request that is sent again is the same to the byte that counts: POSTs carry an
Idempotency-Key, so that what was done, though its answer was lost, is not done twice.
"""

import dataclasses
import uuid

import httpx

from smart_filter_client import answers
from smart_filter_client.errors import (
    Conflict,
    Error,
    Gone,
    NotFound,
    ServerUnreachable,
    TryLater,
    UnexpectedAnswer,
)
from smart_filter_client.flows import Flow, Open, Send, Server, Sleep
from smart_filter_client.requests import Request

IDEMPOTENCY_KEY = "Idempotency-Key"

# Full jitter, so that many clients that lost one server do not come back as one.
# Source: Brooker, "Exponential Backoff and Jitter", 2015.
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
# Whoever is told to wait for longer is told so instead.
_LONGEST_RETRY_AFTER_SECONDS = 30.0


def ask(server: Server, request: Request, *, attempts: int | None = None) -> Flow[httpx.Response]:
    """Return the answer to a request: 2xx or 304.

    attempts: how often it is sent at most; else as often as usual.
    Raises ServerUnreachable, Refused, UnexpectedAnswer.
    """
    return (yield from _asked(server, Send(request), attempts or server.attempts))


def opened(server: Server, request: Request) -> Flow[httpx.Response]:
    """Return the answer to a request as soon as it begins; raises what `ask` does."""
    return (yield from _asked(server, Open(request), server.attempts))


def ask_json(server: Server, request: Request, *, attempts: int | None = None) -> Flow[object]:
    """Return the document that answers a request; raises what `ask` does."""
    return document(server, (yield from ask(server, request, attempts=attempts)))


def post(server: Server, request: Request, key: str | None = None) -> Flow[object]:
    """Return the document that answers a POST, which is done once however often it is sent.

    key: its Idempotency-Key; else it has one of its own.  Raises what `ask` does.
    """
    return (yield from ask_json(server, once(request, key)))


def once(request: Request, key: str | None = None) -> Request:
    """Return a request with an Idempotency-Key.  Raises ValueError for what none can be."""
    text = key or uuid.uuid4().hex
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"{text!r} is no Idempotency-Key: printable ASCII is")
    # A string of structured fields.  Source: RFC 8941, 3.3.3.
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    headers = {**request.headers, IDEMPOTENCY_KEY: f'"{quoted}"'}
    return dataclasses.replace(request, headers=headers)


def document(server: Server, response: httpx.Response) -> object:
    """Return what an answer says in JSON.  Raises UnexpectedAnswer."""
    try:
        return response.json()
    except ValueError as error:
        raise UnexpectedAnswer(
            f"{server.url} does not answer in JSON: is it a Smart Filter server?"
        ) from error


def pause_seconds(server: Server, attempt: int) -> float:
    """Return how long to wait before a request is sent again; attempt: how often it was."""
    longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1))
    return server.chance() * longest


def translated(server: Server, request: Request, error: httpx.HTTPError) -> Error:
    """Return the client's own error for one of httpx."""
    if isinstance(error, httpx.TransportError):
        # An address that the server named may hold a signature.
        url = server.url if request.is_for_server else httpx.URL(request.path).host
        return ServerUnreachable(f"no answer from {url} ({str(error) or type(error).__name__})")
    return UnexpectedAnswer(f"{server.url} does not speak HTTP as expected ({error})")


def _asked(server: Server, effect: Send | Open, attempts: int) -> Flow[httpx.Response]:
    attempt = 0
    while True:
        attempt += 1
        failure, cause = None, None
        try:
            response: httpx.Response = yield effect
        except httpx.HTTPError as error:
            failure, cause = translated(server, effect.request, error), error
        else:
            if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
                return response
            failure = _refusal(effect.request, response)
            if effect.request.method == "DELETE" and attempt > 1 and _is_gone(failure):
                return response  # the answer that said so was lost
        pause = _pause_after(server, failure, attempt) if attempt < attempts else None
        if pause is None:
            raise failure from cause
        yield Sleep(pause)


def _refusal(request: Request, response: httpx.Response) -> Error:
    failure = answers.refusal(response)
    if isinstance(failure, UnexpectedAnswer) and not request.is_for_server:
        host = httpx.URL(request.path).host
        return UnexpectedAnswer(f"{host} does not take the upload: HTTP {response.status_code}")
    return failure


def _pause_after(server: Server, failure: Error, attempt: int) -> float | None:
    """Return how long to wait before the same again; None when it would not help."""
    pause = pause_seconds(server, attempt)
    match failure:
        case ServerUnreachable() | Conflict(code="idempotency_in_progress"):
            return pause
        case TryLater(retry_after=None):
            return pause
        case TryLater(retry_after=float(after)):
            # A little later than asked, so that not all who were told the same come at once.
            return after + pause if after <= _LONGEST_RETRY_AFTER_SECONDS else None
    return None


def _is_gone(failure: Error) -> bool:
    return isinstance(failure, Gone | NotFound)
