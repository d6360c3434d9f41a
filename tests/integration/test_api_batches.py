"""Batches over HTTP: which are accepted, and which items are refused."""

import base64
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import Engine, event, text
from standardwebhooks import Webhook

from integration.batches import KEEP, PHOTO, batch, finish, items, post, submit
from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.problems.catalog import PAGES
from smart_filter_shared.artifacts import retention
from smart_filter_shared.ids import JobId
from smart_filter_tests.maintenance import collector
from smart_filter_tests.serving import Api, a_photo, refusal_of
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.webhook_receiver import a_receiver, send_due


def test_recipe_of_an_item_overrides_that_of_the_batch(api: Api) -> None:
    own = {"recipe": {"background": "color:red", "priority": "batch"}, "metadata": {"n": "7"}}
    common = {"background": "keep", "quality": 80, "metadata": {"for": "all"}}

    batch_ = submit(api, {"items": [*items(1), *items(1, **own)], "recipe": common})

    first, second = (api.job(item["job_id"]) for item in batch_["items"])
    shown = [
        [job["recipe"][name] for name in ("background", "quality", "priority")]
        for job in (first, second)
    ]
    assert shown == [["keep", 80, "standard"], ["color:red", 80, "batch"]]
    assert (first["metadata"], second["metadata"]) == ({"for": "all"}, {"for": "all", "n": "7"})
    assert {first["batch_id"], second["batch_id"]} == {batch_["id"]}


def test_refused_item_is_shown_and_the_others_run(api: Api) -> None:
    wrong = [
        {"photo_base64": base64.b64encode(b"no picture").decode()},
        {"photo_base64": "%%%"},
        {"photo_base64": PHOTO, "recipe": {"quality": 1000}},
        {"photo_base64": PHOTO, "colour": "red"},
        {},
        "text",
    ]

    batch_ = submit(api, {"items": [*items(1), *wrong], "recipe": KEEP})

    reported = [item["error"] and item["error"]["code"] for item in batch_["items"]]
    assert reported == [
        *(None, "unsupported_media", "malformed_request", "invalid_recipe", "invalid_recipe"),
        *("malformed_request", "malformed_request"),
    ]
    assert batch_["items"][3]["error"]["errors"][0]["pointer"] == "/items/3/quality"
    assert batch_["items"][3]["error"]["remedy"] == PAGES["invalid_recipe"].remedy
    assert [item["job_id"] is None for item in batch_["items"]] == [False] + [True] * 6
    assert (batch_["total"], batch_["failed"], batch_["state"]) == (7, 6, "running")
    finish(api, 1, PREPARE, COMPOSITE)
    ended = batch(api, batch_["id"])
    assert (ended["state"], ended["succeeded"], ended["failed"]) == ("finished", 1, 6)


def test_items_can_be_uploads_and_addresses(api: Api) -> None:
    photo = a_photo()
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    put, missing = (api.create("/v1/uploads", json=wish) for _ in range(2))
    httpx.put(put["put_url"], content=photo, headers=put["headers"], timeout=60).raise_for_status()
    sources = [
        *items(1),
        {"upload_id": put["upload_id"]},
        {"photo_url": "https://example.com/photo.jpg"},
        {"upload_id": missing["upload_id"]},
        {"upload_id": "6"},
        {"photo_url": "ftp://example.com/photo.jpg"},
        {"photo_url": 7},
    ]

    batch_ = submit(api, {"items": sources, "recipe": KEEP})

    reported = [item["error"] and item["error"]["code"] for item in batch_["items"]]
    assert reported == [
        *(None, None, None, "upload_missing", "invalid_request"),
        *("invalid_photo_url", "invalid_photo_url"),
    ]
    rows = api.bench.rows("SELECT photo_url, upload_id FROM jobs ORDER BY batch_index")
    assert [(row.photo_url, str(row.upload_id)) for row in rows] == [
        (None, "None"),
        (None, put["upload_id"]),
        ("https://example.com/photo.jpg", "None"),
    ]


def test_batch_of_empty_uploads_names_every_item(api: Api) -> None:
    wish = {"content_type": "image/jpeg", "bytes": len(a_photo())}
    uploads = [api.create("/v1/uploads", json=wish)["upload_id"] for _ in range(2)]

    answer = api.client.post(
        "/v1/batches", json={"items": [{"upload_id": upload} for upload in uploads], "recipe": KEEP}
    )

    assert refusal_of(answer) == (409, "upload_missing")
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["detail"].startswith("/items/0, /items/1: the upload has no photo yet")


