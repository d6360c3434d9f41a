"""Middleware around every request: request id, safe headers, access log, last exception handler.

HEAD is answered as GET, without the content.  Source: RFC 9110, 9.3.2.
"""

import re
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import anyio
import structlog
import uuid_utils
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smart_filter_api.http.latency import LatencyHistogram
from smart_filter_api.problems import problem
from smart_filter_shared.telemetry import logs

# Forbid browsers to store, embed or interpret an answer, unless a route sets other headers.
_DEFAULT_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
# Path of the page that lists former spellings.
FORMER_NAMES_PATH = "/former-names"
# For answers to requests that use a former spelling: since when they are deprecated, and the page
# that lists them.  Source: RFC 9745, 2 and 3.
_DEPRECATION_HEADERS = (
    (b"deprecation", b"@1795305600"),  # 2026-11-22
    (
        b"link",
        f'<{FORMER_NAMES_PATH}>; rel="deprecation"; type="text/html"'.encode(),
    ),
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUIET_PATHS = frozenset({"/livez", "/readyz", "/metrics"})


class RequestMiddleware:
    """An ASGI application around another.

    Sets `request.state.request_id`, `request.state.began_ns`, nanoseconds of Unix time, and
    `request.state.former_names`, the former spellings that the request is found to use. An
    exception that no other handler caught is logged once and answered with a problem document.
    """

    def __init__(self, app: ASGIApp, latencies: LatencyHistogram) -> None:
        self._app = app
        self._latencies = latencies
        # Kept: making a logger for each request takes half as long as logging the line.
        self._log = logs.logger("api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid_utils.uuid4())
        scope.setdefault("state", {}).update(
            request_id=request_id, began_ns=time.time_ns(), former_names=set()
        )
        started = time.perf_counter()
        status: int | None = None
        seconds = 0.0

        async def send_wrapped(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, {"X-Request-Id": request_id, **_rate_limit_headers(scope)})
                if scope["state"]["former_names"]:
                    message["headers"] = [*message["headers"], *_DEPRECATION_HEADERS]
            await send(message)
            seconds = time.perf_counter() - started

        app = _serve_head_requests(self._app) if scope["method"] == "HEAD" else self._app
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await app(scope, receive, send_wrapped)
            except ClientDisconnect:
                self._log.info("client_disconnected", path=_loggable_path(scope))
                return
            except Exception:
                if status is not None:
                    raise  # the server logs it and cuts the connection, so the client notices
                self._log.exception(
                    "request_failed", method=scope["method"], path=_loggable_path(scope)
                )
                answer = problem.internal_error(Request(scope))
                await answer(scope, receive, send_wrapped)
            if status is not None:
                self._latencies.observe(scope["method"], _route(scope), status, seconds)
            if scope["path"] not in _QUIET_PATHS:
                self._log.info(
                    "request",
                    method=scope["method"],
                    path=_loggable_path(scope),
                    status=status,
                    ms=round(1000 * seconds, 1),
                )


def _serve_head_requests(app: ASGIApp) -> ASGIApp:
    """Return an application that answers HEAD as this one answers GET, without the content."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        got = {**scope, "method": "GET"}
        # Cancel streams and long polls once the head is sent.
        with anyio.CancelScope() as content:

            async def send_head(message: Message) -> None:
                if message["type"] == "http.response.body":
                    await send({"type": "http.response.body"})
                    # Not at the start of the response: an open stream then closes properly.
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
    """Return the path template of the matched route; "none" without a match."""
    return getattr(scope.get("route"), "path", "none")


def _loggable_path(scope: Scope) -> str:
    """Return the path template with its ids filled in, for the log.

    Other parts of a path are left out: they may be a picture's name, or a key pasted by mistake.
    """
    place = _route(scope)
    for name, value in scope.get("path_params", {}).items():
        if _UUID.fullmatch(str(value)):
            place = place.replace(f"{{{name}}}", str(value))
    return place


def _rate_limit_headers(scope: Scope) -> Mapping[str, str]:
    """Return the rate-limit headers that authentication stored in the request's state."""
    headers: Mapping[str, str] = scope["state"].get("rate_limit", {})
    return headers


def _add_headers(
    message: MutableMapping[str, Any],  # an ASGI message
    own: Mapping[str, str],
) -> None:
    set_here = [(name.lower().encode(), value.encode()) for name, value in own.items()]
    names = {name for name, _ in set_here}
    headers = [header for header in message["headers"] if header[0] not in names]
    present = {name for name, _ in headers}
    defaults = [header for header in _DEFAULT_HEADERS if header[0] not in present]
    message["headers"] = headers + set_here + defaults
