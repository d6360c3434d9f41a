"""The cell router: an ASGI application that forwards each request to the cell of its tenant."""

import posixpath
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from smart_filter_api.cells.connection_pool import CellConnectionLost, CellUnavailable
from smart_filter_api.cells.metrics import RequestMetrics
from smart_filter_api.cells.proxy import CellProxy
from smart_filter_api.cells.rendezvous import Cells, parse_tenant
from smart_filter_api.problems import problem
from smart_filter_shared.errors import MalformedRequest
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.telemetry import exposition, logs

_METRICS_PATH = "/metrics"
# Paths that show or change all tenants of a cell; the router never forwards them.
_OPERATOR_PATHS: Final = (_METRICS_PATH, "/admin", "/v1/operator")
_CELL_UNAVAILABLE = (
    "the part of the service that holds this tenant's jobs does not answer; try again"
)
_TWO_LENGTHS = "the body has two lengths, Content-Length and Transfer-Encoding; send one of them"
_NO_PORT = "the port in the Host header is not a number"
_NO_PATH = "the request's target must begin with a slash"


def create_router(domain: str, cells: Cells, *, watch_port: int | None = None) -> ASGIApp:
    """Return the application; its connections close when it stops.

    domain: the domain below which each tenant has a host, in lower case.
    watch_port: port for health checks and metrics, from which nothing is forwarded; None: no port.
    """
    router = _Router(domain, cells, watch_port)
    return Router(default=router, redirect_slashes=False, lifespan=router.opened)


class _Router:
    """An ASGI application that forwards requests."""

    def __init__(self, domain: str, cells: Cells, watch_port: int | None) -> None:
        self._domain = domain
        self._watch_port = watch_port
        self._cells = cells
        self._passages: dict[str, CellProxy] = {}
        self._traffic = RequestMetrics()

    @asynccontextmanager
    async def opened(self, app: object) -> AsyncIterator[None]:
        """Open the proxies and watch the cells while the application runs."""
        del app
        async with anyio.create_task_group() as tasks:
            for cell in self._cells.every:
                passage = self._passages[cell.name] = CellProxy(cell)
                tasks.start_soon(passage.watch)
            yield
            tasks.cancel_scope.cancel()
        for passage in self._passages.values():
            passage.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            # Cells serve no WebSockets here: live video has an address of its own.
            await WebSocketClose()(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = str(uuid.uuid4())
        tenant = parse_tenant(request.headers.get("host", ""), self._domain)
        if self._watch_port is not None and scope["server"][1] == self._watch_port:
            answer = self._own(request)
        elif tenant is None and scope["path"] == "/livez":
            answer = _liveness_response()
        elif tenant is None or tenant == OPERATOR or _is_for_operators(scope["path"]):
            # Each cell has an operator of its own, so operator requests have no single target.
            answer = self._not_found(request)
        elif (wrong := _find_ambiguity(scope)) is not None:
            answer = _problem_response(request, MalformedRequest.code, wrong)
        else:
            await self._carry(tenant, request, receive, send)
            return
        await answer(scope, receive, send)

    async def _carry(self, tenant: str, request: Request, receive: Receive, send: Send) -> None:
        """Forward a request; the cell logs its own response."""
        passage = self._passages[self._cells.of(tenant).name]
        log = logs.logger("router").bind(
            cell=passage.cell.name, request_id=request.state.request_id
        )
        started = time.perf_counter()
        status: int | None = None

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            try:
                await passage.carry(request.scope, receive, send_noted)
            except CellUnavailable as error:
                log.info("request_not_forwarded", reason=str(error))
                await _problem_response(request, error.code, _CELL_UNAVAILABLE)(
                    request.scope, receive, send_noted
                )
            except MalformedRequest as error:
                await _problem_response(request, error.code, str(error))(
                    request.scope, receive, send_noted
                )
            except CellConnectionLost as error:
                # The server cuts the connection, so the client sees an incomplete response.
                log.warning("cell_disconnected", reason=str(error))
            except ClientDisconnect:
                log.info("client_disconnected")
        finally:
            self._traffic.observe(passage.cell.name, status, time.perf_counter() - started)

    def _own(self, request: Request) -> Response:
        """Return the answer to a request on the watch port: health checks and metrics."""
        path = request.scope["path"]
        if path == "/livez":
            return _liveness_response()
        if path == "/readyz":
            away = sorted(name for name, one in self._passages.items() if one.is_away)
            if len(away) < len(self._passages):
                return JSONResponse({"status": "ok", "degraded": away})
            return _problem_response(
                request, CellUnavailable.code, f"{' and '.join(away)} cannot be reached"
            )
        if path == _METRICS_PATH:
            shown = self._traffic.shown(self._passages.values())
            return Response(shown, media_type=exposition.MEDIA_TYPE)
        return self._not_found(request)

    def _not_found(self, request: Request) -> Response:
        detail = f"no such page; each tenant has a host of its own, such as acme.{self._domain}"
        return _problem_response(request, "not_found", detail)


def _liveness_response() -> Response:
    return JSONResponse({"status": "ok"})


def _is_for_operators(path: str) -> bool:
    """Whether a decoded path is reserved for operators."""
    # Normalize first: a balancer before the APIs of a cell may do the same.
    tidy = posixpath.normpath(f"/{path.lstrip('/')}")
    return any(tidy == one or tidy.startswith(f"{one}/") for one in _OPERATOR_PATHS)


def _find_ambiguity(scope: Scope) -> str | None:
    """Return why two servers might read a request differently; None when they cannot."""
    names = [name for name, _ in scope["headers"]]
    if b"transfer-encoding" in names and b"content-length" in names:
        return _TWO_LENGTHS
    host = next(value for name, value in scope["headers"] if name == b"host")
    _, colon, port = host.partition(b":")
    if colon and port and not port.isdigit():
        return _NO_PORT
    return None if scope["raw_path"].startswith(b"/") else _NO_PATH


def _problem_response(request: Request, code: str, detail: str) -> Response:
    """Return a problem document; after a malformed request it closes the connection."""
    headers = {"X-Request-Id": request.state.request_id, "Cache-Control": "no-store"}
    if code == CellUnavailable.code:
        headers["Retry-After"] = str(problem.RETRY_AFTER_SECONDS)
    if code == MalformedRequest.code:
        # The start of the next request is unknown.  Source: RFC 9112, 6.1.
        headers["Connection"] = "close"
    return problem.problem_response(request, code, detail, headers=headers)
