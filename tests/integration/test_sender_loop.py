"""The sender's loop: quick when there is something, in order when it stops."""

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from sqlalchemy import text

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.settings import SecretsSettings
from smart_filter_tests.receiving import Got, Receiver, Says, a_receiver, sending
from smart_filter_tests.serving import Api
from smart_filter_workers.sender import process
from smart_filter_workers.sender.outbound import Answer, Silence
from smart_filter_workers.sender.sending import Pace

_SECONDS = 60


def hooked(api: Api, receiver: Receiver) -> str:
    shown: dict[str, Any] = api.client.post("/v1/webhooks", json={"url": receiver.url}).json()
    return str(shown["id"])


def test_many_deliveries_are_sent_without_waiting_for_the_next_look(api: Api) -> None:
    all_sent = threading.Event()

    def count(_: Got) -> Says:
        if len(receiver.got) == 30:
            all_sent.set()
        return Says()

    # A look every ten minutes alone would take an hour for what goes four at a time.
    with a_receiver(count) as receiver:
        webhook = hooked(api, receiver)
        write(api, webhook, 30)
        with sending(api.bench, Pace(look_seconds=600)) as stop:
            assert all_sent.wait(_SECONDS)
            stop()

    assert len({one.headers["webhook-id"] for one in receiver.got}) == len(receiver.got)


def test_stopped_sender_hands_back_what_it_could_not_end(api: Api) -> None:
    begun = threading.Event()

    def hang(got: Got) -> Says:
        begun.set()
        return receiver.hang(got)

    pace = Pace(look_seconds=0.01, drain_seconds=0.05)
    with a_receiver(hang) as receiver:
        webhook = hooked(api, receiver)
        with sending(api.bench, pace) as stop:
            api.client.post(f"/v1/webhooks/{webhook}/test")
            assert begun.wait(_SECONDS)

            stop()

        with api.bench.transaction() as connection:
            rows = connection.execute(text("SELECT state, attempt FROM deliveries")).all()
    assert rows == [("waiting", 0)]


@dataclass(slots=True)
class Deaf:
    """Reaches one receiver that answers, and others that never do.

    waiting: how many posts are not answered; heard: set when the one was reached.
    """

    waiting: int = 0
    heard: threading.Event = field(default_factory=threading.Event)

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer | Silence:
        assert headers["webhook-id"]
        assert body
        if "quick" in url:
            self.heard.set()
            return Answer(204, b"")
        self.waiting += 1
        await anyio.sleep_forever()
        raise AssertionError("it was woken")


def test_forty_receivers_that_hang_leave_room_for_the_one_that_does_not(api: Api) -> None:
    outbound = Deaf()
    for number in range(40):
        url = f"https://example.com/{number}"
        write(api, str(api.client.post("/v1/webhooks", json={"url": url}).json()["id"]), 20)
    pace = Pace(look_seconds=0.01, drain_seconds=0.05)

    with sending(api.bench, pace, outbound) as stop:
        # All of the others have what they can have by then.
        while outbound.waiting < 160:
            assert not outbound.heard.wait(0.01)
        url = "https://example.com/quick"
        write(api, str(api.client.post("/v1/webhooks", json={"url": url}).json()["id"]), 1)

        assert outbound.heard.wait(_SECONDS)
        stop()

    assert outbound.waiting == 160
    with api.bench.transaction() as connection:
        states = dict(
            connection.execute(text("SELECT state, count(*) FROM deliveries GROUP BY 1")).all()
        )
    assert states == {"waiting": 800, "succeeded": 1}


def test_sender_without_a_key_says_what_to_set(api: Api) -> None:
    told = dataclasses.replace(api.bench.settings, secrets=SecretsSettings())

    with pytest.raises(SetupFailed, match="SMART_FILTER_SECRETS_KEY is not set"):
        process.serve(told, render=lambda *_: b"")


def write(api: Api, webhook: str, count: int) -> None:
    """Write deliveries that are due."""
    api.bench.execute(
        """
            INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at)
            SELECT gen_random_uuid(), 'tests', :id, :id, 'webhook.test', now(), now()
            FROM generate_series(1, :count)
        """,
        id=webhook,
        count=count,
    )
