"""The audit finds each kind of damage with its remedy, and nothing in a healthy service."""

import datetime as dt
import json
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.operations import consistency
from smart_filter_shared.operations.consistency_rules import RULES, FaultKind
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants, scenarios
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.commands import Command

PREPARE, FACE, SEGMENTATION = StageName.PREPARE, StageName.FACE, StageName.SEGMENTATION
EVERY = (PREPARE, SEGMENTATION, FACE, StageName.SMILE, StageName.COMPOSITE)
URL = "https://example.org/told"


@dataclass(frozen=True, slots=True)
class SampleJobs:
    """A batch whose first job has ended, a job that waits, one whose face stage runs."""

    ended: JobId
    waits: JobId
    runs: JobId


@pytest.fixture
def samples(bench: Bench) -> SampleJobs:
    _, (ended, _) = bench.submit_batch(2, webhook_url=URL)
    bench.advance(*EVERY)
    runs = bench.submit()
    waits = bench.submit()
    bench.execute("UPDATE stages SET rank = 1000 WHERE job_id <> :runs", runs=runs)
    bench.advance(PREPARE)
    bench.claim_one(FACE)
    # The state after the sweeper has run for long.
    bench.execute("UPDATE sweeper SET swept_at = statement_timestamp()")
    return SampleJobs(ended, waits, runs)


def found(bench: Bench) -> list[str]:
    with bench.transaction() as connection:
        return [finding.rule for finding in consistency.check_rows(connection, most=10)]


def delivery(job_id: str, *, late: str = "0 s", times: int = 1) -> str:
    return f"""
        INSERT INTO deliveries
            (id, tenant, webhook, url, lane, job_id, type, happened_at, due_at)
        SELECT gen_random_uuid(), 'tests', 'default', '{URL}', 'l', {job_id}, 'job.succeeded',
            statement_timestamp(), statement_timestamp() - interval '{late}'
        FROM generate_series(1, {times})
    """


# By rule, a statement that breaks it; `:ended`, `:waits` and `:runs` are jobs.
DAMAGE = {
    "a waiting stage counts its unfinished needs": """
        UPDATE stages SET open_needs = 3 WHERE job_id = :waits AND stage = 'face'
    """,
    "a ready stage waits for nothing": """
        UPDATE stages SET open_needs = 1 WHERE job_id = :waits AND stage = 'prepare'
    """,
    "a waiting stage waits for something": """
        UPDATE stages SET open_needs = 0 WHERE job_id = :waits AND stage = 'face'
    """,
    "a stage has a lease exactly while it runs": """
        UPDATE stages SET leased_until = NULL WHERE job_id = :runs AND stage = 'face'
    """,
    "an expired lease is revoked": """
        UPDATE stages SET leased_until = statement_timestamp() - interval '2 minutes'
        WHERE job_id = :runs AND stage = 'face'
    """,
    "a due stage is made ready": """
        UPDATE stages SET state = 'waiting', open_needs = 0, lease_token = NULL,
            not_before = statement_timestamp() - interval '2 minutes'
        WHERE job_id = :runs AND stage = 'face'
    """,
    "no counter is below zero": "UPDATE stages SET attempt = -1 WHERE job_id = :waits",
    "an unfinished stage has the deadline of its job": """
        UPDATE stages SET deadline_at = statement_timestamp() WHERE job_id = :waits
    """,
    "every stage belongs to a job": "DELETE FROM jobs WHERE id = :waits",
    "a job has ended when no stage is unfinished": "DELETE FROM stages WHERE job_id = :waits",
    "every stage of a succeeded job has succeeded": """
        UPDATE jobs SET outcome = 'succeeded', finished_at = statement_timestamp()
        WHERE id = :waits
    """,
    "a failed job has one failed stage, other jobs have none": """
        UPDATE jobs SET outcome = 'failed' WHERE id = :ended
    """,
    "an ended job ends again only after it has run again": """
        INSERT INTO events (job_id, type, state, at, written_in)
        SELECT job_id, type, state, at, written_in FROM events
        WHERE job_id = :ended AND type = 'job.succeeded'
    """,
    "every event belongs to a job or a batch": """
        INSERT INTO events (job_id, type, state, at, written_in)
        VALUES (gen_random_uuid(), 'job.queued', 'queued', statement_timestamp(), 1)
    """,
    "a deleted job has no row": """
        INSERT INTO tombstones (job_id, tenant, deleted_at)
        VALUES (:ended, 'tests', statement_timestamp())
    """,
    "an ended job is settled within ten minutes": """
        UPDATE jobs SET finished_at = statement_timestamp() - interval '1 hour' WHERE id = :ended
    """,
    "the queue holds no stage of a settled job": "DELETE FROM unsettled_jobs WHERE job_id = :ended",
    "usage counts every ended job": "DELETE FROM unsettled_jobs WHERE job_id = :ended",
    "each item of a batch is one job or one gap": "UPDATE batches SET total = total + 1",
    "a batch has finished when all its jobs have ended": """
        UPDATE batches SET finished_at = statement_timestamp()
    """,
    "an album is ranked when all its photos are rated": "UPDATE batches SET best = 1",
    "an album composes only its best photos and redriven ones": """
        WITH ranked AS (UPDATE jobs SET album_rank = 1 WHERE id = :ended)
        UPDATE batches SET best = 0, ranked_at = statement_timestamp()
    """,
    "the photo of an unfinished job is kept": """
        UPDATE artifacts SET marked_at = statement_timestamp() WHERE job_id = :waits
    """,
    "the artifacts of a deleted job are marked": """
        UPDATE artifacts SET job_id = gen_random_uuid() WHERE job_id = :ended
    """,
    "a borrowed artifact and its borrower exist": """
        INSERT INTO borrowers (tenant, key, job_id) VALUES ('tests', 'nothing', :ended)
    """,
    "no job borrows its own artifact": """
        INSERT INTO borrowers (tenant, key, job_id)
        SELECT tenant, key, job_id FROM artifacts WHERE job_id = :ended
    """,
    "the end of a job is delivered to its webhook_url": f"""
        UPDATE jobs SET webhook_url = '{URL}' WHERE id = :ended
    """,
    "the end of a batch is delivered to its webhook_url": f"""
        WITH told AS (UPDATE jobs SET outcome = 'canceled', finished_at = statement_timestamp())
        UPDATE batches SET finished_at = statement_timestamp(), webhook_url = '{URL}'
    """,
    "an end has one delivery per receiver": delivery(":ended", times=2),
    "a due delivery is sent": delivery(":ended", late="1 hour"),
    "every delivery belongs to a job or a batch": delivery("gen_random_uuid()"),
    "every delivery attempt belongs to a delivery": """
        INSERT INTO delivery_attempts (delivery_id, at, seconds)
        VALUES (gen_random_uuid(), statement_timestamp(), 1)
    """,
}


