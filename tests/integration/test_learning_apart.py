"""Learning from corrections holds up no deletion, and storage no transaction."""

import threading
from typing import BinaryIO

import pytest
from sqlalchemy.pool import QueuePool

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import StorageUnavailable
from smart_filter_shared.ids import new_job_id
from smart_filter_shared.jobs import data_sets, transitions
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.outages import until
from smart_filter_workers.learning import manifests
from smart_filter_workers.retention import Retention

VERSION = 1


class Watching(ObjectStore):
    """The real store, which notes how many connections are in use while something is stored."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.settings.storage, connections=1)
        self._bench = bench
        self.in_use: list[int] = []

    def put(self, key: str, content: BinaryIO | bytes, *, length: int, media_type: str) -> None:
        pool = self._bench.engine.pool
        assert isinstance(pool, QueuePool)
        self.in_use.append(pool.checkedout())
        super().put(key, content, length=length, media_type=media_type)


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


def test_no_transaction_is_open_while_a_manifest_is_stored(stale: Bench) -> None:
    store = Watching(stale)

    manifests.write_stale(stale.engine, store, most=10)

    assert store.in_use == [0]
    assert not is_stale(stale)


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
