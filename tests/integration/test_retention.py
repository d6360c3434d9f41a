"""Retention and page-wise removal, on a real database and a real object store."""

import datetime as dt
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from smart_filter_shared.artifacts import expiry, retention, uploads
from smart_filter_shared.artifacts.retention import LEASE_SECONDS, MAX_RECHECK_SECONDS, ArtifactKind
from smart_filter_shared.errors import InputsExpired, StorageUnavailable
from smart_filter_shared.ids import JobId, Tenant, new_job_id, new_upload_id
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure, StageOutcome
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.folder import FolderStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_shared.webhooks import outbox
from smart_filter_tests import races
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.maintenance import collector
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector

KEEP_BACKGROUND = Recipe(background=Background(BackgroundKind.KEEP))
DAY = dt.timedelta(days=1)
NOW = dt.timedelta(seconds=-60)  # older than objects of this very second
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)
RAISED = Failure("model_failed", "A model failed", "ValueError in composite")
PAGE = 1000
PAGES_A_TURN = 10


@dataclass(frozen=True, slots=True)
class StoredFiles:
    bench: Bench
    retention: GarbageCollector

    def photo(self) -> JobId:
        job_id = new_job_id()
        key = keys.photo(TENANT, job_id)
        self.put(key)
        return self.bench.submit(KEEP_BACKGROUND, job_id=job_id, photo=key)

    def run(self, stage: StageName, kind: ArtifactKind) -> str:
        """Run the head of a stage's queue; return the key of its artifact."""
        lease = self.bench.claim_one(stage)
        key = keys.artifact(TENANT, lease.job_id, stage, lease.token, "made")
        self.put(key)
        self.bench.work(WORKER.complete, [StageOutcome(lease, {}, 0.1, {key: kind})])
        return key

    def whole_job(self) -> JobId:
        job_id = self.photo()
        self.run(StageName.PREPARE, ArtifactKind.INTERMEDIATE)
        self.run(StageName.COMPOSITE, ArtifactKind.RESULT)
        return job_id

    def put(self, key: str) -> None:
        self.bench.store.put(key, b"bytes", length=5, media_type="text/plain")

    def stored(self) -> set[str]:
        """Return of each object what its key says: `photo`, or the stage's name."""
        return {stored.key.split("/")[3].partition(".")[0] for stored in self.bench.store.stored()}

    def objects(self) -> set[str]:
        return {stored.key for stored in self.bench.store.stored()}

    def pass_time(self, time: dt.timedelta) -> None:
        self.bench.execute("UPDATE artifacts SET expires_at = expires_at - :time", time=time)

    def rows(self) -> int:
        return int(self.bench.scalar("SELECT count(*) FROM artifacts"))


@pytest.fixture
def files(bench: Bench) -> StoredFiles:
    return StoredFiles(bench, collector(bench))


def test_artifact_is_readable_by_its_tenant_until_it_is_marked(files: StoredFiles) -> None:
    key = keys.photo(TENANT, files.whole_job())

    own = files.bench.do(retention.is_available, TENANT, key)
    foreign = files.bench.do(retention.is_available, Tenant("other-tenant"), key)
    files.pass_time(DAY)
    files.bench.work(retention.mark_expired, most=10)
    marked = files.bench.do(retention.is_available, TENANT, key)

    assert (own, foreign, marked) == (True, False, False)
    assert key in files.objects()


def test_unnamed_object_is_removed_when_it_is_old(files: StoredFiles) -> None:
    files.whole_job()
    stray = keys.photo(TENANT, new_job_id())
    files.put(stray)

    fresh = files.retention.clear_unreferenced(older_than=HOUR)
    assert stray in files.objects()
    old = files.retention.clear_unreferenced(older_than=NOW)

    assert (fresh, old) == (0, 1)
    assert files.stored() == {"photo", "prepare", "composite"}


def test_file_that_a_killed_writer_has_left_is_removed(bench: Bench, tmp_path: Path) -> None:
    store = FolderStore(tmp_path, "photos")
    store.ensure_bucket()
    draft = tmp_path / "photos" / keys.photo(TENANT, new_job_id())
    draft = draft.with_name(".0123456789abcdef")
    draft.parent.mkdir(parents=True)
    draft.write_bytes(b"byt")
    garbage = GarbageCollector(bench.worker_engine, store)

    fresh = garbage.clear_unreferenced(older_than=HOUR)
    assert draft.exists()
    old = garbage.clear_unreferenced(older_than=NOW)

    assert (fresh, old) == (0, 1)
    assert not draft.exists()


