"""Data is kept as long as its tenant wants, and removed only from the database's own bucket."""

import contextlib
import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from integration.databases import an_empty_database, connect
from integration.retention_api import (
    DAY,
    HOUR,
    MINUTE,
    PICTURE,
    RetentionApi,
    retention_seconds,
)
from smart_filter_deploy.doctor import servers
from smart_filter_shared import installation
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.errors import StorageUnavailable
from smart_filter_shared.feedback import datasets
from smart_filter_shared.ids import JobId, Tenant, new_job_id
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.queue.leases import Failure
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import StoredObject
from smart_filter_shared.storage.s3 import S3Store
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.maintenance import collector
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import a_photo, fetch_and_disconnect, refusal_of
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_workers.learning import dataset_export
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector

NOW = dt.timedelta(seconds=-60)  # older than objects of this very second
VERSION = 1


def test_data_is_kept_as_long_as_its_tenant_wants(retention_api: RetentionApi) -> None:
    retention_api.api.keep(input_seconds=HOUR, result_seconds=2 * HOUR)
    job_id = retention_api.finish_job()
    shown = retention_api.api.job(job_id)

    retention_api.pass_time(seconds=HOUR - MINUTE)
    fetched = [
        retention_api.fetch(job_id, name).status_code for name in ("image", "faces", "image")
    ]
    retention_api.retention.remove_expired()
    all_of_it = retention_api.bucket(job_id)
    retention_api.pass_time(seconds=MINUTE)
    results = retention_api.bucket(job_id)
    retention_api.pass_time(seconds=HOUR)

    assert retention_seconds(shown) == 2 * HOUR
    assert fetched == [200, 200, 200]
    assert all_of_it == ["composite", "face", "photo", "prepare", "segmentation", "smile"]
    assert results == ["composite"]
    assert retention_api.bucket(job_id) == []
    assert retention_api.fetch(job_id, "image").json()["code"] == "output_expired"


def test_change_applies_to_later_submissions_of_the_tenant(retention_api: RetentionApi) -> None:
    before = retention_api.finish_job()
    retention_api.api.keep(input_seconds=0, result_seconds=MINUTE)
    retention_api.api.keep(Tenant("other"), input_seconds=0, result_seconds=1)
    short = retention_api.finish_job()
    retention_api.api.keep(input_seconds=30 * DAY, result_seconds=60 * DAY)
    long = retention_api.finish_job()
    seconds = [retention_seconds(retention_api.api.job(one)) for one in (before, short, long)]

    retention_api.pass_time(seconds=MINUTE)
    after_a_minute = [len(retention_api.bucket(one)) for one in (before, short, long)]
    retention_api.pass_time(seconds=29 * DAY)

    assert seconds == [7 * DAY, MINUTE, 60 * DAY]
    assert after_a_minute == [6, 0, 6]
    assert [len(retention_api.bucket(one)) for one in (before, long)] == [0, 6]


def test_photo_facts_and_events_are_removed_with_the_results(retention_api: RetentionApi) -> None:
    job_id = retention_api.finish_job()
    assert retention_api.api.job(job_id)["faces"]
    assert retention_api.api.job(job_id)["persons"]
    assert retention_api.rows("events", job_id) == 7

    retention_api.pass_time(seconds=7 * DAY)
    job = retention_api.api.job(job_id)

    found = ("photo", "people", "persons", "image", "faces", "rating", "printability", "frame")
    assert {name: job[name] for name in found} == dict.fromkeys(found)
    assert (job["state"], job["recipe"]["outputs"]) == ("succeeded", ["image", "faces"])
    assert retention_api.row("SELECT photo_digest FROM jobs WHERE id = :id", job_id) is None
    query = "SELECT count(*) FROM stages WHERE job_id = :id AND result IS NOT NULL"
    assert retention_api.row(query, job_id) == 0
    assert retention_api.fetch(job_id, "faces").json()["code"] == "output_expired"
    assert retention_api.fetch(job_id, "rating").status_code == 404
    assert retention_api.rows("events", job_id) == 0
    assert retention_api.api.client.get(f"/v1/jobs/{job_id}/events").status_code == 204


