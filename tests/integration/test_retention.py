"""What is kept how long, on a real database and a real object store."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from smart_filter_shared.errors import InputsExpired, StorageUnavailable
from smart_filter_shared.ids import JobId, Tenant, new_job_id
from smart_filter_shared.jobs import expiry, retention, transitions
from smart_filter_shared.jobs.leases import Done, Failure
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests import races
from smart_filter_tests.bench import KEEPING, TENANT, Bench
from smart_filter_workers.retention import Retention

KEEP_BACKGROUND = Recipe(background=Background(BackgroundKind.KEEP))
DAY = dt.timedelta(days=1)
NOW = dt.timedelta(seconds=-60)  # older than what is written this very second
HOUR = dt.timedelta(hours=1)
RAISED = Failure("model_failed", "A model failed", "ValueError in composite")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Jobs with objects, and who removes them."""

    bench: Bench
    retention: Retention

    def photo(self) -> JobId:
        """Submit a photo; return its job."""
        job_id = new_job_id()
        key = keys.photo(TENANT, job_id)
        self.put(key)
        return self.bench.submit(KEEP_BACKGROUND, job_id=job_id, photo=key)

    def run(self, stage: StageName, kind: Kind) -> str:
        """Run the head of a stage's queue; return the key of what it made."""
        lease = self.bench.claim_one(stage)
        key = keys.artifact(TENANT, lease.job_id, stage, lease.token, "made")
        self.put(key)
        self.bench.do(transitions.complete, [Done(lease, {}, 0.1, {key: kind})], KEEPING)
        return key

    def whole_job(self) -> JobId:
        """Take a photo all the way."""
        job_id = self.photo()
        self.run(StageName.PREPARE, Kind.INTERMEDIATE)
        self.run(StageName.COMPOSITE, Kind.RESULT)
        return job_id

    def put(self, key: str) -> None:
        """Store an object."""
        self.bench.store.put(key, b"bytes", length=5, media_type="text/plain")

    def stored(self) -> set[str]:
        """Return the last parts of the keys of all objects: `photo`, or the stage's name."""
        return {
            "photo" if stored.key.endswith("/photo") else stored.key.split("/")[3]
            for stored in self.bench.store.stored()
        }

    def objects(self) -> set[str]:
        """Return the keys of all objects."""
        return {stored.key for stored in self.bench.store.stored()}

    def pass_time(self, time: dt.timedelta) -> None:
        """Let artifacts have been made so much earlier."""
        self.bench.execute("UPDATE artifacts SET expires_at = expires_at - :time", time=time)

    def end_leases(self) -> None:
        """Let as much time pass as a page is claimed for."""
        self.bench.execute("UPDATE artifacts SET leased_until = now()")

    def rows(self) -> int:
        """Return how many artifacts the database knows."""
        return int(self.bench.scalar("SELECT count(*) FROM artifacts"))


@pytest.fixture
def shelf(bench: Bench) -> Shelf:
    return Shelf(bench, Retention(bench.engine, bench.store, cell=CELL))


@pytest.mark.parametrize(
    ("passed", "left"),
    [
        (DAY - HOUR, {"photo", "prepare", "composite"}),
        (DAY, {"composite"}),
        (7 * DAY - HOUR, {"composite"}),
        (7 * DAY, set()),
    ],
    ids=["within a day", "after a day", "within a week", "after a week"],
)
def test_photos_and_intermediates_go_after_a_day_and_results_after_a_week(
    shelf: Shelf, passed: dt.timedelta, left: set[str]
) -> None:
    shelf.whole_job()

    shelf.pass_time(passed)
    removed = shelf.retention.remove_expired()

    assert (removed, shelf.stored(), shelf.rows()) == (3 - len(left), left, len(left))


def test_job_that_waits_keeps_what_it_needs(shelf: Shelf) -> None:
    shelf.photo()
    shelf.run(StageName.PREPARE, Kind.INTERMEDIATE)

    shelf.pass_time(30 * DAY)

    assert shelf.retention.remove_expired() == 0
    assert shelf.stored() == {"photo", "prepare"}


def test_artifact_is_given_to_its_tenant_until_it_is_marked(shelf: Shelf) -> None:
    key = keys.photo(TENANT, shelf.whole_job())

    with shelf.bench.transaction() as connection:
        kept = [
            retention.is_kept(connection, tenant, key)
            for tenant in (TENANT, Tenant("somebody-else"))
        ]
    shelf.pass_time(DAY)
    with shelf.bench.transaction() as connection:
        retention.mark_expired(connection, most=10)
        kept.append(retention.is_kept(connection, TENANT, key))

    assert kept == [True, False, False]
    assert key in shelf.objects()


def test_object_that_no_row_names_goes_when_it_is_old(shelf: Shelf) -> None:
    shelf.whole_job()
    stray = keys.photo(TENANT, new_job_id())
    shelf.put(stray)

    fresh = shelf.retention.clear_unnamed(older_than=HOUR)
    assert stray in shelf.objects()
    old = shelf.retention.clear_unnamed(older_than=NOW)

    assert (fresh, old) == (0, 1)
    assert shelf.stored() == {"photo", "prepare", "composite"}


