"""How long each tenant's data is kept, or that it goes once it was fetched: by the bucket."""

import httpx
import pytest

from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import KEEPING
from smart_filter_tests.house import (
    COMPOSITE,
    DAY,
    FACE,
    HOUR,
    MINUTE,
    PICTURE,
    PREPARE,
    SEGMENTATION,
    SMILE,
    House,
    seconds_kept,
)
from smart_filter_tests.serving import Api, a_photo, fetched_and_gone
from smart_filter_workers.retention import Retention


@pytest.fixture
def house(api: Api) -> House:
    return House(api, Retention(api.bench.engine, api.bench.store, cell=CELL))


def test_data_is_kept_as_long_as_its_tenant_wants(house: House) -> None:
    house.api.keep(input_seconds=HOUR, result_seconds=2 * HOUR)
    job_id = house.finished()
    shown = house.api.job(job_id)

    house.pass_time(seconds=HOUR - MINUTE)
    fetched = [house.fetch(job_id, name).status_code for name in ("image", "faces", "image")]
    house.retention.remove_expired()
    all_of_it = house.bucket(job_id)
    house.pass_time(seconds=MINUTE)
    results = house.bucket(job_id)
    house.pass_time(seconds=HOUR)

    assert seconds_kept(shown) == 2 * HOUR
    assert fetched == [200, 200, 200]
    assert all_of_it == ["composite", "face", "photo", "prepare", "segmentation", "smile"]
    assert results == ["composite"]
    assert house.bucket(job_id) == []
    assert house.fetch(job_id, "image").json()["code"] == "output_expired"


def test_change_concerns_what_the_tenant_submits_from_then_on(house: House) -> None:
    before = house.finished()
    house.api.keep(input_seconds=0, result_seconds=MINUTE)
    house.api.keep(Tenant("other"), input_seconds=0, result_seconds=1)
    short = house.finished()
    house.api.keep(input_seconds=30 * DAY, result_seconds=60 * DAY)
    long = house.finished()
    seconds = [seconds_kept(house.api.job(one)) for one in (before, short, long)]

    house.pass_time(seconds=MINUTE)
    after_a_minute = [len(house.bucket(one)) for one in (before, short, long)]
    house.pass_time(seconds=29 * DAY)

    assert seconds == [7 * DAY, MINUTE, 60 * DAY]
    assert after_a_minute == [6, 0, 6]
    assert [len(house.bucket(one)) for one in (before, long)] == [0, 6]


def test_facts_of_the_photo_and_events_go_with_the_results(house: House) -> None:
    job_id = house.finished()
    assert house.api.job(job_id)["faces"]
    assert house.api.job(job_id)["persons"]
    assert house.rows("events", job_id) == 8

    house.pass_time(seconds=7 * DAY)
    job = house.api.job(job_id)

    found = ("photo", "people", "persons", "image", "faces", "rating", "printability", "frame")
    assert {name: job[name] for name in found} == dict.fromkeys(found)
    assert (job["state"], job["recipe"]["outputs"]) == ("succeeded", ["image", "faces"])
    assert house.row("SELECT photo_digest FROM jobs WHERE id = :id", job_id) is None
    query = "SELECT count(*) FROM stages WHERE job_id = :id AND result IS NOT NULL"
    assert house.row(query, job_id) == 0
    assert house.fetch(job_id, "faces").json()["code"] == "output_expired"
    assert house.fetch(job_id, "rating").status_code == 404
    assert house.rows("events", job_id) == 0
    assert house.api.client.get(f"/v1/jobs/{job_id}/events").status_code == 204


def test_log_of_deliveries_goes_with_the_results_and_the_waiting_stay(house: House) -> None:
    for path in ("sent", "late"):
        house.api.client.post("/v1/webhooks", json={"url": f"https://example.com/{path}"})
    job_id = house.finished()
    house.api.bench.execute("""
        WITH sent AS (
            UPDATE deliveries SET state = 'succeeded', finished_at = now()
            WHERE id = (SELECT id FROM deliveries LIMIT 1) RETURNING id
        )
        INSERT INTO delivery_attempts (delivery_id, at, seconds, status, answer)
        SELECT id, now(), 1, 200, 'thanks' FROM sent
    """)

    house.pass_time(seconds=7 * DAY)

    query = "SELECT state FROM deliveries WHERE job_id = :id"
    assert house.row(query, job_id) == "waiting"
    log = house.api.bench.scalar("SELECT count(*) FROM delivery_attempts")
    assert log == 0


def test_remembered_answer_goes_and_the_request_is_not_done_twice(house: House) -> None:
    house.api.keep(result_seconds=MINUTE)
    key = {"Idempotency-Key": "once"}
    sent = {"photo": ("photo", a_photo())}
    form = {"outputs": "image,faces"}
    first = house.api.client.post("/v1/jobs", files=sent, data=form, headers=key)
    for stage in StageName:
        house.run(stage)

    house.pass_time(seconds=MINUTE)
    again = house.api.client.post("/v1/jobs", files=sent, data=form, headers=key)

    assert (again.status_code, again.json()["code"]) == (410, "output_expired")
    assert first.json()["id"] in again.json()["detail"]
    assert len(house.api.client.get("/v1/jobs").json()["items"]) == 1


