"""What tenants have used, counted where jobs end."""

import datetime as dt
import uuid
from typing import Any

import pytest
from sqlalchemy import text

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
    """Do what the sweeper does within a second."""
    with api.bench.transaction() as connection:
        fairness.settle(connection)


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


def test_job_is_counted_once(api: Api) -> None:
    job_id = submit(api)
    finish(api)
    settle(api)
    settle(api)

    api.client.delete(f"/v1/jobs/{job_id}")
    settle(api)

    assert [day["jobs"] for day in used(api)] == [1]


def test_deleted_job_is_counted_once_from_its_tombstone(api: Api) -> None:
    job_id = submit(api)
    api.bench.advance(StageName.PREPARE)

    api.client.delete(f"/v1/jobs/{job_id}")
    settle(api)
    settle(api)

    (day,) = used(api)
    assert day["by_state"] == {
        "canceled": {
            "jobs": 1,
            "megapixels": pytest.approx(0.1),
            "model_seconds": pytest.approx(0.1),
        }
    }


def test_redriven_job_adds_what_it_takes_more(api: Api) -> None:
    job_id = submit(api)
    api.bench.advance(StageName.PREPARE)
    api.fail(StageName.COMPOSITE, BROKE)
    settle(api)
    with api.bench.transaction() as connection:
        transitions.redrive(connection, JobId(uuid.UUID(job_id)), TENANT)
    api.bench.advance(StageName.COMPOSITE)

    settle(api)

    (day,) = used(api)
    assert {state: one["jobs"] for state, one in day["by_state"].items()} == {
        "failed": 1,
        "succeeded": 1,
    }
    assert (day["megapixels"], day["model_seconds"]) == pytest.approx((0.1, 0.2))


def test_days_are_narrowed_and_sorted(api: Api) -> None:
    with api.bench.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO usage (tenant, day, state, jobs, megapixels, model_seconds)
                SELECT 'tests', day, 'succeeded', 1, 0, 0 FROM unnest(
                    ARRAY['2026-03-03', '2026-03-01', '2026-03-02', '2026-03-04']::date[]
                ) AS day
            """)
        )

    days = used(api, **{"from": "2026-03-02", "to": "2026-03-03"})

    assert [day["day"] for day in days] == ["2026-03-02", "2026-03-03"]


def test_sums_are_told_to_the_pixel(api: Api) -> None:
    with api.bench.transaction() as connection:
        for state, megapixels in (("succeeded", 0.1), ("failed", 0.2)):
            connection.execute(
                text("INSERT INTO usage VALUES ('tests', '2026-03-01', :state, 1, :mp, 0)"),
                {"state": state, "mp": megapixels},
            )

    (day,) = used(api, **{"from": "2026-03-01", "to": "2026-03-01"})

    assert day["megapixels"] == 0.3  # 0.1 + 0.2 is 0.30000000000000004


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_far_days_are_empty(api: Api, day: str) -> None:
    assert used(api, to=day) == []


def test_counting_several_tenants_keeps_them_apart(api: Api) -> None:
    tenants = [Tenant("b"), Tenant("a")]
    for tenant in tenants:
        job_id: JobId = api.bench.submit(tenant=tenant)
        with api.bench.transaction() as connection:
            transitions.cancel(connection, job_id, tenant)

    settle(api)

    for tenant in tenants:
        headers = api.headers(Scope.READ, tenant=tenant)
        assert [
            day["jobs"] for day in api.client.get("/v1/usage", headers=headers).json()["items"]
        ] == [1]