def test_row_of_another_tenant_does_not_keep_an_object(files: StoredFiles) -> None:
    job_id = files.photo()
    stray = keys.photo(Tenant("other-tenant"), job_id)
    files.put(stray)

    files.retention.clear_unreferenced(older_than=NOW)

    assert files.objects() == {keys.photo(TENANT, job_id)}


def test_unnamed_objects_of_many_days_are_removed_in_steps(files: StoredFiles) -> None:
    for number in range(230):
        files.put(f"2020-01-0{1 + number % 2}/{TENANT}/{new_job_id()}/photo")

    assert files.retention.clear_unreferenced(older_than=NOW) == 230
    assert files.objects() == set()


def fail(files: StoredFiles) -> JobId:
    """Submit a photo and let its first stage fail; return its job."""
    job_id = files.photo()
    lease = files.bench.claim_one(StageName.PREPARE)
    files.bench.work(WORKER.fail, lease, RAISED)
    return job_id


def redrive(bench: Bench, job_id: JobId) -> object:
    return bench.do(CLIENT.redrive, job_id, TENANT)


def test_redrive_after_the_photo_has_expired_is_refused(files: StoredFiles) -> None:
    job_id = fail(files)

    files.pass_time(DAY)

    with pytest.raises(InputsExpired):
        redrive(files.bench, job_id)


def test_redrive_of_a_job_that_is_expiring_is_refused(files: StoredFiles) -> None:
    job_id = fail(files)
    files.bench.execute("UPDATE jobs SET expires_at = statement_timestamp()")

    with ThreadPoolExecutor(1) as pool:
        with files.bench.transaction() as expiring:
            expired = expiry.expire_results(expiring, most=1)
            redriven = pool.submit(redrive, files.bench, job_id)
            races.wait_for_lock_waiters(files.bench, redriven)

        assert expired == 1
        with pytest.raises(InputsExpired):
            redriven.result()


def test_waiting_job_keeps_its_inputs_even_when_redriven(files: StoredFiles) -> None:
    files.photo()
    files.run(StageName.PREPARE, ArtifactKind.INTERMEDIATE)
    redrive(files.bench, fail(files))

    files.pass_time(30 * DAY)

    assert files.retention.remove_expired() == 0
    assert len(files.objects()) == 3


def test_deletion_during_expiry_does_not_deadlock(files: StoredFiles, bench: Bench) -> None:
    job_ids = [files.whole_job() for _ in range(8)]
    files.pass_time(7 * DAY)
    deadlocks = races.deadlocks(bench)

    def delete() -> None:
        for job_id in reversed(job_ids):
            bench.do(CLIENT.delete, job_id, TENANT)

    races.at_once([delete, files.retention.remove_expired, files.retention.remove_expired])
    files.retention.remove_expired()

    assert (files.objects(), files.rows()) == (set(), 0)
    assert races.deadlocks(bench) == deadlocks


def finished(bench: Bench) -> JobId:
    job_id = bench.submit()
    bench.do(CLIENT.cancel, job_id, TENANT)
    return job_id


def expired(bench: Bench, job_id: JobId, count: int, *, ago: dt.timedelta = HOUR) -> list[str]:
    """Write `count` artifacts of a job that expired `ago`; return their keys."""
    written = [f"{keys.job_prefix(TENANT, job_id)}/made/{number:05}" for number in range(count)]
    bench.execute(
        """
            INSERT INTO artifacts (tenant, key, job_id, kind, expires_at)
            SELECT :tenant, unnest(CAST(:keys AS text[])), :job_id, 'photo', now() - :ago
        """,
        tenant=TENANT,
        keys=written,
        job_id=job_id,
        ago=ago,
    )
    return written


def an_upload(bench: Bench, *, expired_ago: dt.timedelta) -> None:
    bench.do(uploads.create, TENANT, new_upload_id(), media_type="image/jpeg", length=5)
    bench.execute("UPDATE uploads SET expires_at = now() - :ago", ago=expired_ago)


def stored(bench: Bench, names: Collection[str]) -> None:
    for key in names:
        bench.store.put(key, b"bytes", length=5, media_type="text/plain")


