"""Objects in a folder: files, keys, and faults of the file system."""

import errno
import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from smart_filter_shared.errors import StorageMisconfigured, StorageUnavailable
from smart_filter_shared.storage.folder import FolderStore

LARGE = os.urandom(2_000_000)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path, "photos")
    made.ensure_bucket()
    return made


def store_bytes(store: FolderStore, key: str, content: bytes = b"bytes") -> None:
    store.put(key, content, length=len(content), media_type="image/png")


def keys_of(store: FolderStore) -> list[str]:
    return [stored.key for stored in store.stored()]


def test_bucket_is_for_its_owner_and_has_only_objects(store: FolderStore, tmp_path: Path) -> None:
    store_bytes(store, "a/b")

    assert (tmp_path / "photos").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "photos" / "a" / "b").read_bytes() == b"bytes"
    store.remove("a/b")
    assert list((tmp_path / "photos").iterdir()) == []


def test_object_is_on_the_disk_before_it_gets_its_name_and_its_name_before_put_returns(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "photos" / "a" / "b", []

    def flush(descriptor: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file"
        flushed.append((kind, os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", flush)
    store_bytes(store, "a/b", LARGE)

    assert [(kind, exists) for kind, _, exists in flushed] == [("file", False), ("folder", True)]
    assert flushed[0][1] == len(LARGE)


def test_object_that_is_not_flushed_is_not_stored(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(StorageUnavailable):
        store_bytes(store, "a/b")
    assert keys_of(store) == []


def test_object_that_is_replaced_is_read_to_its_end(store: FolderStore) -> None:
    store_bytes(store, "a", LARGE)
    stream = store.stream("a", most=len(LARGE))
    read = next(stream)

    store_bytes(store, "a", b"other")

    assert b"".join([read, *stream]) == LARGE
    assert store.get("a", most=100) == b"other"


def test_what_a_killed_writer_leaves_is_listed(store: FolderStore, tmp_path: Path) -> None:
    store_bytes(store, "2026-11-26/acme/job/photo")
    (tmp_path / "photos/2026-11-26/acme/job/.draft").write_bytes(b"byt")

    assert "2026-11-26/acme/job/.draft" in keys_of(store)  # so it is removed with its job's folder
    assert store.remove_many(keys_of(store)) == {}
    assert keys_of(store) == store.folders() == []


@pytest.mark.parametrize("key", ["../a", "a/../../b", "/etc/passwd", "a//b", "a/./b", "a\0b", ""])
@pytest.mark.parametrize(
    "use",
    [
        store_bytes,
        lambda store, key: store.get(key, most=1),
        FolderStore.has,
        FolderStore.look,
        FolderStore.remove,
        lambda store, key: store.stream(key, most=1),
        lambda store, key: store.part(key, start=0, length=1),
        lambda store, key: store.remove_many([key]),
        lambda store, key: list(store.stored(f"{key}/x/y")),
    ],
)
def test_key_cannot_lead_out_of_the_bucket(
    store: FolderStore, use: Callable[[FolderStore, str], object], key: str
) -> None:
    with pytest.raises(ValueError, match="is not a key of an object"):
        use(store, key)


def test_short_content_is_not_stored(store: FolderStore) -> None:
    with pytest.raises(StorageUnavailable):
        store.put("a/b", io.BytesIO(b"byt"), length=5, media_type="image/png")

    assert keys_of(store) == []


def test_file_in_the_way_is_reported_in_one_line(store: FolderStore) -> None:
    store_bytes(store, "a")

    with pytest.raises(StorageUnavailable, match="fails for a/b") as raised:
        store_bytes(store, "a/b")

    assert "\n" not in str(raised.value)
    assert keys_of(store) == ["a"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "make room on its volume"),
        (errno.EACCES, "this user can read and write there"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_fault_of_the_file_system_makes_the_store_unavailable(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    store_bytes(store, "a/b")

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    for name in ("open", "stat", "unlink"):
        monkeypatch.setattr(Path, name, fail)
    monkeypatch.setattr(os, "scandir", fail)

    for use in (
        store.check,
        store.folders,
        lambda: store_bytes(store, "a/c"),
        lambda: store.get("a/b", most=1),
        lambda: store.has("a/b"),
        lambda: store.look("a/b"),
        lambda: store.stream("a/b", most=1),
        lambda: store.remove("a/b"),
        lambda: list(store.stored()),
    ):
        with pytest.raises(StorageUnavailable, match=words):
            use()
    assert store.remove_many(["a/b"]) == {"a/b": errno.errorcode[code]}


def test_bucket_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageMisconfigured, match="cannot be created"):
        FolderStore(tmp_path / "file", "photos").ensure_bucket()


def test_folder_of_many_files_is_listed_without_holding_their_names(
    store: FolderStore, tmp_path: Path
) -> None:
    store_bytes(store, "a/first", b"bytes")
    names = [f"{number:04}".rjust(200, "x") for number in range(3000)]
    for name in names:
        (tmp_path / "photos" / "a" / name).touch()

    tracemalloc.start()
    try:
        listed = sum(1 for _ in store.stored("a/"))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert listed == len(names) + 1
    assert peak_bytes < len(names) * 200 / 2