def test_delivery_log_is_removed_with_the_results_but_waiting_deliveries_stay(
    retention_api: RetentionApi,
) -> None:
    for path in ("sent", "late"):
        retention_api.api.client.post("/v1/webhooks", json={"url": f"https://example.com/{path}"})
    job_id = retention_api.finish_job()
    retention_api.api.bench.execute("""
        WITH sent AS (
            UPDATE deliveries SET state = 'succeeded', finished_at = now()
            WHERE id = (SELECT id FROM deliveries LIMIT 1) RETURNING id
        )
        INSERT INTO delivery_attempts (delivery_id, at, seconds, status, answer)
        SELECT id, now(), 1, 200, 'thanks' FROM sent
    """)

    retention_api.pass_time(seconds=7 * DAY)

    query = "SELECT state FROM deliveries WHERE job_id = :id"
    assert retention_api.row(query, job_id) == "waiting"
    log = retention_api.api.bench.scalar("SELECT count(*) FROM delivery_attempts")
    assert log == 0


def test_cached_answer_expires_and_the_request_is_not_executed_twice(
    retention_api: RetentionApi,
) -> None:
    retention_api.api.keep(result_seconds=MINUTE)
    key = {"Idempotency-Key": "once"}
    sent = {"photo": ("photo", a_photo())}
    form = {"outputs": "image,faces"}
    first = retention_api.api.client.post("/v1/jobs", files=sent, data=form, headers=key)
    for stage in StageName:
        retention_api.run(stage)

    retention_api.pass_time(seconds=MINUTE)
    again = retention_api.api.client.post("/v1/jobs", files=sent, data=form, headers=key)

    assert refusal_of(again) == (410, "output_expired")
    assert first.json()["id"] in again.json()["detail"]
    assert len(retention_api.api.read("/v1/jobs")["items"]) == 1


def test_failed_job_can_be_redriven_while_its_photo_is_kept(retention_api: RetentionApi) -> None:
    retention_api.api.keep(input_seconds=DAY, result_seconds=MINUTE)
    job_id = retention_api.api.submit(outputs="image,faces")
    retention_api.run(PREPARE)
    retention_api.api.fail(SEGMENTATION, Failure("internal", "It broke", "why"))

    retention_api.pass_time(seconds=DAY - MINUTE)
    kept = retention_api.row("SELECT expired_at FROM jobs WHERE id = :id", job_id)
    redriven = retention_api.api.client.post(f"/v1/jobs/{job_id}/redrive")
    for stage in (SEGMENTATION, FACE, SMILE, COMPOSITE):
        retention_api.run(stage)

    assert (kept, redriven.status_code) == (None, 202)
    assert retention_seconds(retention_api.api.job(job_id)) == MINUTE


def test_nothing_is_kept_once_all_outputs_are_fetched(retention_api: RetentionApi) -> None:
    retention_api.api.keep(nothing=True)
    job_id = retention_api.finish_job()
    retention_api.download(job_id, "image")
    retention_api.retention.remove_expired()
    after_one = len(retention_api.bucket(job_id)), retention_api.fetch(job_id, "image").content

    retention_api.download(job_id, "image", "faces")
    refused = retention_api.fetch(job_id, "image")
    retention_api.retention.remove_expired()

    assert after_one == (6, PICTURE)
    assert refusal_of(refused) == (410, "output_expired")
    assert retention_api.bucket(job_id) == []
    assert retention_api.api.job(job_id)["faces"] is None
    assert retention_api.fetch(job_id, "faces").json()["code"] == "output_expired"


def test_unfetched_output_and_failed_job_are_removed_within_an_hour(
    retention_api: RetentionApi,
) -> None:
    retention_api.api.keep(nothing=True)
    job_id = retention_api.finish_job()
    failed = retention_api.api.submit()
    retention_api.api.fail(PREPARE, Failure("internal", "It broke", "why"))
    shown = retention_api.api.job(job_id)

    retention_api.pass_time(seconds=HOUR - MINUTE)
    before = len(retention_api.bucket(job_id)), len(retention_api.bucket(failed))
    retention_api.pass_time(seconds=MINUTE)

    assert (retention_seconds(shown), before) == (HOUR, (6, 1))
    assert retention_api.bucket(job_id) == retention_api.bucket(failed) == []


