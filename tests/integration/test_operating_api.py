"""What operators see and stop over HTTP: /v1/operator."""

import datetime as dt
import re
from typing import Any

import pytest
from sqlalchemy import text

from smart_filter_api.keys import Scope
from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.jobs import failures, fairness, history, measures, presence
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.measures import Amount, Count, Measure
from smart_filter_shared.jobs.presence import CELL, Worker
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.telemetry.metrics import Step
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.serving import Api
from smart_filter_workers.retention import Retention
from smart_filter_workers.sweeper import Sweeper
from smart_filter_workers.tally import Tally

PREPARE = capability(StageName.PREPARE)
OTHER = Tenant("other")
BROKEN = Failure("model_failed", "It broke", "for a test")


def serve(bench: Bench, *, failed: dict[Capability, str] | None = None) -> None:
    worker = Worker(bench.worker, "here", 7, [PREPARE], 2, failed or {})
    with bench.transaction() as connection:
        presence.announce(connection, worker)
        connection.execute(text("UPDATE cells SET swept_at = statement_timestamp()"))


def asked(api: Api, path: str, **params: str) -> dict[str, Any]:
    answer = api.client.get(f"/v1/operator/{path}", params=params)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def history_of_queue(api: Api, **params: str) -> dict[str, Any]:
    queues = asked(api, "history", **params)["queues"]
    (found,) = [one for one in queues if one["capability"] == PREPARE]
    return dict(found)


def known(series: list[int | None]) -> list[int]:
    return [one for one in series if one is not None]


def fail_one(api: Api) -> str:
    """Submit a job that fails; return its id."""
    job_id = api.submit()
    api.fail(StageName.PREPARE, BROKEN)
    return job_id


def settle(api: Api) -> None:
    with api.bench.transaction() as connection:
        failures.note(connection, fairness.settle(connection).failures)


def age(api: Api, minutes: int) -> None:
    """Let the samples and failures that there are have been written so long ago."""
    with api.bench.transaction() as connection:
        for table, column in (("samples", "at"), ("queue_samples", "at"), ("failures", "minute")):
            connection.execute(
                text(f"UPDATE {table} SET {column} = {column} - make_interval(mins => :minutes)"),
                {"minutes": minutes},
            )


def sample(api: Api) -> bool:
    return api.bench.do(history.sample)


def a_new_worker_sweeps(bench: Bench) -> None:
    """Let a worker that was started just now sweep."""
    retention = Retention(bench.engine, bench.store, cell=CELL)
    engine = bench.settings.engine
    new = Sweeper(
        bench.engine, bench.doorbell, engine, tally=Tally(), retention=retention, cell=CELL
    )
    bench.execute("UPDATE cells SET swept_at = now() - interval '2 s'")
    assert new.sweep()


def did(api: Api, what: Step | Count, times: int) -> None:
    api.bench.do(measures.add, {Measure(what, PREPARE): Amount(times)})


def test_operators_alone_see_the_service(api: Api) -> None:
    tenants_own = api.headers(Scope.SUBMIT, Scope.READ, Scope.ADMIN)
    paths: dict[str, Any] = api.client.get("/openapi.json").json()["paths"]
    tried = [
        (method, re.sub(r"{\w+}", "x", path))
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/operator")
    ]

    refused = {
        (method, path): (
            api.client.request(method, path, headers=tenants_own).status_code,
            api.client.request(method, path, headers={"Authorization": ""}).status_code,
        )
        for method, path in tried
    }

    assert len(tried) >= 10
    assert set(refused.values()) == {(403, 401)}


def test_no_key_for_operators_is_made_over_http(api: Api) -> None:
    answer = api.client.post("/v1/keys", json={"scopes": ["operator"]})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/scopes/0"


def test_standing_begins_with_the_queue_that_has_no_worker(api: Api) -> None:
    api.submit()
    serve(api.bench, failed={Capability("face.x"): "no weights"})
    api.bench.execute("UPDATE workers SET capabilities = '{face.y}'")

    standing = asked(api, "standing")

    first, *others = [one["title"] for one in standing["concerns"]]
    assert first == f"Nobody serves {PREPARE}"
    assert "A worker cannot serve face.x" in others
    assert standing["unfinished"] == 1
    assert standing["workers"][0]["failed"] == {"face.x": "no weights"}


def test_standing_is_sent_once_while_nothing_changes(api: Api) -> None:
    serve(api.bench)
    tag = api.client.get("/v1/operator/standing").headers["ETag"]

    again = api.client.get("/v1/operator/standing", headers={"If-None-Match": tag})

    assert again.status_code == 304