def test_photos_of_a_batch_are_not_mixed_up(api: Api) -> None:
    photos = [a_photo(size=(width, 8)) for width in (8, 16, 24)]
    sent = [{"photo_base64": base64.b64encode(photo).decode()} for photo in photos]
    trick = {"metadata": {"photo_base64": "no photo"}, "photo_base64": PHOTO}

    batch_ = submit(api, {"items": [trick, *sent], "recipe": KEEP})

    stored = [
        api.bench.read(api.bench.job(JobId(uuid.UUID(item["job_id"]))).photo_key)
        for item in batch_["items"]
    ]
    assert stored == [a_photo(), *photos]
    assert api.job(batch_["items"][0]["job_id"])["metadata"] == {"photo_base64": "#0"}


def test_batch_that_does_not_fit_is_refused_as_a_whole(api: Api) -> None:
    api.limit(jobs_waiting=3)
    submit(api, {"items": items(2), "recipe": KEEP})

    full, too_large = (post(api, {"items": items(n), "recipe": KEEP}) for n in (2, 4))

    assert refusal_of(full) == (429, "queue_full")
    assert "Retry-After" in full.headers
    # A batch larger than the limit would never fit.
    assert refusal_of(too_large) == (422, "invalid_request")
    assert [error["pointer"] for error in too_large.json()["errors"]] == ["/items"]
    assert "Retry-After" not in too_large.headers
    assert api.leftovers()["jobs"] == 2


def test_megapixels_of_all_photos_count(api: Api) -> None:
    one = 48 * 32 / 1e6
    api.limit(megapixels_per_day=3 * one)

    refused = post(api, {"items": items(4), "recipe": KEEP})
    taken = post(api, {"items": items(3), "recipe": KEEP})

    assert refusal_of(refused) == (429, "rate_limited")
    assert taken.status_code == 202


def test_album_shows_ranks_and_gives_only_the_best_an_image(api: Api) -> None:
    batch_ = submit(api, {"items": items(3), "album": {"best": 1}, "recipe": KEEP})

    finish(api, 3, PREPARE, SEGMENTATION, FACE, SMILE)
    finish(api, 1, COMPOSITE)

    ended = batch(api, batch_["id"])
    jobs = [api.job(item["job_id"]) for item in ended["items"]]
    assert (ended["state"], ended["album"]["best"]) == ("finished", 1)
    assert [item["rank"] for item in ended["items"]] == [1, 2, 3]
    shown = [(job["rank"], job["state"], job["image"] is not None) for job in jobs]
    assert shown == [(rank, "succeeded", rank == 1) for rank in (1, 2, 3)]
    assert [sorted(job["outputs"]) for job in jobs] == [["image", "rating"], *[["rating"]] * 2]
    # The eye that is not seen does not count.
    assert jobs[1]["rank_terms"]["rating"] == round(100 * (0.8 * 0.2 + 0.2 * 1.0))
    assert [jobs[1]["rank_terms"][name] for name in ("of", "alike", "better")] == [3, 1, None]
    codes = [
        api.client.get(f"/v1/jobs/{jobs[1]['id']}/outputs/{name}").status_code
        for name in ("image", "rating")
    ]
    assert codes == [404, 200]


def test_take_is_a_job_besides_the_items_of_its_batch(api: Api) -> None:
    batch_ = submit(api, {"items": items(2), "album": {"best": "take"}, "recipe": KEEP})
    assert (batch_["total"], batch_["album"]["best"]) == (2, "take")
    waiting = batch_["take"]
    assert (waiting["state"], waiting["base"], waiting["swaps"]) == ("queued", None, [])

    finish(api, 2, PREPARE, SEGMENTATION, FACE, SMILE)
    running = batch(api, batch_["id"])
    finish(api, 1, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)

    ended = batch(api, batch_["id"])
    assert (running["state"], running["succeeded"]) == ("running", 2)
    assert (ended["state"], ended["succeeded"]) == ("finished", 2)
    assert [item["rank"] for item in ended["items"]] == [1, 2]
    take = api.read(ended["take"]["link"])
    assert (take["state"], take["recipe"]["background"]) == ("succeeded", "keep")
    assert sorted(take["outputs"]) == ["image", "rating"]
    listed = api.read("/v1/batches")["items"]
    assert [(row["total"], row["succeeded"]) for row in listed] == [(2, 2)]


@pytest.mark.parametrize("count", [1, 13])
def test_take_of_too_few_or_many_photos_is_refused_with_what_to_do(api: Api, count: int) -> None:
    answer = post(api, {"items": items(count), "album": {"best": "take"}, "recipe": KEEP})

    assert refusal_of(answer) == (422, "invalid_request")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/album/best"
    assert f"2 to 12 photos of the same people; the batch has {count}" in error["detail"]
    assert api.leftovers() == {}


def test_take_counts_as_a_job_of_the_queue(api: Api) -> None:
    api.limit(jobs_waiting=3)

    refused = post(api, {"items": items(3), "album": {"best": "take"}, "recipe": KEEP})
    taken = post(api, {"items": items(2), "album": {"best": "take"}, "recipe": KEEP})

    assert (refused.status_code, taken.status_code) == (422, 202)


def test_wait_ends_when_its_batch_is_deleted(api: Api) -> None:
    address = f"/v1/batches/{submit(api, {'items': items(2), 'recipe': KEEP})['id']}"

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(api.client.get, address, headers={"Prefer": "wait=60"})
        api.client.delete(address)

    assert refusal_of(answer.result()) == (410, "job_deleted")


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
    reported = json.loads(last["data"])
    assert (reported["type"], reported["data"]) == ("batch.finished", batch(api, batch_["id"]))
    assert again.status_code == 204


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


def test_batch_of_another_key_is_ended_by_administrators_alone(api: Api) -> None:
    batch_id = submit(api, {"items": items(2), "recipe": KEEP})["id"]

    own = {"headers": api.headers(Scope.SUBMIT)}
    canceled = api.client.post(f"/v1/batches/{batch_id}/cancel", **own)
    refused = api.client.delete(f"/v1/batches/{batch_id}", **own)
    deleted = api.client.delete(f"/v1/batches/{batch_id}")

    assert refusal_of(canceled) == refusal_of(refused) == (403, "scope")
    assert deleted.status_code == 204


def test_interrupted_deletion_is_finished_by_retention(api: Api) -> None:
    batch_ = submit(api, {"items": items(2), "album": {"best": 1}})
    api.bench.execute("UPDATE batches SET deleted_at = now() - interval '2 minutes'")
    retention_ = collector(api.bench)

    assert api.client.get(f"/v1/batches/{batch_['id']}").status_code == 410
    for _ in range(2):
        retention_.remove_expired()

    assert [kind for kind in api.leftovers() if kind != "messages"] == []
    assert api.client.get(f"/v1/batches/{batch_['id']}").status_code == 410


def test_batches_are_listed_newest_first(api: Api) -> None:
    made = [submit(api, {"items": items(count), "recipe": KEEP})["id"] for count in (1, 2, 3)]
    finish(api, 1, PREPARE, COMPOSITE)

    first = api.read("/v1/batches", params={"limit": 2})
    rest = api.read("/v1/batches", params={"cursor": first["next_cursor"]})

    assert [one["id"] for one in (*first["items"], *rest["items"])] == made[::-1]
    assert (rest["items"][0]["succeeded"], rest["items"][0]["state"]) == (1, "finished")
    assert rest["next_cursor"] is None
    assert "items" not in first["items"][0]


def test_jobs_of_a_batch_are_listed_in_pages(api: Api) -> None:
    batch_, _ = (submit(api, {"items": items(count), "recipe": KEEP}) for count in (3, 1))
    where = {"batch_id": batch_["id"], "limit": 2}

    first = api.read("/v1/jobs", params=where)
    rest = api.read("/v1/jobs", params=where | {"cursor": first["next_cursor"]})

    jobs = [*first["items"], *rest["items"]]
    assert {job["id"] for job in jobs} == {item["job_id"] for item in batch_["items"]}
    assert len(jobs) == 3
    assert rest["next_cursor"] is None


def test_end_of_a_batch_is_delivered_to_its_webhooks(api: Api) -> None:
    with a_receiver() as receiver:
        wish = {"url": receiver.url, "events": ["batch.finished"]}
        webhook = api.create("/v1/webhooks", json=wish)
        document = {"items": items(2), "recipe": KEEP, "webhook_url": f"{receiver.url}/own"}
        batch_ = submit(api, document)
        finish(api, 2, PREPARE, COMPOSITE)

        assert send_due(api.bench) == [2]

    got = {one.path: one for one in receiver.got}
    reported = Webhook(webhook["secret"]).verify(got["/hook"].body, dict(got["/hook"].headers))
    assert reported["type"] == "batch.finished"
    assert reported["data"] == batch(api, batch_["id"])
    assert json.loads(got["/hook/own"].body)["data"] == reported["data"]
    logs = [api.read(f"/v1/webhooks/{of}/deliveries")["items"] for of in (webhook["id"], "default")]
    assert [[one["batch_id"] for one in of] for of in logs] == [[batch_["id"]]] * 2


def test_batch_of_wrong_recipes_is_refused_after_a_hundred(api: Api) -> None:
    reads: list[str] = []

    def count(*executed: object) -> None:
        reads.append(str(executed[2]))

    event.listen(Engine, "before_cursor_execute", count)
    try:
        answer = post(api, {"items": items(1000, recipe={"background": "preset:none"})})
    finally:
        event.remove(Engine, "before_cursor_execute", count)

    assert refusal_of(answer) == (422, "invalid_recipe")
    assert "100 items are wrong; those after /items/99" in answer.json()["detail"]
    # The cached ones, and once more since they may be old.
    assert sum("FROM models" in read for read in reads) <= 2
    assert api.leftovers() == {}