@pytest.mark.parametrize("name", ["image", "faces"])
def test_client_that_disconnects_after_the_last_byte_has_it_all(
    retention_api: RetentionApi, name: str
) -> None:
    retention_api.api.keep(nothing=True)
    job_ids = [retention_api.finish_job() for _ in range(2)]

    for job_id in job_ids:
        url = f"/v1/jobs/{job_id}/outputs/{name}"
        fetch_and_disconnect(retention_api.api.client.build_request("GET", url))

    for job_id in job_ids:
        retention_api.wait_until_recorded(job_id, name)


def test_interrupted_download_records_no_delivery(retention_api: RetentionApi) -> None:
    retention_api.api.keep(nothing=True)
    # More than all buffers on the way hold.
    job_id = retention_api.finish_job(bytes(30_000_000))

    url = f"/v1/jobs/{job_id}/outputs/image"
    with retention_api.api.client.stream("GET", url) as answer:
        next(answer.iter_raw())
    retention_api.download(job_id, "faces")

    assert retention_api.recorded_outputs(job_id) == ["faces"]


def test_answer_without_the_content_records_no_delivery(retention_api: RetentionApi) -> None:
    retention_api.api.keep(nothing=True)
    job_id = retention_api.finish_job()
    url = f"/v1/jobs/{job_id}/outputs/image"

    head = retention_api.api.client.head(url)
    unchanged = retention_api.api.client.get(url, headers={"If-None-Match": head.headers["ETag"]})
    retention_api.download(job_id, "faces")

    assert (head.status_code, unchanged.status_code) == (200, 304)
    assert retention_api.recorded_outputs(job_id) == ["faces"]


def test_upload_is_removed_when_no_job_needs_it_any_more(retention_api: RetentionApi) -> None:
    retention_api.api.keep(nothing=True)
    photo = a_photo()
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    upload = retention_api.api.create("/v1/uploads", json=wish)
    httpx.put(
        upload["put_url"], content=photo, headers=upload["headers"], timeout=60
    ).raise_for_status()
    named = {"upload_id": upload["upload_id"], "recipe": {"outputs": ["image", "faces"]}}
    job_ids = [retention_api.api.create("/v1/jobs", json=named)["id"] for _ in range(2)]

    left = []
    for job_id in job_ids:
        for stage in StageName:
            retention_api.run(stage)
        retention_api.download(job_id, "image", "faces")
        retention_api.retention.remove_expired()
        stored = [one.key for one in retention_api.api.bench.store.stored()]
        left.append([key for key in stored if upload["upload_id"] in key])

    assert (len(left[0]), left[1]) == (1, [])


class Listing(S3Store):
    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.settings.storage, connections=1)
        self.listed: list[str] = []

    def stored(self, prefix: str = "") -> Iterator[StoredObject]:
        self.listed.append(prefix)
        return super().stored(prefix)


class Interrupted(S3Store):
    """The real store, with an action just before or just after a PUT."""

    def __init__(self, bench: Bench, happen: Callable[[], None], *, when: str) -> None:
        super().__init__(bench.settings.storage, connections=1)
        self._happen = happen
        self._when = when

    def put(self, *put: Any, **more: Any) -> None:  # noqa: ANN401 - as it is
        if self._when == "before":
            self._happen()
        super().put(*put, **more)
        if self._when == "after":
            self._happen()


def fail() -> None:
    raise StorageUnavailable("no answer")


@pytest.fixture
def neighbor(bench: Bench) -> Iterator[Engine]:
    """The database of another installation."""
    url = bench.settings.database.url.get_secret_value()
    with an_empty_database(url, "neighbor") as settings, connect(settings) as engine:
        migrate.upgrade(engine)
        yield engine


def put(bench: Bench, key: str) -> str:
    bench.store.put(key, b"bytes", length=5, media_type="text/plain")
    return key