def test_queue_or_worker_is_stopped_and_resumed(api: Api) -> None:
    api.submit()
    serve(api.bench)
    drain = f"/v1/operator/workers/{api.bench.worker}/drain"

    paused = api.client.put(f"/v1/operator/queues/{PREPARE}/pause").json()
    claimed = api.bench.claim(StageName.PREPARE)
    resumed = api.client.delete(f"/v1/operator/queues/{PREPARE}/pause").json()

    assert paused["paused_at"] is not None
    assert claimed == []
    assert resumed["paused_at"] is None
    assert len(api.bench.claim(StageName.PREPARE)) == 1
    assert api.client.put(drain).json()["state"] == "draining"
    assert api.client.delete(drain).json()["state"] != "draining"


@pytest.mark.parametrize("path", ["queues/face.nonsense/pause", "workers/nobody/drain"])
def test_unknown_queue_or_worker_is_not_found(api: Api, path: str) -> None:
    answer = api.client.put(f"/v1/operator/{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_jobs_of_a_tenant_are_counted_and_canceled_in_parts(api: Api) -> None:
    api.bench.submit_many(101, Recipe(), tenant=TENANT)
    others = api.bench.submit(tenant=OTHER)

    counted = asked(api, f"tenants/{TENANT}")
    path = f"/v1/operator/tenants/{TENANT}/cancel"
    first = api.client.post(path).json()
    second = api.client.post(path, params={"cursor": first["next_cursor"]}).json()

    assert counted == {"tenant": TENANT, "unfinished": 101, "failed": 0}
    assert (first["moved"], first["left"]) == (100, 0)
    assert second == {"moved": 1, "left": 0, "next_cursor": None}
    assert api.bench.job(others, tenant=OTHER).state == "queued"


def test_failure_is_shown_by_tenant_code_and_place_without_the_photo_and_redriven(
    api: Api,
) -> None:
    job_id = fail_one(api)
    settle(api)

    (tenant,) = asked(api, "tenants")["items"]
    (problem,) = asked(api, "history")["problems"]
    concerns = [one["title"] for one in asked(api, "standing")["concerns"]]
    moved = api.client.post(f"/v1/operator/tenants/{TENANT}/redrive").json()

    assert tenant == {"tenant": TENANT, "today": {"failed": 1}, "days": {"failed": 1}}
    assert problem.pop("last_at")
    assert problem == {
        "capability": PREPARE,
        "code": "model_failed",
        "is_dead": True,
        "jobs": 1,
        "last_job_id": job_id,
    }
    assert f"One job failed in {PREPARE} within the hour" in concerns
    assert moved == {"moved": 1, "left": 0, "next_cursor": None}
    assert api.job(job_id)["state"] != "failed"


def test_minute_is_sampled_once(api: Api) -> None:
    sample(api)
    age(api, 1)

    assert [sample(api), sample(api)] == [True, False]


def test_history_shows_what_happened_between_sweeps_of_any_worker(api: Api) -> None:
    api.bench.submit()
    a_new_worker_sweeps(api.bench)
    age(api, 3)
    did(api, Step.INFER, 5)
    a_new_worker_sweeps(api.bench)
    age(api, 1)
    api.bench.broker.flushdb()
    did(api, Step.INFER, 2)
    did(api, Count.RETRIES, 1)
    a_new_worker_sweeps(api.bench)

    queue = history_of_queue(api)

    assert (known(queue["completed"]), known(queue["retries"])) == ([5, 2, 0], [0, 1, 0])
    assert queue["ready"][-1] == 1
    assert len(queue["completed"]) == 60


def test_history_ends_with_what_is_not_sampled_yet(api: Api) -> None:
    sample(api)
    age(api, 3)
    sample(api)
    api.bench.submit()
    fail_one(api)
    settle(api)
    did(api, Step.INFER, 2)
    api.bench.do(measures.add, {Measure(Count.ENDED, "failed"): Amount(1)})

    queue, jobs = history_of_queue(api), asked(api, "history")["jobs"]

    assert (jobs["failed"][-1], queue["failed"][-1], queue["completed"][-1]) == (1, 1, 2)


@pytest.mark.parametrize("span", ["day", "month"])
def test_longer_spans_lose_nothing(api: Api, span: str) -> None:
    api.bench.submit()
    sample(api)
    age(api, 90)
    for _ in range(3):
        did(api, Step.INFER, 4)
        sample(api)
        age(api, 25)

    assert sum(known(history_of_queue(api, span=span)["completed"])) == 12


def test_history_is_kept_for_a_month(api: Api) -> None:
    sample(api)
    age(api, 31 * 24 * 60)
    sample(api)

    oldest = api.bench.scalar("SELECT min(at) FROM samples")
    assert oldest > dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
