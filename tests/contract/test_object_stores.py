"""Each object store keeps the promises of `ObjectStore`: a folder, and a real S3 server."""

import contextlib
import datetime as dt
import io
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import (
    BucketMissing,
    ObjectMissing,
    ObjectReplaced,
    ObjectTooLarge,
    StorageUnavailable,
)
from smart_filter_shared.storage.objects import PIECE_BYTES, ObjectStore, list_written_before
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests.bench import Bench
from smart_filter_tests.lying_s3 import ETAG, SENT_BYTES, LyingServer, run_lying_s3

KEY = "2026-11-26/acme/job/photo"
# More than a piece of a stream, and than a part of a multipart upload.
LARGE = os.urandom(6_000_000)


def folder_store(folder: Path, bucket: str = "photos") -> ObjectStore:
    return open_store(StorageSettings(url=folder.as_uri(), bucket=bucket), connections=1)


def store_bytes(store: ObjectStore, key: str, content: bytes) -> None:
    store.put(key, content, length=len(content), media_type="image/png")


def keys_of(store: ObjectStore, prefix: str = "") -> list[str]:
    return sorted(stored.key for stored in store.stored(prefix))


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

    length = len(content)
    assert store.get(KEY, most=length) == store.get("file", most=length + 1) == content
    assert store.get(KEY, most=length, length=length) == content
    pieces = list(store.stream(KEY, most=length, length=length))
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
        lambda store, key: store.get(key, most=100),
        lambda store, key: store.stream(key, most=100),
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
        store.get(KEY, most=100, length=6)
    with pytest.raises(ObjectMissing):
        store.stream(KEY, most=100, length=6)


def test_object_longer_than_its_reader_takes_is_refused(store: ObjectStore) -> None:
    store_bytes(store, KEY, b"bytes")

    with pytest.raises(ObjectTooLarge, match="has more than 4 bytes"):
        store.get(KEY, most=4)
    with pytest.raises(ObjectTooLarge, match="has more than 4 bytes"):
        store.stream(KEY, most=4)


def test_replaced_object_is_not_read_by_its_former_etag(store: ObjectStore) -> None:
    store_bytes(store, KEY, b"bytes")
    before = store.look(KEY)

    same = store.get(KEY, most=before.length, etag=before.etag)
    store_bytes(store, KEY, b"other")

    assert same == b"bytes"
    with pytest.raises(ObjectReplaced):
        store.get(KEY, most=before.length, etag=before.etag)


def test_etag_is_that_of_the_content(store: ObjectStore) -> None:
    etags = []
    for content in (b"bytes", b"bytes", b"other"):
        store_bytes(store, KEY, content)
        etags.append(store.look(KEY).etag)
        assert store.get(KEY, most=100, etag=etags[-1]) == content

    assert "" not in etags
    assert etags[0] == etags[1] != etags[2]


def test_listed_etag_changes_with_the_content(store: ObjectStore) -> None:
    etags = set()
    for content in (b"bytes", b"other"):
        store_bytes(store, KEY, content)
        etags |= {stored.etag for stored in store.stored(KEY)}

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
                    if store.get(key, most=300_000) not in contents:
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
        lambda: other.get(KEY, most=100),
        lambda: list(other.stored()),
    ):
        with pytest.raises(BucketMissing, match="has no bucket not-there"):
            use()
    store.check()


@pytest.fixture
def lies() -> Iterator[LyingServer]:
    with run_lying_s3() as running:
        yield running


# What the buffers of two sockets hold, and one piece.
IN_BUFFERS = 12_000_000


@pytest.mark.parametrize("length", [SENT_BYTES, None], ids=["stated", "chunked"])
@pytest.mark.parametrize("read", ["get", "stream"])
def test_object_longer_than_stated_before_is_not_read_to_its_end(
    lies: LyingServer, length: int | None, read: str
) -> None:
    lies.length = length
    store = open_store(lies.settings(), connections=1)
    most = store.look(KEY).length

    with pytest.raises(ObjectTooLarge):
        list(getattr(store, read)(KEY, most=most))

    assert most == 60_000
    assert lies.sent_bytes < IN_BUFFERS


def test_swapped_object_is_refused_by_a_server_without_conditions(lies: LyingServer) -> None:
    lies.length, lies.etag = None, "0" * 32
    store = open_store(lies.settings(), connections=1)

    with pytest.raises(ObjectReplaced):
        store.get(KEY, most=SENT_BYTES, etag=ETAG)

    assert lies.asked == [f'"{ETAG}"']
    assert lies.sent_bytes < IN_BUFFERS


def test_compressed_object_is_not_expanded(lies: LyingServer) -> None:
    lies.encoding = "gzip"
    store = open_store(lies.settings(), connections=1)

    assert len(store.get(KEY, most=SENT_BYTES)) == lies.sent_bytes < 200_000


@pytest.mark.parametrize("status", [403, 404, 500])
def test_error_without_an_end_is_not_read_to_its_end(lies: LyingServer, status: int) -> None:
    lies.status = status
    store = open_store(lies.settings(), connections=1)

    with pytest.raises(StorageUnavailable, match="does not answer like S3"):
        store.get(KEY, most=100)

    assert lies.sent_bytes < 2 * IN_BUFFERS  # an answer with 500 is asked for again


@pytest.mark.parametrize(
    "document",
    [
        b"<ListBucketResult>" + b"<Contents/>" * 60_000 + b"</ListBucketResult>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><ListBucketResult>&b;</ListBucketResult>",
        b"<ListBucketResult><Contents></Contents></ListBucketResult>",
        b"<ListBucketResult>",
        b"\xff",
        b" " * 9_000_000,
    ],
    ids=["too many entries", "entities", "no key", "cut off", "not UTF-8", "too long"],
)
def test_list_that_is_none_of_s3_is_refused_in_one_line(lies: LyingServer, document: bytes) -> None:
    lies.document = document
    store = open_store(lies.settings(), connections=1)

    with pytest.raises(StorageUnavailable, match="does not answer like S3"):
        list(store.stored())


def test_page_with_more_entries_than_were_asked_for_is_not_parsed(lies: LyingServer) -> None:
    lies.entries = 10_000
    store = open_store(lies.settings(), connections=1)

    with pytest.raises(StorageUnavailable, match="does not answer like S3"):
        next(store.stored())

    assert lies.pages_asked == 1


@pytest.mark.parametrize("entries", [0, 1000])
def test_list_that_never_ends_is_refused(lies: LyingServer, entries: int) -> None:
    lies.pages, lies.entries, lies.token = 1_000_000, entries, "a+b&amp;c"
    store = open_store(lies.settings(), connections=1)

    with pytest.raises(StorageUnavailable, match="does not answer like S3"):
        list(store.stored())

    assert lies.pages_asked == 2


def test_list_is_read_page_by_page(lies: LyingServer) -> None:
    lies.pages = 1_000_000
    store = open_store(lies.settings(), connections=1)

    keys = {entry.key for entry in itertools.islice(store.stored(), 2500)}

    assert (len(keys), lies.pages_asked) == (2500, 3)
