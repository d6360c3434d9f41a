"""Keys, tokens and tickets that the client is issued, and answers that were lost."""

import httpx
import pytest

from smart_filter_client import errors
from smart_filter_tests.clients import Asking, Script


def shown(key: str | None) -> httpx.Response:
    issued = {"key_id": "k1", "tenant": "acme", "scopes": ["submit"], "key": key}
    return httpx.Response(201, json=issued)


@pytest.mark.parametrize(("name", "args"), [("issue_key", [["read"]]), ("issue_token", [])])
def test_key_whose_answer_was_lost_is_asked_for_again_under_the_callers_key(
    asking: Asking, name: str, args: list[object]
) -> None:
    server = Script(httpx.ReadError("cut"), shown("sf_live_1"))

    issued = asking(server).do(name, *args, idempotency_key="device 7")

    assert issued.key == "sf_live_1"
    assert [one.headers["Idempotency-Key"] for one in server.seen] == ['"device 7"'] * 2


def test_key_that_is_not_shown_again_is_lost(asking: Asking) -> None:
    server = Script(httpx.ReadError("cut"), shown(None))

    with pytest.raises(errors.KeyLost, match="k1 was lost: revoke it") as lost:
        asking(server).do("issue_token")

    assert lost.value.key_id == "k1"


def test_ticket_for_live_video_is_asked_for_with_the_background(asking: Asking) -> None:
    url = "wss://live.example.org/v1/live/socket"
    ticket = {"url": url, "token": "hush-hush", "expires_at": "2026-01-02T03:04:05Z"}
    server = Script(httpx.Response(201, json=ticket))

    issued = asking(server).do("open_live", "blur:0.5")

    assert (issued.url, issued.token) == (url, "hush-hush")
    assert "hush" not in repr(issued)
    assert server.seen[0].url.path == "/v1/live"
    assert server.seen[0].content == b'{"background":"blur:0.5"}'
