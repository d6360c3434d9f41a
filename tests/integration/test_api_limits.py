"""Limits of a tenant, the answers beyond them, and usage, counted where jobs end."""

import datetime as dt
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event, text

from smart_filter_api.keys import Scope
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.errors import RateLimited
from smart_filter_shared.ids import OPERATOR, JobId, Tenant
from smart_filter_shared.jobs import fairness, limits, transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.limits import Limits
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests.bench import TENANT, Bench, settings_of
from smart_filter_tests.serving import Api, a_photo, an_api, served_as, serving

PHOTO = a_photo(size=(1000, 100))  # a tenth of a megapixel
KEEP = Recipe(background=Background(BackgroundKind.KEEP))
BROKE = Failure("internal", "It broke", "why")


def test_every_answer_has_the_requests_left(api: Api) -> None:
    api.limit(requests_per_minute=60)

    answers = [api.client.get("/v1/jobs"), api.client.get("/v1/jobs/none")]

    assert [answer.headers["RateLimit-Policy"] for answer in answers] == [
        '"requests";q=60;w=60'
    ] * 2
    left = [re.fullmatch('"requests";r=(\\d+);t=1', one.headers["RateLimit"]) for one in answers]
    assert [int(one[1]) for one in left if one] in ([59, 58], [59, 59])


def test_tenant_that_asks_too_often_is_answered_when_to_come_again(api: Api) -> None:
    api.limit(requests_per_minute=1)
    other = api.headers(*Scope, tenant=Tenant("other"))

    answers = [api.client.get("/v1/jobs") for _ in range(5)]

    refused = next(answer for answer in answers if answer.status_code != 200)
    assert answers[0].status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"requests";r=0;t=')
    assert refused.headers["content-type"] == "application/problem+json"
    assert api.client.get("/v1/jobs", headers=other).status_code == 200


def test_operators_own_tenant_has_no_bounds(api: Api) -> None:
    api.limit(OPERATOR, requests_per_minute=1, jobs_waiting=1, megapixels_per_day=0.001)
    own = api.headers(*Scope, tenant=OPERATOR)

    answers = [submitted(api, own) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert "RateLimit" not in answers[0].headers


def test_no_more_jobs_wait_than_may(api: Api) -> None:
    api.limit(jobs_waiting=2)
    key = {"Idempotency-Key": "again"}

    first, second, refused = submitted(api), submitted(api), submitted(api, key)

    assert [first.status_code, second.status_code] == [202, 202]
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert int(refused.headers["Retry-After"]) >= 1
    assert api.leftovers()["jobs"] == api.leftovers()["objects"] == 2
    api.client.post(f"/v1/jobs/{first.json()['id']}/cancel")
    # There is room, also under the key of the request that was refused.
    assert submitted(api, key).status_code == 202


def test_bound_is_exact_when_many_requests_come_to_two_processes(api: Api) -> None:
    api.limit(jobs_waiting=100)

    with served_as(api.bench) as url, httpx.Client(timeout=60) as other:
        other.base_url, other.headers = httpx.URL(url), api.client.headers
        clients = [api.client, other] * 55
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(submitted_by, clients))

    assert sorted(answer.status_code for answer in answers) == [202] * 100 + [429] * 10
    assert api.leftovers()["jobs"] == api.leftovers()["objects"] == 100


def test_batches_that_fit_one_by_one_are_written_one_after_the_other(bench: Bench) -> None:
    bound = Limits(jobs_waiting=1000)
    is_free = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")

    with bench.transaction() as first, bench.transaction() as second:
        limits.refuse_when_full(first, TENANT, bound, exactly=True, jobs=400)
        may_go_on = second.execute(is_free, {"name": f"jobs_waiting {TENANT}"}).scalar_one()

    assert not may_go_on


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL that this process sends, the API's as well."""
    sent: list[str] = []

    def note(*told: object) -> None:
        sent.append(str(told[2]))

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


def test_submission_of_a_tenant_takes_two_statements_however_many_jobs_wait(
    api: Api, statements: list[str]
) -> None:
    api.limit(jobs_waiting=10_000)
    api.bench.submit_many(300, KEEP, tenant=TENANT)
    submitted(api)
    statements.clear()

    for number in range(30):
        # Another photo each: for one that comes again there is more to look up.
        photo = a_photo(size=(100 + number, 100))
        answer = api.client.post("/v1/jobs", files={"photo": photo}, data={"background": "keep"})
        assert answer.status_code == 202

    writing = [one for one in statements if "INSERT INTO" in one or "UPDATE" in one]
    # The others are remembered for some seconds: who the caller is, which models there are.
    counting = [one for one in statements if "outcome IS NULL" in one and "tenant" in one]
    assert (len(writing), len(counting)) <= (60, 10)


def test_no_more_megapixels_a_day_than_may(api: Api) -> None:
    api.limit(megapixels_per_day=0.25)

    answers = [submitted(api) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].json()["code"] == "rate_limited"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 24 * 3600
    assert api.leftovers()["jobs"] == 2
    api.bench.execute("UPDATE tenants SET spent_on = spent_on - 1")
    assert submitted(api).status_code == 202


def test_photos_at_once_spend_no_more_megapixels_than_may(api: Api) -> None:
    bound = Limits(megapixels_per_day=10.0)

    def spend(_: int) -> bool:
        try:
            api.bench.do(limits.spend, TENANT, 1.0, bound)
        except RateLimited:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(spend, range(40)))

    assert admitted == 10
    assert api.bench.do(limits.spent_today, TENANT) == 10.0


