"""The application: the WebSocket, health checks and metrics."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from smart_filter_shared.telemetry import exposition
from smart_filter_workers.live import connection
from smart_filter_workers.live.session_registry import SessionRegistry

PATH = "/v1/live/socket"


def create_app(registry: SessionRegistry) -> Starlette:
    """Return the application of a process with the registry `registry`."""

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

    return Starlette(
        routes=[
            WebSocketRoute(PATH, socket),
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )
