"""The photo of a job, to be looked at beside what was made of it."""

from collections.abc import Mapping

import httpx
import numpy as np
import pytest

from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.serving import Api, a_photo
from smart_filter_tests.teaching import artifacts_of
from smart_filter_workers import images
from smart_filter_workers.results import Prepared

PREVIEW = b"\xff\xd8\xff and so on" * 20_000
KEY = "2026-01-01/tests/made/preview.jpg"
PREVIEW_FILE = {"key": KEY, "media_type": "image/jpeg", "bytes": len(PREVIEW)}
TURNED = {"width": 32, "height": 48, "format": "jpg", "quarter_turns": 1}
PICTURES = ("", "?original=1")


def prepare(api: Api, files: Mapping[str, object]) -> str:
    """Submit a job and let its photo be prepared."""
    job_id = api.submit()
    api.finish(StageName.PREPARE, {"facts": TURNED, "arrays": {}, "files": files})
    return job_id


def prepared(api: Api) -> str:
    """Submit a job and let its photo be prepared, with a preview."""
    api.bench.store.put(KEY, PREVIEW, length=len(PREVIEW), media_type="image/jpeg")
    return prepare(api, {"preview": PREVIEW_FILE})


def fetch(api: Api, job_id: str, query: str = "", **headers: str) -> httpx.Response:
    return api.client.get(f"/v1/jobs/{job_id}/photo{query}", headers=headers)


def test_photo_is_shown_upright_as_soon_as_it_is_prepared(api: Api) -> None:
    job = api.job(prepared(api))

    answer = api.client.get(job["links"]["photo"])

    assert job["state"] == "running"
    assert answer.content == PREVIEW
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(PREVIEW))
    assert answer.headers["cache-control"] == "private, no-cache"


def test_original_is_the_photo_that_was_sent(api: Api) -> None:
    job_id = prepared(api)

    answer = fetch(api, job_id, "?original=1")

    assert answer.content == a_photo()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert api.job(job_id)["photo"] == TURNED


@pytest.mark.parametrize("query", PICTURES)
def test_photo_that_is_known_already_is_not_sent_again(api: Api, query: str) -> None:
    job_id = prepared(api)
    tag = fetch(api, job_id, query).headers["etag"]

    known = [
        fetch(api, job_id, query, **{"If-None-Match": one}).status_code for one in (tag, '"other"')
    ]

    assert known == [304, 200]


@pytest.mark.parametrize("query", PICTURES)
def test_photo_is_not_there_before_it_was_prepared(api: Api, query: str) -> None:
    answer = fetch(api, api.submit(), query)

    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_finished")


def test_photo_without_a_preview_is_had_as_it_was_sent(api: Api) -> None:
    unreadable = api.submit()
    api.fail(StageName.PREPARE, Failure("image_unreadable", "It cannot be read", "its end is off"))
    of_an_older_worker = prepare(api, {})

    answers = [fetch(api, job_id) for job_id in (unreadable, of_an_older_worker)]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "original=1" in answers[1].json()["detail"]
    assert fetch(api, of_an_older_worker, "?original=1").content == a_photo()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE artifacts SET expires_at = statement_timestamp()",
        "UPDATE artifacts SET marked_at = statement_timestamp()",
        "UPDATE jobs SET expired_at = statement_timestamp()",
    ],
)
def test_photo_that_is_kept_no_longer_has_expired(api: Api, change: str) -> None:
    job_id = prepared(api)
    with api.bench.transaction() as connection:
        connection.exec_driver_sql(change)

    answers = [fetch(api, job_id, query) for query in PICTURES]

    assert [one.status_code for one in answers] == [410, 410]
    assert {one.json()["code"] for one in answers} == {"inputs_expired"}


def test_preview_is_kept_as_long_as_the_photo(api: Api) -> None:
    api.submit()
    lease = api.bench.claim_one(StageName.PREPARE)
    proxy = np.zeros((4, 6, 3), np.uint8)
    preview = images.encode_jpeg(proxy, quality=85)

    kept = artifacts_of(api).keep(
        api.bench.job(lease.job_id), lease, Prepared(6, 4, "jpg", proxy, (), preview=preview)
    )

    assert {key.rpartition("/")[2]: kind for key, kind in kept.artifacts.items()} == {
        "proxy_srgb.npy": Kind.INTERMEDIATE,
        "preview.jpg": Kind.INTERMEDIATE,
    }


def test_photo_whose_object_is_gone_has_expired(api: Api) -> None:
    job_id = prepared(api)
    api.bench.store.remove(KEY)

    assert fetch(api, job_id).json()["code"] == "inputs_expired"
