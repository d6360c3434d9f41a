"""Photos and artifacts: fetched or uploaded, shared by jobs, expired, made again."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from sqlalchemy import text

from smart_filter_shared.artifacts import references, retention, uploads
from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.artifacts.uploads import UploadRef
from smart_filter_shared.errors import (
    ArtifactsGone,
    EqualPhotoDeleted,
    InputsExpired,
)
from smart_filter_shared.ids import JobId, UploadId, new_upload_id
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import (
    CompleteResult,
    Failure,
    ImportedPhoto,
    Lease,
    StageOutcome,
)
from smart_filter_shared.tenants import quotas
from smart_filter_tests import invariants, races, scenarios
from smart_filter_tests.bench import RETENTION, TENANT, Bench
from smart_filter_tests.scenarios import KEEP_BACKGROUND, Action, Scenario
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.runtime import error_policy
from smart_filter_workers.runtime.bells.stage_events import StageEvents
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.runtime.task import Task
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.prepare import stage as prepare_stage
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system.lru_cache import LruCache

AWAY = Failure("photo_unreachable", "It cannot be fetched", "404")
FETCHED = ImportedPhoto("a/key", "digest", 12.5)
URL = "https://example.com/a?secret"
PHOTO = "2026-01-01/tests/parent/photo"
AGE = text("UPDATE artifacts SET expires_at = statement_timestamp() - interval '1 hour'")


def promised(bench: Bench) -> UploadId:
    return bench.do(uploads.create, TENANT, new_upload_id(), media_type="image/jpeg", length=5).id


def named(bench: Bench, upload_id: UploadId | None = None) -> JobId:
    upload = None if upload_id is None else UploadRef(upload_id, "etag")
    return bench.submit_elsewhere(photo_url=None if upload else URL, upload=upload)


def fail(bench: Bench) -> None:
    lease = bench.claim_one(StageName.PREPARE)
    bench.work(WORKER.fail, lease, AWAY)


def fetch(bench: Bench, lease: Lease) -> CompleteResult:
    """End the stage that fetched a photo."""
    done = StageOutcome(lease, {}, 0.1, {FETCHED.key: ArtifactKind.PHOTO}, FETCHED)
    return bench.work(WORKER.complete, [done])


def redrive(bench: Bench, job_id: JobId) -> None:
    bench.do(CLIENT.redrive, job_id, TENANT)


def expire(bench: Bench) -> None:
    bench.execute("UPDATE uploads SET expires_at = now() - interval '2 minutes'")
    bench.do(uploads.mark_expired, most=10)


def marked(bench: Bench) -> int:
    return int(bench.scalar("SELECT count(*) FROM uploads WHERE marked_at IS NOT NULL"))


def test_fetched_photo_replaces_its_address(bench: Bench) -> None:
    job_id = named(bench)
    assert (bench.job(job_id).photo_key, bench.job(job_id).photo_url) == (None, URL)
    lease = bench.claim_one(StageName.PREPARE)

    fetch(bench, lease)

    assert (bench.job(job_id).photo_key, bench.job(job_id).photo_url) == (FETCHED.key, None)
    assert bench.do(retention.is_available, TENANT, FETCHED.key)
    assert bench.scalar("SELECT (photo_digest, megapixels) = ('digest', 12.5) FROM jobs")


def test_photo_fetched_under_a_lost_lease_is_dropped(bench: Bench) -> None:
    job_id = named(bench)
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(CLIENT.cancel, job_id, TENANT)

    late = fetch(bench, lease)

    assert (late.lost, bench.job(job_id).photo_key) == ([lease], None)


def test_photo_at_an_address_is_prepared_alone(bench: Bench) -> None:
    elsewhere = [named(bench), named(bench)]
    here = [bench.submit(), bench.submit()]

    batches = [bench.claim(StageName.PREPARE, batch_size=8) for _ in range(3)]

    claimed = sorted(sorted(lease.job_id for lease in batch) for batch in batches)
    assert claimed == sorted([[elsewhere[0]], [elsewhere[1]], sorted(here)])


def test_failed_job_uses_its_upload_again_while_it_exists(bench: Bench) -> None:
    job_id = named(bench, promised(bench))
    fail(bench)
    redrive(bench, job_id)
    fail(bench)
    expire(bench)

    with pytest.raises(InputsExpired):
        redrive(bench, job_id)


def test_job_that_has_its_photo_does_not_keep_the_upload(bench: Bench) -> None:
    named(bench, promised(bench))
    expire(bench)
    before = marked(bench)
    lease = bench.claim_one(StageName.PREPARE)
    fetch(bench, lease)

    expire(bench)

    assert (before, marked(bench)) == (0, 1)


def test_upload_is_removed_with_its_jobs_even_when_they_are_deleted_at_once(bench: Bench) -> None:
    upload_id = promised(bench)
    job_ids = [named(bench, upload_id) for _ in range(2)]

    def delete(job_id: JobId) -> None:
        bench.do(CLIENT.delete, job_id, TENANT)

    races.at_once([lambda one=one: delete(one) for one in job_ids])  # type: ignore[misc]  # binds the loop's variable

    assert marked(bench) == 1


def test_upload_in_use_by_a_new_job_is_not_marked_meanwhile(bench: Bench) -> None:
    upload_id = promised(bench)
    first = named(bench, upload_id)

    with bench.transaction() as connection:
        held = uploads.lock(connection, upload_id, TENANT)
        expire_others = pytest.raises(Exception, match="lock timeout")
        with expire_others, bench.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '50ms'"))
            CLIENT.delete(other, first, TENANT)

    assert (held, marked(bench)) == (True, 0)


def test_megapixels_of_a_fetched_photo_are_counted_today(bench: Bench) -> None:
    named(bench)
    bench.execute("UPDATE tenants SET spent_on = '2020-01-01', spent_megapixels = 9")

    for megapixels in (2.5, 1.0):
        bench.do(quotas.charge_imported, TENANT, megapixels)

    assert bench.do(quotas.read_charged_today, TENANT) == 3.5


def parent(bench: Bench) -> Scenario:
    """Make a job whose photo another job borrows."""
    job_id = bench.submit(KEEP_BACKGROUND, photo=PHOTO)
    return Scenario(bench, job_id, {})


def child(scenario: Scenario) -> JobId:
    job_id = scenario.bench.submit(KEEP_BACKGROUND)
    assert scenario.bench.do(references.add_references, TENANT, job_id, [PHOTO], RETENTION) == {
        PHOTO
    }
    return job_id


def holders(bench: Bench) -> tuple[list[JobId], list[JobId], bool]:
    """Return the photo's owner, its borrower, and whether it is marked."""
    with bench.transaction() as connection:
        rows = connection.execute(
            text("SELECT job_id, marked_at FROM artifacts WHERE key = :key"), {"key": PHOTO}
        ).all()
        borrowers = connection.execute(text("SELECT job_id FROM borrowers")).scalars()
        return [row.job_id for row in rows], list(borrowers), any(row.marked_at for row in rows)


