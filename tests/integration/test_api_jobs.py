"""Jobs over HTTP: submitted, listed, deleted, redriven; their outputs, ETA and deadlines."""

import base64
import uuid
from collections.abc import Callable, Mapping

import httpx
import pytest
from sqlalchemy import text

from integration.retention_api import retention_seconds
from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.doorbell import queue_name
from smart_filter_shared.eta import stage_times
from smart_filter_shared.eta.stage_times import Moments
from smart_filter_shared.ids import JobId, LeaseToken, Tenant
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads
from smart_filter_shared.queue.leases import Failure
from smart_filter_shared.storage import keys
from smart_filter_tests import scenarios
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.later import next_week
from smart_filter_tests.outages import wait_until
from smart_filter_tests.print_results import PRINTABILITY
from smart_filter_tests.serving import Api, Clock, a_photo, refusal_of
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import run_stages, run_whole_job

PHOTO = a_photo()
BASE64 = base64.b64encode(PHOTO).decode()
FAILURE = Failure("model_failed", "A model failed", "ValueError in face")
IMAGE = b"\x89PNG and so on" * 20_000
MADE = "2026-01-01/tests/made/image.png"
MADE_IMAGE = {"width": 640, "height": 480, "format": "png", "bytes": len(IMAGE)}
DOCUMENTS = ("faces", "rating", "printability")
PREVIEW = b"\xff\xd8\xff and so on" * 20_000
PREVIEW_KEY = "2026-01-01/tests/made/preview.jpg"
PREVIEW_FILE = {"key": PREVIEW_KEY, "media_type": "image/jpeg", "bytes": len(PREVIEW)}
TURNED = {"width": 32, "height": 48, "format": "jpg", "quarter_turns": 1}
PICTURES = ("", "?original=1")


def test_photo_is_stored_unchanged(api: Api) -> None:
    photo = a_photo("PNG", size=(700, 700)) + bytes(1_500_000)

    job_id = api.post(photo).json()["id"]

    key = api.bench.job(JobId(uuid.UUID(job_id))).photo_key
    assert api.bench.read(key) == photo


def test_harmonise_is_read_as_harmonize(api: Api) -> None:
    parent = run_whole_job(api, background="auto", harmonize="0.9")
    harmonise = {"recipe": {"harmonise": 0.4}}

    answers = [
        api.post(PHOTO, {"harmonise": "0.4"}),
        api.client.post("/v1/jobs", json={"photo_base64": BASE64, **harmonise}),
        api.client.post(f"/v1/jobs/{parent}/derive", json=harmonise),
        api.client.post(f"/v1/jobs/{parent}/derive", files={"harmonise": (None, "0.4")}),
    ]

    assert [answer.json()["recipe"]["harmonize"] for answer in answers] == ["0.4"] * 4


def test_priority_and_time_of_a_job_are_answered(api: Api) -> None:
    run_at = next_week()
    job = api.job(api.submit(priority="batch", run_at=run_at.replace("Z", "+00:00")))

    assert job["recipe"]["priority"] == "batch"
    assert job["recipe"]["run_at"] == run_at
    assert {stage["state"] for stage in job["stages"]} == {"waiting"}


def test_job_without_an_available_model_is_refused(api: Api, clock: Clock) -> None:
    api.bench.execute("DELETE FROM models WHERE task = 'smile'")
    clock.expire_caches()  # models are cached for a second

    answer = api.post(a_photo())

    assert refusal_of(answer) == (422, "not_available")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/smile/model"]
    assert api.leftovers() == {}


def test_list_is_newest_first_and_continues_with_its_cursor(api: Api) -> None:
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


def test_summary_leaves_out_the_largest_parts(api: Api) -> None:
    job = api.job(run_whole_job(api, background="auto"))

    [full] = api.read("/v1/jobs", params={"view": "full"})["items"]
    [summary] = api.read("/v1/jobs", params={"view": "summary"})["items"]
    unknown = api.client.get("/v1/jobs", params={"view": "brief"})

    assert full == job
    changed = {name for name in full if full[name] != summary[name]}
    assert changed == {"persons", "faces", "stages"}
    assert [summary[name] for name in ("persons", "faces", "stages")] == [None, None, []]
    assert unknown.status_code == 400


