"""Submit, look at, list and cancel jobs over HTTP."""

import base64
import uuid
from collections.abc import Callable

import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared.doorbell import queue_of
from smart_filter_shared.filters import FILTERS
from smart_filter_shared.ids import JobId, Tenant, new_lease_token
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT, capability
from smart_filter_tests.outages import until
from smart_filter_tests.serving import Api, Clock, a_photo

PHOTO = a_photo()
BASE64 = base64.b64encode(PHOTO).decode()
PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
FAILURE = Failure("model_failed", "A model failed", "ValueError in face")
PREPARED = {"facts": {"width": 48, "height": 32, "format": "jpg"}, "arrays": {}, "files": {}}
KEY = "2026-01-01/tests/made/image.png"
IMAGE = {"key": KEY, "media_type": "image/png", "format": "png", "bytes": 4}
COMPOSED = {"facts": {}, "arrays": {}, "files": {"image": {**IMAGE, "width": 1, "height": 1}}}


def test_photo_is_stored_as_it_came(api: Api) -> None:
    photo = a_photo("PNG", size=(700, 700)) + bytes(1_500_000)

    job_id = api.post(photo).json()["id"]

    key = api.bench.job(JobId(uuid.UUID(job_id))).photo_key
    assert api.bench.store.get(key) == photo


def test_background_file_is_stored_beside_the_photo_and_asked_for(api: Api) -> None:
    background = a_photo("PNG", size=(9, 9))
    files = {"background_file": ("b", background), "photo": ("p", a_photo())}

    answer = api.client.post("/v1/jobs", files=files)

    row = api.bench.job(JobId(uuid.UUID(answer.json()["id"])))
    assert answer.json()["recipe"]["background"] == "file"
    assert row.background_key == row.photo_key.removesuffix("photo") + "background"
    assert api.bench.store.get(row.background_key) == background


def test_priority_and_time_of_a_job_are_answered(api: Api) -> None:
    job = api.job(api.submit(priority="batch", run_at="2999-01-31T12:00:00+01:00"))

    assert job["recipe"]["priority"] == "batch"
    assert job["recipe"]["run_at"] == "2999-01-31T11:00:00Z"
    assert {stage["state"] for stage in job["stages"]} == {"waiting"}


def test_job_without_any_model_for_it_is_refused(api: Api, clock: Clock) -> None:
    with api.bench.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM models WHERE task = 'smile'")
    clock.make_old()  # models are remembered for a second

    answer = api.post(a_photo())

    assert (answer.status_code, answer.json()["code"]) == (422, "not_available")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/smile/model"]
    assert api.leftovers() == {}


def test_list_is_newest_first_and_goes_on_with_its_cursor(api: Api) -> None:
    newest_first = [api.submit() for _ in range(5)][::-1]

    pages = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.client.get(
            "/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        )
        pages.append([job["id"] for job in page.json()["items"]])
        cursor = page.json()["next_cursor"]

    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]


def test_list_is_narrowed_by_state_metadata_and_time(api: Api) -> None:
    canceled, running = (api.submit() for _ in range(2))
    api.client.post(f"/v1/jobs/{canceled}/cancel")
    api.bench.claim_one(StageName.PREPARE)
    api.submit(metadata__album="beach", metadata__day="1")
    second = api.submit(metadata__album="beach", metadata__day="2")
    after = api.job(second)["created_at"]
    third = api.submit(metadata__album="beach", metadata__day="2")

    def found(**query: str) -> list[str]:
        page = api.client.get("/v1/jobs", params=query).json()
        return [job["id"] for job in page["items"]]

    assert found(state="running") == [running]
    assert found(state="canceled") == [canceled]
    assert found(state="succeeded") == []
    assert found(**{"metadata.album": "beach", "metadata.day": "2"}) == [third, second]
    assert found(state="queued", created_after=after) == [third]


def test_filters_are_listed_with_their_parameters(api: Api) -> None:
    items = {one["name"]: one for one in api.client.get("/v1/filters").json()["items"]}

    assert set(items) == {card.name for card in FILTERS}
    assert items["hat"]["needs"] == "faces"
    assert "crown" in items["hat"]["parameters"]["properties"]["kind"]["enum"]
    assert items["caption"]["parameters"]["required"] == ["text"]


@pytest.mark.parametrize("scheme", ["", "data:image/jpeg;base64,"])
def test_photo_in_base64_is_stored_unchanged(api: Api, scheme: str) -> None:
    answer = api.client.post("/v1/jobs", json={"photo_base64": scheme + BASE64})

    assert answer.status_code == 202
    job = api.bench.job(JobId(uuid.UUID(answer.json()["id"])))
    assert api.bench.store.get(job.photo_key) == PHOTO


def test_recipe_of_a_job_can_be_sent_again(api: Api) -> None:
    recipe = {
        "background": "color:red",
        "crop": "true",
        "filters": ["hat", "caption"],
        "filters.hat.kind": "santa",
        "filters.caption.text": "Ho, ho",
        "roi": "0% 0% 100% 100%",
    }
    first = api.client.post("/v1/jobs", json={"photo_base64": BASE64, "recipe": recipe}).json()

    again = api.client.post("/v1/jobs", json={"photo_base64": BASE64, "recipe": first["recipe"]})

    assert again.status_code == 202, again.text
    assert again.json()["recipe"] == first["recipe"]


def finished(api: Api) -> str:
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


def test_deleted_job_says_so_to_its_owner_alone(api: Api) -> None:
    job_id = finished(api)
    api.client.delete(f"/v1/jobs/{job_id}")
    stranger = api.headers(*Scope, tenant=Tenant("others"))

    for method, path in (
        *(("GET", ""), ("POST", "/cancel"), ("POST", "/redrive")),
        *(("GET", "/outputs/image"), ("GET", "/photo"), ("DELETE", "")),
    ):
        owner = api.client.request(method, f"/v1/jobs/{job_id}{path}")
        other = api.client.request(method, f"/v1/jobs/{job_id}{path}", headers=stranger)

        assert (owner.status_code, owner.json()["code"]) == (410, "job_deleted"), path
        assert (other.status_code, other.json()["code"]) == (404, "not_found"), path


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


def test_job_whose_photo_is_kept_no_longer_cannot_be_redriven(api: Api) -> None:
    job_id = failed(api)
    with api.bench.transaction() as connection:
        connection.exec_driver_sql("UPDATE artifacts SET expires_at = statement_timestamp()")

    answer = api.client.post(f"/v1/jobs/{job_id}/redrive")

    assert (answer.status_code, answer.json()["code"]) == (410, "inputs_expired")
    assert api.job(job_id)["state"] == "failed"
