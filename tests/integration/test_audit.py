"""The audit finds each kind of damage with its remedy, and nothing in a healthy service."""

import datetime as dt
import json
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import audit, transitions
from smart_filter_shared.jobs.audit_rules import RULES, Fault
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import commands, invariants, worlds
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.commands import Command

PREPARE, FACE, SEGMENTATION = StageName.PREPARE, StageName.FACE, StageName.SEGMENTATION
EVERY = (PREPARE, SEGMENTATION, FACE, StageName.SMILE, StageName.COMPOSITE)
URL = "https://example.org/told"


@dataclass(frozen=True, slots=True)
class World:
    """A batch whose first job has ended, a job that waits, one whose face stage runs."""

    ended: JobId
    waits: JobId
    runs: JobId


@pytest.fixture
def world(bench: Bench) -> World:
    _, (ended, _) = bench.submit_batch(2, webhook_url=URL)
    bench.advance(*EVERY)
    runs = bench.submit()
    waits = bench.submit()
    bench.execute("UPDATE stages SET rank = 1000 WHERE job_id <> :runs", runs=runs)
    bench.advance(PREPARE)
    bench.claim_one(FACE)
    with bench.transaction() as connection:
        # As the sweeper leaves it that has swept for long.
        connection.execute(text("UPDATE cells SET swept_at = statement_timestamp()"))
    return World(ended, waits, runs)


def found(bench: Bench) -> list[str]:
    with bench.transaction() as connection:
        return [finding.rule for finding in audit.rows(connection, most=10)]


def delivery(job_id: str, *, late: str = "0 s", times: int = 1) -> str:
    return f"""
        INSERT INTO deliveries
            (id, tenant, webhook, url, lane, job_id, type, happened_at, due_at)
        SELECT gen_random_uuid(), 'tests', 'default', '{URL}', 'l', {job_id}, 'job.succeeded',
            statement_timestamp(), statement_timestamp() - interval '{late}'
        FROM generate_series(1, {times})
    """


# By rule, what breaks it: one statement, of which `:ended`, `:waits` and `:runs` are jobs.
DAMAGE = {
    "a waiting stage counts the needs that have not succeeded": """
        UPDATE stages SET open_needs = 3 WHERE job_id = :waits AND stage = 'face'
    """,
    "a ready stage waits for nothing": """
        UPDATE stages SET open_needs = 1 WHERE job_id = :waits AND stage = 'prepare'
    """,
    "a waiting stage waits for something": """
        UPDATE stages SET open_needs = 0 WHERE job_id = :waits AND stage = 'face'
    """,
    "a lease is what running means": """
        UPDATE stages SET leased_until = NULL WHERE job_id = :runs AND stage = 'face'
    """,
    "a lease that nobody renews is taken away": """
        UPDATE stages SET leased_until = statement_timestamp() - interval '2 minutes'
        WHERE job_id = :runs AND stage = 'face'
    """,
    "a stage that is due is made ready": """
        UPDATE stages SET state = 'waiting', open_needs = 0, lease_token = NULL,
            not_before = statement_timestamp() - interval '2 minutes'
        WHERE job_id = :runs AND stage = 'face'
    """,
    "no counter is below zero": "UPDATE stages SET attempt = -1 WHERE job_id = :waits",
    "what may still be claimed has the deadline of its job": """
        UPDATE stages SET deadline_at = statement_timestamp() WHERE job_id = :waits
    """,
    "every stage belongs to a job": "DELETE FROM jobs WHERE id = :waits",
    "a job has ended when no stage is unfinished": "DELETE FROM stages WHERE job_id = :waits",
    "every stage of a job that succeeded has": """
        UPDATE jobs SET outcome = 'succeeded', finished_at = statement_timestamp()
        WHERE id = :waits
    """,
    "one stage has failed of a job that has, and of no other": """
        UPDATE jobs SET outcome = 'failed' WHERE id = :ended
    """,
    "a job that has ended goes on before it ends again": """
        INSERT INTO events (job_id, type, state, at, written_in)
        SELECT job_id, type, state, at, written_in FROM events
        WHERE job_id = :ended AND type = 'job.succeeded'
    """,
    "an event tells of a job or a batch": """
        INSERT INTO events (job_id, type, state, at, written_in)
        VALUES (gen_random_uuid(), 'job.queued', 'queued', statement_timestamp(), 1)
    """,
    "a deleted job is gone": """
        INSERT INTO tombstones (job_id, tenant, deleted_at)
        VALUES (:ended, 'tests', statement_timestamp())
    """,
    "what a job cost is counted soon after its end": """
        UPDATE jobs SET finished_at = statement_timestamp() - interval '1 hour' WHERE id = :ended
    """,
    "usage counts every job that has ended": """
        UPDATE jobs SET settled = true, counted_seconds = 1 WHERE id = :ended
    """,
    "each item of a batch is one job or one gap": "UPDATE batches SET total = total + 1",
    "a batch has finished when no job of it is unfinished": """
        UPDATE batches SET finished_at = statement_timestamp()
    """,
    "an album is ranked when nobody in it is being rated": "UPDATE batches SET best = 1",
    "no more are composed of an album than its best, but for those that were redriven": """
        WITH ranked AS (UPDATE jobs SET album_rank = 1 WHERE id = :ended)
        UPDATE batches SET best = 0, ranked_at = statement_timestamp()
    """,
    "what an unfinished job starts from is kept": """
        UPDATE artifacts SET marked_at = statement_timestamp() WHERE job_id = :waits
    """,
    "what is kept of a deleted job is marked": """
        UPDATE artifacts SET job_id = gen_random_uuid() WHERE job_id = :ended
    """,
    "what is borrowed is there, and so is who borrows it": """
        INSERT INTO borrowers (tenant, key, job_id) VALUES ('tests', 'nothing', :ended)
    """,
    "nobody borrows what is his": """
        INSERT INTO borrowers (tenant, key, job_id)
        SELECT tenant, key, job_id FROM artifacts WHERE job_id = :ended
    """,
    "whoever a job names is told of its end": f"""
        UPDATE jobs SET webhook_url = '{URL}' WHERE id = :ended
    """,
    "whoever a batch names is told of its end": f"""
        WITH told AS (UPDATE jobs SET outcome = 'canceled', finished_at = statement_timestamp())
        UPDATE batches SET finished_at = statement_timestamp(), webhook_url = '{URL}'
    """,
    "an end is told to each receiver under one id": delivery(":ended", times=2),
    "what is to be told is told": delivery(":ended", late="1 hour"),
    "a delivery tells of a job or a batch that is there": delivery("gen_random_uuid()"),
    "a try to deliver is one of a delivery": """
        INSERT INTO delivery_attempts (delivery_id, at, seconds)
        VALUES (gen_random_uuid(), statement_timestamp(), 1)
    """,
}