def test_numbers_of_a_job_are_rounded(api: Api) -> None:
    job_id = api.submit(background="auto")
    run_stages(api, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)
    api.bench.execute("UPDATE stages SET seconds = 0.0338503319999 WHERE stage = 'face'")
    api.bench.execute(
        """
        UPDATE stages SET result = jsonb_set(result, '{facts,smiles,0,score}', '0.9918490648269653')
        WHERE stage = 'smile'
        """
    )

    job = api.job(job_id)

    assert [face["smile"]["score"] for face in job["faces"]] == [0.9918]
    assert {stage["name"]: stage["seconds"] for stage in job["stages"]}["face"] == 0.034


def test_job_in_json_stores_its_photo_and_its_recipe_can_be_sent_again(api: Api) -> None:
    recipe = {
        "background": "color:red",
        "crop": "true",
        "filters": ["hat", "caption"],
        "filters.hat.kind": "santa",
        "filters.caption.text": "Ho, ho",
        "roi": "0% 0% 100% 100%",
    }
    photo = "data:image/jpeg;base64," + BASE64
    first = api.create("/v1/jobs", json={"photo_base64": photo, "recipe": recipe})

    lines = base64.encodebytes(PHOTO).decode()
    again = api.client.post("/v1/jobs", json={"photo_base64": lines, "recipe": first["recipe"]})

    assert again.status_code == 202, again.text
    assert again.json()["recipe"] == first["recipe"]
    for job in (first, again.json()):
        stored = api.bench.job(JobId(uuid.UUID(job["id"]))).photo_key
        assert api.bench.read(stored) == PHOTO


def with_outputs(api: Api) -> str:
    """Submit a job and complete it with every kind of output."""
    job_id = api.submit(outputs=",".join(["image", *DOCUMENTS]))
    run_stages(api, PREPARE, SEGMENTATION, FACE, SMILE)
    api.bench.store.put(MADE, IMAGE, length=len(IMAGE), media_type="image/png")
    image = {"key": MADE, "media_type": "image/png", **MADE_IMAGE}
    facts = {"background": None, "printability": PRINTABILITY}
    api.finish(COMPOSITE, {"facts": facts, "arrays": {}, "files": {"image": image}})
    return job_id


def failed(api: Api) -> str:
    """Submit a job whose `face` fails after `prepare` has succeeded."""
    job_id = api.submit()
    run_stages(api, PREPARE)
    api.fail(FACE, FAILURE)
    return job_id


def with_a_background(api: Api) -> str:
    files = {"photo": ("p", a_photo()), "background_file": ("b", a_photo())}
    return str(api.create("/v1/jobs", files=files)["id"])