def test_every_kind_of_damage_to_rows_is_found(bench: Bench, samples: SampleJobs) -> None:
    jobs = {"ended": samples.ended, "waits": samples.waits, "runs": samples.runs}
    unnoticed = []

    before = found(bench)
    for rule in RULES:
        with bench.engine.connect() as connection:  # rolled back at the end of the block
            connection.execute(text(DAMAGE[rule.name]), jobs)
            if rule.name not in [row.rule for row in consistency.check_rows(connection, most=10)]:
                unnoticed.append(rule.name)

    assert before == []
    assert unnoticed == []


def test_returning_sweeper_has_a_minute_to_repair_damage(bench: Bench, samples: SampleJobs) -> None:
    bench.execute("UPDATE sweeper SET expires_from = statement_timestamp()")
    bench.execute(DAMAGE["an expired lease is revoked"], runs=samples.runs)

    assert found(bench) == []


@pytest.mark.usefixtures("samples")
def test_unstarted_job_can_end_again_when_it_was_redriven(bench: Bench) -> None:
    job_id = bench.submit()
    scenarios.set_deadline_past(bench, job_id)
    bench.sweep()
    with bench.transaction() as connection:
        CLIENT.redrive(connection, job_id, TENANT)
        CLIENT.cancel(connection, job_id, TENANT)

    assert invariants.broken(bench) == []


@pytest.mark.usefixtures("samples")
def test_missing_object_is_reported_with_its_remedy(bench: Bench, owner_command: Command) -> None:
    with bench.transaction() as connection:
        keys = [row.key for row in connection.execute(text("SELECT key FROM artifacts"))]
    for key in keys:
        bench.store.put(key, b"it", length=2, media_type="text/plain")
    healthy = owner_command("audit"), owner_command.output("audit")

    bench.store.remove(keys[0])

    assert healthy == ({"findings": []}, "nothing is lost, duplicated or orphaned\n")
    assert owner_command.status("audit") == 1
    (finding,) = json.loads(owner_command.output("audit", "--json"))["findings"]
    assert (finding["fault"], finding["subject"]) == (FaultKind.LOST, keys[0])
    assert "backup" in finding["fix"]


def test_unnamed_object_is_found_after_its_retention(bench: Bench) -> None:
    key = "2026-11-20/tests/unknown/photo"
    bench.store.put(key, b"it", length=2, media_type="text/plain")
    young = consistency.check_objects(bench.engine, bench.store, most=10)

    # The server reports write times in seconds, rounded up.
    old = consistency.check_objects(
        bench.engine, bench.store, most=10, old=-dt.timedelta(minutes=1)
    )

    assert young == []
    assert [(one.fault, one.subject) for one in old] == [(FaultKind.ORPHANED, key)]
