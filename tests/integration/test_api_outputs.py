"""What a finished job hands out: its pictures, its documents, and what it found."""

import datetime as dt
from collections.abc import Mapping

import httpx
import pytest

from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.printable import PRINTABILITY
from smart_filter_tests.serving import Api, a_photo

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
IMAGE = b"\x89PNG and so on" * 20_000
KEY = "2026-01-01/tests/made/image.png"

FACE_FOUND = {
    "box": [10.0, 20.0, 30.0, 40.0],
    "score": 0.9,
    "landmarks": [[12.0, 30.0], [30.0, 30.0], [20.0, 40.0], [14.0, 50.0], [28.0, 50.0]],
}
BACKGROUND = {"kind": "preset", "name": "sunrise", "keywords": [], "reason": "It is warm."}
PHOTO = {"width": 640, "height": 480, "format": "jpg", "quarter_turns": 0}
PREPARED = {"width": 640, "height": 480, "format": "jpg", "proposals": []}
SEGMENTED = {"coverage": 0.25}
FOUND = {"faces": [FACE_FOUND]}
RATED = {
    "smiles": [{"level": "moderate", "score": 0.6}],
    "eyes": [{"left_open": True, "right_open": None}],
}
COMPOSED = {"background": BACKGROUND, "printability": PRINTABILITY}
DOCUMENTS = ("faces", "rating", "printability")
IMAGE_FILE = {
    "key": KEY,
    "media_type": "image/png",
    "width": 640,
    "height": 480,
    "format": "png",
    "bytes": len(IMAGE),
}
RATING = {
    "avg_smiling_score": 0.7,
    "open_eye_ratio": 0.5,
    "faces": 1,
    "open_eyes": 1,
    "weights": {"none": 0.2, "mild": 0.5, "moderate": 0.7, "huge": 1.0},
    "shares": {"smile": 0.8, "eyes": 0.2},
}
PREVIEW = b"\xff\xd8\xff and so on" * 20_000
PREVIEW_KEY = "2026-01-01/tests/made/preview.jpg"
PREVIEW_FILE = {"key": PREVIEW_KEY, "media_type": "image/jpeg", "bytes": len(PREVIEW)}
TURNED = {"width": 32, "height": 48, "format": "jpg", "quarter_turns": 1}
PICTURES = ("", "?original=1")


def result(facts: Mapping[str, object], **files: object) -> dict[str, object]:
    """Return what a worker stores for a stage."""
    return {"facts": facts, "arrays": {}, "files": files}


def finished(api: Api, outputs: str = "image,faces,rating,printability") -> str:
    job_id = api.submit(outputs=outputs)
    api.bench.store.put(KEY, IMAGE, length=len(IMAGE), media_type="image/png")
    api.finish(PREPARE, result(PREPARED))
    api.finish(SEGMENTATION, result(SEGMENTED))
    api.finish(FACE, result(FOUND))
    api.finish(SMILE, result(RATED))
    api.finish(COMPOSITE, result(COMPOSED, image=IMAGE_FILE))
    return job_id


def fetch(api: Api, job_id: str, name: str, **headers: str) -> httpx.Response:
    return api.client.get(f"/v1/jobs/{job_id}/outputs/{name}", headers=headers)


def test_finished_job_tells_all_that_was_found(api: Api) -> None:
    job = api.job(finished(api))

    assert job["state"] == "succeeded"
    assert job["photo"] == PHOTO
    assert job["image"] == {
        "width": 640,
        "height": 480,
        "format": "png",
        "bytes": len(IMAGE),
        "quality": None,
        "blurhash": None,
    }
    assert job["people"] == 1
    assert job["faces"] == [
        {
            **FACE_FOUND,
            "smile": {"level": "moderate", "score": 0.6},
            "emotion": None,
            "eyes": {"left_open": True, "right_open": None},
        }
    ]
    assert job["rating"] == {**RATING, "score": pytest.approx(0.8 * 0.7 + 0.2 * 0.5, abs=1e-9)}
    assert job["rating_reason"] is None
    assert job["background"] == {**BACKGROUND, "candidates": []}
    assert job["outputs"] == {
        name: f"/v1/jobs/{job['id']}/outputs/{name}"
        for name in ("image", "faces", "rating", "printability")
    }
    assert {stage["seconds"] for stage in job["stages"]} == {0.25}
    assert job["finished_at"] >= job["created_at"]
    kept = dt.datetime.fromisoformat(job["expires_at"]) - dt.datetime.fromisoformat(
        job["finished_at"]
    )
    assert kept == dt.timedelta(seconds=api.bench.settings.keep.result_seconds)