@pytest.mark.parametrize("submit", [with_a_background, with_outputs])
def test_deleted_job_leaves_nothing_behind(api: Api, submit: Callable[[Api], str]) -> None:
    job_id = submit(api)
    queue = queue_name(capability(PREPARE))
    wait_until(lambda: api.bench.broker.llen(queue) > 0)  # the ring follows the answer
    api.bench.broker.delete(queue)

    answer = api.client.delete(f"/v1/jobs/{job_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert api.leftovers() == {}
    assert api.read("/v1/jobs")["items"] == []


def test_deleted_job_leaves_nothing_of_a_dead_worker(api: Api) -> None:
    job_id = api.submit()
    ours = JobId(uuid.UUID(job_id))
    key = keys.artifact(TENANT, ours, StageName.COMPOSITE, LeaseToken(uuid.uuid4()), "image.jpg")
    api.bench.store.put(key, b"a face", length=6, media_type="image/jpeg")

    answer = api.client.delete(f"/v1/jobs/{job_id}")

    assert answer.status_code == 204
    assert [stored.key for stored in api.bench.store.stored()] == []


def test_only_its_key_and_administrators_end_or_redrive_a_job(api: Api) -> None:
    own = api.headers(Scope.SUBMIT)
    token = api.create("/v1/tokens", json={"max_jobs": 1}, headers=own)["key"]
    files = {"photo": ("p", a_photo())}
    mine = [
        api.create("/v1/jobs", files=files, headers=headers)["id"]
        for headers in (own, {"Authorization": f"Bearer {token}"})
    ]
    others = api.submit()
    before_keys_were_noted = api.submit()
    api.bench.execute(f"UPDATE jobs SET key_id = NULL WHERE id = '{before_keys_were_noted}'")

    refused = [
        api.client.request(method, f"/v1/jobs/{job_id}{action}", headers=own)
        for job_id in (others, before_keys_were_noted)
        for method, action in (("POST", "/cancel"), ("POST", "/redrive"), ("DELETE", ""))
    ]
    unknown = api.client.delete(f"/v1/jobs/{uuid.uuid4()}", headers=own)
    deleted = [api.client.delete(f"/v1/jobs/{job_id}", headers=own) for job_id in mine]
    by_administrator = [
        api.client.delete(f"/v1/jobs/{job_id}") for job_id in (others, before_keys_were_noted)
    ]

    assert [refusal_of(one) for one in refused] == [(403, "scope")] * 6
    assert unknown.status_code == 404
    assert [one.status_code for one in (*deleted, *by_administrator)] == [204] * 4


def test_deletion_is_reported_to_the_jobs_owner_alone(api: Api) -> None:
    job_id = with_outputs(api)
    api.client.delete(f"/v1/jobs/{job_id}")
    stranger = api.headers(*Scope, tenant=Tenant("others"))

    for method, path in (
        *(("GET", ""), ("POST", "/cancel"), ("POST", "/redrive")),
        *(("GET", "/outputs/image"), ("GET", "/photo"), ("DELETE", "")),
    ):
        owner = api.client.request(method, f"/v1/jobs/{job_id}{path}")
        other = api.client.request(method, f"/v1/jobs/{job_id}{path}", headers=stranger)

        assert refusal_of(owner) == (410, "job_deleted"), path
        assert refusal_of(other) == (404, "not_found"), path


def test_failed_job_is_not_redriven_into_a_full_queue(api: Api) -> None:
    api.limit(jobs_waiting=1)
    job_id = failed(api)
    api.post(a_photo())

    answer = api.client.post(f"/v1/jobs/{job_id}/redrive")

    assert refusal_of(answer) == (429, "queue_full")
    assert "Retry-After" in answer.headers


def fetch(api: Api, job_id: str, name: str, **headers: str) -> httpx.Response:
    return api.client.get(f"/v1/jobs/{job_id}/outputs/{name}", headers=headers)


def test_finished_job_shows_its_image_outputs_and_expiry(api: Api) -> None:
    job = api.job(with_outputs(api))

    assert (job["state"], job["people"]) == ("succeeded", 1)
    assert job["image"] == {**MADE_IMAGE, "quality": None, "blurhash": None}
    assert job["outputs"] == {
        name: f"/v1/jobs/{job['id']}/outputs/{name}" for name in ("image", *DOCUMENTS)
    }
    assert {stage["seconds"] for stage in job["stages"]} == {0.25}
    assert job["finished_at"] >= job["created_at"]
    assert retention_seconds(job) == api.bench.settings.keep.result_seconds


def test_image_is_streamed_with_its_headers_or_redirected_without_a_key(api: Api) -> None:
    job_id = with_outputs(api)

    answer = fetch(api, job_id, "image")
    redirect = api.client.get(f"/v1/jobs/{job_id}/outputs/image?redirect=1")

    assert answer.content == IMAGE
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(IMAGE))
    assert redirect.status_code == 307
    assert httpx.get(redirect.headers["location"], timeout=60).content == IMAGE


def test_documents_belong_to_the_job_and_a_known_output_is_not_sent_again(api: Api) -> None:
    job = api.job(with_outputs(api))

    for name in ("image", *DOCUMENTS):
        first = fetch(api, job["id"], name)
        tags = (first.headers["etag"], '"other"')
        again = [fetch(api, job["id"], name, **{"If-None-Match": tag}) for tag in tags]
        assert [one.status_code for one in again] == [304, 200], name
        assert name == "image" or first.json() == job[name]