def test_failed_job_goes_on_while_its_photo_is_kept(house: House) -> None:
    house.api.keep(input_seconds=DAY, result_seconds=MINUTE)
    job_id = house.api.submit(outputs="image,faces")
    house.run(PREPARE)
    house.api.fail(SEGMENTATION, Failure("internal", "It broke", "why"))

    house.pass_time(seconds=DAY - MINUTE)
    kept = house.row("SELECT expired_at FROM jobs WHERE id = :id", job_id)
    redriven = house.api.client.post(f"/v1/jobs/{job_id}/redrive")
    for stage in (SEGMENTATION, FACE, SMILE, COMPOSITE):
        house.run(stage)

    assert (kept, redriven.status_code) == (None, 202)
    assert seconds_kept(house.api.job(job_id)) == MINUTE


def test_row_of_an_earlier_version_is_kept_as_the_settings_say(house: House) -> None:
    job_id = house.api.submit(outputs="image,faces")
    house.api.bench.execute("UPDATE jobs SET keep_input_seconds = NULL, keep_result_seconds = NULL")
    for stage in StageName:
        house.run(stage)

    assert seconds_kept(house.api.job(job_id)) == KEEPING.result_seconds


def test_nothing_is_kept_once_all_outputs_are_fetched(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    house.hand_over(job_id, "image")
    house.retention.remove_expired()
    after_one = len(house.bucket(job_id)), house.fetch(job_id, "image").content

    house.hand_over(job_id, "image", "faces")
    refused = house.fetch(job_id, "image")
    house.retention.remove_expired()

    assert after_one == (6, PICTURE)
    assert (refused.status_code, refused.json()["code"]) == (410, "output_expired")
    assert house.bucket(job_id) == []
    assert house.api.job(job_id)["faces"] is None
    assert house.fetch(job_id, "faces").json()["code"] == "output_expired"


def test_unfetched_output_and_failed_job_go_within_an_hour(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    failed = house.api.submit()
    house.api.fail(PREPARE, Failure("internal", "It broke", "why"))
    shown = house.api.job(job_id)

    house.pass_time(seconds=HOUR - MINUTE)
    before = len(house.bucket(job_id)), len(house.bucket(failed))
    house.pass_time(seconds=MINUTE)

    assert (seconds_kept(shown), before) == (HOUR, (6, 1))
    assert house.bucket(job_id) == house.bucket(failed) == []


def test_link_is_not_given_out_as_its_use_is_not_seen(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()

    answer = house.fetch(job_id, "image", redirect="1")

    assert (answer.status_code, answer.content) == (200, PICTURE)


@pytest.mark.parametrize("name", ["image", "faces"])
def test_client_that_leaves_after_the_last_byte_has_it_all(house: House, name: str) -> None:
    house.api.keep(nothing=True)
    job_ids = [house.finished() for _ in range(2)]

    for job_id in job_ids:
        url = f"/v1/jobs/{job_id}/outputs/{name}"
        fetched_and_gone(house.api.client.build_request("GET", url))

    for job_id in job_ids:
        house.noted(job_id, name)


def test_download_that_breaks_off_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    # More than all buffers on the way hold.
    job_id = house.finished(bytes(30_000_000))

    url = f"/v1/jobs/{job_id}/outputs/image"
    with house.api.client.stream("GET", url) as answer:
        next(answer.iter_raw())
    house.hand_over(job_id, "faces")

    assert house.handed_over(job_id) == ["faces"]


def test_answer_without_the_content_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    url = f"/v1/jobs/{job_id}/outputs/image"

    head = house.api.client.head(url)
    unchanged = house.api.client.get(url, headers={"If-None-Match": head.headers["ETag"]})
    house.hand_over(job_id, "faces")

    assert (head.status_code, unchanged.status_code) == (200, 304)
    assert house.handed_over(job_id) == ["faces"]


def test_upload_goes_when_no_job_has_to_take_it_any_more(house: House) -> None:
    house.api.keep(nothing=True)
    photo = a_photo()
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    upload = house.api.client.post("/v1/uploads", json=wish).json()
    httpx.put(upload["put_url"], content=photo, headers=upload["headers"]).raise_for_status()
    named = {"upload_id": upload["upload_id"], "recipe": {"outputs": ["image", "faces"]}}
    job_ids = [house.api.client.post("/v1/jobs", json=named).json()["id"] for _ in range(2)]

    left = []
    for job_id in job_ids:
        for stage in StageName:
            house.run(stage)
        house.hand_over(job_id, "image", "faces")
        house.retention.remove_expired()
        stored = [one.key for one in house.api.bench.store.stored()]
        left.append([key for key in stored if upload["upload_id"] in key])

    assert (len(left[0]), left[1]) == (1, [])
