"""The application: the WebSocket, and what operators and load balancers look at."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from smart_filter_shared.telemetry import exposition
from smart_filter_workers.live import connection
from smart_filter_workers.live.house import House

PATH = "/v1/live/socket"


def create(house: House) -> Starlette:
    """Return the application of a process that shares `house`."""

    async def socket(websocket: WebSocket) -> None:
        await connection.serve(websocket, house)

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        # A load balancer then sends new clients elsewhere; those that are here stay.
        status, code = ("full", 503) if house.is_full else ("ok", 200)
        return JSONResponse({"status": status}, status_code=code)

    async def metrics(_: Request) -> Response:
        text = house.measures.text(connections=house.connections)
        return Response(text, media_type=exposition.MEDIA_TYPE)

    return Starlette(
        routes=[
            WebSocketRoute(PATH, socket),
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )
