"""Batches over HTTP: what is taken, and what is refused item by item."""

import base64

import httpx
import pytest
from sqlalchemy import text

from smart_filter_tests.batching import (
    COMPOSITE,
    FACE,
    KEEP,
    PHOTO,
    PREPARE,
    SEGMENTATION,
    SMILE,
    batch,
    finish,
    items,
    post,
    submit,
)
from smart_filter_tests.serving import Api, a_photo


def test_batch_runs_a_job_for_each_photo(api: Api) -> None:
    batch_ = submit(api, {"items": items(3), "recipe": KEEP})

    assert [batch_[name] for name in ("state", "total", "succeeded", "failed", "canceled")] == [
        *("running", 3, 0, 0, 0)
    ]
    assert [item["index"] for item in batch_["items"]] == [0, 1, 2]
    job = api.job(batch_["items"][1]["job_id"])
    assert job["batch_id"] == batch_["id"]
    assert job["recipe"]["background"] == "keep"

    finish(api, 3, PREPARE, COMPOSITE)

    ended = batch(api, batch_["id"])
    assert [ended[name] for name in ("state", "succeeded", "failed")] == ["finished", 3, 0]


def test_recipe_of_an_item_goes_before_that_of_the_batch(api: Api) -> None:
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


def test_jobs_of_a_batch_stand_one_behind_the_other(api: Api) -> None:
    submit(api, {"items": items(3), "recipe": KEEP})

    with api.bench.transaction() as connection:
        ranks = connection.execute(
            text("SELECT DISTINCT rank FROM stages JOIN jobs ON id = job_id ORDER BY rank")
        ).scalars()
        gaps = [round(rank, 3) for rank in ranks]
        finish_ = connection.execute(text("SELECT finish FROM tenants")).scalar_one()
    assert gaps == [0.0, 0.2, 0.4]
    assert finish_ == pytest.approx(0.6)


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

    told = [item["error"] and item["error"]["code"] for item in batch_["items"]]
    assert told == [
        *(None, "unsupported_media", "malformed_request", "invalid_recipe", "invalid_recipe"),
        *("malformed_request", "malformed_request"),
    ]
    assert batch_["items"][3]["error"]["errors"][0]["pointer"] == "/quality"
    assert [item["job_id"] is None for item in batch_["items"]] == [False] + [True] * 6
    assert (batch_["total"], batch_["failed"], batch_["state"]) == (7, 6, "running")
    finish(api, 1, PREPARE, COMPOSITE)
    ended = batch(api, batch_["id"])
    assert (ended["state"], ended["succeeded"], ended["failed"]) == ("finished", 1, 6)


def test_items_may_be_uploads_and_addresses(api: Api) -> None:
    photo = a_photo()
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    put, missing = (api.client.post("/v1/uploads", json=wish).json() for _ in range(2))
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

    told = [item["error"] and item["error"]["code"] for item in batch_["items"]]
    assert told == [
        *(None, None, None, "upload_missing", "invalid_request", "invalid_recipe"),
        "invalid_recipe",
    ]
    with api.bench.transaction() as connection:
        rows = connection.execute(
            text("SELECT photo_url, upload_id FROM jobs ORDER BY batch_index")
        ).all()
    assert [(row.photo_url, str(row.upload_id)) for row in rows] == [
        (None, "None"),
        (None, put["upload_id"]),
        ("https://example.com/photo.jpg", "None"),
    ]


def test_photos_of_a_batch_are_not_mixed_up(api: Api) -> None:
    photos = [a_photo(size=(width, 8)) for width in (8, 16, 24)]
    sent = [{"photo_base64": base64.b64encode(photo).decode()} for photo in photos]
    trick = {"metadata": {"photo_base64": "no photo"}, "photo_base64": PHOTO}

    batch_ = submit(api, {"items": [trick, *sent], "recipe": KEEP})

    with api.bench.transaction() as connection:
        rows = connection.execute(text("SELECT photo_key FROM jobs ORDER BY batch_index"))
        stored = [api.bench.store.get(row.photo_key) for row in rows]
    assert stored == [a_photo(), *photos]
    assert api.job(batch_["items"][0]["job_id"])["metadata"] == {"photo_base64": "#0"}


def test_batch_that_does_not_fit_is_refused_whole(api: Api) -> None:
    api.limit(jobs_waiting=3)
    submit(api, {"items": items(2), "recipe": KEEP})

    full, too_large = (post(api, {"items": items(n), "recipe": KEEP}) for n in (2, 4))

    assert (full.status_code, full.json()["code"]) == (429, "queue_full")
    assert "Retry-After" in full.headers
    # A batch larger than the limit would never fit.
    assert (too_large.status_code, too_large.json()["code"]) == (422, "invalid_request")
    assert [error["pointer"] for error in too_large.json()["errors"]] == ["/items"]
    assert "Retry-After" not in too_large.headers
    assert api.leftovers()["jobs"] == 2


def test_megapixels_of_all_photos_count(api: Api) -> None:
    one = 48 * 32 / 1e6
    api.limit(megapixels_per_day=3 * one)

    refused = post(api, {"items": items(4), "recipe": KEEP})
    taken = post(api, {"items": items(3), "recipe": KEEP})

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert taken.status_code == 202


def test_same_key_is_answered_again_and_done_once(api: Api) -> None:
    document = {"items": items(2), "recipe": KEEP}
    key = {"Idempotency-Key": "one"}

    first, again = post(api, document, **key), post(api, document, **key)
    other = post(api, {**document, "album": {"best": 1}}, **key)

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.json()["code"] == "idempotency_mismatch"
    assert api.leftovers()["jobs"] == 2


def test_album_shows_ranks_and_gives_only_the_best_an_image(api: Api) -> None:
    batch_ = submit(api, {"items": items(3), "album": {"best": 1}, "recipe": KEEP})

    finish(api, 3, PREPARE, SEGMENTATION, FACE, SMILE)
    finish(api, 1, COMPOSITE)

    ended = batch(api, batch_["id"])
    jobs = [api.job(item["job_id"]) for item in ended["items"]]
    assert ended["state"] == "finished"
    assert ended["album"]["best"] == 1
    assert [item["rank"] for item in ended["items"]] == [1, 2, 3]
    assert [job["rank"] for job in jobs] == [1, 2, 3]
    assert [job["state"] for job in jobs] == ["succeeded"] * 3
    assert [job["image"] is not None for job in jobs] == [True, False, False]
    assert [sorted(job["outputs"]) for job in jobs] == [["image", "rating"], *[["rating"]] * 2]
    assert jobs[1]["rank_terms"]["rating"] == pytest.approx(0.8 * 0.2 + 0.2 * 0.5)
    assert [jobs[1]["rank_terms"][name] for name in ("of", "alike", "better")] == [3, 1, None]
    left_out = api.client.get(f"/v1/jobs/{jobs[1]['id']}/outputs/image")
    assert (left_out.status_code, left_out.json()["code"]) == (404, "not_found")
    assert api.client.get(f"/v1/jobs/{jobs[1]['id']}/outputs/rating").status_code == 200
