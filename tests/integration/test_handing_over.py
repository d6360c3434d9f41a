"""A tenant that wants nothing kept: what goes when its outputs have been fetched."""

import httpx
import pytest

from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.house import HOUR, MINUTE, PICTURE, PREPARE, House, seconds_kept
from smart_filter_tests.serving import Api, a_photo, fetched_and_gone
from smart_filter_workers.retention import Retention


@pytest.fixture
def house(api: Api) -> House:
    return House(api, Retention(api.bench.engine, api.bench.store, cell=CELL))


def test_nothing_is_kept_once_all_outputs_are_fetched(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    assert house.fetch(job_id, "image").content == PICTURE

    house.hand_over(job_id, "image", "faces")
    refused = house.fetch(job_id, "image")
    house.retention.remove_expired()

    assert (refused.status_code, refused.json()["code"]) == (410, "output_expired")
    assert house.bucket(job_id) == []
    assert house.api.job(job_id)["faces"] is None
    assert house.fetch(job_id, "faces").json()["code"] == "output_expired"


def test_all_is_kept_while_an_output_is_not_fetched(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()

    house.hand_over(job_id, "image")
    house.retention.remove_expired()

    assert len(house.bucket(job_id)) == 6
    assert house.fetch(job_id, "image").status_code == 200
    assert house.fetch(job_id, "faces").status_code == 200


def test_what_nobody_fetches_goes_within_an_hour(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    told = house.api.job(job_id)

    house.pass_time(seconds=HOUR - MINUTE)
    before = len(house.bucket(job_id))
    house.pass_time(seconds=MINUTE)

    assert (seconds_kept(told), before, house.bucket(job_id)) == (HOUR, 6, [])


def test_failed_job_of_which_nothing_is_to_be_kept_goes_within_an_hour(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.api.submit()
    house.api.fail(PREPARE, Failure("internal", "It broke", "why"))

    house.pass_time(seconds=HOUR)

    assert house.bucket(job_id) == []


def test_link_is_not_given_out_where_nobody_could_tell_when_it_is_used(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()

    answer = house.fetch(job_id, "image", redirect="1")

    assert (answer.status_code, answer.content) == (200, PICTURE)


@pytest.mark.parametrize("name", ["image", "faces"])
def test_client_that_leaves_after_the_last_byte_has_it_all(house: House, name: str) -> None:
    house.api.keep(nothing=True)
    job_ids = [house.finished() for _ in range(5)]

    for job_id in job_ids:
        url = f"/v1/jobs/{job_id}/outputs/{name}"
        fetched_and_gone(house.api.client.build_request("GET", url))

    for job_id in job_ids:
        house.noted(job_id, name)


def test_asking_for_the_head_of_an_output_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()

    heads = [
        house.api.client.head(f"/v1/jobs/{job_id}/outputs/{name}") for name in ("image", "faces")
    ]
    house.hand_over(job_id, "faces")

    assert [answer.status_code for answer in heads] == [200, 200]
    assert house.handed_over(job_id) == ["faces"]


def test_download_that_breaks_off_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    # More than all buffers on the way hold.
    job_id = house.finished(bytes(30_000_000))

    url = f"/v1/jobs/{job_id}/outputs/image"
    with house.api.client.stream("GET", url) as answer:
        next(answer.iter_raw())
    house.hand_over(job_id, "faces")

    assert house.handed_over(job_id) == ["faces"]


def test_answer_that_the_client_has_already_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    tag = house.fetch(job_id, "image").headers["ETag"]
    house.hand_over(job_id, "image")
    house.api.bench.execute("UPDATE jobs SET handed_over = '{}'")

    url = f"/v1/jobs/{job_id}/outputs/image"
    answer = house.api.client.get(url, headers={"If-None-Match": tag})
    house.hand_over(job_id, "faces")

    assert answer.status_code == 304
    assert "image" not in house.handed_over(job_id)


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


def test_other_tenants_jobs_are_fetched_as_often_as_they_want(house: House) -> None:
    job_id = house.finished()

    statuses = [house.fetch(job_id, name).status_code for name in ("image", "faces", "image")]
    house.retention.remove_expired()

    assert statuses == [200, 200, 200]
    assert house.handed_over(job_id) == []
    assert len(house.bucket(job_id)) == 6
