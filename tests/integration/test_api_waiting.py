"""Long polls and event streams of a job; requests that are retried under a key."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from integration.batches import KEEP, items
from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.artifacts import retention
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure
from smart_filter_tests.serving import Api, a_photo, refusal_of, serve_with
from smart_filter_tests.stored_results import STROKES, objects, run_stages, run_whole_job

PREPARE, COMPOSITE = StageName.PREPARE, StageName.COMPOSITE
# Long enough that only the awaited event ends the wait.
LONG = {"Prefer": "wait=60"}
ONCE = {"Idempotency-Key": "once"}
PHOTO = a_photo()


@dataclass(frozen=True, slots=True)
class Sent:
    id: int
    type: str
    data: dict[str, Any]


def sent(lines: Iterator[str]) -> Iterator[Sent]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield Sent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("path", "body", "stages"),
    [
        ("/v1/jobs", {**items(1)[0], "recipe": KEEP}, [PREPARE, COMPOSITE]),
        ("/v1/jobs/{parent}/derive", {"recipe": KEEP}, [COMPOSITE]),
        ("/v1/batches", {"items": items(1), "recipe": KEEP}, [PREPARE, COMPOSITE]),
    ],
    ids=["photo", "derivation", "batch"],
)
def test_submission_with_prefer_wait_returns_after_the_end(
    api: Api,
    thread: ThreadPoolExecutor,
    path: str,
    body: dict[str, object],
    stages: list[StageName],
) -> None:
    path = path.format(parent=run_whole_job(api, background="auto"))
    other = {**body, "recipe": {"background": "color:red"}}  # its picture is not reused
    before = jobs(api)

    waiting = thread.submit(api.client.post, path, json=body, headers=LONG)
    while jobs(api) == before:
        pass  # the request is on its way
    run_stages(api, *stages)
    ended = waiting.result()
    lines = [("Prefer", "respond-async"), ("Prefer", "wait=0")]
    accepted = api.client.post(path, json=other, headers=lines)

    assert ended.status_code == 200
    assert ended.json()["state"] in {"succeeded", "finished"}
    assert ended.headers["Preference-Applied"] == "wait=60"
    assert ended.headers["Location"].endswith(f"s/{ended.json()['id']}")
    assert (accepted.status_code, accepted.headers["Preference-Applied"]) == (202, "wait=0")


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/*", "image/png"),
        ("image/avif;q=0.8, IMAGE/webp", "image/png"),
        ("image/*, , */*;q=0", "image/png"),
        ("image/png, */*", "application/json"),
        ("image/png;q=0", "application/json"),
    ],
)
def test_submission_that_accepts_only_pictures_gets_the_picture(
    api: Api,
    thread: ThreadPoolExecutor,
    accept: str,
    media_type: str,
) -> None:
    waiting = submit_and_wait(api, thread, accept)
    run_stages(api, PREPARE, COMPOSITE)
    answer = waiting.result()

    job = answer.headers["Location"]
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.headers["Preference-Applied"] == "wait=60"
    if media_type == "image/png":
        assert answer.content == api.client.get(f"{job}/outputs/image").content
    else:
        assert answer.json() == api.read(job)


def submit_and_wait(api: Api, thread: ThreadPoolExecutor, accept: str) -> Future[httpx.Response]:
    """Submit a photo in the thread; return the answer to come once the job is there."""
    body = {**items(1)[0], "recipe": KEEP}
    headers = {**LONG, "Accept": accept}
    waiting = thread.submit(api.client.post, "/v1/jobs", json=body, headers=headers)
    while not jobs(api):
        pass  # the request is on its way
    return waiting


def test_server_that_stops_answers_the_requests_that_wait(
    api: Api, thread: ThreadPoolExecutor
) -> None:
    body = {**items(1)[0], "recipe": KEEP}
    followed_id = api.submit()
    headers = api.headers(*Scope)

    with httpx.Client(headers=headers, timeout=60) as client, ExitStack() as at_end:
        with serve_with(api.bench) as site:
            url = f"{site.url}/v1/jobs"
            stream = at_end.enter_context(client.stream("GET", f"{url}/{followed_id}/events"))
            events = sent(stream.iter_lines())
            first = next(events)
            waiting = thread.submit(client.post, url, json=body, headers=LONG)
            while len(jobs(api)) < 2:
                pass  # the submission is on its way
        more = list(events)
    answer = waiting.result()

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert (first.type, more) == ("job.queued", [])


def test_submission_that_accepts_only_pictures_gets_the_job_before_its_end(api: Api) -> None:
    body = {**items(1)[0], "recipe": KEEP}

    at_once, later = (
        api.client.post("/v1/jobs", json=body, headers={**prefer, "Accept": "image/*"})
        for prefer in ({}, {"Prefer": "wait=0"})
    )

    assert [at_once.status_code, later.status_code] == [202, 202]
    assert [at_once.json()["state"], later.json()["state"]] == ["queued", "queued"]


def test_submission_gets_no_picture_of_a_failed_job(api: Api, thread: ThreadPoolExecutor) -> None:
    waiting = submit_and_wait(api, thread, "image/*")
    api.fail(PREPARE, Failure("no_person", "No person", "the photo shows no person"))

    assert waiting.result().status_code == 406
    assert waiting.result().json()["code"] == "no_picture"
    assert waiting.result().json()["detail"].endswith(": the photo shows no person")


def test_request_with_an_etag_waits_until_the_job_changes(
    api: Api, thread: ThreadPoolExecutor
) -> None:
    job_id = api.submit(background="keep")
    first = api.client.get(f"/v1/jobs/{job_id}")
    known = {"If-None-Match": first.headers["ETag"]}

    assert api.client.get(f"/v1/jobs/{job_id}", headers=known).status_code == 304

    answer = thread.submit(api.client.get, f"/v1/jobs/{job_id}", headers={**known, **LONG})
    run_stages(api, PREPARE)

    assert answer.result().status_code == 200
    assert answer.result().headers["ETag"] != first.headers["ETag"]
    assert answer.result().json()["state"] == "running"


def test_waits_end_at_once_when_their_job_is_deleted(api: Api, thread: ThreadPoolExecutor) -> None:
    job_id = api.submit(background="keep")
    answer = thread.submit(api.client.get, f"/v1/jobs/{job_id}", headers=LONG)

    with api.client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        lines = stream.iter_lines()
        first = next(sent(lines))
        assert api.client.delete(f"/v1/jobs/{job_id}").status_code == 204
        rest = list(lines)

    assert first.type == "job.queued"
    assert [line for line in rest if line] == []  # no keep-alive comment either
    assert answer.result().status_code == 410
    assert answer.result().json()["code"] == "job_deleted"


def test_events_come_as_they_happen(api: Api) -> None:
    job_id = api.submit(background="keep")
    with api.client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        events = sent(answer.iter_lines())
        assert next(events).type == "job.queued"

        run_stages(api, PREPARE)

        assert [next(events).type, next(events).type] == ["job.running", "job.stage"]
        run_stages(api, COMPOSITE)
        assert [event.type for event in events] == ["job.stage", "job.succeeded"]


def post(
    api: Api, key: str, *, photo: bytes = PHOTO, path: str = "/v1/jobs", **fields: str
) -> httpx.Response:
    files, headers = {"photo": ("photo", photo)}, {"Idempotency-Key": key}
    return api.client.post(path, files=files, data=fields, headers=headers)


def jobs(api: Api) -> list[str]:
    return [job["id"] for job in api.read("/v1/jobs")["items"]]


def test_twenty_simultaneous_requests_are_one_job_and_one_photo(api: Api) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = [one.result() for one in [pool.submit(post, api, "twenty") for _ in range(20)]]

    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
        "idempotency_in_progress"
    }
    assert len(jobs(api)) == 1
    assert api.leftovers()["objects"] == 1


def test_key_with_another_request_is_refused(api: Api) -> None:
    post(api, "mine")

    others = [post(api, "mine", photo=a_photo("PNG")), post(api, "mine", background="keep")]
    others.append(post(api, "mine", path="/v1/jobs?expires_in=60"))

    assert [other.status_code for other in others] == [422, 422, 422]
    assert {other.json()["code"] for other in others} == {"idempotency_mismatch"}
    assert len(jobs(api)) == 1


def test_client_error_is_answered_again(api: Api) -> None:
    first, again = post(api, "bad", quality="0"), post(api, "bad", quality="0")

    assert (first.status_code, again.status_code) == (422, 422)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["content-type"] == "application/problem+json"
    assert first.json() == again.json()


def test_key_of_a_dead_request_is_free_after_a_minute(api: Api) -> None:
    claimed(api, "dead", seconds_ago=30)
    assert post(api, "dead").status_code == 422, "the fingerprint of the dead one is another"

    claimed(api, "dead", seconds_ago=61)

    assert post(api, "dead").status_code == 202


def test_key_is_forgotten_after_a_day(api: Api) -> None:
    post(api, "old")
    api.bench.execute("UPDATE requests SET claimed_at = claimed_at - interval '25 hours'")

    again = post(api, "old")
    with api.bench.transaction() as connection:
        retention.delete_old_requests(connection, most=10)
        kept = connection.execute(text("SELECT count(*) FROM requests")).scalar_one()

    assert "Idempotency-Replayed" not in again.headers
    assert len(jobs(api)) == 2
    assert kept == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/jobs", {**items(1)[0], "recipe": KEEP}),
        ("/v1/batches", {"items": items(2), "recipe": KEEP}),
        ("/v1/webhooks", {"url": "https://example.com/hook"}),
        ("/v1/uploads", {"content_type": "image/jpeg", "bytes": 9}),
        ("/v1/jobs/{parent}/corrections", STROKES),
        ("/v1/keys", {"scopes": ["read"]}),
        ("/v1/tokens", {"scopes": ["submit"]}),
        ("/v1/live", {}),
    ],
)
def test_document_retried_under_its_key_is_answered_again_and_executed_once(
    api: Api, path: str, body: object
) -> None:
    path = path.format(parent=run_whole_job(api, background="auto"))

    first = api.client.post(path, json=body, headers=ONCE)
    made = stored(api)
    again = api.client.post(path, json=body, headers=ONCE)

    assert first.is_success
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers.get("Location") == first.headers.get("Location")
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert stored(api) == made
    names = {"key", "token", "put_url", "secret"} & first.json().keys()
    remembered = str(api.bench.rows("SELECT * FROM requests"))
    assert [name for name in names if first.json()[name] in remembered] == []


def stored(api: Api) -> tuple[object, ...]:
    tables = ("batches", "corrections", "jobs", "keys", "uploads", "webhooks")
    return (
        *(api.bench.scalar(f"SELECT count(*) FROM {table}") for table in tables),
        objects(api),
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [("jobs/{job}/cancel", 200), ("jobs/{failed}/redrive", 202), ("batches/{batch}/cancel", 200)],
)
def test_operation_retried_under_its_key_is_answered_again(
    api: Api, path: str, status: int
) -> None:
    failed = api.submit(background="keep")
    api.fail(PREPARE, Failure("internal", "It broke", "why"))
    batch = api.create("/v1/batches", json={"items": items(2), "recipe": KEEP})["id"]
    path = f"/v1/{path}".format(job=api.submit(background="keep"), failed=failed, batch=batch)

    first, again = (api.client.post(path, headers=ONCE) for _ in range(2))

    assert (first.status_code, again.status_code) == (status, status)
    assert first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert api.client.post(path).status_code == 409


def test_text_of_a_refusal_is_not_stored(api: Api) -> None:
    fields = {f"unknown{number}": "x" for number in range(100)}

    first, again = (post(api, "wrong", **fields) for _ in range(2))

    assert [answer.status_code for answer in (first, again)] == [422, 422]
    assert [answer.json()["code"] for answer in (first, again)] == ["invalid_recipe"] * 2
    assert again.headers["Idempotency-Replayed"] == "true"
    stored = api.bench.scalar("SELECT octet_length(body) FROM requests")
    assert stored < 1000 < len(first.content)


def test_early_request_succeeds_later_under_its_key(api: Api) -> None:
    job_id = api.submit(background="keep")
    path = f"/v1/jobs/{job_id}/derive"

    early = api.client.post(path, json={"recipe": {}}, headers=ONCE)
    api.fail(PREPARE, Failure("internal", "It broke", "why"))
    later = api.client.post(path, json={"recipe": {}}, headers=ONCE)

    assert refusal_of(early) == (409, "job_not_finished")
    assert later.status_code == 202


def claimed(api: Api, key: str, *, seconds_ago: int) -> None:
    """Leave the row of a process that died while it handled a request."""
    api.bench.execute("DELETE FROM requests")
    api.bench.execute(
        """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at)
        VALUES ('tests', :key, 'of another', now() - make_interval(secs => :ago))
    """,
        key=key,
        ago=seconds_ago,
    )
