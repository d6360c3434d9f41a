"""The application: the WebSocket and liveness; at the operators' port, readiness and metrics."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import Scope
from starlette.websockets import WebSocket

from smart_filter_shared.security.operators_port import is_operators_request
from smart_filter_shared.telemetry import exposition
from smart_filter_workers.live import connection
from smart_filter_workers.live.session_registry import SessionRegistry

PATH = "/v1/live/socket"


def create_app(registry: SessionRegistry, operators_port: int | None) -> Starlette:
    """Return the application of a process with the registry `registry`.

    operators_port: the only port that serves readiness and metrics; None: no port does.
    """

    async def socket(websocket: WebSocket) -> None:
        await connection.serve(websocket, registry)

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        # A load balancer sends new clients elsewhere after this; connected clients stay.
        status, code = ("full", 503) if registry.is_full else ("ok", 200)
        return JSONResponse({"status": status}, status_code=code)

    async def metrics(_: Request) -> Response:
        text = registry.measures.text(connections=registry.connections)
        return Response(text, media_type=exposition.MEDIA_TYPE)

    application = Starlette(
        routes=[
            WebSocketRoute(PATH, socket),
            Route("/livez", livez),
            _OperatorsRoute("/readyz", readyz),
            _OperatorsRoute("/metrics", metrics),
        ]
    )
    application.state.operators_port = operators_port
    return application


class _OperatorsRoute(Route):
    """A route that other ports answer as one that does not exist."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if is_operators_request(scope, scope["app"].state.operators_port):
            return super().matches(scope)
        return Match.NONE, {}
