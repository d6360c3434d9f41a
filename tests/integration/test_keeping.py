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

from smart_filter_deploy.doctor import servers
from smart_filter_shared import installation
from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.errors import StorageUnavailable
from smart_filter_shared.ids import JobId, Tenant, new_job_id
from smart_filter_shared.jobs import data_sets, transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore, Stored
from smart_filter_tests.bench import KEEPING, TENANT, Bench
from smart_filter_tests.databases import an_empty_database, connected
from smart_filter_tests.house import (
    COMPOSITE,
    DAY,
    FACE,
    HOUR,
    MINUTE,
    PICTURE,
    PREPARE,
    SEGMENTATION,
    SMILE,
    House,
    seconds_kept,
)
from smart_filter_tests.outages import until
from smart_filter_tests.serving import Api, a_photo, fetched_and_gone
from smart_filter_workers.learning import manifests
from smart_filter_workers.retention import Retention

NOW = dt.timedelta(seconds=-60)  # older than what is written this very second
VERSION = 1


@pytest.fixture
def house(api: Api) -> House:
    return House(api, Retention(api.bench.engine, api.bench.store, cell=CELL))


def test_data_is_kept_as_long_as_its_tenant_wants(house: House) -> None:
    house.api.keep(input_seconds=HOUR, result_seconds=2 * HOUR)
    job_id = house.finished()
    shown = house.api.job(job_id)

    house.pass_time(seconds=HOUR - MINUTE)
    fetched = [house.fetch(job_id, name).status_code for name in ("image", "faces", "image")]
    house.retention.remove_expired()
    all_of_it = house.bucket(job_id)
    house.pass_time(seconds=MINUTE)
    results = house.bucket(job_id)
    house.pass_time(seconds=HOUR)

    assert seconds_kept(shown) == 2 * HOUR
    assert fetched == [200, 200, 200]
    assert all_of_it == ["composite", "face", "photo", "prepare", "segmentation", "smile"]
    assert results == ["composite"]
    assert house.bucket(job_id) == []
    assert house.fetch(job_id, "image").json()["code"] == "output_expired"


def test_change_concerns_what_the_tenant_submits_from_then_on(house: House) -> None:
    before = house.finished()
    house.api.keep(input_seconds=0, result_seconds=MINUTE)
    house.api.keep(Tenant("other"), input_seconds=0, result_seconds=1)
    short = house.finished()
    house.api.keep(input_seconds=30 * DAY, result_seconds=60 * DAY)
    long = house.finished()
    seconds = [seconds_kept(house.api.job(one)) for one in (before, short, long)]

    house.pass_time(seconds=MINUTE)
    after_a_minute = [len(house.bucket(one)) for one in (before, short, long)]
    house.pass_time(seconds=29 * DAY)

    assert seconds == [7 * DAY, MINUTE, 60 * DAY]
    assert after_a_minute == [6, 0, 6]
    assert [len(house.bucket(one)) for one in (before, long)] == [0, 6]


def test_facts_of_the_photo_and_events_go_with_the_results(house: House) -> None:
    job_id = house.finished()
    assert house.api.job(job_id)["faces"]
    assert house.api.job(job_id)["persons"]
    assert house.rows("events", job_id) == 8

    house.pass_time(seconds=7 * DAY)
    job = house.api.job(job_id)

    found = ("photo", "people", "persons", "image", "faces", "rating", "printability", "frame")
    assert {name: job[name] for name in found} == dict.fromkeys(found)
    assert (job["state"], job["recipe"]["outputs"]) == ("succeeded", ["image", "faces"])
    assert house.row("SELECT photo_digest FROM jobs WHERE id = :id", job_id) is None
    query = "SELECT count(*) FROM stages WHERE job_id = :id AND result IS NOT NULL"
    assert house.row(query, job_id) == 0
    assert house.fetch(job_id, "faces").json()["code"] == "output_expired"
    assert house.fetch(job_id, "rating").status_code == 404
    assert house.rows("events", job_id) == 0
    assert house.api.client.get(f"/v1/jobs/{job_id}/events").status_code == 204


