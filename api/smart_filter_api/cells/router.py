"""The process before several cells: a request's host names its tenant, whose cell answers."""

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

from smart_filter_api import problems
from smart_filter_api.cells.choosing import Cells, tenant_of
from smart_filter_api.cells.lines import CellAway, CellLeft
from smart_filter_api.cells.passing import Passage
from smart_filter_api.cells.traffic import Traffic
from smart_filter_shared.errors import MalformedRequest
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.telemetry import exposition, logs

_METRICS = "/metrics"
# What tells of all tenants of a cell, or rules over them.
_OPERATORS: Final = (_METRICS, "/admin", "/v1/operator")
_AWAY = "the part of the service that has this tenant's jobs is away; send the request again"
_TWO_LENGTHS = "the body has two lengths, Content-Length and Transfer-Encoding; send one of them"
_NO_PORT = "what follows the colon of the Host is no port; send digits there, or no colon"
_NO_PATH = "the request's target must begin with a slash"


def create(domain: str, cells: Cells, *, watch_port: int | None = None) -> ASGIApp:
    """Return the application; its connections close when it ends to serve.

    domain: below which each tenant has a host, in small letters.
    watch_port: where operators are answered, and nobody's requests are passed on; not with None.
    """
    router = _Router(domain, cells, watch_port)
    return Router(default=router, redirect_slashes=False, lifespan=router.opened)


class _Router:
    """An ASGI application that passes requests on."""

    def __init__(self, domain: str, cells: Cells, watch_port: int | None) -> None:
        self._domain = domain
        self._watch_port = watch_port
        self._cells = cells
        self._passages: dict[str, Passage] = {}
        self._traffic = Traffic()

    @asynccontextmanager
    async def opened(self, app: object) -> AsyncIterator[None]:
        """Hold connections, and watch cells, while the block lasts."""
        del app
        async with anyio.create_task_group() as tasks:
            for cell in self._cells.every:
                passage = self._passages[cell.name] = Passage(cell)
                tasks.start_soon(passage.watch)
            yield
            tasks.cancel_scope.cancel()
        for passage in self._passages.values():
            passage.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            # No cell has any here: live video is at an address of its own.
            await WebSocketClose()(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = str(uuid.uuid4())
        tenant = tenant_of(request.headers.get("host", ""), self._domain)
        if self._watch_port is not None and scope["server"][1] == self._watch_port:
            answer = self._own(request)
        elif tenant is None and scope["path"] == "/livez":
            answer = _alive()
        elif tenant is None or tenant == OPERATOR or _is_for_operators(scope["path"]):
            # Every cell has an operator.
            answer = self._nothing(request)
        elif (wrong := _wrong(scope)) is not None:
            answer = _told(request, MalformedRequest.code, wrong)
        else:
            await self._carry(tenant, request, receive, send)
            return
        await answer(scope, receive, send)

    async def _carry(self, tenant: str, request: Request, receive: Receive, send: Send) -> None:
        """Pass a request on; what its cell has answered is in that one's log."""
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
            except CellAway as error:
                log.info("not_passed", reason=str(error))
                await _told(request, error.code, _AWAY)(request.scope, receive, send_noted)
            except MalformedRequest as error:
                await _told(request, error.code, str(error))(request.scope, receive, send_noted)
            except CellLeft as error:
                # The server cuts the connection, so that the client sees that more was to come.
                log.warning("cell_left", reason=str(error))
            except ClientDisconnect:
                log.info("client_left")
        finally:
            self._traffic.observe(passage.cell.name, status, time.perf_counter() - started)

    def _own(self, request: Request) -> Response:
        """Answer what an operator asks of this process."""
        path = request.scope["path"]
        if path == "/livez":
            return _alive()
        if path == "/readyz":
            away = sorted(name for name, one in self._passages.items() if one.is_away)
            if len(away) < len(self._passages):
                return JSONResponse({"status": "ok", "degraded": away})
            return _told(request, CellAway.code, f"{' and '.join(away)} cannot be reached")
        if path == _METRICS:
            shown = self._traffic.shown(self._passages.values())
            return Response(shown, media_type=exposition.MEDIA_TYPE)
        return self._nothing(request)

    def _nothing(self, request: Request) -> Response:
        detail = f"nothing is here; each tenant has a host, such as acme.{self._domain}"
        return _told(request, "not_found", detail)


def _alive() -> Response:
    return JSONResponse({"status": "ok"})


def _is_for_operators(path: str) -> bool:
    """Whether a path, decoded, is none that tenants ask for."""
    # A balancer before the APIs of a cell may tidy it likewise.
    tidy = posixpath.normpath(f"/{path.lstrip('/')}")
    return any(tidy == one or tidy.startswith(f"{one}/") for one in _OPERATORS)


def _wrong(scope: Scope) -> str | None:
    """Return what is wrong with a request that two servers might read differently."""
    names = [name for name, _ in scope["headers"]]
    if b"transfer-encoding" in names and b"content-length" in names:
        return _TWO_LENGTHS
    host = next(value for name, value in scope["headers"] if name == b"host")
    _, colon, port = host.partition(b":")
    if colon and port and not port.isdigit():
        return _NO_PORT
    return None if scope["raw_path"].startswith(b"/") else _NO_PATH


def _told(request: Request, code: str, detail: str) -> Response:
    """Return a problem document; a request that cannot be read ends its connection."""
    headers = {"X-Request-Id": request.state.request_id, "Cache-Control": "no-store"}
    if code == CellAway.code:
        headers["Retry-After"] = str(problems.RETRY_AFTER_SECONDS)
    if code == MalformedRequest.code:
        # Nobody knows where the next begins.  Source: RFC 9112, 6.1.
        headers["Connection"] = "close"
    return problems.answer(request, code, detail, headers=headers)