def end_leases(bench: Bench) -> None:
    time = dt.timedelta(seconds=LEASE_SECONDS)
    bench.execute("UPDATE artifacts SET leased_until = leased_until - :time", time=time)


def rows(bench: Bench, where: str = "true") -> int:
    """Return the number of rows that `expired` has written."""
    return int(
        bench.scalar(f"SELECT count(*) FROM artifacts WHERE key LIKE '%/made/%' AND {where}")
    )


def lag_seconds(bench: Bench) -> float:
    return bench.do(retention.lag_seconds)


def test_claimed_page_is_not_given_to_another_process(bench: Bench) -> None:
    expired(bench, finished(bench), 10)

    with bench.transaction() as first, bench.transaction() as second:
        retention.mark_expired(first, most=6)
        one = retention.claim(first, most=6)
        retention.mark_expired(second, most=6)
        other = retention.claim(second, most=6)
    later = bench.work(retention.claim, most=6)

    assert (len(one), len(other), later) == (6, 4, [])
    assert not set(one) & set(other)


def test_page_of_a_killed_process_is_removed_when_its_lease_ends(bench: Bench) -> None:
    written = expired(bench, finished(bench), 5)
    stored(bench, written)
    with bench.transaction() as killed:
        retention.mark_expired(killed, most=PAGE)
        retention.claim(killed, most=PAGE)

    before = collector(bench).remove_expired()
    left = {one.key for one in bench.store.stored()}
    end_leases(bench)
    after = collector(bench).remove_expired()

    assert (before, left, after) == (0, set(written), 5)
    assert (rows(bench), list(bench.store.stored())) == (0, [])


def test_object_that_storage_does_not_remove_keeps_its_row(bench: Bench) -> None:
    job_id = finished(bench)
    written = expired(bench, job_id, 5)
    # To this server a key that is a prefix of others is a folder, which it does not remove.
    stored(bench, [*written[:4], f"{written[4]}/below"])

    removed = collector(bench).remove_expired()
    again = collector(bench).remove_expired()
    bench.store.remove(f"{written[4]}/below")
    end_leases(bench)
    last = collector(bench).remove_expired()

    assert (removed, again, last) == (4, 0, 1)
    assert (rows(bench), list(bench.store.stored())) == (0, [])


def test_removal_during_an_outage_marks_one_page_and_catches_up(bench: Bench) -> None:
    expired(bench, finished(bench), 3 * PAGE)
    settings = bench.settings.storage.model_copy(update={"url": "http://127.0.0.1:1"})
    away = GarbageCollector(bench.worker_engine, open_store(settings, connections=1))

    for _ in range(4):
        with pytest.raises(StorageUnavailable):
            away.remove_expired()
        end_leases(bench)

    assert rows(bench, "marked_at IS NOT NULL") == PAGE
    assert collector(bench).remove_expired() == 3 * PAGE


def test_rows_of_every_kind_are_removed_until_less_than_a_page_is_left(bench: Bench) -> None:
    bench.execute("""
        INSERT INTO requests (tenant, key, fingerprint, claimed_at)
        SELECT 'tests', number, '', now() - interval '2 days'
        FROM generate_series(1, 1100) AS number
    """)
    bench.execute(
        """
            INSERT INTO deliveries (
                id, tenant, webhook, lane, type, happened_at, due_at, state, finished_at
            )
            SELECT gen_random_uuid(), 'tests', 'default', 'default', 'job.succeeded', now(),
                now(), 'succeeded', now() - make_interval(days => :days)
            FROM generate_series(1, 1100)
        """,
        days=outbox.KEPT_DAYS + 1,
    )

    collector(bench).remove_expired()

    for table in ("requests", "deliveries"):
        assert bench.scalar(f"SELECT count(*) FROM {table}") == 0


def test_turn_without_rows_removes_objects_alone(bench: Bench) -> None:
    expired(bench, finished(bench), 1)
    bench.execute(
        """
            INSERT INTO deliveries (
                id, tenant, webhook, lane, type, happened_at, due_at, state, finished_at
            )
            VALUES (
                gen_random_uuid(), 'tests', 'default', 'default', 'job.succeeded', now(),
                now(), 'succeeded', now() - make_interval(days => :days)
            )
        """,
        days=outbox.KEPT_DAYS + 1,
    )

    removed = collector(bench).remove_expired(rows=False)

    assert removed == 1
    assert bench.scalar("SELECT count(*) FROM deliveries") == 1


