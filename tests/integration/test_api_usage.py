"""Usage of tenants, counted where jobs end."""

import datetime as dt
import uuid
from typing import Any

import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import fairness, transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, a_photo

PHOTO = a_photo(size=(1000, 100))  # a tenth of a megapixel
BROKE = Failure("internal", "It broke", "why")


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