def delete(job_id: JobId) -> Action:
    return Action(
        "delete",
        None,
        lambda connection, _: sorted(one.key for one in CLIENT.delete(connection, job_id, TENANT)),
    )


def borrow(job_id: JobId) -> Action:
    return Action(
        "borrow",
        None,
        lambda connection, _: references.add_references(
            connection, TENANT, job_id, [PHOTO], RETENTION
        ),
    )


EXPIRE = Action("expire", None, lambda connection, _: retention.mark_expired(connection, most=10))


@pytest.mark.parametrize("parent_first", [True, False])
def test_deleting_both_jobs_at_once_marks_the_photo_once(
    bench: Bench, *, parent_first: bool
) -> None:
    scenario = parent(bench)
    pair = [delete(scenario.job_id), delete(child(scenario))]

    marked = races.run_overlapped(scenario, *(pair if parent_first else pair[::-1]))

    assert sum(PHOTO in keys for keys in marked) == 1  # type: ignore[operator]  # lists
    assert holders(bench)[1:] == ([], True)


def test_borrowing_during_a_deletion_finds_the_photo_missing(bench: Bench) -> None:
    scenario = parent(bench)
    late = bench.submit(KEEP_BACKGROUND)

    _, borrowed = races.run_overlapped(scenario, delete(scenario.job_id), borrow(late))

    assert borrowed == set()
    assert holders(bench)[1:] == ([], True)


def test_job_whose_equal_photo_was_deleted_can_be_submitted_again(bench: Bench) -> None:
    scenario = parent(bench)
    bench.execute("UPDATE artifacts SET marked_at = now()")

    with pytest.raises(EqualPhotoDeleted, match="retry the request"):
        bench.submit_equal(scenario.job_id)


def test_deletion_during_borrowing_transfers_the_photo(bench: Bench) -> None:
    scenario = parent(bench)
    late = bench.submit(KEEP_BACKGROUND)

    borrowed, marked = races.run_overlapped(scenario, borrow(late), delete(scenario.job_id))

    assert (borrowed, marked) == ({PHOTO}, [])
    assert holders(bench) == ([late], [], False)


def test_artifact_does_not_expire_while_it_is_borrowed(bench: Bench) -> None:
    scenario = parent(bench)
    bench.advance(PREPARE, COMPOSITE)
    late = bench.submit(KEEP_BACKGROUND)
    with bench.transaction() as connection:
        assert borrow(late)(connection, scenario) == {PHOTO}
        connection.execute(AGE)
        races.run_alone(scenario, EXPIRE)

    races.run_alone(scenario, EXPIRE)

    assert not holders(bench)[2]  # the borrowing job has not ended