def test_log_of_deliveries_goes_with_the_results_and_the_waiting_stay(house: House) -> None:
    for path in ("sent", "late"):
        house.api.client.post("/v1/webhooks", json={"url": f"https://example.com/{path}"})
    job_id = house.finished()
    house.api.bench.execute("""
        WITH sent AS (
            UPDATE deliveries SET state = 'succeeded', finished_at = now()
            WHERE id = (SELECT id FROM deliveries LIMIT 1) RETURNING id
        )
        INSERT INTO delivery_attempts (delivery_id, at, seconds, status, answer)
        SELECT id, now(), 1, 200, 'thanks' FROM sent
    """)

    house.pass_time(seconds=7 * DAY)

    query = "SELECT state FROM deliveries WHERE job_id = :id"
    assert house.row(query, job_id) == "waiting"
    log = house.api.bench.scalar("SELECT count(*) FROM delivery_attempts")
    assert log == 0


def test_remembered_answer_goes_and_the_request_is_not_done_twice(house: House) -> None:
    house.api.keep(result_seconds=MINUTE)
    key = {"Idempotency-Key": "once"}
    sent = {"photo": ("photo", a_photo())}
    form = {"outputs": "image,faces"}
    first = house.api.client.post("/v1/jobs", files=sent, data=form, headers=key)
    for stage in StageName:
        house.run(stage)

    house.pass_time(seconds=MINUTE)
    again = house.api.client.post("/v1/jobs", files=sent, data=form, headers=key)

    assert (again.status_code, again.json()["code"]) == (410, "output_expired")
    assert first.json()["id"] in again.json()["detail"]
    assert len(house.api.client.get("/v1/jobs").json()["items"]) == 1


def test_failed_job_goes_on_while_its_photo_is_kept(house: House) -> None:
    house.api.keep(input_seconds=DAY, result_seconds=MINUTE)
    job_id = house.api.submit(outputs="image,faces")
    house.run(PREPARE)
    house.api.fail(SEGMENTATION, Failure("internal", "It broke", "why"))

    house.pass_time(seconds=DAY - MINUTE)
    kept = house.row("SELECT expired_at FROM jobs WHERE id = :id", job_id)
    redriven = house.api.client.post(f"/v1/jobs/{job_id}/redrive")
    for stage in (SEGMENTATION, FACE, SMILE, COMPOSITE):
        house.run(stage)

    assert (kept, redriven.status_code) == (None, 202)
    assert seconds_kept(house.api.job(job_id)) == MINUTE


def test_row_of_an_earlier_version_is_kept_as_the_settings_say(house: House) -> None:
    job_id = house.api.submit(outputs="image,faces")
    house.api.bench.execute("UPDATE jobs SET keep_input_seconds = NULL, keep_result_seconds = NULL")
    for stage in StageName:
        house.run(stage)

    assert seconds_kept(house.api.job(job_id)) == KEEPING.result_seconds


