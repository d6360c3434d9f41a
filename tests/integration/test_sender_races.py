"""Deliveries that are sent while what they tell of, or whom, is being deleted."""

import threading

import pytest
from sqlalchemy import text

from smart_filter_shared.jobs import deliveries
from smart_filter_shared.jobs.deliveries import DeliveryState, Tried
from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import Api


@pytest.mark.parametrize("deleted", ["job", "webhook"])
def test_deleting_what_is_being_sent_leaves_no_line_of_the_log(api: Api, deleted: str) -> None:
    webhook = api.client.post("/v1/webhooks", json={"url": "https://example.com/"}).json()
    job_id = api.submit()
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    with api.bench.transaction() as connection:
        (claimed,) = deliveries.claim(connection, most=1, few=1, lease_seconds=60)
    path = f"/v1/jobs/{job_id}" if deleted == "job" else f"/v1/webhooks/{webhook['id']}"
    statuses: list[int] = []
    deleting = threading.Thread(target=lambda: statuses.append(api.client.delete(path).status_code))

    with api.bench.transaction() as connection:
        tried = Tried(0.1, status=200, answer="something personal")
        deliveries.conclude(connection, claimed, tried, DeliveryState.SUCCEEDED)
        deleting.start()
        wait_until_blocked(api.bench)
    deleting.join()

    assert statuses == [204]
    assert left(api.bench) == (0, 0)


def left(bench: Bench) -> tuple[int, int]:
    with bench.transaction() as connection:
        found = connection.execute(
            text("""
                SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM delivery_attempts)
            """)
        ).one()
        return found[0], found[1]


def wait_until_blocked(bench: Bench) -> None:
    """Return when somebody waits for a lock; the test's time limit ends it."""
    waiting = 0
    while not waiting:
        with bench.transaction() as connection:
            waiting = connection.execute(
                text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            ).scalar_one()
