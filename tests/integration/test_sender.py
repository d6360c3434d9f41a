"""Deliveries: written with a job's end, signed, sent again, held back, never lost."""

import base64
import datetime as dt
import json
import threading
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import deliveries, transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.receiving import Got, Receiver, Says, a_receiver, send_due
from smart_filter_tests.serving import Api, a_photo

PREPARE = StageName.PREPARE
BROKEN = Failure("internal", "It broke", "why")


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


def pass_time(api: Api) -> None:
    """Let everything that waits be due."""
    with api.bench.transaction() as connection:
        connection.execute(text("UPDATE deliveries SET due_at = now() WHERE state = 'waiting'"))


def test_end_of_a_job_is_told_and_the_reference_verifies_it(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver)
        job_id = canceled(api)

        assert send_due(api.bench) == [1]

    (got,) = receiver.got
    told = Webhook(webhook["secret"]).verify(got.body, dict(got.headers))
    assert told["type"] == "job.canceled"
    assert told["data"] == api.job(job_id)
    assert dt.datetime.fromisoformat(told["timestamp"]).tzinfo is not None
    assert got.headers["content-type"] == "application/json"
    (delivery,) = log(api, webhook["id"])
    assert delivery["id"] == got.headers["webhook-id"]
    assert (delivery["state"], delivery["job_id"]) == ("succeeded", job_id)


def test_each_webhook_is_told_of_what_it_asked_for(api: Api) -> None:
    with a_receiver() as wants, a_receiver() as wants_not, a_receiver() as foreign:
        hooked(api, wants, events=["job.failed"])
        hooked(api, wants_not, events=["job.succeeded", "job.canceled"])
        key = api.key("admin", tenant=Tenant("else"))
        api.client.post(
            "/v1/webhooks",
            json={"url": foreign.url},
            headers={"Authorization": f"Bearer {key}"},
        )
        api.submit(background="keep")
        api.fail(PREPARE, BROKEN)

        send_due(api.bench)

    assert [json.loads(one.body)["type"] for one in wants.got] == ["job.failed"]
    assert wants_not.got == foreign.got == []


def test_end_that_is_rolled_back_is_told_to_nobody(api: Api) -> None:
    with a_receiver() as receiver:
        hooked(api, receiver)
        api.submit(background="keep")
        lease = api.bench.claim_one(PREPARE)

        with api.bench.transaction() as connection:
            transitions.fail(connection, lease, BROKEN)
            connection.rollback()

        assert send_due(api.bench) == [0]


@pytest.mark.parametrize("body", ["form", "json"])
def test_address_that_a_job_names_is_told_with_the_default_secret(api: Api, body: str) -> None:
    photo = a_photo()
    with a_receiver() as receiver:
        if body == "form":
            job_id = api.submit(webhook_url=receiver.url)
        else:
            document = {
                "photo_base64": base64.b64encode(photo).decode(),
                "webhook_url": receiver.url,
            }
            job_id = api.client.post("/v1/jobs", json=document).json()["id"]
        secret = api.client.post("/v1/webhooks/default/rotate").json()["secret"]
        api.client.post(f"/v1/jobs/{job_id}/cancel")

        send_due(api.bench)

    (got,) = receiver.got
    told = Webhook(secret).verify(got.body, dict(got.headers))
    assert told["data"]["id"] == job_id
    (delivery,) = log(api, "default")
    assert (delivery["url"], delivery["state"]) == (receiver.url, "succeeded")


def test_rotated_webhook_signs_with_both_secrets_for_a_day(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver)
        canceled(api)
        new = api.client.post(f"/v1/webhooks/{webhook['id']}/rotate").json()["secret"]
        send_due(api.bench)
        with api.bench.transaction() as connection:
            connection.execute(text("UPDATE webhook_secrets SET former_until = now()"))
        canceled(api)
        send_due(api.bench)

    within, after = receiver.got
    for secret in (webhook["secret"], new):
        Webhook(secret).verify(within.body, dict(within.headers))
    Webhook(new).verify(after.body, dict(after.headers))
    assert len(after.headers["webhook-signature"].split()) == 1


