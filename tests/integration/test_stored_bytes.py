"""The quota of stored bytes: what counts, what is refused, and what gives room again."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import httpx

from integration import batches
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.tenants import quotas
from smart_filter_tests.bench import TENANT, stage_result
from smart_filter_tests.maintenance import collector
from smart_filter_tests.serving import Api, a_photo, refusal_of, serve_with
from smart_filter_tests.stages import PREPARE

PHOTO = a_photo(size=(1000, 100))
BYTES = len(PHOTO)


def submit(client: httpx.Client) -> httpx.Response:
    return client.post(
        "/v1/jobs", files={"photo": ("photo", PHOTO)}, data={"background": "keep"}, timeout=60
    )


def announce(api: Api, length: int) -> httpx.Response:
    return api.client.post("/v1/uploads", json={"content_type": "image/jpeg", "bytes": length})


def stored(api: Api) -> int:
    return api.bench.do(quotas.count_stored_bytes, TENANT)


def make_result(api: Api, length: int) -> None:
    """Run a stage whose result is an object of this length."""
    outcome = stage_result(api.bench.claim_one(PREPARE))
    lengths = dict.fromkeys(outcome.artifacts, length)
    api.bench.work(WORKER.complete, [dataclasses.replace(outcome, lengths=lengths)])


def let_all_expire(api: Api) -> None:
    api.bench.execute("UPDATE jobs SET outcome = 'succeeded', finished_at = now()")
    for table in ("artifacts", "uploads"):
        api.bench.execute(f"UPDATE {table} SET expires_at = now() - interval '1 day'")
    collector(api.bench).remove_expired()


def test_photo_beyond_the_quota_is_refused_and_stores_nothing(api: Api) -> None:
    api.limit(stored_bytes=2 * BYTES)

    answers = [submit(api.client) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert (answers[2].json()["code"], answers[2].headers["Retry-After"]) == ("queue_full", "60")
    assert f"store {2 * BYTES} bytes of at most {2 * BYTES}" in answers[2].json()["detail"]
    assert api.leftovers()["jobs"] == api.leftovers()["objects"] == 2


def test_quota_is_exact_for_simultaneous_requests_to_two_processes(api: Api) -> None:
    api.limit(stored_bytes=10 * BYTES)

    with serve_with(api.bench) as site, httpx.Client(base_url=site.url, timeout=60) as other:
        other.headers = api.client.headers
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(submit, [api.client, other] * 10))

    assert sorted(answer.status_code for answer in answers) == [202] * 10 + [429] * 10
    assert api.leftovers()["objects"] == 10
    assert stored(api) == 10 * BYTES


def test_batch_beyond_the_quota_is_refused_as_a_whole(api: Api) -> None:
    api.limit(stored_bytes=2 * len(a_photo()))

    answers = [batches.post(api, {"items": batches.items(count)}) for count in (3, 2)]

    assert [answer.status_code for answer in answers] == [429, 202]
    assert api.leftovers()["jobs"] == 2


def test_announced_upload_counts_and_beyond_the_quota_it_is_refused(api: Api) -> None:
    api.limit(stored_bytes=1000)

    answers = [announce(api, 600), announce(api, 600), announce(api, 400)]

    assert [answer.status_code for answer in answers] == [201, 429, 201]
    assert stored(api) == 1000


def test_results_count_and_a_full_tenant_derives_nothing(api: Api) -> None:
    api.limit(stored_bytes=BYTES + 500)
    job = submit(api.client).json()

    make_result(api, 500)

    api.bench.execute("UPDATE jobs SET outcome = 'succeeded', finished_at = now()")
    derived = api.client.post(f"/v1/jobs/{job['id']}/derive", json={"recipe": {}})
    assert stored(api) == BYTES + 500
    assert refusal_of(derived) == (429, "queue_full")


def test_expired_objects_give_room_again(api: Api) -> None:
    api.limit(stored_bytes=BYTES + 1000)
    submit(api.client)
    make_result(api, 500)
    announce(api, 400)

    let_all_expire(api)

    assert stored(api) == 0
    assert submit(api.client).status_code == 202


def test_deleted_job_gives_room_again(api: Api) -> None:
    api.limit(stored_bytes=BYTES)
    job = submit(api.client).json()

    api.client.delete(f"/v1/jobs/{job['id']}")

    assert stored(api) == 0
    assert submit(api.client).status_code == 202


def test_sweep_folds_the_changes_and_the_sum_stays(api: Api) -> None:
    submit(api.client)
    announce(api, 400)

    for _ in range(2):
        api.bench.work(quotas.fold_stored_bytes)

    assert api.bench.scalar("SELECT count(*) FROM stored_changes") == 0
    assert stored(api) == api.bench.scalar("SELECT used_bytes FROM tenants") == BYTES + 400


def test_setting_bounds_tenants_without_a_quota_of_their_own_but_not_the_operator(
    api: Api,
) -> None:
    with serve_with(api.bench, SMART_FILTER_LIMIT_STORED_BYTES=str(BYTES)) as site:
        answers = [
            httpx.post(f"{site.url}/v1/jobs", headers=headers, files={"photo": PHOTO}, timeout=60)
            for headers in (api.client.headers, api.headers("submit", tenant=OPERATOR))
            for _ in range(2)
        ]

    assert [answer.status_code for answer in answers] == [202, 429, 202, 202]
