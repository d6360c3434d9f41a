"""Middleware around every request: request id, safe headers, access log, latencies, first span.

HEAD is answered as GET, without the content.  Source: RFC 9110, 9.3.2.
Several lines of a header that is a list are read as one line.  Source: RFC 9110, 5.3.
"""

import re
import time
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
import structlog
import uuid_utils
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smart_filter_api.auth import security_log
from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.security_log import RefusalLog
from smart_filter_api.problems import problem
from smart_filter_shared.http_servers import SAFE_HEADERS
from smart_filter_shared.security.client_network import client_network
from smart_filter_shared.telemetry import logs
from smart_filter_shared.telemetry.metrics import Sample
from smart_filter_shared.telemetry.tracing import (
    NULL_TRACES,
    Attribute,
    Attributes,
    Span,
    SpanKind,
    Traces,
)

# Bucket bounds in seconds: a poll takes some milliseconds, a 40 MB upload on a slow line a minute.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
# Other methods share one label: a client may invent methods, and each would be a series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _Series:
    """Counts for each bucket, with one more for values above all bounds, and their sum."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    seconds: float = 0.0


class LatencyHistogram:
    """A histogram of request durations; for one event loop."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], _Series] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record one request.

        route: the path template of its route, such as `/v1/jobs/{job_id}`, which bounds the
        number of series.
        """
        labels = (method if method in _METHODS else "other", route, str(int(status)))
        series = self._series.setdefault(labels, _Series())
        series.buckets[bisect_left(_BOUNDS, seconds)] += 1
        series.seconds += seconds

    def samples(self) -> Iterator[Sample]:
        """Yield the samples of the histogram since the process started."""
        for labels, series in self._series.items():
            below = 0
            for bound, count in zip((*_BOUNDS, "+Inf"), series.buckets, strict=True):
                below += count
                yield Sample(below, labels, "_bucket", str(bound))
            yield Sample(series.seconds, labels, "_sum")
            yield Sample(below, labels, "_count")


# Unless a route sets others.
_DEFAULT_HEADERS = tuple((name.encode(), value.encode()) for name, value in SAFE_HEADERS)
# Browsers use https alone for a year.  Source: RFC 6797, 6.1.
_HTTPS_HEADERS = ((b"strict-transport-security", b"max-age=31536000"),)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Parameters of a request's query: no operation has as many, but a request line has room for
# thousands. FastAPI parses them several times before the key is known, for tens of milliseconds.
MAX_PARAMETERS = 100
# Routes whose successful requests are not logged: their callers repeat them all the time.
_POLLED_ROUTES = frozenset({"/livez", "/readyz", "/metrics", "/v1/jobs/{job_id}"})
_READING = frozenset({"GET", "HEAD"})
_FIRST_ERROR = 400
# The headers that routes read as lists.
_LISTS = frozenset({b"accept", b"if-match", b"if-none-match", b"prefer", b"range"})


class RequestMiddleware:
    """An ASGI application around another.

    Sets `request.state.request_id`, and `request.state.began_ns`, nanoseconds of Unix time. Logs
    `request.state.caller`, and counts refusals by `request.state.problem`, the code of the answer.
    Drops a query of more than MAX_PARAMETERS unread: `request.state.has_query_dropped`.

    always_secure: whether browsers use https although requests arrive by http.
    """

    def __init__(
        self,
        app: ASGIApp,
        latencies: LatencyHistogram,
        refusals: RefusalLog,
        *,
        always_secure: bool = False,
    ) -> None:
        self._app = app
        self._always_secure = always_secure
        self._refusals = refusals
        self._latencies = latencies
        # One logger for all requests: making one takes half as long as logging a line.
        self._log = logs.logger("api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid_utils.uuid4())
        scope.setdefault("state", {}).update(
            request_id=request_id,
            began_ns=time.time_ns(),
            caller=None,
            problem=None,
            has_query_dropped=scope["query_string"].count(b"&") >= MAX_PARAMETERS,
        )
        if scope["state"]["has_query_dropped"]:
            scope["query_string"] = b""
        scope["headers"] = _join_lists(scope["headers"])
        started = time.perf_counter()
        status: int | None = None
        seconds = 0.0

        async def send_wrapped(message: Message) -> None:
            nonlocal status, seconds
            is_start = message["type"] == "http.response.start"
            if is_start:
                _add_headers(message, {"X-Request-Id": request_id, **_rate_limit_headers(scope)})
                if self._is_https(scope):
                    message["headers"] = [*message["headers"], *_HTTPS_HEADERS]
            await send(message)
            if is_start:
                # Only now: until the client has a status, an error is answered with a problem.
                status = message["status"]
                security_log.count_refusal(self._refusals, scope, scope["state"]["problem"])
            seconds = time.perf_counter() - started

        app = _serve_head_requests(self._app) if scope["method"] == "HEAD" else self._app
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await app(scope, receive, send_wrapped)
            except ClientDisconnect:
                self._log.info("client_disconnected", path=_loggable_path(scope))
                return
            self._record(scope, status, seconds)

    def _record(self, scope: Scope, status: int | None, seconds: float) -> None:
        """Count and log a request; status: None when the client has got no answer."""
        if status is not None:
            self._latencies.observe(scope["method"], _route(scope), status, seconds)
        is_polled = scope["method"] in _READING and _route(scope) in _POLLED_ROUTES
        if not is_polled or status is None or status >= _FIRST_ERROR:
            self._log.info(
                "request",
                method=scope["method"],
                path=_loggable_path(scope),
                status=status,
                ms=round(1000 * seconds, 1),
                network=client_network(scope),
                **_describe_caller(scope["state"]["caller"]),
            )

    def _is_https(self, scope: Scope) -> bool:
        """Return whether browsers reach this host by https.

        A page of localhost must not forbid http to the other programs of that machine.
        """
        return (self._always_secure or scope["scheme"] == "https") and not _is_localhost(scope)


def _join_lists(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers with one line for each list."""
    lists: dict[bytes, bytes] = {}
    others = []
    for name, value in headers:
        if name in _LISTS:
            lists[name] = b", ".join((lists[name], value)) if name in lists else value
        else:
            others.append((name, value))
    return [*others, *lists.items()]


