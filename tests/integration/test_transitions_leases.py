"""The life of a stage: ready, claimed, held, lost and tried again; and the end of its job."""

import dataclasses
import datetime as dt
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.artifacts.uploads import UploadRef
from smart_filter_shared.errors import (
    Error,
    RowUnreadable,
    StorageUnavailable,
)
from smart_filter_shared.ids import new_batch_id, new_job_id, new_upload_id
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.jobs.submission import BatchMember, NewPhotoJob
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import LEADING_TASK, TaskName
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.fair_queueing import DEFAULT_COST_SECONDS, Reservation
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Filter, Recipe, required_stages
from smart_filter_tests.bench import TENANT, Bench, capability, write_job
from smart_filter_tests.scenarios import KEEP_BACKGROUND, RAISED
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION
from smart_filter_workers.runtime import error_policy
from smart_filter_workers.runtime.bells.stage_events import StageEvents
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.runtime.task import Task

TOMORROW = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


def lose(bench: Bench) -> Lease:
    """Claim, and let the lease expire."""
    lease = bench.claim_one(PREPARE)
    bench.age(lease, seconds=31)
    bench.sweep()
    return lease


def release(bench: Bench, *, delay_seconds: float) -> list[str]:
    """Claim and release; return the capabilities to ring."""
    lease = bench.claim_one(PREPARE)
    ringing = bench.work(WORKER.release, lease, delay_seconds=delay_seconds, give_up_seconds=3600)
    return [str(one) for one in ringing]


def test_batch_takes_only_rows_that_share_the_heads_key(bench: Bench) -> None:
    *_, last = [bench.submit() for _ in range(3)]
    bench.execute("UPDATE stages SET batch_key = 'other' WHERE job_id = :id", id=last)

    assert len(bench.claim(PREPARE, batch_size=8)) == 2


def test_row_on_its_last_attempt_is_claimed_alone(bench: Bench) -> None:
    tried = bench.submit()
    for _ in range(bench.settings.engine.max_attempts - 1):
        lose(bench)
    bench.submit()
    bench.submit()

    batches = [bench.claim(PREPARE, batch_size=8) for _ in range(2)]

    assert [[lease.job_id == tried for lease in batch] for batch in batches] == [
        [True],
        [False, False],
    ]


def test_batch_with_one_lost_lease_completes_the_others(bench: Bench) -> None:
    bench.submit()
    bench.submit()
    kept, lost = bench.claim(PREPARE, batch_size=2)
    bench.age(lost, seconds=31)
    bench.sweep()

    completion = bench.complete(kept, lost)

    assert completion.lost == [lost]
    assert sorted(completion.ready) == [capability(FACE), capability(SEGMENTATION)]


@pytest.mark.parametrize("is_lost", [False, True])
def test_lease_that_is_not_lost_yet_is_renewed(bench: Bench, *, is_lost: bool) -> None:
    bench.submit()
    lease = bench.claim_one(PREPARE)
    bench.age(lease, seconds=31)
    if is_lost:
        bench.sweep()

    alive = bench.work(WORKER.renew, [lease], lease_seconds=30)
    bench.sweep()

    assert alive == (set() if is_lost else {lease.token})
    assert bench.complete(lease).lost == ([lease] if is_lost else [])


def release_later(bench: Bench) -> None:
    assert release(bench, delay_seconds=9) == []


def retry_later(bench: Bench) -> None:
    lease = bench.claim_one(PREPARE)
    bench.work(WORKER.retry, lease, RAISED, delay_seconds=9, max_attempts=3)


