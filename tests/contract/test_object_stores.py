"""Each object store keeps the promises of `ObjectStore`: a folder, and a real S3 server."""

import contextlib
import datetime as dt
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import BucketMissing, ObjectMissing
from smart_filter_shared.storage.objects import PIECE_BYTES, ObjectStore, list_written_before
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests.bench import Bench

KEY = "2026-11-26/acme/job/photo"
# More than a piece of a stream, and than a part of a multipart upload.
LARGE = os.urandom(6_000_000)


def folder_store(folder: Path, bucket: str = "photos") -> ObjectStore:
    return open_store(StorageSettings(url=folder.as_uri(), bucket=bucket), connections=1)


def store_bytes(store: ObjectStore, key: str, content: bytes) -> None:
    store.put(key, content, length=len(content), media_type="image/png")


def keys_of(store: ObjectStore, prefix: str = "") -> list[str]:
    return sorted(one.key for one in store.stored(prefix))


@pytest.fixture(params=["folder", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "S3":
        bench: Bench = request.getfixturevalue("bench")
        return bench.store
    made = folder_store(tmp_path / "a folder, 100%")
    made.ensure_bucket()
    return made


@pytest.mark.parametrize("content", [b"", b"bytes", LARGE], ids=["empty", "small", "large"])
def test_object_is_read_as_it_was_put(store: ObjectStore, content: bytes) -> None:
    store_bytes(store, KEY, content)
    with io.BytesIO(content) as file:
        store.put("file", file, length=len(content), media_type="image/png")

    assert store.get(KEY) == store.get("file") == content
    assert store.get(KEY, length=len(content)) == content
    pieces = list(store.stream(KEY, length=len(content)))
    assert b"".join(pieces) == content
    assert max(map(len, pieces), default=0) <= PIECE_BYTES
    assert store.look(KEY).length == len(content)


def test_part_is_cut_at_the_end(store: ObjectStore) -> None:
    store_bytes(store, KEY, b"0123456789")

    assert store.part(KEY, start=2, length=3) == b"234"
    assert store.part(KEY, start=8, length=100) == b"89"


@pytest.mark.parametrize(
    "read",
    [
        lambda store, key: store.get(key),
        lambda store, key: store.stream(key),
        lambda store, key: store.part(key, start=0, length=1),
        lambda store, key: store.look(key),
    ],
    ids=["get", "stream", "part", "look"],
)
@pytest.mark.parametrize("key", ["2026-11-26/none", "2026-11-26", f"{KEY}/below"])
def test_key_without_object_is_missing(
    store: ObjectStore, read: Callable[[ObjectStore, str], object], key: str
) -> None:
    store_bytes(store, KEY, b"bytes")

    with pytest.raises(ObjectMissing):
        read(store, key)
    assert not store.has(key)


def test_object_of_another_length_counts_as_missing(store: ObjectStore) -> None:
    store_bytes(store, KEY, b"bytes")

    with pytest.raises(ObjectMissing):
        store.get(KEY, length=6)
    with pytest.raises(ObjectMissing):
        store.stream(KEY, length=6)


def test_etag_is_that_of_the_content(store: ObjectStore) -> None:
    etags = []
    for content in (b"bytes", b"bytes", b"other"):
        store_bytes(store, KEY, content)
        found = store.get_tagged(KEY)
        assert (found.content, found.etag) == (content, store.look(KEY).etag)
        etags.append(found.etag)

    assert "" not in etags
    assert etags[0] == etags[1] != etags[2]


def test_listed_etag_changes_with_the_content(store: ObjectStore) -> None:
    etags = set()
    for content in (b"bytes", b"other"):
        store_bytes(store, KEY, content)
        etags |= {one.etag for one in store.stored(KEY)}

    assert len(etags) == 2


def test_removed_objects_are_gone_and_the_others_stay(store: ObjectStore) -> None:
    for key in (KEY, "a/b", "a/c", "d"):
        store_bytes(store, key, b"bytes")

    store.remove("a/b")
    store.remove("a/b")

    assert store.remove_many(["d", "none", "a/none"]) == {}
    assert keys_of(store) == sorted([KEY, "a/c"])
    assert store.folders() == ["2026-11-26/", "a/"]


def test_objects_are_listed_by_prefix(store: ObjectStore) -> None:
    for key in ("a/b", "a/bc", "a/d", "ab"):
        store_bytes(store, key, b"bytes")

    assert keys_of(store, "a/b") == ["a/b", "a/bc"]
    assert keys_of(store, "a") == ["a/b", "a/bc", "a/d", "ab"]
    assert keys_of(store, "none/") == keys_of(store, "a/b/") == []
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    pages = list(list_written_before(store, "a/", moment, most=2))
    assert [len(page) for page in pages] == [2, 1]
    assert list(list_written_before(store, "a/", moment - dt.timedelta(hours=1), most=2)) == []


# Only of a folder: what an S3 server answers where requests meet on one key is the server's.
def test_readers_see_whole_objects_while_others_put_and_remove_them(tmp_path: Path) -> None:
    store = folder_store(tmp_path)
    store.ensure_bucket()
    contents = [bytes([number]) * 300_000 for number in range(4)]
    faults = list[object]()

    def work(number: int) -> None:
        try:
            for turn in range(30):
                key = f"day/job-{turn % 2}/photo"
                store_bytes(store, key, contents[number])
                with contextlib.suppress(ObjectMissing):
                    if store.get(key) not in contents:
                        faults.append(key)
                store.remove(key)
        except Exception as error:  # noqa: BLE001 - the main thread reports it
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


def test_missing_bucket_is_named(store: ObjectStore, tmp_path: Path, bench: Bench) -> None:
    settings = (
        bench.settings.storage
        if store is bench.store
        else StorageSettings(url=(tmp_path / "a folder, 100%").as_uri())
    )
    other = open_store(settings.model_copy(update={"bucket": "not-there"}), connections=1)

    for use in (
        other.check,
        lambda: store_bytes(other, KEY, b"bytes"),
        lambda: other.get(KEY),
        lambda: list(other.stored()),
    ):
        with pytest.raises(BucketMissing, match="has no bucket not-there"):
            use()
    store.check()
