"""The right to a connection for live video."""

import httpx

from smart_filter_tests.clients import Asking, Script

TICKET = {
    "url": "wss://live.example.org/v1/live/socket",
    "token": "hush-hush",
    "expires_at": "2026-01-02T03:04:05Z",
}


def test_ticket_is_asked_for_with_what_stands_behind_people(asking: Asking) -> None:
    server = Script(httpx.Response(201, json=TICKET))

    ticket = asking(server).do("open_live", "blur:0.5")

    assert (ticket.url, ticket.token) == (TICKET["url"], "hush-hush")
    assert "hush" not in repr(ticket)
    assert [one.url.path for one in server.seen] == ["/v1/live"]
    assert server.seen[0].read() == b'{"background":"blur:0.5"}'