@pytest.mark.parametrize(
    ("give_back", "attempt", "releases"), [(release_later, 1, 1), (retry_later, 2, 0)]
)
def test_returned_stage_waits_and_only_a_release_refunds_its_attempt(
    bench: Bench, give_back: Callable[[Bench], None], attempt: int, releases: int
) -> None:
    job_id = bench.submit()

    give_back(bench)
    at_once = bench.row(job_id, PREPARE)["state"], bench.sweep()
    bench.pass_time(job_id, PREPARE, seconds=10)
    later = bench.sweep()

    assert (at_once, later) == (("waiting", []), [capability(PREPARE)])
    again = bench.claim_one(PREPARE)
    assert (again.attempt, again.releases) == (attempt, releases)


def test_release_without_delay_makes_the_row_ready_for_others(bench: Bench) -> None:
    bench.submit()

    assert release(bench, delay_seconds=0) == [capability(PREPARE)]
    assert bench.claim_one(PREPARE).attempt == 1


def lose_worker(bench: Bench) -> None:
    bench.age(bench.claim_one(PREPARE), seconds=31)


def let_worker_meet(bench: Bench, trouble: Error) -> None:
    context = SimpleNamespace(
        engine=bench.engine,
        settings=bench.settings,
        doorbell=bench.doorbell,
        counters=WorkerCounters(),
        stage_events=StageEvents(bench.settings.broker, bench.worker, max_attempts=3),
    )
    task = Task(bench.claim_one(PREPARE), overdue_at=math.inf)
    with error_policy.settle_errors(cast(WorkerContext, context), [task], "internal"):
        raise trouble


def lose_storage(bench: Bench) -> None:
    let_worker_meet(bench, StorageUnavailable("no answer"))


def find_unreadable(bench: Bench) -> None:
    let_worker_meet(bench, RowUnreadable("of a later version"))


@pytest.mark.parametrize(
    ("meet_trouble", "times", "why"),
    [
        (lose_worker, 4, "storage or the database was unavailable"),
        (lose_storage, 2, "storage or the database was unavailable"),
        (find_unreadable, 2, "a later version of the service wrote this job"),
    ],
)
def test_patience_with_infrastructure_ends(
    bench: Bench, meet_trouble: Callable[[Bench], None], times: int, why: str
) -> None:
    job_id = bench.submit()

    for _ in range(times):
        meet_trouble(bench)
        bench.pass_time(job_id, PREPARE, seconds=3601)
        bench.sweep()

    error = bench.job(job_id).error or {}
    assert (error["code"], str(error["detail"])[: len(why)]) == ("unavailable", why)


