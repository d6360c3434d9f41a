"""Batches over HTTP: how they are waited for, and how they end."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from smart_filter_shared.jobs import retention, transitions
from smart_filter_shared.jobs.leases import Done
from smart_filter_shared.jobs.presence import CELL
from smart_filter_tests.batching import (
    COMPOSITE,
    KEEP,
    PREPARE,
    batch,
    finish,
    items,
    post,
    submit,
)
from smart_filter_tests.bench import KEEPING
from smart_filter_tests.deriving import FACTS
from smart_filter_tests.receiving import a_receiver, send_due
from smart_filter_tests.serving import Api
from smart_filter_workers.retention import Retention


def test_batch_has_a_tag(api: Api) -> None:
    batch_ = submit(api, {"items": items(1), "recipe": KEEP})
    address = f"/v1/batches/{batch_['id']}"
    tag = api.client.get(address).headers["ETag"]

    same = api.client.get(address, headers={"If-None-Match": tag})
    finish(api, 1, PREPARE, COMPOSITE)
    ended = api.client.get(address, headers={"If-None-Match": tag, "Prefer": "wait=60"})

    assert same.status_code == 304
    assert ended.json()["state"] == "finished"


def test_submission_that_waits_is_answered_at_the_end(api: Api) -> None:
    document = {"items": items(1), "recipe": KEEP}

    answer = while_waiting(
        lambda client: client.post("/v1/batches", json=document, headers={"Prefer": "wait=60"}),
        api,
        lambda: work(api),
    )

    assert (answer.status_code, answer.json()["state"]) == (200, "finished")
    assert answer.headers["Location"] == f"/v1/batches/{answer.json()['id']}"


def work(api: Api) -> None:
    """Do the work of one photo as soon as it is there."""
    while not (leases := api.bench.claim(PREPARE)):
        pass
    result = {"facts": FACTS[PREPARE], "arrays": {}, "files": {}}
    with api.bench.transaction() as connection:
        transitions.complete(connection, [Done(leases[0], result, 0.1, {})], KEEPING)
    finish_composite(api)


@pytest.mark.parametrize("end", ["finished", "deleted"])
def test_wait_ends_with_the_batch(api: Api, end: str) -> None:
    batch_ = submit(api, {"items": items(2), "recipe": KEEP})
    finish(api, 2, PREPARE)
    finish(api, 1, COMPOSITE)
    address = f"/v1/batches/{batch_['id']}"

    answer = while_waiting(
        lambda client: client.get(address, headers={"Prefer": "wait=60"}),
        api,
        lambda: finish_composite(api) if end == "finished" else api.client.delete(address),
    )

    if end == "finished":
        assert (answer.status_code, answer.json()["state"]) == (200, "finished")
        assert answer.headers["Preference-Applied"] == "wait=60"
    else:
        assert (answer.status_code, answer.json()["code"]) == (410, "job_deleted")


def while_waiting(
    ask: Callable[[httpx.Client], httpx.Response], api: Api, act: Callable[[], object]
) -> httpx.Response:
    """Ask, and act while that may be waiting; return the answer."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, api.client)
        act()
        return asked.result(60)


def finish_composite(api: Api) -> None:
    file = {"key": "last", "format": "image/jpeg", "width": 4, "height": 4, "bytes": 1}
    api.finish(COMPOSITE, {"facts": {}, "arrays": {}, "files": {"image": file}})


def test_events_show_progress_and_the_end(api: Api) -> None:
    batch_ = submit(api, {"items": items(2), "recipe": KEEP})
    finish(api, 2, PREPARE)
    finish(api, 1, COMPOSITE)
    address = batch_["links"]["events"]

    with api.client.stream("GET", address) as answer:
        lines = answer.iter_lines()
        progress = next(line for line in lines if line.startswith("data: "))
        finish_composite(api)
        end = [line for line in lines if line]
    last = dict(line.split(": ", 1) for line in end[-3:])
    again = api.client.get(address, headers={"Last-Event-ID": last["id"]})

    assert json.loads(progress.removeprefix("data: "))["type"] == "batch.progress"
    assert last["event"] == "batch.finished"
    told = json.loads(last["data"])
    assert (told["type"], told["data"]) == ("batch.finished", batch(api, batch_["id"]))
    assert again.status_code == 204


