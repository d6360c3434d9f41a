"""Live video: tokens for connections; frames use a WebSocket (docs/live.md)."""

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_client.models.live import LiveTicket, live_ticket_from
from smart_filter_client.requests import Request, path


async def open_live(client: Connection, background: str | None = None) -> LiveTicket:
    """Return a live video's address and a token for a minute; background: the initial one."""
    body = {} if background is None else {"background": background}
    request = Request(method="POST", path=path("live"), json=body)
    return live_ticket_from(await exchange.post(client, request))