def stray(bench: Bench, job_id: JobId | None = None) -> str:
    return put(bench, keys.photo(TENANT, job_id or new_job_id()))


def clear(bench: Bench, engine: Engine | None = None) -> int:
    return GarbageCollector(engine or bench.worker_engine, bench.store).clear(older_than=NOW)


def fault(bench: Bench) -> str | None:
    return bench.do(installation.read_fault)


def kept(bench: Bench) -> set[str]:
    return {
        one.key for one in bench.store.stored() if not one.key.startswith(keys.INSTALLATION_PREFIX)
    }


def test_only_objects_older_than_the_bucket_confirmation_are_removed(bench: Bench) -> None:
    stray(bench)
    removed = [clear(bench), clear(bench)]
    written_since = stray(bench)
    removed.append(clear(bench))

    assert removed == [0, 1, 0]
    assert (fault(bench), kept(bench)) == (None, {written_since})


def test_installations_on_one_bucket_remove_nothing_until_one_moves(
    bench: Bench, neighbor: Engine
) -> None:
    strays = {stray(bench), stray(bench)}

    removed = [clear(bench, engine) for _ in range(3) for engine in (bench.engine, neighbor)]

    assert (removed, kept(bench)) == ([0] * 6, strays)
    with sessions.transaction(neighbor) as connection:
        other = connection.execute(text("SELECT id FROM installation")).scalar_one()
        assert "also uses the bucket" in str(installation.read_fault(connection))
    assert f"installation {other} also uses the bucket" in str(fault(bench))
    bench.store.remove(keys.installation(other))
    assert (clear(bench), fault(bench)) == (2, None)


def test_restored_database_removes_nothing_until_an_operator_removes_the_marker(
    bench: Bench,
) -> None:
    clear(bench)
    (backup,) = bench.rows("SELECT token, confirmed_at FROM installation")
    clear(bench)
    made_since = stray(bench)
    bench.execute(
        "UPDATE installation SET token = :token, confirmed_at = :confirmed_at", **backup._asdict()
    )

    removed = [clear(bench) for _ in range(3)]

    assert (removed, kept(bench)) == ([0, 0, 0], {made_since})
    assert "a later state of this database has used the bucket" in str(fault(bench))
    (marker,) = bench.store.stored(keys.INSTALLATION_PREFIX)
    bench.store.remove(marker.key)
    assert ([clear(bench), clear(bench)], fault(bench)) == ([0, 1], None)


def test_marker_that_is_no_marker_is_not_read_whole(bench: Bench) -> None:
    clear(bench)
    stray(bench)
    (marker,) = bench.store.stored(keys.INSTALLATION_PREFIX)
    bench.store.put(marker.key, bytes(1_000_000), length=1_000_000, media_type="text/plain")

    assert clear(bench) == 0
    assert "a later state of this database has used the bucket" in str(fault(bench))


def test_process_that_dies_during_confirmation_leaves_no_fault(bench: Bench) -> None:
    clear(bench)
    token = uuid.uuid4()
    bench.execute("UPDATE installation SET next_token = :token", token=token)
    stray(bench)
    before_the_marker = clear(bench)
    bench.execute("UPDATE installation SET next_token = :token", token=token)
    (marker,) = bench.store.stored(keys.INSTALLATION_PREFIX)
    bench.store.put(marker.key, str(token).encode(), length=36, media_type="text/plain")
    after_it = clear(bench)

    assert (before_the_marker, after_it, fault(bench)) == (0, 1, None)


def test_repeated_errors_leave_no_fault(bench: Bench) -> None:
    stray(bench)
    clear(bench)
    for when in ("after", "before", "before"):
        with contextlib.suppress(StorageUnavailable):
            installation.confirm(bench.engine, Interrupted(bench, fail, when=when))

    assert (clear(bench), fault(bench)) == (1, None)


@pytest.mark.parametrize("when", ["before", "after"])
def test_two_simultaneous_confirmations_leave_no_fault(bench: Bench, when: str) -> None:
    clear(bench)
    stray(bench)

    def confirm() -> None:
        installation.confirm(bench.engine, bench.store)

    installation.confirm(bench.engine, Interrupted(bench, confirm, when=when))

    assert (clear(bench), fault(bench)) == (1, None)