def test_deletions_of_jobs_that_share_do_not_deadlock(bench: Bench) -> None:
    scenario = parent(bench)
    heirs = [child(scenario) for _ in range(4)]
    deadlocks = races.deadlocks(bench)

    def remove(job_id: JobId) -> Callable[[], object]:
        return lambda: races.run_alone(scenario, delete(job_id))

    answers = races.at_once([remove(job_id) for job_id in (scenario.job_id, *heirs)])

    assert sum(PHOTO in keys for keys in answers) == 1  # type: ignore[operator]  # lists
    assert holders(bench)[1:] == ([], True)
    assert invariants.broken(bench) == []
    assert races.deadlocks(bench) == deadlocks


def made(bench: Bench, job_id: JobId, *stages: StageName) -> list[str]:
    job = bench.job(job_id)
    return [key for stage in stages for key in references.artifact_keys(job.result(stage))]


def reopen(bench: Bench, lease: Lease, *gone: StageName) -> list[str]:
    keys = made(bench, lease.job_id, *gone)
    with bench.transaction() as connection:
        return [str(one) for one in WORKER.rerun(connection, lease, keys)]


def test_stage_with_a_missing_artifact_runs_again_and_its_dependents_wait(bench: Bench) -> None:
    scenario = scenarios.joining_stages(bench)
    gone = made(bench, scenario.job_id, PREPARE)

    ringing = reopen(bench, scenario.leases[SEGMENTATION], PREPARE)

    assert ringing == ["prepare.bench"]
    # Missing artifacts are not shared with other jobs.
    marked = "SELECT bool_and(marked_at IS NOT NULL) FROM artifacts WHERE key = ANY(:keys)"
    assert bench.scalar(marked, keys=gone)
    # Smiles read the results of both `prepare` and `face`.
    states = dict.fromkeys(("segmentation", "face", "smile", "composite"), "waiting")
    assert bench.states(scenario.job_id) == {"prepare": "ready", **states}
    assert [bench.row(scenario.job_id, stage)["attempt"] for stage in StageName] == [0] * 5
    scenarios.drain(bench)
    assert bench.job(scenario.job_id).state == "succeeded"


def test_nothing_is_made_again_without_the_photo(bench: Bench) -> None:
    bench.submit(scenarios.KEEP_BACKGROUND, photo="photo")
    bench.advance(PREPARE)
    lease = bench.claim_one(COMPOSITE)
    bench.execute("UPDATE artifacts SET marked_at = now() WHERE key = 'photo'")

    with pytest.raises(InputsExpired):
        reopen(bench, lease, PREPARE)


def artifacts(bench: Bench) -> ArtifactStore:
    """Return the store of a worker that has just started: its cache is empty."""
    nothing = LruCache(0)
    return ArtifactStore(
        bench.store,
        nothing,
        TenantBackgrounds(bench.engine, bench.store, nothing),
        cast("Fetcher", None),
        UnlockedDecoders(),
    )


def settling(bench: Bench) -> WorkerContext:
    """Return a context with the attributes that settle an error."""
    return WorkerContext(
        **{
            **dict.fromkeys(WorkerContext.__dataclass_fields__),  # type: ignore[arg-type]
            "engine": bench.engine,
            "doorbell": bench.doorbell,
            "settings": bench.settings,
            "counters": WorkerCounters(),
            "stage_events": StageEvents(bench.settings.broker, bench.worker, max_attempts=3),
        }
    )


def test_photo_that_is_missing_fails_its_job_and_is_shared_no_more(bench: Bench) -> None:
    job_id = bench.submit(photo=PHOTO)
    bench.execute("UPDATE stages SET work = stage")
    lease = bench.claim_one(PREPARE)

    with pytest.raises(ArtifactsGone) as missed:
        artifacts(bench).load(bench.job(job_id), prepare_stage.Inputs)
    with error_policy.settle_errors(settling(bench), [Task(lease, overdue_at=0.0)], "internal"):
        raise missed.value

    error = bench.job(job_id).error
    assert (missed.value.keys, error and error["code"]) == ((PHOTO,), "inputs_expired")
    assert bench.scalar("SELECT count(work) FROM stages") == 0
    assert bench.do(retention.is_unmarked, TENANT, PHOTO)


def test_worker_that_misses_an_object_has_it_made_again(bench: Bench) -> None:
    job_id = bench.submit()
    lease = bench.claim_one(PREPARE)
    proxy = np.zeros((4, 6, 3), np.uint8)
    kept = artifacts(bench).store(
        bench.job(job_id), lease, PreparedPhoto(60, 40, "jpg", proxy_srgb=proxy)
    )
    done = StageOutcome(lease, kept.row, 0.1, kept.artifacts)
    bench.work(WORKER.complete, [done])
    (key,) = kept.artifacts
    bench.store.remove(key)
    reader = bench.claim_one(FACE)
    with pytest.raises(ArtifactsGone) as missed:
        artifacts(bench).load(bench.job(job_id), face_stage.Inputs)
    with error_policy.settle_errors(settling(bench), [Task(reader, overdue_at=0.0)], "internal"):
        raise missed.value

    assert missed.value.keys == (key,)
    assert bench.states(job_id)["prepare"] == "ready"
    assert bench.states(job_id)["face"] == "waiting"
    assert bench.rings(PREPARE) >= 1