def test_every_kind_of_damage_to_rows_is_found(bench: Bench, world: World) -> None:
    jobs = {"ended": world.ended, "waits": world.waits, "runs": world.runs}
    unnoticed = []

    before = found(bench)
    for rule in RULES:
        with bench.engine.connect() as connection:  # rolled back at the end of the block
            connection.execute(text(DAMAGE[rule.name]), jobs)
            if rule.name not in [one.rule for one in audit.rows(connection, most=10)]:
                unnoticed.append(rule.name)

    assert before == []
    assert unnoticed == []


def test_sweeper_that_was_away_has_a_minute_to_mend_things(bench: Bench, world: World) -> None:
    bench.execute("UPDATE cells SET expires_from = statement_timestamp()")
    bench.execute(DAMAGE["a lease that nobody renews is taken away"], runs=world.runs)

    assert found(bench) == []


@pytest.fixture
def command(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    return commands.on_servers(bench.settings, capsys, monkeypatch)


@pytest.mark.usefixtures("world")
def test_job_that_never_ran_may_end_again_when_it_was_redriven(bench: Bench) -> None:
    job_id = bench.submit()
    worlds.pass_deadline(bench, job_id)
    bench.sweep()
    with bench.transaction() as connection:
        transitions.redrive(connection, job_id, TENANT)
        transitions.cancel(connection, job_id, TENANT)

    assert invariants.broken(bench) == []


@pytest.mark.usefixtures("world")
def test_missing_object_is_reported_with_its_remedy(bench: Bench, command: Command) -> None:
    with bench.transaction() as connection:
        keys = [row.key for row in connection.execute(text("SELECT key FROM artifacts"))]
    for key in keys:
        bench.store.put(key, b"it", length=2, media_type="text/plain")
    healthy = command("audit"), command.said("audit")

    bench.store.remove(keys[0])

    assert healthy == ({"findings": []}, "nothing is lost, doubled or orphaned\n")
    assert command.status("audit") == 1
    (finding,) = json.loads(command.said("audit", "--json"))["findings"]
    assert (finding["fault"], finding["subject"]) == (Fault.LOST, keys[0])
    assert "backup" in finding["fix"]


def test_object_that_no_row_names_is_found_once_it_should_be_gone(bench: Bench) -> None:
    key = "2026-11-20/tests/nobody/photo"
    bench.store.put(key, b"it", length=2, media_type="text/plain")
    young = audit.objects(bench.engine, bench.store, most=10)

    # The server tells when an object was written to the second, and rounds up.
    old = audit.objects(bench.engine, bench.store, most=10, old=-dt.timedelta(minutes=1))

    assert young == []
    assert [(one.fault, one.subject) for one in old] == [(Fault.ORPHANED, key)]
