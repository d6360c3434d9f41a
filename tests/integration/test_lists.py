"""Lists of many jobs: their indexes, time limit, and the connections left to other tenants."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from integration import batches
from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobFilter
from smart_filter_shared.queue.states import JobState
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, refusal_of

_OTHER, _THIRD = Tenant("other"), Tenant("third")
# A process reads at most this many lists at a time.
_LISTS = 3
_JOBS = 3_000
_END = """
    UPDATE jobs SET outcome = 'succeeded', finished_at = statement_timestamp(),
        metadata = jsonb_build_object('order', CAST(id AS text))
    WHERE outcome IS NULL
"""
_WAITING_FOR_LOCK = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"


@pytest.fixture
def many(bench: Bench) -> Bench:
    """Thousands of a tenant's jobs, all succeeded, each with an order of its own."""
    job_id = bench.submit()
    bench.copy(job_id, _JOBS, every_seconds=1.0)
    bench.execute(_END)
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE jobs"))
    return bench


@contextmanager
def explained(bench: Bench) -> Iterator[list[str]]:
    """Collect the plan of each list of jobs that the bench runs, as JSON."""
    plans: list[str] = []

    def explain(_: Any, cursor: Any, statement: str, values: Any, *_more: Any) -> None:  # noqa: ANN401
        if "FROM jobs" in statement:
            own = cursor.connection.cursor()
            own.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
            plans.append(json.dumps(own.fetchone()[0]))

    event.listen(bench.engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(bench.engine, "before_cursor_execute", explain)


def indexes_in(plan: str) -> set[str]:
    return set(re.findall(r'"Index Name": "(jobs_\w+)"', plan))


@pytest.mark.parametrize(
    ("index", "narrowed"),
    [
        ("jobs_unsuccessful", {"state": JobState.FAILED}),
        ("jobs_unsuccessful", {"state": JobState.CANCELED}),
        ("jobs_by_metadata", {"metadata": {"order": "unknown"}}),
    ],
    ids=["failed", "canceled", "metadata"],
)
def test_list_of_few_of_many_jobs_uses_an_index(
    many: Bench, index: str, narrowed: dict[str, Any]
) -> None:
    with explained(many) as plans, many.transaction() as connection:
        found = queries.list_jobs(connection, JobFilter(tenant=TENANT, **narrowed))

    assert found == []
    assert index in indexes_in(plans[0])


def test_filters_find_the_jobs_in_the_indexes(many: Bench) -> None:
    newest = many.scalar("SELECT id FROM jobs ORDER BY id DESC LIMIT 1")
    many.execute(
        'UPDATE jobs SET outcome = \'failed\', metadata = \'{"order": "7", "shop": "a"}\''
        " WHERE id = :id",
        id=newest,
    )

    with many.transaction() as connection:
        found = [
            [job.id for job in queries.list_jobs(connection, JobFilter(tenant=TENANT, **narrowed))]
            for narrowed in (
                {"state": JobState.FAILED},
                {"metadata": {"order": "7"}},
                {"metadata": {"order": "7", "shop": "a"}, "state": JobState.FAILED},
            )
        ]

    assert found == [[newest]] * 3


def test_list_of_recent_jobs_reads_none_of_those_before(many: Bench) -> None:
    listing = JobFilter(tenant=TENANT, created_after=many.now() + dt.timedelta(days=8))

    with explained(many) as plans, many.transaction() as connection:
        found = queries.list_jobs(connection, listing)

    assert found == []
    assert re.search(r'"Index Cond": "[^"]*\(id >= ', plans[0])


@pytest.mark.parametrize("created_after", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_any_moment_can_be_listed_after(api: Api, created_after: str) -> None:
    job_id = api.submit()

    answer = api.client.get("/v1/jobs", params={"created_after": created_after})

    expected = [job_id] if created_after < "2000" else []
    assert [job["id"] for job in answer.json()["items"]] == expected


@contextmanager
def jobs_locked(bench: Bench) -> Iterator[None]:
    """Keep every list of jobs waiting until the block ends."""
    with sessions.for_idle_transactions(bench.engine).begin() as connection:
        connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        yield


@pytest.mark.slow
def test_list_that_takes_too_long_is_refused(api: Api) -> None:
    with jobs_locked(api.bench):
        answer = api.client.get("/v1/jobs", params={"state": "failed"})

    assert refusal_of(answer) == (503, "unavailable")
    assert "the list takes longer than 4 s; narrow it" in answer.json()["detail"]
    assert answer.headers["Retry-After"] == "5"


def test_readers_of_batches_count_as_lists(api: Api) -> None:
    def read(batch_id: str) -> int:
        url = f"{api.url}/v1/batches/{batch_id}"
        return httpx.get(url, headers=headers, timeout=60).status_code

    ids = [batches.submit(api, {"items": batches.items(1)})["id"] for _ in range(4)]
    headers, other = api.headers(Scope.READ), api.headers(Scope.READ, tenant=_OTHER)
    with ThreadPoolExecutor(32) as threads:
        with jobs_locked(api.bench):
            readers = [threads.submit(read, batch_id) for batch_id in ids * 8]
            while api.bench.scalar(_WAITING_FOR_LOCK) < _LISTS - 1:
                pass
            answer = httpx.get(f"{api.url}/v1/webhooks", headers=other, timeout=60)

            waiting = api.bench.scalar(_WAITING_FOR_LOCK)
        statuses = {reader.result() for reader in readers}

    assert answer.status_code == 200
    assert waiting <= _LISTS - 1
    assert statuses <= {200, 503}


def test_lists_of_two_tenants_leave_a_connection_to_others(api: Api) -> None:
    def list_jobs(number: int) -> httpx.Response:
        return httpx.get(f"{api.url}/v1/jobs", headers=headers[number % 2], timeout=60)

    headers = [api.headers(Scope.READ), api.headers(Scope.READ, tenant=_OTHER)]
    third = api.headers(Scope.READ, tenant=_THIRD)
    with ThreadPoolExecutor(8) as threads:
        with jobs_locked(api.bench):
            lists = [threads.submit(list_jobs, number) for number in range(8)]
            while api.bench.scalar(_WAITING_FOR_LOCK) < _LISTS:
                pass
            other = httpx.get(f"{api.url}/v1/webhooks", headers=third, timeout=60)
            ended = [one for one in lists if one.done()]
        statuses = {one.result().status_code for one in lists}

    assert (other.status_code, ended) == (200, [])
    assert statuses <= {200, 503}