def test_canceled_batch_cancels_its_unfinished_jobs(api: Api) -> None:
    batch_ = submit(api, {"items": items(3), "recipe": KEEP})
    finish(api, 1, PREPARE, COMPOSITE)
    address = f"/v1/batches/{batch_['id']}"

    canceled = api.client.post(f"{address}/cancel")
    again = api.client.post(f"{address}/cancel")

    shown = canceled.json()
    assert canceled.status_code == 200
    assert (shown["state"], shown["succeeded"], shown["canceled"]) == ("finished", 1, 2)
    assert (again.status_code, again.json()["code"]) == (409, "job_final")


def test_deleted_batch_leaves_no_object(api: Api) -> None:
    document = {"items": items(3), "recipe": KEEP}
    batch_ = post(api, document, **{"Idempotency-Key": "one"}).json()
    finish(api, 1, PREPARE)

    answer = api.client.delete(f"/v1/batches/{batch_['id']}")

    assert answer.status_code == 204
    assert [kind for kind in api.leftovers() if kind != "messages"] == []
    gone = [
        api.client.get(f"/v1/batches/{batch_['id']}"),
        api.client.delete(f"/v1/batches/{batch_['id']}"),
        api.client.get(f"/v1/jobs/{batch_['items'][0]['job_id']}"),
        post(api, document, **{"Idempotency-Key": "one"}),
    ]
    assert [one.status_code for one in gone] == [410] * 4
    assert {one.json()["code"] for one in gone} == {"job_deleted"}
    with api.bench.transaction() as connection:
        left = [
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("batches", "batch_gaps", "events", "deliveries")
        ]
        assert left == [0] * 4
        assert retention.claim(connection, most=10) == []


def test_deletion_that_was_interrupted_is_ended_by_retention(api: Api) -> None:
    batch_ = submit(api, {"items": items(2), "album": {"best": 1}})
    with api.bench.transaction() as connection:
        connection.execute(text("UPDATE batches SET deleted_at = now() - interval '2 minutes'"))
    retention_ = Retention(api.bench.engine, api.bench.store, cell=CELL)

    assert api.client.get(f"/v1/batches/{batch_['id']}").status_code == 410
    for _ in range(2):
        retention_.remove_expired()

    assert [kind for kind in api.leftovers() if kind != "messages"] == []
    assert api.client.get(f"/v1/batches/{batch_['id']}").status_code == 410


def test_deleted_job_stays_an_item(api: Api) -> None:
    batch_ = submit(api, {"items": items(2), "recipe": KEEP})

    api.client.delete(f"/v1/jobs/{batch_['items'][0]['job_id']}")

    shown = batch(api, batch_["id"])
    assert [item["deleted"] for item in shown["items"]] == [True, False]
    assert (shown["total"], shown["canceled"]) == (2, 1)


def test_batches_are_listed_newest_first(api: Api) -> None:
    made = [submit(api, {"items": items(count), "recipe": KEEP})["id"] for count in (1, 2, 3)]
    finish(api, 1, PREPARE, COMPOSITE)

    first = api.client.get("/v1/batches", params={"limit": 2}).json()
    rest = api.client.get("/v1/batches", params={"cursor": first["next_cursor"]}).json()

    assert [one["id"] for one in (*first["items"], *rest["items"])] == made[::-1]
    assert (rest["items"][0]["succeeded"], rest["items"][0]["state"]) == (1, "finished")
    assert rest["next_cursor"] is None
    assert "items" not in first["items"][0]


def test_end_of_a_batch_is_delivered_to_its_webhooks(api: Api) -> None:
    with a_receiver() as receiver:
        wish = {"url": receiver.url, "events": ["batch.finished"]}
        webhook = api.client.post("/v1/webhooks", json=wish).json()
        document = {"items": items(2), "recipe": KEEP, "webhook_url": f"{receiver.url}/own"}
        batch_ = submit(api, document)
        finish(api, 2, PREPARE, COMPOSITE)

        assert send_due(api.bench) == [2]

    got = {one.path: one for one in receiver.got}
    told = Webhook(webhook["secret"]).verify(got["/hook"].body, dict(got["/hook"].headers))
    assert told["type"] == "batch.finished"
    assert told["data"] == batch(api, batch_["id"])
    assert json.loads(got["/hook/own"].body)["data"] == told["data"]
    logs = [
        api.client.get(f"/v1/webhooks/{of}/deliveries").json()["items"]
        for of in (webhook["id"], "default")
    ]
    assert [[one["batch_id"] for one in of] for of in logs] == [[batch_["id"]]] * 2