def test_image_is_streamed_with_its_headers_or_had_by_a_redirect_without_a_key(api: Api) -> None:
    job_id = finished(api)

    answer = fetch(api, job_id, "image")
    redirect = api.client.get(f"/v1/jobs/{job_id}/outputs/image?redirect=1")

    assert answer.content == IMAGE
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(IMAGE))
    assert answer.headers["etag"].startswith('"')
    assert redirect.status_code == 307
    assert httpx.get(redirect.headers["location"], timeout=60).content == IMAGE


def test_output_that_is_known_already_is_not_sent_again(api: Api) -> None:
    job_id = finished(api)

    for name in ("image", *DOCUMENTS):
        tag = fetch(api, job_id, name).headers["etag"]
        known = [fetch(api, job_id, name, **{"If-None-Match": one}) for one in (tag, '"other"')]
        assert [one.status_code for one in known] == [304, 200], name


def test_faces_rating_and_printability_are_the_documents_that_the_job_shows(api: Api) -> None:
    job = api.job(finished(api))

    documents = {name: fetch(api, job["id"], name) for name in DOCUMENTS}

    assert {name: answer.json() for name, answer in documents.items()} == {
        "faces": job["faces"],
        "rating": job["rating"],
        "printability": job["printability"],
    }
    assert job["printability"]["verdict"] == "poor"
    assert documents["faces"].headers["content-type"] == "application/json"


def test_output_is_not_there_before_the_job_has_finished_nor_when_it_was_canceled(api: Api) -> None:
    job_id = api.submit()

    early, not_asked_for = fetch(api, job_id, "image"), fetch(api, job_id, "matte")
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    late = fetch(api, job_id, "image")

    assert (early.status_code, early.json()["code"]) == (409, "job_not_finished")
    assert (not_asked_for.status_code, not_asked_for.json()["code"]) == (404, "not_found")
    assert (late.status_code, late.json()["code"]) == (404, "not_found")
    assert api.job(job_id)["outputs"] == {}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE artifacts SET expires_at = statement_timestamp()",
        "UPDATE artifacts SET marked_at = statement_timestamp()",
        "DELETE FROM artifacts",
    ],
)
def test_output_that_is_kept_no_longer_has_expired(api: Api, change: str) -> None:
    job_id = finished(api)
    api.bench.execute(change)

    for query in ("", "?redirect=1"):
        answer = api.client.get(f"/v1/jobs/{job_id}/outputs/image{query}")
        assert (answer.status_code, answer.json()["code"]) == (410, "output_expired")
    assert api.job(job_id)["state"] == "succeeded"


def test_output_whose_object_is_gone_has_expired(api: Api) -> None:
    job_id = finished(api)
    api.bench.store.remove(KEY)

    answer = fetch(api, job_id, "image")

    assert (answer.status_code, answer.json()["code"]) == (410, "output_expired")


def prepare(api: Api, files: Mapping[str, object]) -> str:
    job_id = api.submit()
    api.finish(StageName.PREPARE, {"facts": TURNED, "arrays": {}, "files": files})
    return job_id


def prepared(api: Api) -> str:
    api.bench.store.put(PREVIEW_KEY, PREVIEW, length=len(PREVIEW), media_type="image/jpeg")
    return prepare(api, {"preview": PREVIEW_FILE})


def fetch_photo(api: Api, job_id: str, query: str = "", **headers: str) -> httpx.Response:
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

    answer = fetch_photo(api, job_id, "?original=1")

    assert answer.content == a_photo()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert api.job(job_id)["photo"] == TURNED


@pytest.mark.parametrize("query", PICTURES)
def test_photo_is_not_there_before_it_was_prepared(api: Api, query: str) -> None:
    answer = fetch_photo(api, api.submit(), query)

    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_finished")


def test_photo_without_a_preview_is_had_as_it_was_sent(api: Api) -> None:
    unreadable = api.submit()
    api.fail(StageName.PREPARE, Failure("image_unreadable", "It cannot be read", "its end is off"))
    of_an_older_worker = prepare(api, {})

    answers = [fetch_photo(api, job_id) for job_id in (unreadable, of_an_older_worker)]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "original=1" in answers[1].json()["detail"]
    assert fetch_photo(api, of_an_older_worker, "?original=1").content == a_photo()


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

    answers = [fetch_photo(api, job_id, query) for query in PICTURES]

    assert [one.status_code for one in answers] == [410, 410]
    assert {one.json()["code"] for one in answers} == {"inputs_expired"}


def test_photo_whose_object_is_gone_has_expired(api: Api) -> None:
    job_id = prepared(api)
    api.bench.store.remove(PREVIEW_KEY)

    assert fetch_photo(api, job_id).json()["code"] == "inputs_expired"
