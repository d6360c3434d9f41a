"""All that failed is sent once more: for good, or so far."""

from typing import Any

from sqlalchemy import text

from smart_filter_tests.receiving import Receiver, Says, a_receiver, send_due
from smart_filter_tests.serving import Api


def hooked(api: Api, receiver: Receiver, **fields: object) -> dict[str, Any]:
    answer = api.client.post("/v1/webhooks", json={"url": receiver.url, **fields})
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def canceled(api: Api, **fields: str) -> str:
    job_id = api.submit(**fields)
    assert api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    return job_id


def log(api: Api, webhook: str, **narrowed: str) -> list[dict[str, Any]]:
    answer = api.client.get(f"/v1/webhooks/{webhook}/deliveries", params=narrowed)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_all_that_failed_is_replayed(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver)
        for _ in range(3):
            canceled(api)
        with api.bench.transaction() as connection:
            connection.execute(
                text("""
                    UPDATE deliveries SET state = 'failed', finished_at = now()
                    WHERE number < (SELECT max(number) FROM deliveries)
                """)
            )

        replayed = api.client.post(f"/v1/webhooks/{webhook['id']}/deliveries/replay")

        assert replayed.json() == {"replayed": 2}
        assert send_due(api.bench) == [3]


def test_what_failed_so_far_is_replayed_at_once(api: Api) -> None:
    says = iter([Says(500), Says(500), Says(204), Says(204)])
    with a_receiver(lambda _: next(says)) as receiver:
        webhook = hooked(api, receiver)
        for _ in range(2):
            canceled(api)
        send_due(api.bench)
        path = f"/v1/webhooks/{webhook['id']}/deliveries/replay"

        replayed = [api.client.post(path).json()["replayed"] for _ in range(2)]

        assert replayed == [2, 0]
        assert send_due(api.bench) == [2]
    told = log(api, webhook["id"])
    assert [(one["state"], len(one["attempts"])) for one in told] == [("succeeded", 2)] * 2
