"""Journeys of jobs beside 200,000 of 40 days: the new ones, and those of days that are closed."""

import uuid

from sqlalchemy import text

from smart_filter_shared.db import days
from smart_filter_shared.jobs import transitions
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import learning
from smart_filter_tests.aged_stack import AgedStack
from smart_filter_tests.bench import KEEPING, TENANT, done
from smart_filter_tests.old_installation import FORMER_SCORE, HOURLY, WEEKLY

SHOP = next(iter(HOURLY))
NAVY = {"background": "color:navy"}
RED = {"recipe": {"background": "color:red"}}
OPEN_DAYS = "SELECT obj_description('open_jobs'::regclass)"
LEARNED = {"outputs": "image,faces", "smile__model": learning.CARD.name}


def ran(job: dict[str, object]) -> set[str]:
    """Return the names of the stages that a job ran itself."""
    stages = job["stages"]
    assert isinstance(stages, list)
    return {stage["name"] for stage in stages if stage["attempt"]}


def test_photo_of_today_is_done_and_its_work_is_looked_for_in_few_days(aged: AgedStack) -> None:
    job = aged.done(**NAVY)

    shown = aged.scalar(OPEN_DAYS).split()

    assert job["state"] == "succeeded"
    assert aged.running.output(job["id"], "image")
    with aged.bench.transaction() as connection:
        assert len(shown) <= 4 < len(days.partitions(connection)) - days.DAYS_AHEAD


def test_completion_locks_the_days_with_work_alone(aged: AgedStack) -> None:
    bench = aged.bench
    job_id = bench.submit()
    try:
        lease = bench.claim_one(StageName.PREPARE)
        with bench.transaction() as connection:
            # As in workers, whose plans are made before the ids of jobs are known.
            connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
            transitions.complete(connection, [done(lease)], KEEPING)
            locked = connection.scalars(
                text("""
                    SELECT DISTINCT relname FROM pg_locks JOIN pg_class ON pg_class.oid = relation
                    WHERE pid = pg_backend_pid() AND relkind = 'r' AND relname LIKE 'jobs\\_2%'
                """)
            ).all()
    finally:
        with bench.transaction() as connection:
            transitions.delete(connection, job_id, TENANT)

    # The last of them stands for those that come after it as well.
    *open_days, latest = aged.scalar(OPEN_DAYS).split()
    assert [day for day in sorted(locked) if day < latest and day not in open_days] == []


def test_events_of_a_job_come_in_order_and_once(aged: AgedStack) -> None:
    job_id = aged.running.submit(**NAVY)

    with aged.client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        told = [line[7:] for line in answer.iter_lines() if line.startswith("event: ")]

    stages = ["job.stage"] * 3
    assert told == ["job.queued", "job.running", *stages, "job.succeeded"]


def test_scheduled_job_of_39_days_ago_runs_with_the_weights_of_its_day(aged: AgedStack) -> None:
    with aged.client_of(WEEKLY) as client:
        (job_id, *_) = [
            one["id"] for one in client.get("/v1/jobs", params={"state": "queued"}).json()["items"]
        ]
        aged.scalar(
            "UPDATE stages SET not_before = statement_timestamp()"
            " WHERE job_id = :id AND not_before IS NOT NULL RETURNING 1",
            id=uuid.UUID(job_id),
        )
        aged.until("SELECT outcome IS NOT NULL FROM jobs WHERE id = :id", id=uuid.UUID(job_id))
        job = client.get(f"/v1/jobs/{job_id}").json()

    assert (job["state"], job["error"]) == ("succeeded", None)
    assert [face["smile"]["level"] for face in job["faces"]] == [str(learning.CUTS[FORMER_SCORE])]


def test_job_of_ten_days_ago_is_derived_from_and_only_composes(aged: AgedStack) -> None:
    parent = aged.done(ago=10, **NAVY)

    answer = aged.client.post(f"/v1/jobs/{parent['id']}/derive", json=RED)
    job = aged.running.wait(answer.json()["id"])

    assert (job["state"], job["parent_id"]) == ("succeeded", parent["id"])
    assert ran(job) == {"composite"}
    assert aged.running.output(job["id"], "image") != aged.running.output(parent["id"], "image")