def test_receiver_that_was_down_loses_nothing(api: Api) -> None:
    says = iter([Says(500, b"down"), Says(503), Says(204)])
    with a_receiver(lambda _: next(says)) as receiver:
        webhook = hooked(api, receiver)
        canceled(api)
        for _ in range(3):
            send_due(api.bench)
            pass_time(api)

    assert len({one.headers["webhook-id"] for one in receiver.got}) == 1
    assert len(receiver.got) == 3
    (delivery,) = log(api, webhook["id"])
    assert delivery["state"] == "succeeded"
    assert [one["status"] for one in delivery["attempts"]] == [500, 503, 204]
    assert delivery["attempts"][0]["answer"] == "down"


def test_failed_attempt_waits_as_the_schedule_says(api: Api) -> None:
    with a_receiver(lambda _: Says(500)) as receiver:
        webhook = hooked(api, receiver)
        canceled(api)

        assert send_due(api.bench, times=2) == [1, 0]

    (delivery,) = log(api, webhook["id"])
    wait = dt.datetime.fromisoformat(delivery["next_at"]) - api.bench.now()
    assert 2 < wait.total_seconds() <= 6


def test_last_attempt_of_ten_fails_for_good_and_can_be_replayed(api: Api) -> None:
    with a_receiver(lambda _: Says(500)) as receiver:
        webhook = hooked(api, receiver)
        canceled(api)
        for _ in range(10):
            assert send_due(api.bench) == [1]
            pass_time(api)
        assert send_due(api.bench) == [0]
        (failed,) = log(api, webhook["id"], state="failed")
        receiver.answer = lambda _: Says(200)

        path = f"/v1/webhooks/{webhook['id']}/deliveries/{failed['id']}/replay"
        replayed = api.client.post(path)
        send_due(api.bench)

    assert (replayed.status_code, replayed.json()["state"]) == (202, "waiting")
    (delivery,) = log(api, webhook["id"])
    assert delivery["state"] == "succeeded"
    assert len(delivery["attempts"]) == 11
    assert len({one.headers["webhook-id"] for one in receiver.got}) == 1


def test_retry_after_holds_all_that_goes_to_the_receiver(api: Api) -> None:
    says = iter([Says(429, headers={"Retry-After": "3600"})])
    with a_receiver(lambda _: next(says)) as receiver:
        webhook = hooked(api, receiver)
        canceled(api)
        send_due(api.bench)
        (delivery,) = log(api, webhook["id"])

    wait = dt.datetime.fromisoformat(delivery["next_at"]) - api.bench.now()
    assert 3500 < wait.total_seconds() <= 3600


def test_redirect_is_a_failure_and_not_followed(api: Api) -> None:
    with a_receiver() as elsewhere:
        moved = Says(302, headers={"Location": elsewhere.url})
        with a_receiver(lambda _: moved) as receiver:
            webhook = hooked(api, receiver)
            canceled(api)
            send_due(api.bench)

    (delivery,) = log(api, webhook["id"])
    assert delivery["state"] == "waiting"
    assert [one["status"] for one in delivery["attempts"]] == [302]
    assert elsewhere.got == []


def test_410_disables_the_webhook_until_its_owner_enables_it(api: Api) -> None:
    with a_receiver(lambda _: Says(410)) as receiver:
        webhook = hooked(api, receiver)
        path = f"/v1/webhooks/{webhook['id']}"
        canceled(api)
        send_due(api.bench)
        canceled(api)
        gone = api.client.get(path).json()
        refused = api.client.post(f"{path}/test")
        told = send_due(api.bench)
        receiver.answer = lambda _: Says(200)
        api.client.patch(path, json={"enabled": True})
        canceled(api)

        assert (gone["enabled"], gone["disabled"]) == (False, "gone")
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")
        assert told == [0]
        assert send_due(api.bench) == [1]