def test_unfinished_round_continues_at_once(bench: Bench) -> None:
    expired(bench, finished(bench), PAGES_A_TURN * PAGE + 1)
    keeper = collector(bench)
    stopping = threading.Event()
    running = threading.Thread(target=keeper.run, args=(stopping,))

    keeper.request_run()
    running.start()
    try:
        while rows(bench):
            pass  # it is running
    finally:
        stopping.set()
        running.join()


def test_needed_artifacts_are_read_once_and_not_in_every_pass(bench: Bench) -> None:
    waiting = bench.submit()
    expired(bench, waiting, 300)

    looked_at = [bench.work(retention.mark_expired, most=PAGE) for _ in range(4)]

    assert looked_at == [300, 0, 0, 0]
    assert rows(bench, "marked_at IS NULL") == 300


def test_needed_artifact_is_removed_soon_after_its_job_has_ended(bench: Bench) -> None:
    job_id = bench.submit()
    (key,) = expired(bench, job_id, 1)
    stored(bench, [key])
    collector(bench).remove_expired()
    with bench.transaction() as connection:
        given_out = retention.is_available(connection, TENANT, key)
        still_there = retention.is_unmarked(connection, TENANT, key)
        CLIENT.cancel(connection, job_id, TENANT)

    bench.execute(
        "UPDATE artifacts SET expires_at = expires_at - :time",
        time=dt.timedelta(seconds=MAX_RECHECK_SECONDS),
    )
    removed = collector(bench).remove_expired()

    assert (given_out, still_there, removed) == (False, True, 1)


def test_held_artifacts_beyond_a_page_do_not_hide_removable_ones(bench: Bench) -> None:
    expired(bench, bench.submit(), PAGE + 1, ago=2 * HOUR)
    expired(bench, finished(bench), 3)

    assert collector(bench).remove_expired() == 3


def test_upload_needed_by_a_job_is_held_and_usable_by_no_other(bench: Bench) -> None:
    upload_id = new_upload_id()
    bench.do(uploads.create, TENANT, upload_id, media_type="image/jpeg", length=5)
    bench.submit_elsewhere(photo_url=None, upload=uploads.UploadRef(upload_id, "etag"))
    bench.execute("UPDATE uploads SET expires_at = now() - interval '1 hour'")

    looked_at = [bench.do(uploads.mark_expired, most=PAGE) for _ in range(2)]
    named_again = bench.do(uploads.find, upload_id, TENANT)
    is_there = bench.do(uploads.is_unmarked, upload_id)

    assert (looked_at, named_again, is_there) == ([1, 0], None, True)


def test_lag_is_the_age_of_the_oldest_object_due_for_removal(bench: Bench) -> None:
    nothing = lag_seconds(bench)
    job_id = bench.submit()
    expired(bench, job_id, 3, ago=-HOUR)
    before_its_time = lag_seconds(bench)
    bench.execute("UPDATE artifacts SET expires_at = now() - interval '1 hour'")
    overdue = lag_seconds(bench)
    collector(bench).remove_expired()
    held = lag_seconds(bench)

    assert (nothing, before_its_time, held) == (0.0, 0.0, 0.0)
    assert overdue == pytest.approx(3600, abs=50)


@pytest.mark.parametrize(
    ("table", "expired_ago", "marked_ago", "seconds"),
    [
        pytest.param("uploads", HOUR, None, 3600, id="upload"),
        pytest.param("uploads", HOUR, dt.timedelta(), 3600, id="marked upload"),
        pytest.param("artifacts", HOUR, dt.timedelta(), 3600, id="marked artifact"),
        pytest.param("artifacts", -HOUR, MINUTE, 60, id="deleted before its time"),
    ],
)
def test_lag_counts_from_the_earlier_of_expiry_and_mark(
    bench: Bench,
    table: str,
    expired_ago: dt.timedelta,
    marked_ago: dt.timedelta | None,
    seconds: float,
) -> None:
    if table == "artifacts":
        expired(bench, finished(bench), 1, ago=expired_ago)
    else:
        an_upload(bench, expired_ago=expired_ago)
    bench.execute(f"UPDATE {table} SET marked_at = now() - CAST(:ago AS interval)", ago=marked_ago)

    assert lag_seconds(bench) == pytest.approx(seconds, abs=50)