def test_photo_of_30_days_ago_that_is_not_kept_answers_gone(aged: AgedStack) -> None:
    (job_id,) = aged.sample(SHOP, "outcome = 'succeeded'", ago=30)

    with aged.client_of(SHOP) as client:
        shown = client.get(f"/v1/jobs/{job_id}").json()
        derived = client.post(f"/v1/jobs/{job_id}/derive", json=RED)
        picture = client.get(f"/v1/jobs/{job_id}/outputs/image")

    assert (shown["state"], shown["faces"]) == ("succeeded", None)
    assert (derived.status_code, derived.json()["code"]) == (410, "inputs_expired")
    assert (picture.status_code, picture.json()["code"]) == (410, "output_expired")


def test_correction_of_a_closed_day_is_learnt_from_and_applied(aged: AgedStack) -> None:
    job = aged.done(ago=10, **LEARNED)
    label = {"faces": [{"number": 1, "smile": "none"}]}
    body = {"kind": "label", "stage": "smile", "label": label, "consent": True}

    correction = aged.client.post(f"/v1/jobs/{job['id']}/corrections", json=body).json()["id"]
    aged.until(
        "SELECT collected_at IS NOT NULL FROM corrections WHERE id = :id", id=uuid.UUID(correction)
    )
    asked = {**RED, "correction_id": correction}
    derived = aged.client.post(f"/v1/jobs/{job['id']}/derive", json=asked)
    assert derived.status_code == 202, derived.text
    ended = aged.running.wait(derived.json()["id"])

    assert [face["smile"]["level"] for face in job["faces"]] == ["huge"]
    assert [face["smile"]["level"] for face in ended["faces"]] == ["none"]
    items = "SELECT count(*) FROM data_items WHERE correction_id = :id"
    assert aged.scalar(items, id=uuid.UUID(correction)) > 0


def test_failed_job_of_a_closed_day_is_redriven_and_succeeds(aged: AgedStack) -> None:
    with aged.running.armed("raises"):
        failed = aged.done(ago=5, segmentation__model="raises", **NAVY)

    answer = aged.client.post(f"/v1/jobs/{failed['id']}/redrive")
    job = aged.running.wait(failed["id"])

    assert (failed["state"], answer.status_code) == ("failed", 202)
    assert (job["state"], job["error"]) == ("succeeded", None)


def test_deleted_job_of_35_days_ago_is_gone_for_good(aged: AgedStack) -> None:
    (job_id,) = aged.sample(SHOP, "outcome = 'succeeded'", ago=35)

    with aged.client_of(SHOP) as client:
        deleted = client.delete(f"/v1/jobs/{job_id}").status_code
        again = client.get(f"/v1/jobs/{job_id}")

    assert (deleted, again.status_code, again.json()["code"]) == (204, 410, "job_deleted")
    left = "SELECT count(*) FROM stages WHERE job_id = :id"
    assert aged.scalar(left, id=uuid.UUID(job_id)) == 0


def test_objects_of_a_deleted_job_of_a_closed_day_go(aged: AgedStack) -> None:
    job = aged.done(ago=10, **NAVY)
    key = aged.scalar("SELECT photo_key FROM jobs WHERE id = :id", id=uuid.UUID(job["id"]))
    was_there = aged.bench.store.has(key)

    deleted = aged.client.delete(f"/v1/jobs/{job['id']}").status_code
    aged.until(
        "SELECT NOT EXISTS (SELECT FROM artifacts WHERE job_id = :id)", id=uuid.UUID(job["id"])
    )

    assert (was_there, deleted, aged.bench.store.has(key)) == (True, 204, False)


def test_batch_of_30_days_ago_is_shown_and_deleted(aged: AgedStack) -> None:
    (job_id,) = aged.sample(SHOP, "batch_id IS NOT NULL", ago=30)
    batch_id = aged.scalar("SELECT batch_id FROM jobs WHERE id = :id", id=uuid.UUID(job_id))

    with aged.client_of(SHOP) as client:
        batch = client.get(f"/v1/batches/{batch_id}").json()
        deleted = client.delete(f"/v1/batches/{batch_id}").status_code
        job = client.get(f"/v1/jobs/{job_id}").status_code

    assert (batch["state"], batch["total"], batch["succeeded"]) == ("finished", 3, 3)
    assert job_id in {item["job_id"] for item in batch["items"]}
    assert (deleted, job) == (204, 410)
