"""The right to one connection for live video."""

import datetime as dt
from dataclasses import dataclass, field

from smart_filter_client.fields import Fields


@dataclass(frozen=True, slots=True)
class LiveTicket:
    """What one WebSocket to a live worker needs.

    url: where to connect.  token: the first message's, good for one connection.
    expires_at: until when.
    """

    url: str
    token: str = field(repr=False)
    expires_at: dt.datetime | None


def live_ticket_from(document: object) -> LiveTicket:
    """Return the ticket that an answer describes; raises UnexpectedAnswer when it is none."""
    fields = Fields(document, "a live connection")
    return LiveTicket(fields.text("url"), fields.text("token"), fields.time_or_none("expires_at"))