def test_row_of_another_tenant_does_not_keep_an_object(shelf: Shelf) -> None:
    job_id = shelf.photo()
    stray = keys.photo(Tenant("somebody-else"), job_id)
    shelf.put(stray)

    shelf.retention.clear_unnamed(older_than=NOW)

    assert shelf.objects() == {keys.photo(TENANT, job_id)}


def test_unnamed_objects_of_many_days_go_in_pieces(shelf: Shelf) -> None:
    for number in range(230):
        shelf.put(f"2020-01-0{1 + number % 2}/{TENANT}/{new_job_id()}/photo")

    assert shelf.retention.clear_unnamed(older_than=NOW) == 230
    assert shelf.objects() == set()


def test_delete_removes_every_object_of_the_job_and_no_other(shelf: Shelf) -> None:
    deleted, other = shelf.whole_job(), shelf.whole_job()

    shelf.bench.do(transitions.delete, deleted, TENANT)
    shelf.retention.remove_expired()

    assert {key.split("/")[2] for key in shelf.objects()} == {str(other)}
    assert shelf.rows() == 3


def test_delete_in_mid_work_leaves_nothing_of_the_job(shelf: Shelf) -> None:
    job_id = shelf.photo()
    lease = shelf.bench.claim_one(StageName.PREPARE)
    key = keys.artifact(TENANT, job_id, StageName.PREPARE, lease.token, "made")
    shelf.put(key)

    shelf.bench.do(transitions.delete, job_id, TENANT)
    done = Done(lease, {}, 0.1, {key: Kind.INTERMEDIATE})
    late = shelf.bench.do(transitions.complete, [done], KEEPING)
    shelf.retention.remove_expired()
    shelf.retention.clear_unnamed(older_than=NOW)

    assert late.lost == [lease]
    assert shelf.objects() == set()


def fail(shelf: Shelf) -> JobId:
    """Submit a photo and let its first stage fail; return its job."""
    job_id = shelf.photo()
    lease = shelf.bench.claim_one(StageName.PREPARE)
    shelf.bench.do(transitions.fail, lease, RAISED)
    return job_id


def redrive(bench: Bench, job_id: JobId) -> object:
    return bench.do(transitions.redrive, job_id, TENANT)


def test_redrive_after_the_photo_has_expired_is_refused(shelf: Shelf) -> None:
    job_id = fail(shelf)

    shelf.pass_time(DAY)

    with pytest.raises(InputsExpired):
        redrive(shelf.bench, job_id)


def test_redrive_of_a_job_that_is_expiring_is_refused(shelf: Shelf) -> None:
    job_id = fail(shelf)
    shelf.bench.execute("UPDATE jobs SET expires_at = statement_timestamp()")

    with ThreadPoolExecutor(1) as beside:
        with shelf.bench.transaction() as expiring:
            expired = expiry.expire(expiring, most=1)
            redriven = beside.submit(redrive, shelf.bench, job_id)
            races.await_waiting(shelf.bench, redriven)

        assert expired == 1
        with pytest.raises(InputsExpired):
            redriven.result()


def test_redriven_job_keeps_its_photo_until_it_has_ended_again(shelf: Shelf) -> None:
    redrive(shelf.bench, fail(shelf))

    shelf.pass_time(30 * DAY)

    assert shelf.retention.remove_expired() == 0


def test_removal_while_storage_is_away_is_made_up_for(shelf: Shelf, bench: Bench) -> None:
    shelf.whole_job()
    shelf.pass_time(7 * DAY)
    away = Retention(bench.engine, _unreachable(bench), cell=CELL)

    with pytest.raises(StorageUnavailable):
        away.remove_expired()
    assert shelf.rows() == 3
    shelf.end_leases()
    shelf.retention.remove_expired()

    assert (shelf.objects(), shelf.rows()) == (set(), 0)


@pytest.mark.parametrize(
    "number", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 5))]
)
def test_deletion_beside_expiry_does_not_deadlock(shelf: Shelf, bench: Bench, number: int) -> None:
    del number
    job_ids = [shelf.whole_job() for _ in range(8)]
    shelf.pass_time(7 * DAY)
    deadlocks = races.deadlocks(bench)

    def delete() -> None:
        for job_id in reversed(job_ids):
            bench.do(transitions.delete, job_id, TENANT)

    races.at_once([delete, shelf.retention.remove_expired, shelf.retention.remove_expired])
    shelf.retention.remove_expired()

    assert (shelf.objects(), shelf.rows()) == (set(), 0)
    assert races.deadlocks(bench) == deadlocks


def _unreachable(bench: Bench) -> ObjectStore:
    settings = bench.settings.storage.model_copy(update={"url": "http://127.0.0.1:1"})
    return ObjectStore(settings, connections=1)