@pytest.mark.parametrize("path", ["", "/outputs/image", "/photo"])
def test_tags_in_several_lines_are_one_list(api: Api, path: str) -> None:
    url = f"/v1/jobs/{with_outputs(api)}{path}"
    tag = api.client.get(url).headers["etag"]

    answers = [
        api.client.get(url, headers=[("If-None-Match", tag) for tag in tags])
        for tags in (['"other"', tag], ['"other"', '"more"'])
    ]

    assert [answer.status_code for answer in answers] == [304, 200]


def test_output_and_photo_are_refused_before_the_end_and_after_a_cancel(api: Api) -> None:
    job_id = api.submit()

    early = [
        fetch(api, job_id, "image"),
        *(fetch_photo(api, job_id, picture) for picture in PICTURES),
    ]
    not_asked_for = fetch(api, job_id, "matte")
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    late = fetch(api, job_id, "image")

    assert [one.status_code for one in early] == [409] * 3
    assert {one.json()["code"] for one in early} == {"job_not_finished"}
    assert refusal_of(not_asked_for) == (404, "not_found")
    assert refusal_of(late) == (404, "not_found")
    assert api.job(job_id)["outputs"] == {}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE artifacts SET expires_at = statement_timestamp()",
        "UPDATE artifacts SET marked_at = statement_timestamp()",
        "DELETE FROM artifacts",
    ],
)
def test_output_after_its_retention_has_expired(api: Api, change: str) -> None:
    job_id = with_outputs(api)
    api.bench.execute(change)

    for query in ("", "?redirect=1"):
        answer = api.client.get(f"/v1/jobs/{job_id}/outputs/image{query}")
        assert refusal_of(answer) == (410, "output_expired")
    assert api.job(job_id)["state"] == "succeeded"


def prepare(api: Api, files: Mapping[str, object]) -> str:
    job_id = api.submit()
    api.finish(StageName.PREPARE, {"facts": TURNED, "arrays": {}, "files": files})
    return job_id


def prepared(api: Api) -> str:
    api.bench.store.put(PREVIEW_KEY, PREVIEW, length=len(PREVIEW), media_type="image/jpeg")
    return prepare(api, {"preview": PREVIEW_FILE})


def fetch_photo(api: Api, job_id: str, query: str = "", **headers: str) -> httpx.Response:
    return api.client.get(f"/v1/jobs/{job_id}/photo{query}", headers=headers)


def test_photo_is_shown_upright_or_as_sent_once_it_is_prepared(api: Api) -> None:
    job = api.job(prepared(api))

    upright, original = (api.client.get(job["links"]["photo"] + query) for query in PICTURES)

    assert (job["state"], job["photo"]) == ("running", TURNED)
    assert (upright.content, original.content) == (PREVIEW, a_photo())
    assert upright.headers["content-length"] == str(len(PREVIEW))
    assert upright.headers["cache-control"] == "private, no-cache"
    assert {one.headers["content-type"] for one in (upright, original)} == {"image/jpeg"}
    assert original.headers["x-content-type-options"] == "nosniff"


def test_photo_that_cannot_be_read_is_not_found(api: Api) -> None:
    unreadable = api.submit()
    api.fail(StageName.PREPARE, Failure("image_unreadable", "It cannot be read", "its end is off"))

    answer = fetch_photo(api, unreadable)

    assert refusal_of(answer) == (404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE artifacts SET expires_at = statement_timestamp()",
        "UPDATE artifacts SET marked_at = statement_timestamp()",
        "UPDATE jobs SET expired_at = statement_timestamp()",
    ],
)
def test_photo_after_its_retention_has_expired(api: Api, change: str) -> None:
    job_id = prepared(api)
    api.bench.execute(change)

    answers = [fetch_photo(api, job_id, query) for query in PICTURES]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert {answer.json()["code"] for answer in answers} == {"inputs_expired"}


