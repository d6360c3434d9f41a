"""Photos and artifacts: fetched or uploaded, shared by jobs, expired, made again."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from sqlalchemy import text

from smart_filter_shared.errors import ArtifactsGone, InputsExpired, LeaseLost
from smart_filter_shared.ids import JobId, UploadId, new_upload_id
from smart_filter_shared.jobs import limits, memory, retention, sharing, transitions, uploads
from smart_filter_shared.jobs.leases import Brought, Completion, Done, Failure, Lease
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.jobs.uploads import Named
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants, races, worlds
from smart_filter_tests.bench import KEEPING, TENANT, Bench
from smart_filter_tests.worlds import KEEP_BACKGROUND, Action, World
from smart_filter_workers import settling
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.heartbeat import Held
from smart_filter_workers.recent import Recent
from smart_filter_workers.results import Prepared
from smart_filter_workers.services import Services
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stock.room import StockRoom
from smart_filter_workers.tally import Tally

AWAY = Failure("photo_unreachable", "It cannot be fetched", "404")
FETCHED = Brought("a/key", "digest", 12.5)
URL = "https://example.com/a?secret"
PHOTO = "2026-01-01/tests/parent/photo"
AGE = text("UPDATE artifacts SET expires_at = statement_timestamp() - interval '1 hour'")
PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName


def promised(bench: Bench) -> UploadId:
    return bench.do(uploads.write, TENANT, new_upload_id(), media_type="image/jpeg", length=5).id


def named(bench: Bench, upload_id: UploadId | None = None) -> JobId:
    upload = None if upload_id is None else Named(upload_id, "etag")
    return bench.submit_elsewhere(photo_url=None if upload else URL, upload=upload)


def fail(bench: Bench) -> None:
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(transitions.fail, lease, AWAY)


def fetch(bench: Bench, lease: Lease) -> Completion:
    """End the stage that brought a photo."""
    done = Done(lease, {}, 0.1, {FETCHED.key: Kind.PHOTO}, FETCHED)
    return bench.do(transitions.complete, [done], KEEPING)


def redrive(bench: Bench, job_id: JobId) -> None:
    bench.do(transitions.redrive, job_id, TENANT)


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
    assert bench.do(retention.is_kept, TENANT, FETCHED.key)
    assert bench.scalar("SELECT (photo_digest, megapixels) = ('digest', 12.5) FROM jobs")


def test_photo_fetched_under_a_lost_lease_is_dropped(bench: Bench) -> None:
    job_id = named(bench)
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(transitions.cancel, job_id, TENANT)

    late = fetch(bench, lease)

    assert (late.lost, bench.job(job_id).photo_key) == ([lease], None)


def test_photo_at_an_address_is_prepared_alone(bench: Bench) -> None:
    elsewhere = [named(bench), named(bench)]
    here = [bench.submit(), bench.submit()]

    batches = [bench.claim(StageName.PREPARE, batch_size=8) for _ in range(3)]

    claimed = sorted(sorted(lease.job_id for lease in batch) for batch in batches)
    assert claimed == sorted([[elsewhere[0]], [elsewhere[1]], sorted(here)])


def test_failed_job_takes_its_upload_again_while_it_is_there(bench: Bench) -> None:
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


def test_upload_goes_with_its_jobs_though_they_are_deleted_at_once(bench: Bench) -> None:
    upload_id = promised(bench)
    job_ids = [named(bench, upload_id) for _ in range(2)]

    def delete(job_id: JobId) -> None:
        bench.do(transitions.delete, job_id, TENANT)

    races.at_once([lambda one=one: delete(one) for one in job_ids])  # type: ignore[misc]  # binds the loop's variable

    assert marked(bench) == 1


def test_upload_that_is_being_named_is_not_marked_meanwhile(bench: Bench) -> None:
    upload_id = promised(bench)
    first = named(bench, upload_id)

    with bench.transaction() as connection:
        held = uploads.hold(connection, upload_id, TENANT)
        expire_others = pytest.raises(Exception, match="lock timeout")
        with expire_others, bench.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '50ms'"))
            transitions.delete(other, first, TENANT)

    assert (held, marked(bench)) == (True, 0)


def test_megapixels_of_a_fetched_photo_are_counted_today(bench: Bench) -> None:
    named(bench)
    bench.execute("UPDATE tenants SET spent_on = '2020-01-01', spent_megapixels = 9")

    for megapixels in (2.5, 1.0):
        bench.do(limits.count, TENANT, megapixels)

    assert bench.do(limits.spent_today, TENANT) == 3.5


def parent(bench: Bench) -> World:
    """Make a job whose photo another one borrows."""
    job_id = bench.submit(KEEP_BACKGROUND, photo=PHOTO)
    return World(bench, job_id, {})


def child(world: World) -> JobId:
    job_id = world.bench.submit(KEEP_BACKGROUND)
    assert world.bench.do(sharing.borrow, TENANT, job_id, [PHOTO], KEEPING) == {PHOTO}
    return job_id


def holders(bench: Bench) -> tuple[list[JobId], list[JobId], bool]:
    """Return whose the photo is, who borrows it, and whether it is marked."""
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
        lambda connection, _: sorted(
            one.key for one in transitions.delete(connection, job_id, TENANT)
        ),
    )


def borrow(job_id: JobId) -> Action:
    return Action(
        "borrow",
        None,
        lambda connection, _: sharing.borrow(connection, TENANT, job_id, [PHOTO], KEEPING),
    )


EXPIRE = Action("expire", None, lambda connection, _: retention.mark_expired(connection, most=10))


@pytest.mark.parametrize("parent_first", [True, False])
def test_deletion_of_both_at_once_marks_the_photo_once(bench: Bench, *, parent_first: bool) -> None:
    world = parent(bench)
    pair = [delete(world.job_id), delete(child(world))]

    marked = races.overlapped(world, *(pair if parent_first else pair[::-1]))

    assert sum(PHOTO in keys for keys in marked) == 1  # type: ignore[attr-defined]  # lists
    assert holders(bench)[1:] == ([], True)


def test_borrowing_what_is_being_deleted_finds_it_gone(bench: Bench) -> None:
    world = parent(bench)
    late = bench.submit(KEEP_BACKGROUND)

    _, borrowed = races.overlapped(world, delete(world.job_id), borrow(late))

    assert borrowed == set()
    assert holders(bench)[1:] == ([], True)


def test_deleting_what_is_being_borrowed_hands_it_on(bench: Bench) -> None:
    world = parent(bench)
    late = bench.submit(KEEP_BACKGROUND)

    borrowed, marked = races.overlapped(world, borrow(late), delete(world.job_id))

    assert (borrowed, marked) == ({PHOTO}, [])
    assert holders(bench) == ([late], [], False)


def test_artifact_does_not_expire_while_it_is_borrowed(bench: Bench) -> None:
    world = parent(bench)
    bench.advance(PREPARE, COMPOSITE)
    late = bench.submit(KEEP_BACKGROUND)
    with bench.transaction() as connection:
        assert borrow(late)(connection, world) == {PHOTO}
        connection.execute(AGE)
        races.alone(world, EXPIRE)

    races.alone(world, EXPIRE)

    assert not holders(bench)[2]  # the job that borrows it has not ended


def test_deletions_of_jobs_that_share_do_not_deadlock(bench: Bench) -> None:
    world = parent(bench)
    heirs = [child(world) for _ in range(4)]
    deadlocks = races.deadlocks(bench)

    def remove(job_id: JobId) -> Callable[[], object]:
        return lambda: races.alone(world, delete(job_id))

    answers = races.at_once([remove(job_id) for job_id in (world.job_id, *heirs)])

    assert sum(PHOTO in keys for keys in answers) == 1  # type: ignore[operator]  # lists
    assert holders(bench)[1:] == ([], True)
    assert invariants.broken(bench) == []
    assert races.deadlocks(bench) == deadlocks


def made(bench: Bench, job_id: JobId, *stages: StageName) -> list[str]:
    job = bench.job(job_id)
    return [key for stage in stages for key in memory.artifacts_of(job.result(stage))]


def reopen(bench: Bench, lease: Lease, *gone: StageName) -> list[str]:
    keys = made(bench, lease.job_id, *gone)
    with bench.transaction() as connection:
        return [str(one) for one in transitions.reopen(connection, lease, keys)]


def test_stage_whose_artifact_is_gone_runs_again_and_what_needs_it_waits(bench: Bench) -> None:
    world = worlds.joining(bench)
    gone = made(bench, world.job_id, PREPARE)

    ringing = reopen(bench, world.leases[SEGMENTATION], PREPARE)

    assert ringing == ["prepare.bench"]
    # What is gone is not given to other jobs.
    marked = "SELECT bool_and(marked_at IS NOT NULL) FROM artifacts WHERE key = ANY(:keys)"
    assert bench.scalar(marked, keys=gone)
    # Smiles are read of what both `prepare` and `face` have made.
    states = dict.fromkeys(("segmentation", "face", "smile", "composite"), "waiting")
    assert bench.states(world.job_id) == {"prepare": "ready", **states}
    assert [bench.row(world.job_id, stage)["attempt"] for stage in StageName] == [0] * 5
    worlds.drain(bench)
    assert bench.job(world.job_id).state == "succeeded"


def test_stages_that_succeeded_meanwhile_do_not_run_again(bench: Bench) -> None:
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE, SEGMENTATION, FACE, SMILE)

    reopen(bench, bench.claim_one(COMPOSITE), PREPARE)

    succeeded = dict.fromkeys(("segmentation", "face", "smile"), "succeeded")
    assert bench.states(job_id) == {"prepare": "ready", **succeeded, "composite": "waiting"}
    bench.advance(PREPARE, COMPOSITE)
    assert bench.job(job_id).state == "succeeded"


def test_second_stage_that_misses_it_finds_its_lease_lost(bench: Bench) -> None:
    world = worlds.joining(bench)
    gone = made(bench, world.job_id, PREPARE)
    reopen(bench, world.leases[SEGMENTATION], PREPARE)

    with pytest.raises(LeaseLost):
        bench.do(transitions.reopen, world.leases[SMILE], gone)

    assert bench.row(world.job_id, PREPARE)["state"] == "ready"


def test_it_is_made_again_twice_a_job(bench: Bench) -> None:
    bench.submit(worlds.KEEP_BACKGROUND, photo="photo")
    # The photo serves the job while that waits, however long ago its time was over.
    bench.execute("UPDATE artifacts SET expires_at = now() - interval '1 day'")
    for _ in range(2):
        bench.advance(PREPARE)
        reopen(bench, bench.claim_one(COMPOSITE), PREPARE)
    bench.advance(PREPARE)
    lease = bench.claim_one(COMPOSITE)

    with pytest.raises(InputsExpired):
        reopen(bench, lease, PREPARE)


def test_nothing_is_made_again_without_the_photo(bench: Bench) -> None:
    bench.submit(worlds.KEEP_BACKGROUND, photo="photo")
    bench.advance(PREPARE)
    lease = bench.claim_one(COMPOSITE)
    bench.execute("UPDATE artifacts SET marked_at = now() WHERE key = 'photo'")

    with pytest.raises(InputsExpired):
        reopen(bench, lease, PREPARE)


def artifacts(bench: Bench) -> Artifacts:
    """Return a worker's that has just started: nothing is in its memory."""
    nothing = Recent(0)
    return Artifacts(
        bench.store, nothing, StockRoom(bench.engine, bench.store, nothing), cast("Fetcher", None)
    )