def test_receiver_that_hangs_delays_nobody(api: Api) -> None:
    with a_receiver() as quick, a_receiver() as slow:
        slow.answer = slow.hang
        told = threading.Event()

        def tell(_: Got) -> Says:
            told.set()
            # All the while the other has not answered.
            assert not slow.closing.is_set()
            return Says()

        quick.answer = tell
        webhook = hooked(api, slow)
        for _ in range(6):
            canceled(api)
        hooked(api, quick)
        canceled(api)

        sent = send_due(api.bench, seconds=0.3)

    assert sent == [5], "four of the slow one, however many wait for it"
    assert told.is_set()
    assert len(quick.got) == 1
    late = [one for one in log(api, webhook["id"]) if one["attempts"]]
    assert {one["attempts"][0]["error"] for one in late} == {"no answer within 0.3 s"}


def test_receiver_in_trouble_gets_one_at_a_time(api: Api) -> None:
    with a_receiver(lambda _: Says(500)) as receiver:
        hooked(api, receiver)
        for _ in range(8):
            canceled(api)

        assert send_due(api.bench, times=2) == [4, 1]


def test_what_a_dead_sender_left_is_sent_by_another(api: Api) -> None:
    with a_receiver() as receiver:
        hooked(api, receiver)
        canceled(api)
        with api.bench.transaction() as connection:
            (lost,) = deliveries.claim(connection, most=9, few=4, lease_seconds=60)
        assert send_due(api.bench) == [0]
        with api.bench.transaction() as connection:
            connection.execute(text("UPDATE deliveries SET leased_until = now() - interval '1s'"))
            assert deliveries.recover(connection) == 1

        assert send_due(api.bench) == [1]

    with api.bench.transaction() as connection:
        late = deliveries.Tried(1.0, status=500)
        deliveries.conclude(connection, lost, late, deliveries.DeliveryState.FAILED)
        states = connection.execute(text("SELECT state, attempt FROM deliveries")).all()
    assert states == [("succeeded", 1)], "the dead one's attempt is refunded, its word is void"


def test_address_of_a_network_of_ours_is_not_reached(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver)
        canceled(api)

        send_due(api.bench, allow=())

    assert receiver.got == []
    (delivery,) = log(api, webhook["id"])
    assert delivery["state"] == "waiting"
    assert "not found on the public internet" in delivery["attempts"][0]["error"]


def test_test_is_sent_once(api: Api) -> None:
    with a_receiver(lambda _: Says(500, b"x" * 5000)) as receiver:
        webhook = hooked(api, receiver)

        answer = api.client.post(f"/v1/webhooks/{webhook['id']}/test")
        send_due(api.bench)

    assert answer.status_code == 202
    told = json.loads(receiver.got[0].body)
    assert (told["type"], told["data"]) == ("webhook.test", {"webhook_id": webhook["id"]})
    (delivery,) = log(api, webhook["id"])
    assert (delivery["id"], delivery["state"]) == (answer.json()["id"], "failed")
    assert delivery["attempts"][0]["answer"] == "x" * 1024


def test_deleted_job_is_told_to_nobody(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver)
        job_id = canceled(api)
        api.client.delete(f"/v1/jobs/{job_id}")

        assert send_due(api.bench) == [0]
        assert log(api, webhook["id"]) == []


def test_paused_webhook_fails_what_waits_for_it(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver)
        canceled(api)
        api.client.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": False})

        assert send_due(api.bench) == [0]
        assert [one["state"] for one in log(api, webhook["id"])] == ["failed"]


def test_deliveries_are_listed_page_by_page(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver)
        jobs = [canceled(api) for _ in range(3)]
    path = f"/v1/webhooks/{webhook['id']}/deliveries"

    first = api.client.get(path, params={"limit": 2}).json()
    last = api.client.get(path, params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [one["job_id"] for one in first["items"] + last["items"]] == jobs[::-1]
    assert last["next_cursor"] is None


def test_what_is_over_is_forgotten_after_a_week(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver)
        canceled(api)
        canceled(api)
        send_due(api.bench)
    with api.bench.transaction() as connection:
        connection.execute(
            text("""
                UPDATE deliveries SET finished_at = finished_at - interval '8 days'
                WHERE number = (SELECT min(number) FROM deliveries)
            """)
        )
        deliveries.forget_old(connection, most=10)
        lines = connection.execute(text("SELECT count(*) FROM delivery_attempts")).scalar_one()

    assert len(log(api, webhook["id"])) == 1
    assert lines == 1
