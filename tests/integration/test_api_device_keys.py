"""Device keys: what they may do, how many jobs they submit, and when they end."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx

from smart_filter_tests.serving import Api, a_photo, as_bearer, refusal_of
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import run_stages

TOKENS = "/v1/tokens"


def test_device_quota_is_exact_for_simultaneous_requests(api: Api) -> None:
    token = api.issue(path=TOKENS, scopes=["submit"], ttl_seconds=60, max_jobs=3)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.submit_with(token["key"]), range(8)))

    refused = [answer for answer in answers if answer.status_code != 202]
    assert [refusal_of(answer) for answer in refused] == [(403, "token_used_up")] * 5
    assert "POST /v1/tokens" in refused[0].json()["remedy"]
    assert api.leftovers()["jobs"] == api.leftovers()["objects"] == 3
    assert {answer.json()["id"] for answer in answers if answer.status_code == 202} == {
        job["id"] for job in api.read("/v1/jobs")["items"]
    }


def test_neither_a_refused_photo_nor_a_repeated_request_is_counted(api: Api) -> None:
    token = api.issue(path=TOKENS, max_jobs=1)
    header = as_bearer(token["key"])

    refused = api.post(b"no photo", headers=header)
    answers = [api.submit_with(token["key"], **{"Idempotency-Key": "mine"}) for _ in range(2)]

    assert refused.status_code == 415
    assert [answer.status_code for answer in answers] == [202, 202]


def test_null_counts_as_absent_in_a_request_for_a_device_key(api: Api) -> None:
    token = api.issue(path=TOKENS, scopes=None, ttl_seconds=None, max_jobs=None)

    assert (token["scopes"], token["max_jobs"]) == (["submit"], 1)


def test_device_can_only_submit_and_read_its_jobs(api: Api) -> None:
    key = api.issue(path=TOKENS, max_jobs=1)["key"]
    job = api.submit_with(key).json()["id"]

    answers = [
        api.client.request(method, f"/v1/{path}", headers=as_bearer(key))
        for method, path in (
            *(("POST", f"jobs/{job}/cancel"), ("POST", f"jobs/{job}/redrive")),
            *(("DELETE", f"jobs/{job}"), ("POST", f"jobs/{job}/derive"), ("GET", "jobs")),
            *(("GET", f"jobs/{job}/corrections"), ("GET", f"jobs/{job}/photo")),
            *(("GET", "usage"), ("GET", "keys")),
            *(("GET", "backgrounds"), ("GET", "models"), ("GET", "webhooks"), ("GET", "batches")),
            *(("POST", "tokens"), ("POST", "uploads"), ("POST", "live")),
        )
    ]

    assert {refusal_of(answer) for answer in answers} == {(403, "scope")}
    assert api.job(job)["state"] == "queued"


def test_device_reads_the_job_that_it_submitted(api: Api) -> None:
    key = api.issue(path=TOKENS, max_jobs=1)["key"]
    job = api.submit_with(key).json()["id"]
    run_stages(api, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)

    answers = {
        path: api.client.get(f"/v1/jobs/{job}{path}", headers=as_bearer(key))
        for path in ("", "/events", "/outputs/image")
    }

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(
        answers, 200
    )
    assert answers["/outputs/image"].content == b"made"
    assert "event: job.succeeded" in answers["/events"].text
    link = answers[""].json()["output_links"]["image"]
    assert httpx.get(link, timeout=60).content == b"made"


def test_devices_do_not_share_idempotency_keys(api: Api) -> None:
    keys = [api.issue(path=TOKENS, max_jobs=1)["key"] for _ in range(2)]
    photo = a_photo()

    jobs = [
        api.create(
            "/v1/jobs",
            headers={**as_bearer(key), "Idempotency-Key": "photo-1"},
            files={"photo": photo},
        )["id"]
        for key in (keys[0], keys[1], keys[0])
    ]

    assert jobs[0] == jobs[2] != jobs[1]


def test_job_of_another_key_does_not_exist_for_a_device(api: Api) -> None:
    mine, other = (api.issue(path=TOKENS, max_jobs=1)["key"] for _ in range(2))
    deleted = api.submit_with(mine).json()["id"]
    api.client.delete(f"/v1/jobs/{deleted}")
    jobs = [api.submit_with(other).json()["id"], api.submit(), deleted, str(uuid.uuid4())]

    answers = [
        api.client.get(f"/v1/jobs/{job}{path}", headers=as_bearer(mine))
        for job in jobs
        for path in ("", "/events", "/outputs/image", "/outputs/none")
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["detail"][:16] for answer in answers} == {"there is no job "}


def test_device_key_ends_with_the_key_that_issued_it(api: Api) -> None:
    parent = api.issue(scopes=["submit"], expires_in_seconds=60)
    token = api.create("/v1/tokens", json={"ttl_seconds": 3600}, headers=as_bearer(parent["key"]))
    assert token["expires_at"] == parent["expires_at"]

    api.client.delete(f"/v1/keys/{parent['key_id']}")

    assert api.submit_with(token["key"]).status_code == 401
