"""A request that is sent again under its key is answered again and done once."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import text

from smart_filter_shared.jobs import retention
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.serving import Api, a_photo

PHOTO = a_photo()


def post(api: Api, key: str, *, photo: bytes = PHOTO, **fields: str) -> httpx.Response:
    return api.client.post(
        "/v1/jobs", files={"photo": ("photo", photo)}, data=fields, headers={"Idempotency-Key": key}
    )


def jobs(api: Api) -> list[str]:
    return [job["id"] for job in api.client.get("/v1/jobs").json()["items"]]


def test_same_request_is_answered_again_and_done_once(api: Api) -> None:
    first, again = post(api, '"a key"'), post(api, '"a key"')

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert jobs(api) == [first.json()["id"]]
    assert api.leftovers()["objects"] == 1


def test_twenty_at_once_are_one_job_and_one_photo(api: Api) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = [one.result() for one in [pool.submit(post, api, "twenty") for _ in range(20)]]

    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
        "idempotency_in_progress"
    }
    assert len(jobs(api)) == 1
    assert api.leftovers()["objects"] == 1


def test_key_is_for_one_request(api: Api) -> None:
    post(api, "mine")

    others = [post(api, "mine", photo=a_photo("PNG")), post(api, "mine", background="keep")]

    assert [other.status_code for other in others] == [422, 422]
    assert {other.json()["code"] for other in others} == {"idempotency_mismatch"}
    assert len(jobs(api)) == 1


def test_fault_of_the_client_is_answered_again(api: Api) -> None:
    first, again = post(api, "bad", quality="0"), post(api, "bad", quality="0")

    assert (first.status_code, again.status_code) == (422, 422)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["content-type"] == "application/problem+json"
    assert first.json() == again.json()


def test_key_whose_request_died_is_free_after_a_minute(api: Api) -> None:
    claimed(api, "dead", seconds_ago=30)
    assert post(api, "dead").status_code == 422, "the fingerprint of the dead one is another"

    claimed(api, "dead", seconds_ago=61)

    assert post(api, "dead").status_code == 202


def test_key_is_forgotten_after_a_day(api: Api) -> None:
    post(api, "old")
    api.bench.execute("UPDATE requests SET claimed_at = claimed_at - interval '25 hours'")

    again = post(api, "old")
    with api.bench.transaction() as connection:
        retention.forget_requests(connection, most=10)
        kept = connection.execute(text("SELECT count(*) FROM requests")).scalar_one()

    assert "Idempotency-Replayed" not in again.headers
    assert len(jobs(api)) == 2
    assert kept == 1


@pytest.mark.parametrize(("move", "status"), [("cancel", 200), ("redrive", 202)])
def test_move_sent_again_under_its_key_is_answered_again(api: Api, move: str, status: int) -> None:
    job_id = api.submit(background="keep")
    if move == "redrive":
        api.fail(StageName.PREPARE, Failure("internal", "It broke", "why"))
    path, key = f"/v1/jobs/{job_id}/{move}", {"Idempotency-Key": "once"}

    first, again = (api.client.post(path, headers=key) for _ in range(2))

    assert (first.status_code, again.status_code) == (status, status)
    assert first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert api.client.post(path).status_code == 409


def test_request_that_came_too_early_succeeds_under_its_key_later(api: Api) -> None:
    job_id = api.submit(background="keep")
    key = {"Idempotency-Key": "early"}

    def derive() -> httpx.Response:
        return api.client.post(f"/v1/jobs/{job_id}/derive", json={"recipe": {}}, headers=key)

    early = derive()
    api.fail(StageName.PREPARE, Failure("internal", "It broke", "why"))
    later = derive()

    assert (early.status_code, early.json()["code"]) == (409, "job_not_finished")
    assert later.status_code == 202


def claimed(api: Api, key: str, *, seconds_ago: int) -> None:
    """Leave behind what a process leaves that died while it worked on a request."""
    api.bench.execute("DELETE FROM requests")
    api.bench.execute(
        """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at)
        VALUES ('tests', :key, 'of another', now() - make_interval(secs => :ago))
    """,
        key=key,
        ago=seconds_ago,
    )
