"""What is wrapped around every request: an id, safe headers, a log line, the last catch.

HEAD is answered as GET would be, without the content.  Source: RFC 9110, 9.3.2.
"""

import re
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import anyio
import structlog
import uuid_utils
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smart_filter_api import problems
from smart_filter_api.latencies import Latencies
from smart_filter_shared.telemetry import logs

# What a browser may do with an answer: nothing, unless a route says otherwise.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUIET_PATHS = frozenset({"/livez", "/readyz", "/metrics"})


class Envelope:
    """An ASGI application around another.

    Sets `request.state.request_id` and `request.state.began_ns`, nanoseconds of Unix time; a
    fault that nobody else caught is logged once and answered as a problem document.
    """

    def __init__(self, app: ASGIApp, latencies: Latencies) -> None:
        self._app = app
        self._latencies = latencies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid_utils.uuid4())
        scope.setdefault("state", {}).update(request_id=request_id, began_ns=time.time_ns())
        log = logs.logger("api")
        started = time.perf_counter()
        status: int | None = None
        seconds = 0.0

        async def send_wrapped(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, {"X-Request-Id": request_id, **_limits(scope)})
            await send(message)
            seconds = time.perf_counter() - started

        app = _heads_of(self._app) if scope["method"] == "HEAD" else self._app
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await app(scope, receive, send_wrapped)
            except ClientDisconnect:
                log.info("client_left", path=_place(scope))
                return
            except Exception:
                if status is not None:
                    raise  # the server logs it and cuts the connection, so the client notices
                log.exception("request_failed", method=scope["method"], path=_place(scope))
                answer = problems.internal(Request(scope))
                await answer(scope, receive, send_wrapped)
            if status is not None:
                self._latencies.observe(scope["method"], _route(scope), status, seconds)
            if scope["path"] not in _QUIET_PATHS:
                log.info(
                    "request",
                    method=scope["method"],
                    path=_place(scope),
                    status=status,
                    ms=round(1000 * seconds, 1),
                )


def _heads_of(app: ASGIApp) -> ASGIApp:
    """Return an application that answers what this one answers to GET, without the content."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        got = {**scope, "method": "GET"}
        # Whatever streams, or waits for what happens, is not needed beyond its head.
        with anyio.CancelScope() as content:

            async def send_head(message: Message) -> None:
                if message["type"] == "http.response.body":
                    await send({"type": "http.response.body"})
                    # Not at the start: what has begun to be read is closed as it should be.
                    content.cancel()
                else:
                    await send(message)

            try:
                await app(got, receive, send_head)
            finally:
                scope["route"] = got.get("route")
                scope["path_params"] = got.get("path_params", {})

    return answered


def _route(scope: Scope) -> str:
    """Return the path that the router found, with its parameters' names; "none" for none."""
    return getattr(scope.get("route"), "path", "none")


def _place(scope: Scope) -> str:
    """Return the route with the ids that stood in it, for the log.

    Whatever else a path holds may be a picture's name, or a key that slipped into it.
    """
    place = _route(scope)
    for name, value in scope.get("path_params", {}).items():
        if _ID.fullmatch(str(value)):
            place = place.replace(f"{{{name}}}", str(value))
    return place


def _limits(scope: Scope) -> Mapping[str, str]:
    """Return what whoever identified the caller has to tell of its rate limit."""
    told: Mapping[str, str] = scope["state"].get("rate_limit", {})
    return told


def _add_headers(
    message: MutableMapping[str, Any],  # an ASGI message
    own: Mapping[str, str],
) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in own.items():
        headers[name] = value
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
