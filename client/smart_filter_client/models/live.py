"""Tickets for live video connections."""

import datetime as dt
from dataclasses import dataclass, field

from smart_filter_client.fields import Fields


@dataclass(frozen=True, slots=True)
class LiveTicket:
    """Address and token for one WebSocket to a live worker.

    url: where to connect.  token: for the handshake, or to extend a connection.
    expires_at: end of its validity, and of the connection that gets no further token.
    """

    url: str
    token: str = field(repr=False)
    expires_at: dt.datetime | None


def live_ticket_from(document: object) -> LiveTicket:
    """Parse a ticket.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a live connection")
    return LiveTicket(fields.text("url"), fields.text("token"), fields.time_or_none("expires_at"))
