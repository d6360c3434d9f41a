"""Rows that a later version wrote wait for it, after a roll-back, and keep no others waiting."""

import json
import uuid

import numpy as np
from pydantic import SecretStr
from sqlalchemy import text

from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.jobs import data_items, pauses, queries
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.queries import Listing
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import DatabaseSettings
from smart_filter_tests import teaching
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.databases import connected
from smart_filter_tests.outages import until
from smart_filter_tests.receiving import a_receiver, send_due
from smart_filter_tests.running import Running
from smart_filter_tests.serving import Api
from smart_filter_workers.learning.collecting import Collecting

PREPARE = StageName.PREPARE


def write_later(bench: Bench, job_id: JobId) -> None:
    """Let a later version have written a job."""
    later = """UPDATE jobs SET recipe = recipe || '{"format": "of a later version"}'"""
    bench.execute(f"{later} WHERE id = :id", id=job_id)


def test_claim_gets_past_a_row_with_a_task_of_a_later_version(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    bench.execute(
        """UPDATE stages SET models = '{"telepathy": "x"}' WHERE job_id = :id""", id=first
    )

    leases = [bench.claim_one(PREPARE), bench.claim_one(PREPARE)]

    assert [one.job_id for one in leases] == [first, second]
    assert [one.unreadable for one in leases] == ["'telepathy' is not a valid TaskName", ""]


def test_jobs_of_a_batch_are_read_each_for_itself(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    write_later(bench, first)
    leases = bench.claim(PREPARE, batch_size=2)

    jobs = queries.jobs_in(bench.do(queries.for_leases, leases))

    assert (jobs[first], jobs[second]) == (None, bench.job(second))


def test_worker_releases_an_unreadable_row_and_does_the_rest(running_stack: Running) -> None:
    running_stack.wait(running_stack.submit())  # then its workers are known
    settings = DatabaseSettings(url=SecretStr(running_stack.stack.addresses.database_url))
    with connected(settings, connections=1) as engine:
        with sessions.transaction(engine) as connection:
            served = connection.execute(text("SELECT DISTINCT unnest(capabilities) FROM workers"))
            (prepare,) = [Capability(one) for one in served.scalars() if one.startswith("prepare.")]
            pauses.pause(connection, prepare)
        unreadable, other = [running_stack.submit() for _ in range(2)]
        its_first_stage = f"job_id = '{unreadable}' AND stage = 'prepare'"
        with sessions.transaction(engine) as connection:
            shadows = """UPDATE stages SET shadows = '{"telepathy": "x"}' WHERE """
            connection.execute(text(shadows + its_first_stage))
            pauses.resume(connection, prepare)

        def attempts_and_releases() -> tuple[int, int]:
            with sessions.transaction(engine) as connection:
                query = text(f"SELECT attempt, releases FROM stages WHERE {its_first_stage}")
                attempts, releases = connection.execute(query).one()
            return attempts, releases

        assert running_stack.wait(other)["state"] == "succeeded"
        until(lambda: attempts_and_releases()[1] > 0)
        assert attempts_and_releases()[0] <= 1
    assert running_stack.client.delete(f"/v1/jobs/{unreadable}").status_code == 204


def test_page_is_as_long_as_asked_for(bench: Bench) -> None:
    ids = [bench.submit() for _ in range(5)]
    write_later(bench, ids[3])

    rows = bench.do(queries.listed, Listing(TENANT, limit=3))

    assert [row.id for row in rows] == [ids[4], ids[2], ids[1]]


def test_job_that_cannot_be_read_answers_that_a_retry_may_help(api: Api) -> None:
    job_id = api.submit()
    write_later(api.bench, JobId(uuid.UUID(job_id)))

    answer = api.client.get(f"/v1/jobs/{job_id}")

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (503, "unavailable")


def test_delivery_of_a_job_that_cannot_be_read_waits_and_others_are_sent(api: Api) -> None:
    with a_receiver() as receiver:
        api.client.post("/v1/webhooks", json={"url": receiver.url, "events": ["job.failed"]})
        ids = [api.submit(), api.submit()]
        for _ in ids:
            api.fail(PREPARE, Failure("internal", "Failed", "for the test"))
        write_later(api.bench, JobId(uuid.UUID(ids[0])))

        send_due(api.bench)

    assert [json.loads(one.body)["data"]["id"] for one in receiver.got] == [ids[1]]
    assert api.bench.scalar("SELECT array_agg(state ORDER BY number) FROM deliveries") == [
        "waiting",
        "succeeded",
    ]


def test_correction_of_a_job_that_cannot_be_read_keeps_no_other_waiting(api: Api) -> None:
    everywhere = np.full((teaching.SIDE, teaching.SIDE), 255, np.uint8)
    ids = [teaching.ended(api), teaching.ended(api)]
    for job_id in ids:
        teaching.correct_matte(api, job_id, everywhere)
    write_later(api.bench, JobId(uuid.UUID(ids[0])))
    collecting = Collecting(api.bench.engine, api.bench.store, teaching.artifacts_of(api))

    collecting.collect(most=10)

    left = api.bench.do(data_items.uncollected, most=10)
    assert str(ids[1]) not in [str(one.job_id) for one in left]