def test_photo_that_is_refused_for_its_queue_costs_no_megapixels(api: Api) -> None:
    api.limit(jobs_waiting=1, megapixels_per_day=10)

    for _ in range(3):
        submitted(api)

    spent = api.bench.scalar("SELECT spent_megapixels FROM tenants")
    assert spent == pytest.approx(0.1)


def test_full_service_accepts_jobs_of_the_operator_alone(servers: Stack, bench: Bench) -> None:
    settings = settings_of(servers.addresses, SMART_FILTER_LIMIT_JOBS_IN_ALL="2")
    for _ in range(2):
        bench.submit(KEEP, tenant=Tenant("another"))

    with serving(settings) as url, an_api(url, bench) as api:
        refused = submitted(api)
        operators = submitted(api, api.headers(*Scope, tenant=OPERATOR))

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert operators.status_code == 202


def test_without_redis_photos_are_taken_and_counted_all_the_same(
    servers: Stack, bench: Bench
) -> None:
    nowhere = {"SMART_FILTER_BROKER_URL": "redis://127.0.0.1:1/0"}

    with serving(settings_of(servers.addresses, **nowhere)) as url, an_api(url, bench) as api:
        api.limit(requests_per_minute=2)
        answers = [submitted(api) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[0].headers["RateLimit"].startswith('"requests";r=1;')


def submitted(api: Api, headers: dict[str, str] | None = None) -> httpx.Response:
    return submitted_by(api.client, headers)


def submitted_by(client: httpx.Client, headers: dict[str, str] | None = None) -> httpx.Response:
    return client.post(
        "/v1/jobs", files={"photo": ("photo", PHOTO)}, data={"background": "keep"}, headers=headers
    )


def submit(api: Api) -> str:
    answer = api.post(PHOTO, {"background": "keep"})
    assert answer.status_code == 202
    return str(answer.json()["id"])


def finish(api: Api) -> None:
    """Let a job succeed: each of its two stages takes a tenth of a second."""
    api.bench.advance(StageName.PREPARE, StageName.COMPOSITE)


def settle(api: Api) -> None:
    api.bench.do(fairness.settle)


def used(api: Api, **between: str) -> list[dict[str, Any]]:
    answer = api.client.get("/v1/usage", params=between)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_jobs_are_counted_by_how_they_ended(api: Api) -> None:
    for _ in range(2):
        submit(api)
        finish(api)
    api.client.post(f"/v1/jobs/{submit(api)}/cancel")
    submit(api)  # and goes on

    settle(api)

    (day,) = used(api)
    assert day["day"] == api.bench.now().astimezone(dt.UTC).date().isoformat()
    assert (day["jobs"], day["megapixels"], day["model_seconds"]) == pytest.approx((3, 0.3, 0.4))
    assert {state: one["jobs"] for state, one in day["by_state"].items()} == {
        "succeeded": 2,
        "canceled": 1,
    }
    assert day["by_state"]["canceled"]["model_seconds"] == 0


def test_job_is_counted_once_also_when_it_is_deleted(api: Api) -> None:
    ended, unfinished = submit(api), submit(api)
    finish(api)
    settle(api)
    api.bench.advance(StageName.PREPARE)

    for job_id in (ended, unfinished):
        api.client.delete(f"/v1/jobs/{job_id}")
    for _ in range(2):
        settle(api)

    (day,) = used(api)
    once = {"jobs": 1, "megapixels": pytest.approx(0.1)}
    assert day["by_state"] == {
        "succeeded": {**once, "model_seconds": pytest.approx(0.2)},
        "canceled": {**once, "model_seconds": pytest.approx(0.1)},
    }


def test_redriven_job_adds_the_seconds_of_its_further_stages(api: Api) -> None:
    job_id = submit(api)
    api.bench.advance(StageName.PREPARE)
    api.fail(StageName.COMPOSITE, BROKE)
    settle(api)
    api.bench.do(transitions.redrive, JobId(uuid.UUID(job_id)), TENANT)
    api.bench.advance(StageName.COMPOSITE)

    settle(api)

    (day,) = used(api)
    assert {state: one["jobs"] for state, one in day["by_state"].items()} == {
        "failed": 1,
        "succeeded": 1,
    }
    assert (day["megapixels"], day["model_seconds"]) == pytest.approx((0.1, 0.2))


def test_days_are_narrowed_and_sorted_and_their_sums_exact(api: Api) -> None:
    api.bench.execute("""
        INSERT INTO usage (tenant, day, state, jobs, megapixels, model_seconds)
        SELECT 'tests', day, state, 1, megapixels, 0 FROM unnest(
            ARRAY['2026-03-03', '2026-03-01', '2026-03-02', '2026-03-04']::date[]
        ) AS day, (VALUES ('succeeded', 0.1), ('failed', 0.2)) AS of(state, megapixels)
    """)

    days = used(api, **{"from": "2026-03-02", "to": "2026-03-03"})

    assert [day["day"] for day in days] == ["2026-03-02", "2026-03-03"]
    assert [day["megapixels"] for day in days] == [0.3] * 2  # 0.1 + 0.2 is 0.30000000000000004
    assert [used(api, to=day) for day in ("0001-01-01", "9999-12-31")] == [[], []]


def test_counting_several_tenants_keeps_them_apart(api: Api) -> None:
    tenants = [Tenant("b"), Tenant("a")]
    for tenant in tenants:
        job_id: JobId = api.bench.submit(tenant=tenant)
        api.bench.do(transitions.cancel, job_id, tenant)

    settle(api)

    for tenant in tenants:
        headers = api.headers(Scope.READ, tenant=tenant)
        assert [
            day["jobs"] for day in api.client.get("/v1/usage", headers=headers).json()["items"]
        ] == [1]
