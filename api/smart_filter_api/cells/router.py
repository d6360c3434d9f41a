"""The process before several cells: a request's host names its tenant, whose cell has the answer."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from smart_filter_api import problems
from smart_filter_api.cells.choosing import Cell, cell_of, tenant_of
from smart_filter_api.cells.passing import CellAway, Passage
from smart_filter_shared.errors import MalformedRequest
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.telemetry import logs

# They tell of a whole cell, and need no key.
_OPERATORS_PATHS = frozenset({"/metrics", "/readyz"})
_AWAY = "the part of the service that keeps this tenant's jobs is away; send the request again"


def create(domain: str, cells: Sequence[Cell]) -> Starlette:
    """Return the application; its connections close when it ends to serve.

    domain: below which each tenant has a host.  cells: one at least, each of a name of its own.
    """
    router = _Router(domain, cells)
    return Starlette(routes=[Mount("/", app=router)], lifespan=router.opened)


class _Router:
    """An ASGI application that passes requests on."""

    def __init__(self, domain: str, cells: Sequence[Cell]) -> None:
        self._domain = domain
        self._cells = tuple(cells)
        self._passages: dict[Cell, Passage] = {}

    @asynccontextmanager
    async def opened(self, app: Starlette) -> AsyncIterator[None]:
        """Hold connections while the block lasts."""
        del app
        async with AsyncExitStack() as stack:
            for cell in self._cells:
                self._passages[cell] = Passage(cell)
                stack.push_async_callback(self._passages[cell].close)
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] == "/livez":
            # Of this process: one that knows no cell well still leads to the others.
            await PlainTextResponse("ok\n")(scope, receive, send)
            return
        if not scope["raw_path"].startswith(b"/"):
            detail = "the request's target must begin with a slash"
            await _tell(scope, receive, send, code="malformed_request", detail=detail)
            return
        tenant = tenant_of(Request(scope).headers.get("host", ""), self._domain)
        if tenant in {None, OPERATOR} or scope["path"] in _OPERATORS_PATHS:
            detail = f"nothing is here; each tenant has an address, such as acme.{self._domain}"
            await _tell(scope, receive, send, code="not_found", detail=detail)
            return
        await self._carry(str(tenant), scope, receive, send)

    async def _carry(self, tenant: str, scope: Scope, receive: Receive, send: Send) -> None:
        log = logs.logger("router")
        cell = cell_of(tenant, self._cells)
        try:
            await self._passages[cell].carry(scope, receive, send)
        except CellAway as error:
            log.warning("cell_away", cell=cell.name, reason=str(error))
            await _tell(scope, receive, send, code=error.code, detail=_AWAY)
        except MalformedRequest as error:
            await _tell(scope, receive, send, code=error.code, detail=str(error))
        except httpx.HTTPError as error:
            # The server cuts the connection, so that the client sees that there should be more.
            log.warning("cell_left", cell=cell.name, reason=type(error).__name__)
        except ClientDisconnect:
            log.info("client_left", cell=cell.name)


async def _tell(scope: Scope, receive: Receive, send: Send, *, code: str, detail: str) -> None:
    request_id = str(uuid.uuid4())
    request = Request(scope)
    request.state.request_id = request_id
    headers = {"X-Request-Id": request_id, "Cache-Control": "no-store"}
    if code == CellAway.code:
        headers["Retry-After"] = str(problems.RETRY_AFTER_SECONDS)
    await problems.answer(request, code, detail, headers=headers)(scope, receive, send)