def test_worker_that_misses_an_object_has_it_made_again(bench: Bench) -> None:
    job_id = bench.submit()
    lease = bench.claim_one(PREPARE)
    proxy = np.zeros((4, 6, 3), np.uint8)
    kept = artifacts(bench).keep(
        bench.job(job_id), lease, Prepared(6, 4, "jpg", proxy_srgb=proxy, proposals=())
    )
    done = Done(lease, kept.row, 0.1, kept.artifacts)
    bench.do(transitions.complete, [done], KEEPING)
    (key,) = kept.artifacts
    bench.store.remove(key)
    reader = bench.claim_one(FACE)
    # What settling asks of them.
    services = Services(
        **{
            **dict.fromkeys(Services.__dataclass_fields__),  # type: ignore[arg-type]
            "engine": bench.engine,
            "doorbell": bench.doorbell,
            "settings": bench.settings,
            "tally": Tally(),
        }
    )
    missed = []

    def load() -> object:
        try:
            return artifacts(bench).load(bench.job(job_id), face_stage.Inputs)
        except ArtifactsGone as error:
            missed.append(error.keys)
            raise

    settling.attempt(services, [Held(reader, overdue_at=0.0)], "internal", load)

    assert missed == [(key,)]
    assert bench.states(job_id)["prepare"] == "ready"
    assert bench.states(job_id)["face"] == "waiting"
    assert bench.rings(PREPARE) >= 1
