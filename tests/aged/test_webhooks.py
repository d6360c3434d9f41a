"""Journeys of webhooks that tell of jobs whose days are closed."""

import uuid
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text

from smart_filter_client import verify_webhook
from smart_filter_tests.aged_stack import AgedStack
from smart_filter_tests.old_installation import WEEKLY
from smart_filter_tests.receiving import Got, Says, a_receiver, send_due


@pytest.fixture
def album(aged: AgedStack) -> Iterator[httpx.Client]:
    """The tenant that keeps the log of its deliveries for a week."""
    with aged.client_of(WEEKLY) as client:
        yield client


def make_due(aged: AgedStack, delivery: str) -> None:
    """Let the time of a delivery's next attempt have come."""
    with aged.bench.transaction() as connection:
        connection.execute(
            text("UPDATE deliveries SET due_at = statement_timestamp() WHERE id = :id"),
            {"id": uuid.UUID(delivery)},
        )


@pytest.mark.parametrize("ago", [2, 3])
def test_attempt_days_after_the_end_of_a_job_is_made(aged: AgedStack, ago: int) -> None:
    says = iter([Says(500), Says(204)])
    with a_receiver(lambda _: next(says)) as receiver:
        hook = aged.client.post("/v1/webhooks", json={"url": receiver.url}).json()
        job_id = aged.running.submit(background="keep")
        aged.running.wait(job_id)
        first = send_due(aged.bench)
        older = aged.aged(job_id, ago)
        log = f"/v1/webhooks/{hook['id']}/deliveries"
        (delivery,) = aged.client.get(log).json()["items"]
        make_due(aged, delivery["id"])

        second = send_due(aged.bench)

        (told,) = aged.client.get(log).json()["items"]
        aged.client.delete(f"/v1/webhooks/{hook['id']}")
    assert (first, second) == ([1], [1])
    assert (told["state"], [one["status"] for one in told["attempts"]]) == ("succeeded", [500, 204])
    assert verify_webhook(hook["secret"], receiver.got[1].headers, receiver.got[1].body)
    assert str(older) in receiver.got[1].body.decode()


def test_delivery_of_a_closed_day_is_replayed_and_signed_by_both_secrets(
    aged: AgedStack, album: httpx.Client
) -> None:
    def tells_of(got: Got) -> str:
        event = verify_webhook(rotated["secret"], got.headers, got.body)
        return str(event.job.id) if event.job else ""

    (hook,) = album.get("/v1/webhooks").json()["items"]
    path = f"/v1/webhooks/{hook['id']}"
    rotated = album.post(f"{path}/rotate").json()
    (job_id,) = aged.sample(WEEKLY, "outcome = 'failed'", ago=5)
    delivery = aged.scalar(
        "SELECT id FROM deliveries WHERE job_id = :id AND webhook = :webhook",
        id=uuid.UUID(job_id),
        webhook=hook["id"],
    )
    with a_receiver() as receiver:
        assert album.patch(path, json={"url": receiver.url}).is_success

        replayed = album.post(f"{path}/deliveries/{delivery}/replay")
        sent = send_due(aged.bench)

    assert replayed.status_code == 202
    assert sent == [1]
    assert [tells_of(got) for got in receiver.got] == [job_id]
    assert len(receiver.got[0].headers["webhook-signature"].split()) == 2


def test_log_of_six_thousand_deliveries_is_read_page_by_page(album: httpx.Client) -> None:
    (hook,) = album.get("/v1/webhooks").json()["items"]
    told, cursor, pages = [], None, 0

    while pages < 5 and (cursor is not None or pages == 0):
        page = album.get(
            f"/v1/webhooks/{hook['id']}/deliveries",
            params={"state": "succeeded", "limit": 200, **({"cursor": cursor} if cursor else {})},
        ).json()
        told += page["items"]
        cursor, pages = page["next_cursor"], pages + 1

    assert len({one["id"] for one in told}) == len(told) == 1000
    assert all(one["attempts"][-1]["status"] == 204 for one in told)