def test_doctor_gives_advice_about_a_bucket_of_another_database(bench: Bench) -> None:
    put(bench, keys.installation(uuid.uuid4()))
    clear(bench)

    found = [one for one in servers.check_database(bench.settings.database) if one.what == "bucket"]

    assert [one.level for one in found] == ["warn"]
    assert "unreferenced objects are not removed" in found[0].said
    assert "its own bucket" in found[0].fix


@pytest.mark.parametrize(
    "folder",
    ["0-archive", "2025-reports", "20200101", "2020-13-01", "2020-01-01-old", "2020-W01-1"],
)
def test_folder_that_is_not_a_day_is_ignored(bench: Bench, folder: str) -> None:
    ours = put(bench, f"2020-01-01/{TENANT}/{new_job_id()}/photo")
    theirs = put(bench, f"{folder}/reports/photo")

    collector(bench).clear_unreferenced(older_than=NOW)

    assert ours not in kept(bench)
    assert kept(bench) == {theirs}


def test_older_day_is_listed_daily_and_the_last_two_hourly(bench: Bench) -> None:
    today = bench.scalar("SELECT (now() AT TIME ZONE 'UTC')::date")
    days = [(today - dt.timedelta(days=ago)).isoformat() for ago in range(30)]
    for day in days:
        put(bench, f"{day}/{TENANT}/{new_job_id()}/photo")
    store = Listing(bench)
    keeper = GarbageCollector(bench.worker_engine, store)

    most = 0
    for turn in range(24):
        before = len(store.listed)
        keeper.clear_unreferenced(older_than=dt.timedelta(hours=1), turn=turn)
        most = max(most, len(store.listed) - before)

    of_days = [store.listed.count(f"{day}/") for day in days]
    assert of_days == [24, 24, *[1] * 28]
    assert most <= 2 + 2 + 2  # the last two days, two older ones, stock and weights


@pytest.fixture
def stale(bench: Bench) -> Bench:
    bench.execute(
        "INSERT INTO data_sets (task, version, created_at) VALUES (:task, :version, now())",
        task=TaskName.SMILE,
        version=VERSION,
    )
    return bench


def is_stale(bench: Bench) -> bool:
    return bool(bench.do(datasets.list_stale, most=10))


def test_photo_is_removed_although_collecting_corrections_never_succeeds(stale: Bench) -> None:
    job_id = new_job_id()
    photo = keys.photo(TENANT, job_id)
    stale.store.put(photo, b"bytes", length=5, media_type="image/jpeg")
    stale.submit(job_id=job_id, photo=photo)
    stale.do(CLIENT.cancel, job_id, TENANT)
    stale.execute("UPDATE artifacts SET expires_at = now() - interval '1 hour'")
    # This store holds manifests only.
    keeper = GarbageCollector(stale.worker_engine, Interrupted(stale, fail, when="before"))
    with pytest.raises(StorageUnavailable):
        keeper.learn()
    stopping = threading.Event()
    threads = [
        threading.Thread(target=run, args=(stopping,)) for run in (keeper.run, keeper.run_slow)
    ]

    keeper.request_run()
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: not stale.store.has(photo))
    finally:
        stopping.set()
        for thread in threads:
            thread.join()

    assert list(stale.store.stored()) == []
    assert is_stale(stale)


def test_manifest_is_written_by_its_claimant_until_the_claim_is_lost(stale: Bench) -> None:
    slow = stale.do(datasets.claim_manifest, TaskName.SMILE, VERSION)
    assert slow is not None

    dataset_export.write(stale.engine, stale.store, TaskName.SMILE, VERSION)
    while_claimed = list(stale.store.stored())
    stale.execute("UPDATE data_sets SET leased_until = now()")
    dataset_export.write(stale.engine, stale.store, TaskName.SMILE, VERSION)
    written = not is_stale(stale)
    stale.do(datasets.record_manifest, slow, "0" * 64)

    assert (while_claimed, written) == ([], True)
    assert is_stale(stale)
