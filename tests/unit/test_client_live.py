"""The right to a connection for live video."""

import httpx
import pytest

from smart_filter_client import errors
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


def test_server_without_live_video_says_so(asking: Asking) -> None:
    refusal = {"code": "not_available", "title": "no", "detail": "no live video here"}
    server = Script(httpx.Response(422, json=refusal))

    with pytest.raises(errors.InvalidRequest, match="no live video"):
        asking(server).do("open_live")