def test_nothing_is_kept_once_all_outputs_are_fetched(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    house.hand_over(job_id, "image")
    house.retention.remove_expired()
    after_one = len(house.bucket(job_id)), house.fetch(job_id, "image").content

    house.hand_over(job_id, "image", "faces")
    refused = house.fetch(job_id, "image")
    house.retention.remove_expired()

    assert after_one == (6, PICTURE)
    assert (refused.status_code, refused.json()["code"]) == (410, "output_expired")
    assert house.bucket(job_id) == []
    assert house.api.job(job_id)["faces"] is None
    assert house.fetch(job_id, "faces").json()["code"] == "output_expired"


def test_unfetched_output_and_failed_job_go_within_an_hour(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    failed = house.api.submit()
    house.api.fail(PREPARE, Failure("internal", "It broke", "why"))
    shown = house.api.job(job_id)

    house.pass_time(seconds=HOUR - MINUTE)
    before = len(house.bucket(job_id)), len(house.bucket(failed))
    house.pass_time(seconds=MINUTE)

    assert (seconds_kept(shown), before) == (HOUR, (6, 1))
    assert house.bucket(job_id) == house.bucket(failed) == []


def test_link_is_not_given_out_as_its_use_is_not_seen(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()

    answer = house.fetch(job_id, "image", redirect="1")

    assert (answer.status_code, answer.content) == (200, PICTURE)


@pytest.mark.parametrize("name", ["image", "faces"])
def test_client_that_leaves_after_the_last_byte_has_it_all(house: House, name: str) -> None:
    house.api.keep(nothing=True)
    job_ids = [house.finished() for _ in range(2)]

    for job_id in job_ids:
        url = f"/v1/jobs/{job_id}/outputs/{name}"
        fetched_and_gone(house.api.client.build_request("GET", url))

    for job_id in job_ids:
        house.noted(job_id, name)


def test_download_that_breaks_off_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    # More than all buffers on the way hold.
    job_id = house.finished(bytes(30_000_000))

    url = f"/v1/jobs/{job_id}/outputs/image"
    with house.api.client.stream("GET", url) as answer:
        next(answer.iter_raw())
    house.hand_over(job_id, "faces")

    assert house.handed_over(job_id) == ["faces"]


def test_answer_without_the_content_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    url = f"/v1/jobs/{job_id}/outputs/image"

    head = house.api.client.head(url)
    unchanged = house.api.client.get(url, headers={"If-None-Match": head.headers["ETag"]})
    house.hand_over(job_id, "faces")

    assert (head.status_code, unchanged.status_code) == (200, 304)
    assert house.handed_over(job_id) == ["faces"]


def test_upload_goes_when_no_job_has_to_take_it_any_more(house: House) -> None:
    house.api.keep(nothing=True)
    photo = a_photo()
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    upload = house.api.client.post("/v1/uploads", json=wish).json()
    httpx.put(upload["put_url"], content=photo, headers=upload["headers"]).raise_for_status()
    named = {"upload_id": upload["upload_id"], "recipe": {"outputs": ["image", "faces"]}}
    job_ids = [house.api.client.post("/v1/jobs", json=named).json()["id"] for _ in range(2)]

    left = []
    for job_id in job_ids:
        for stage in StageName:
            house.run(stage)
        house.hand_over(job_id, "image", "faces")
        house.retention.remove_expired()
        stored = [one.key for one in house.api.bench.store.stored()]
        left.append([key for key in stored if upload["upload_id"] in key])

    assert (len(left[0]), left[1]) == (1, [])


class Listing(ObjectStore):
    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.settings.storage, connections=1)
        self.listed: list[str] = []

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        self.listed.append(prefix)
        return super().stored(prefix)


class Interrupted(ObjectStore):
    """The real store, where something happens just before or just after a PUT."""

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
    with an_empty_database(url, "neighbor") as settings, connected(settings) as engine:
        migrate.upgrade(engine)
        yield engine


def put(bench: Bench, key: str) -> str:
    bench.store.put(key, b"bytes", length=5, media_type="text/plain")
    return key


def stray(bench: Bench, job_id: JobId | None = None) -> str:
    return put(bench, keys.photo(TENANT, job_id or new_job_id()))


def clear(bench: Bench, engine: Engine | None = None) -> int:
    return Retention(engine or bench.engine, bench.store, cell=CELL).clear(older_than=NOW)


def fault(bench: Bench) -> str | None:
    return bench.do(installation.fault)


def kept(bench: Bench) -> set[str]:
    return {one.key for one in bench.store.stored() if not one.key.startswith(keys.INSTALLATIONS)}


def test_only_what_was_there_when_the_bucket_was_confirmed_goes(bench: Bench) -> None:
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
        assert "is used by installation" in str(installation.fault(connection))
    assert f"is used by installation {other} too" in str(fault(bench))
    bench.store.remove(keys.installation(other))
    assert (clear(bench), fault(bench)) == (2, None)


def test_restored_database_removes_nothing_until_an_operator_removes_the_marker(
    bench: Bench,
) -> None:
    clear(bench)
    with bench.transaction() as connection:
        backup = connection.execute(text("SELECT token, confirmed_at FROM installation")).one()
    clear(bench)
    made_since = stray(bench)
    with bench.transaction() as connection:
        connection.execute(
            text("UPDATE installation SET token = :token, confirmed_at = :confirmed_at"),
            backup._asdict(),
        )

    removed = [clear(bench) for _ in range(3)]

    assert (removed, kept(bench)) == ([0, 0, 0], {made_since})
    assert "was used with a later state of this database" in str(fault(bench))
    (marker,) = bench.store.stored(keys.INSTALLATIONS)
    bench.store.remove(marker.key)
    assert ([clear(bench), clear(bench)], fault(bench)) == ([0, 1], None)


def test_process_that_dies_while_it_confirms_makes_no_fault(bench: Bench) -> None:
    clear(bench)
    token = uuid.uuid4()
    bench.execute("UPDATE installation SET next_token = :token", token=token)
    stray(bench)
    before_the_marker = clear(bench)
    bench.execute("UPDATE installation SET next_token = :token", token=token)
    (marker,) = bench.store.stored(keys.INSTALLATIONS)
    bench.store.put(marker.key, str(token).encode(), length=36, media_type="text/plain")
    after_it = clear(bench)

    assert (before_the_marker, after_it, fault(bench)) == (0, 1, None)


def test_troubles_in_a_row_make_no_fault(bench: Bench) -> None:
    stray(bench)
    clear(bench)
    for when in ("after", "before", "before"):
        with contextlib.suppress(StorageUnavailable):
            installation.confirm(bench.engine, Interrupted(bench, fail, when=when))

    assert (clear(bench), fault(bench)) == (1, None)


@pytest.mark.parametrize("when", ["before", "after"])
def test_two_processes_that_confirm_at_once_make_no_fault(bench: Bench, when: str) -> None:
    clear(bench)
    stray(bench)

    def confirm() -> None:
        installation.confirm(bench.engine, bench.store)

    installation.confirm(bench.engine, Interrupted(bench, confirm, when=when))

    assert (clear(bench), fault(bench)) == (1, None)


def test_doctor_says_what_to_do_about_a_bucket_of_another_database(bench: Bench) -> None:
    put(bench, keys.installation(uuid.uuid4()))
    clear(bench)

    found = [one for one in servers.database(bench.settings.database) if one.what == "bucket"]

    assert [one.level for one in found] == ["warn"]
    assert "no row names are kept" in found[0].said
    assert "its own bucket" in found[0].fix


@pytest.mark.parametrize(
    "folder",
    ["0-archive", "2025-reports", "20200101", "2020-13-01", "2020-01-01-old", "2020-W01-1"],
)
def test_folder_that_is_no_day_is_not_ours(bench: Bench, folder: str) -> None:
    ours = put(bench, f"2020-01-01/{TENANT}/{new_job_id()}/photo")
    theirs = put(bench, f"{folder}/reports/photo")

    Retention(bench.engine, bench.store, cell=CELL).clear_unnamed(older_than=NOW)

    assert ours not in kept(bench)
    assert kept(bench) == {theirs}


def test_older_day_is_listed_once_in_a_day_and_the_last_two_each_hour(bench: Bench) -> None:
    today = bench.scalar("SELECT (now() AT TIME ZONE 'UTC')::date")
    days = [(today - dt.timedelta(days=ago)).isoformat() for ago in range(30)]
    for day in days:
        put(bench, f"{day}/{TENANT}/{new_job_id()}/photo")
    store = Listing(bench)
    keeper = Retention(bench.engine, store, cell=CELL)

    most = 0
    for turn in range(24):
        before = len(store.listed)
        keeper.clear_unnamed(older_than=dt.timedelta(hours=1), turn=turn)
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
    return bool(bench.do(data_sets.stale, most=10))


def test_photo_goes_though_learning_never_succeeds(stale: Bench) -> None:
    job_id = new_job_id()
    photo = keys.photo(TENANT, job_id)
    stale.store.put(photo, b"bytes", length=5, media_type="image/jpeg")
    stale.submit(job_id=job_id, photo=photo)
    stale.do(transitions.cancel, job_id, TENANT)
    stale.execute("UPDATE artifacts SET expires_at = now() - interval '1 hour'")
    # All that this one stores are manifests.
    keeper = Retention(stale.engine, Interrupted(stale, fail, when="before"), cell=CELL)
    with pytest.raises(StorageUnavailable):
        keeper.learn()
    stopping = threading.Event()
    threads = [
        threading.Thread(target=run, args=(stopping,)) for run in (keeper.run, keeper.run_slow)
    ]

    keeper.due()
    for thread in threads:
        thread.start()
    try:
        until(lambda: not stale.store.has(photo))
    finally:
        stopping.set()
        for thread in threads:
            thread.join()

    assert list(stale.store.stored()) == []
    assert is_stale(stale)


def test_manifest_is_written_by_its_claimant_until_the_claim_is_lost(stale: Bench) -> None:
    slow = stale.do(data_sets.claim, TaskName.SMILE, VERSION)
    assert slow is not None

    manifests.write(stale.engine, stale.store, TaskName.SMILE, VERSION)
    while_claimed = list(stale.store.stored())
    stale.execute("UPDATE data_sets SET leased_until = now()")
    manifests.write(stale.engine, stale.store, TaskName.SMILE, VERSION)
    written = not is_stale(stale)
    stale.do(data_sets.told, slow, "0" * 64)

    assert (while_claimed, written) == ([], True)
    assert is_stale(stale)
