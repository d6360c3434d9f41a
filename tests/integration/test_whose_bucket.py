"""Objects go only where the bucket is this database's, and although learning is in trouble."""

import contextlib
import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest
from sqlalchemy import Engine, text

from smart_filter_deploy.doctor import servers
from smart_filter_shared import installation
from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.errors import StorageUnavailable
from smart_filter_shared.ids import JobId, new_job_id
from smart_filter_shared.jobs import data_sets, transitions
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore, Stored
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.databases import an_empty_database, connected
from smart_filter_tests.outages import until
from smart_filter_workers.learning import manifests
from smart_filter_workers.retention import Retention

NOW = dt.timedelta(seconds=-60)  # older than what is written this very second
VERSION = 1


class Listing(ObjectStore):
    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.settings.storage, connections=1)
        self.listed: list[str] = []

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        self.listed.append(prefix)
        return super().stored(prefix)


class LosesAnswers(ObjectStore):
    def put(self, *put: Any, **more: Any) -> None:  # noqa: ANN401 - as it is
        super().put(*put, **more)
        raise StorageUnavailable("no answer")


class RefusesToStore(ObjectStore):
    def put(self, *_: object, **__: object) -> None:
        raise StorageUnavailable("no room")


class Overlapped(ObjectStore):
    """The real store, where another process confirms just before or just after a PUT."""

    def __init__(self, bench: Bench, *, when: str) -> None:
        super().__init__(bench.settings.storage, connections=1)
        self._bench = bench
        self._when = when

    def put(self, *put: Any, **more: Any) -> None:  # noqa: ANN401 - as it is
        if self._when == "before":
            installation.confirm(self._bench.engine, self._bench.store)
        super().put(*put, **more)
        if self._when == "after":
            installation.confirm(self._bench.engine, self._bench.store)


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
    for store in (LosesAnswers, RefusesToStore, RefusesToStore):
        with contextlib.suppress(StorageUnavailable):
            installation.confirm(bench.engine, store(bench.settings.storage, connections=1))

    assert (clear(bench), fault(bench)) == (1, None)


@pytest.mark.parametrize("when", ["before", "after"])
def test_two_processes_that_confirm_at_once_make_no_fault(bench: Bench, when: str) -> None:
    clear(bench)
    stray(bench)

    installation.confirm(bench.engine, Overlapped(bench, when=when))

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


class Refusing(ObjectStore):
    """The real store, under whose `data/` nothing can be stored."""

    def put(self, key: str, content: BinaryIO | bytes, *, length: int, media_type: str) -> None:
        if key.startswith("data/"):
            raise StorageUnavailable(f"refused {key}")
        super().put(key, content, length=length, media_type=media_type)


@pytest.fixture
def stale(bench: Bench) -> Bench:
    """A data set whose manifest is not written yet."""
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
    store = Refusing(stale.settings.storage, connections=2)
    keeper = Retention(stale.engine, store, cell=CELL)
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
