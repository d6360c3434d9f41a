"""How long each tenant's things are kept: shown by listing the bucket."""

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
    PREPARE,
    SEGMENTATION,
    SMILE,
    House,
    seconds_kept,
)
from smart_filter_tests.serving import Api, a_photo
from smart_filter_workers.retention import Retention


@pytest.fixture
def house(api: Api) -> House:
    return House(api, Retention(api.bench.engine, api.bench.store, cell=CELL))


def test_tenants_things_are_kept_as_long_as_is_said_of_it(house: House) -> None:
    house.api.keep(input_seconds=HOUR, result_seconds=2 * HOUR)
    job_id = house.finished()
    told = house.api.job(job_id)

    house.pass_time(seconds=HOUR - MINUTE)
    all_of_it = house.bucket(job_id)
    house.pass_time(seconds=MINUTE)
    results = house.bucket(job_id)
    house.pass_time(seconds=HOUR)

    assert seconds_kept(told) == 2 * HOUR
    assert all_of_it == ["composite", "face", "photo", "prepare", "segmentation", "smile"]
    assert results == ["composite"]
    assert house.bucket(job_id) == []
    assert house.fetch(job_id, "image").json()["code"] == "output_expired"


def test_longer_than_the_settings_is_possible_too(house: House) -> None:
    house.api.keep(input_seconds=30 * DAY, result_seconds=60 * DAY)
    job_id = house.finished()

    house.pass_time(seconds=29 * DAY)

    assert len(house.bucket(job_id)) == 6
    assert house.fetch(job_id, "image").status_code == 200


def test_what_was_submitted_before_is_kept_as_it_was_said_then(house: House) -> None:
    before = house.finished()
    house.api.keep(input_seconds=0, result_seconds=MINUTE)
    after = house.finished()
    told = [seconds_kept(house.api.job(one)) for one in (before, after)]

    house.pass_time(seconds=MINUTE)

    assert told == [7 * DAY, MINUTE]
    assert (house.bucket(after), len(house.bucket(before))) == ([], 6)


def test_job_that_waits_keeps_its_photo_however_short_that_is(house: House) -> None:
    house.api.keep(input_seconds=0)
    job_id = house.api.submit()

    house.pass_time(seconds=HOUR)

    assert house.bucket(job_id) == ["photo"]


def test_other_tenants_things_are_kept_as_ever(house: House) -> None:
    house.api.keep(Tenant("other"), input_seconds=0, result_seconds=MINUTE)
    job_id = house.finished()

    house.pass_time(seconds=HOUR)

    assert len(house.bucket(job_id)) == 6


def test_what_was_read_from_the_photo_goes_with_the_results(house: House) -> None:
    job_id = house.finished()
    assert house.api.job(job_id)["faces"]
    assert house.api.job(job_id)["persons"]

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


def test_events_go_with_the_results(house: House) -> None:
    job_id = house.finished()
    before = house.rows("events", job_id)

    house.pass_time(seconds=7 * DAY)

    assert (before, house.rows("events", job_id)) == (8, 0)
    assert house.api.client.get(f"/v1/jobs/{job_id}/events").status_code == 204


def test_log_of_deliveries_goes_with_the_results_and_what_waits_is_still_sent(
    house: House,
) -> None:
    house.api.client.post("/v1/webhooks", json={"url": "https://example.com/told"})
    house.api.client.post("/v1/webhooks", json={"url": "https://example.com/late"})
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


def test_failed_job_whose_time_is_over_is_not_redriven(house: House) -> None:
    job_id = house.api.submit()
    house.api.fail(PREPARE, Failure("internal", "It broke", "why"))
    house.pass_time(seconds=7 * DAY)

    answer = house.api.client.post(f"/v1/jobs/{job_id}/redrive")

    assert (answer.status_code, answer.json()["code"]) == (410, "inputs_expired")


def test_row_of_a_version_that_did_not_say_is_kept_as_the_settings_say(house: House) -> None:
    job_id = house.api.submit(outputs="image,faces")
    house.api.bench.execute("UPDATE jobs SET keep_input_seconds = NULL, keep_result_seconds = NULL")
    for stage in StageName:
        house.run(stage)

    assert seconds_kept(house.api.job(job_id)) == KEEPING.result_seconds
