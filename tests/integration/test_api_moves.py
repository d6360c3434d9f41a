"""Delete and redrive over HTTP: what is left of a job, and what is answered about it."""

import uuid
from collections.abc import Callable

import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared.doorbell import queue_of
from smart_filter_shared.ids import JobId, Tenant, new_lease_token
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT, capability
from smart_filter_tests.outages import until
from smart_filter_tests.serving import Api, a_photo

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
FAILURE = Failure("model_failed", "A model failed", "ValueError in face")
PREPARED = {"facts": {"width": 48, "height": 32, "format": "jpg"}, "arrays": {}, "files": {}}
KEY = "2026-01-01/tests/made/image.png"
IMAGE = {"key": KEY, "media_type": "image/png", "format": "png", "bytes": 4}
COMPOSED = {"facts": {}, "arrays": {}, "files": {"image": {**IMAGE, "width": 1, "height": 1}}}


def finished(api: Api) -> str:
    """Submit a job that keeps its background, and let it succeed with one picture."""
    job_id = api.submit(background="keep")
    api.bench.store.put(KEY, b"made", length=4, media_type="image/png")
    api.finish(PREPARE, PREPARED)
    api.finish(COMPOSITE, COMPOSED)
    return job_id


def failed(api: Api) -> str:
    """Submit a job whose `face` fails after `prepare` has succeeded."""
    job_id = api.submit()
    api.finish(PREPARE, PREPARED)
    api.fail(FACE, FAILURE)
    return job_id


def until_rung(api: Api, *stages: StageName) -> None:
    """Return when the queues of these stages have been rung for; the ring follows the answer."""
    queues = {queue_of(capability(stage)) for stage in stages}
    until(lambda: all(api.bench.broker.llen(queue) for queue in queues))
    api.bench.broker.delete(*queues)


def with_a_background(api: Api) -> str:
    files = {"photo": ("p", a_photo()), "background_file": ("b", a_photo())}
    return str(api.client.post("/v1/jobs", files=files).json()["id"])


@pytest.mark.parametrize("submit", [with_a_background, finished])
def test_deleted_job_leaves_nothing_behind(api: Api, submit: Callable[[Api], str]) -> None:
    job_id = submit(api)
    until_rung(api, PREPARE)

    answer = api.client.delete(f"/v1/jobs/{job_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert api.leftovers() == {}
    assert api.client.get("/v1/jobs").json()["items"] == []


def test_deleted_job_leaves_nothing_of_a_worker_that_died(api: Api) -> None:
    job_id = api.submit()
    ours = JobId(uuid.UUID(job_id))
    key = keys.artifact(TENANT, ours, StageName.COMPOSITE, new_lease_token(), "image.jpg")
    api.bench.store.put(key, b"a face", length=6, media_type="image/jpeg")

    answer = api.client.delete(f"/v1/jobs/{job_id}")

    assert answer.status_code == 204
    assert [stored.key for stored in api.bench.store.stored()] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", "/cancel"),
        ("POST", "/redrive"),
        ("GET", "/outputs/image"),
        ("GET", "/photo"),
        ("DELETE", ""),
    ],
)
def test_deleted_job_says_so_to_its_owner_alone(api: Api, method: str, path: str) -> None:
    job_id = finished(api)
    api.client.delete(f"/v1/jobs/{job_id}")
    stranger = {"Authorization": f"Bearer {api.key(*Scope, tenant=Tenant('others'))}"}

    owner = api.client.request(method, f"/v1/jobs/{job_id}{path}")
    other = api.client.request(method, f"/v1/jobs/{job_id}{path}", headers=stranger)

    assert (owner.status_code, owner.json()["code"]) == (410, "job_deleted")
    assert (other.status_code, other.json()["code"]) == (404, "not_found")


def test_failed_job_is_not_redriven_into_a_full_queue(api: Api) -> None:
    api.limit(jobs_waiting=1)
    job_id = failed(api)
    api.post(a_photo())

    answer = api.client.post(f"/v1/jobs/{job_id}/redrive")

    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert "Retry-After" in answer.headers


def test_redriven_job_goes_on_from_its_succeeded_stages(api: Api) -> None:
    job_id = failed(api)

    answer = api.client.post(f"/v1/jobs/{job_id}/redrive")

    job = answer.json()
    assert answer.status_code == 202
    assert (job["state"], job["error"], job["finished_at"]) == ("running", None, None)
    assert {stage["name"]: stage["state"] for stage in job["stages"]} == {
        "prepare": "succeeded",
        "segmentation": "ready",
        "face": "ready",
        "smile": "waiting",
        "composite": "waiting",
    }
    until_rung(api, SEGMENTATION, FACE)


def test_only_a_failed_job_is_redriven(api: Api) -> None:
    succeeded, canceled, unfinished = finished(api), api.submit(), api.submit()
    api.client.post(f"/v1/jobs/{canceled}/cancel")

    answers = [
        api.client.post(f"/v1/jobs/{job_id}/redrive")
        for job_id in (succeeded, canceled, unfinished)
    ]

    assert [answer.status_code for answer in answers] == [409] * 3
    assert [answer.json()["code"] for answer in answers] == [
        *("job_final", "job_final", "job_not_finished")
    ]


def test_job_whose_photo_is_kept_no_longer_cannot_be_redriven(api: Api) -> None:
    job_id = failed(api)
    with api.bench.transaction() as connection:
        connection.exec_driver_sql("UPDATE artifacts SET expires_at = statement_timestamp()")

    answer = api.client.post(f"/v1/jobs/{job_id}/redrive")

    assert (answer.status_code, answer.json()["code"]) == (410, "inputs_expired")
    assert api.job(job_id)["state"] == "failed"
