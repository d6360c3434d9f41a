"""The sender's loop: quick when there is something, in order when it stops."""

import threading
from typing import Any

from sqlalchemy import text

from smart_filter_tests.receiving import Got, Receiver, Says, a_receiver, sending
from smart_filter_tests.serving import Api
from smart_filter_workers.sender.sending import Pace

_SECONDS = 10


def hooked(api: Api, receiver: Receiver) -> str:
    shown: dict[str, Any] = api.client.post("/v1/webhooks", json={"url": receiver.url}).json()
    return str(shown["id"])


def test_many_ends_are_told_one_after_the_other_without_waiting(api: Api) -> None:
    all_told = threading.Event()

    def count(_: Got) -> Says:
        if len(receiver.got) == 30:
            all_told.set()
        return Says()

    # A look every ten seconds alone would take a minute for what goes four at a time.
    with a_receiver(count) as receiver:
        webhook = hooked(api, receiver)
        with api.bench.transaction() as connection:
            connection.execute(
                text("""
                    INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at)
                    SELECT gen_random_uuid(), 'tests', :id, :id, 'webhook.test', now(), now()
                    FROM generate_series(1, 30)
                """),
                {"id": webhook},
            )
        with sending(api.bench, Pace(look_seconds=10)) as stop:
            assert all_told.wait(_SECONDS)
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