def submitted(api: Api, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
    return api.post(PHOTO, {"background": "keep", **fields}, headers=headers)


def measured(bench: Bench, seconds: float, *, runs: int = 100) -> None:
    """Set the measured time of every stage, with one live worker of one thread."""
    timed = Moments(runs, runs * seconds, runs * seconds**2, 0.0, 0.0, 0.0)
    served = [capability(stage) for stage in StageName]
    bench.do(stage_times.add, dict.fromkeys(served, timed))
    bench.announce(*served)
    bench.publish_snapshot()


def test_accepted_jobs_have_a_queue_position(api: Api) -> None:
    measured(api.bench, 1.0)

    queues = [submitted(api).json()["queue"] for _ in range(3)]

    assert [queue["position"] for queue in queues] == [1, 2, 3]
    middles = [queue["eta_p50_s"] for queue in queues]
    assert middles == sorted(middles)
    assert middles[0] == pytest.approx(2.0, rel=0.1)
    assert middles[2] == pytest.approx(6.0, rel=0.2)
    assert all(queue["eta_p50_s"] < queue["eta_p90_s"] for queue in queues)


def test_paused_job_has_no_estimated_end(api: Api, clock: Clock) -> None:
    measured(api.bench, 1.0)
    job_id = submitted(api).json()["id"]
    api.bench.do(heads.pause, capability(COMPOSITE))
    api.bench.publish_snapshot()
    clock.expire_caches()

    held = [api.job(job_id)["queue"], submitted(api).json()["queue"]]
    api.bench.do(heads.resume, capability(COMPOSITE))
    api.bench.publish_snapshot()
    clock.expire_caches()
    freed = api.job(job_id)["queue"]

    assert [one["position"] for one in held] == [1, 2]
    assert {one[name] for one in held for name in ("eta_p50_s", "eta_p90_s")} == {None}
    assert freed["eta_p50_s"] > 0
    with api.bench.transaction() as connection:
        learned = connection.execute(text("SELECT count(*) FROM jobs WHERE foreseen_p50 IS NULL"))
        assert learned.scalar_one() == 1


def test_deadline_that_a_faster_edge_model_meets_selects_it(api: Api, clock: Clock) -> None:
    measured(api.bench, 1.0)
    usual = submitted(api).json()
    api.client.delete(f"/v1/jobs/{usual['id']}")
    deadline_ms = int(usual["queue"]["eta_p90_s"] * 990)
    api.bench.publish_snapshot()
    clock.expire_caches()

    job = submitted(api, deadline_ms=str(deadline_ms)).json()

    assert job["degraded"] == ["edge=fast"]
    assert job["recipe"]["edge"] == "fast"
    assert job["queue"]["eta_p90_s"] < deadline_ms / 1000


def test_deadline_that_cannot_be_met_is_refused_and_leaves_nothing(api: Api) -> None:
    measured(api.bench, 1.0)

    answer = submitted(api, deadline_ms="200")

    assert refusal_of(answer) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "200 ms" in answer.json()["detail"]
    assert api.leftovers() == {}
    assert api.bench.scalar("SELECT count(*) FROM tenants") == 0


def test_job_that_misses_its_deadline_fails_and_is_redriven_without_one(api: Api) -> None:
    job_id = submitted(api, deadline_ms="600000").json()["id"]
    scenarios.set_deadline_past(api.bench, JobId(uuid.UUID(job_id)))

    claimed = api.bench.claim(PREPARE)
    api.bench.work(WORKER.fail_overdue)

    job = api.job(job_id)
    assert claimed == []
    assert (job["state"], job["error"]["code"], job["queue"]) == ("failed", "deadline", None)
    assert {stage["name"]: stage["state"] for stage in job["stages"]} == {
        "prepare": "failed",
        "composite": "canceled",
    }
    api.client.post(f"/v1/jobs/{job_id}/redrive")
    assert len(api.bench.claim(PREPARE)) == 1
    assert api.bench.work(WORKER.fail_overdue) == []