def test_stage_that_raised_on_its_last_attempt_fails_its_job(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    lease = bench.claim_one(FACE)

    bench.work(WORKER.retry, lease, RAISED, delay_seconds=5, max_attempts=1)

    job = bench.job(job_id)
    assert job.state == JobState.FAILED
    assert job.error == {
        "code": "model_failed",
        "title": "A model failed",
        "detail": "ValueError in face",
        "stage": "face",
    }
    left = dict.fromkeys(("segmentation", "smile", "composite"), "canceled")
    assert bench.states(job_id) == {"prepare": "succeeded", "face": "failed", **left}


def test_cancel_ends_the_job_and_every_unfinished_stage(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    running = bench.claim_one(FACE)

    bench.do(CLIENT.cancel, job_id, TENANT)

    assert bench.job(job_id).state == JobState.CANCELED
    assert bench.complete(running).lost == [running]
    assert bench.claim(SEGMENTATION) == []


def test_running_overdue_jobs_do_not_keep_others_from_failing(bench: Bench) -> None:
    bench.submit_many(500, Recipe(), tenant=TENANT)
    bench.execute("""
        UPDATE stages SET state = 'running', lease_token = gen_random_uuid(),
            leased_until = now() + interval '1 hour'
        WHERE stage = 'prepare'
    """)
    waiting = bench.submit()
    bench.execute(
        """
            UPDATE jobs SET deadline_at = now() - make_interval(
                secs => CASE id WHEN :waiting THEN 1 ELSE 9 END
            )
        """,
        waiting=waiting,
    )

    lapsed = bench.work(WORKER.fail_overdue)

    assert lapsed == [waiting]


def a_submission(recipe: Recipe) -> NewPhotoJob:
    job_id = new_job_id()
    return NewPhotoJob(
        job_id=job_id,
        tenant=TENANT,
        recipe=recipe,
        seed=2**53 - 1,
        place=Reservation(1 / 3, 0.1),
        photo_key=f"{TENANT}/{job_id}",
        photo_digest="ab" * 32,
        background_key=f"{TENANT}/{job_id}/background",
        retention=RetentionPolicy(3600.5, 7200.25),
        plans={
            stage: StagePlan(
                capability(stage),
                {LEADING_TASK[stage]: "bench"},
                {TaskName.SEGMENTATION: {"threshold": 0.1}},
            )
            for stage in required_stages(recipe)
        },
        megapixels=1.048576,
    )


def assert_read_as_written(bench: Bench, submission: NewPhotoJob) -> None:
    with bench.transaction() as connection:
        written = write_job(connection, submission)
        known = queries.from_submission(submission, written)
        assert known == queries.find(connection, submission.job_id, TENANT)


def test_job_with_every_field_is_read_as_it_was_written(bench: Bench) -> None:
    recipe = Recipe(
        priority=Priority.INTERACTIVE,
        run_at=TOMORROW,
        deadline_ms=1001,
        filters=(Filter("glasses"),),
        params={TaskName.SEGMENTATION: {"threshold": 0.1}},
        metadata={"a name": 'Zoë "\\ \u2028 \U0001f600'},
    )
    submission = dataclasses.replace(
        a_submission(recipe),
        photo_url="https://example.org/photo.jpg",
        webhook_url="https://example.org/hook",
        upload=UploadRef(new_upload_id(), '"etag"'),
        parent_id=new_job_id(),
        corrections=({"form": "label", "key": None, "label": {"faces": []}},),
        degraded=("edge=fast", "a, b"),
        eta=(0.1, 0.2),
        membership=BatchMember(new_batch_id(), 3, is_ranked=True),
    )

    assert_read_as_written(bench, submission)


def test_deadline_counts_from_the_moment_of_submission(bench: Bench) -> None:
    submission = a_submission(Recipe(deadline_ms=1001))

    written = bench.do(write_job, submission)

    ends_at = written.created_at + dt.timedelta(milliseconds=1001)
    assert {bench.row(submission.job_id, stage)["deadline_at"] for stage in submission.plans} == {
        ends_at
    }


def test_job_that_takes_stages_over_is_read_as_it_was_written(bench: Bench) -> None:
    earlier = bench.submit()
    bench.advance(PREPARE, SEGMENTATION)
    submission = dataclasses.replace(
        a_submission(Recipe()), results=bench.results(earlier, PREPARE, SEGMENTATION)
    )

    assert_read_as_written(bench, submission)
    assert bench.row(submission.job_id, SEGMENTATION)["state"] == "succeeded"
    assert bench.row(submission.job_id, SEGMENTATION)["finished_at"] is not None
    assert bench.row(submission.job_id, FACE)["state"] == "ready"


def test_scheduled_job_pays_only_for_stages_that_it_does_not_take_over(bench: Bench) -> None:
    scheduled = dataclasses.replace(KEEP_BACKGROUND, run_at=TOMORROW)
    earlier = bench.submit()
    bench.advance(PREPARE)
    submission = dataclasses.replace(
        a_submission(scheduled), results=bench.results(earlier, PREPARE)
    )
    bench.execute("DELETE FROM tenants")
    bench.do(write_job, submission)
    bench.pass_time(submission.job_id, COMPOSITE, seconds=2 * 24 * 3600)

    woken = bench.work(WORKER.wake)

    assert woken == [capability(COMPOSITE)]
    assert bench.scalar("SELECT finish FROM tenants") == pytest.approx(DEFAULT_COST_SECONDS)