class LastErrorMiddleware:
    """An ASGI application around another.

    An exception that no other handler caught is logged once and answered with a problem document.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        has_begun = False

        async def send_wrapped(message: Message) -> None:
            nonlocal has_begun
            await send(message)
            # Only now: until the client has a status, an error is answered with a problem.
            has_begun = True

        try:
            await self._app(scope, receive, send_wrapped)
        except ClientDisconnect:
            raise
        except Exception:
            if has_begun or scope["type"] != "http":
                raise  # the server logs it and cuts the connection, so the client notices
            logs.logger("api").exception(
                "request_failed", method=scope["method"], path=_loggable_path(scope)
            )
            await problem.internal_error(Request(scope))(scope, receive, send)


def _is_localhost(scope: Scope) -> bool:
    return any(
        name == b"host" and value.partition(b":")[0] == b"localhost"
        for name, value in scope["headers"]
    )


def _serve_head_requests(app: ASGIApp) -> ASGIApp:
    """Return an application that answers HEAD as this one answers GET, without the content."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        # Range is for GET alone.  Source: RFC 9110, 14.2.
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        got = {**scope, "method": "GET", "headers": headers}
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


def _describe_caller(caller: Caller | None) -> Mapping[str, str]:
    return {} if caller is None else {"key_id": str(caller.key_id), "tenant": caller.tenant}


def _rate_limit_headers(scope: Scope) -> Mapping[str, str]:
    """Return the rate-limit headers that authentication stored in the request's state."""
    headers: Mapping[str, str] = scope["state"].get("rate_limit", {})
    return headers


def _add_headers(
    message: MutableMapping[str, Any],  # an ASGI message
    response_headers: Mapping[str, str],
) -> None:
    set_here = [(name.lower().encode(), value.encode()) for name, value in response_headers.items()]
    names = {name for name, _ in set_here}
    headers = [header for header in message["headers"] if header[0] not in names]
    present = {name for name, _ in headers}
    defaults = [header for header in _DEFAULT_HEADERS if header[0] not in present]
    message["headers"] = headers + set_here + defaults


async def record_submission(
    request: Request, *, jobs: Sequence[uuid.UUID], batch: uuid.UUID | None = None
) -> None:
    """Record the submitting request as a span in the trace of each job and of their batch."""
    traces: Traces = request.app.state.traces
    if traces is NULL_TRACES:
        return
    route = getattr(request.scope.get("route"), "path", "none")
    of_all: Attributes = {
        Attribute.METHOD: request.method,
        Attribute.ROUTE: route,
        Attribute.REQUEST: request.state.request_id,
        **({} if batch is None else {Attribute.BATCH: str(batch)}),
    }
    began_ns, ended_ns = request.state.began_ns, time.time_ns()
    caller = request.headers.get("traceparent")

    def record_all() -> None:
        for trace in (*jobs, *([] if batch is None else [batch])):
            of_job = {} if trace == batch else {Attribute.JOB: str(trace)}
            span = Span(
                f"{request.method} {route}",
                began_ns,
                ended_ns,
                SpanKind.SERVER,
                {**of_all, **of_job},
            )
            traces.begin(trace, span, caller=caller)

    if batch is None:
        record_all()
    else:  # 50 µs for each of thousands of jobs
        await anyio.to_thread.run_sync(record_all)
