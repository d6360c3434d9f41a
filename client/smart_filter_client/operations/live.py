"""Live video: tokens for connections; frames use a WebSocket (docs/live.md)."""

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_wire.pictures import LiveConnection


async def open_live(client: Connection, background: str | None = None) -> LiveConnection:
    """Return a live video's address and a token for a minute; background: the initial one."""
    body = {} if background is None else {"background": background}
    return await exchange.send(client, LiveConnection, "POST", "live", json=body)
