"""The object store in a folder, for processes of one machine.

A bucket is a folder, an object a file at its key. The files of an S3 server that stores them in the
same way, such as rclone or MinIO's former gateway, can be taken over as they are.
"""

import contextlib
import datetime as dt
import errno
import io
import os
import secrets
import shutil
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from smart_filter_shared.errors import BucketMissing, ObjectMissing, StorageUnavailable
from smart_filter_shared.storage.objects import (
    PIECE_BYTES,
    ObjectStore,
    StoredObject,
    TaggedObject,
)

# Folder of a bucket in which files are written before they get their key. No key starts with a dot.
_UNFINISHED: Final = ".unfinished"
# Older files in it were left by processes that were killed.
_UNFINISHED_SECONDS: Final = 3600.0
# A removal may delete an empty folder just before an object is put there.
_ATTEMPTS: Final = 100
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class FolderStore(ObjectStore):
    """A bucket in a folder; see ObjectStore.

    An object appears by a rename, so no process reads a part of it. Files are not flushed to the
    disk: a power cut can lose those of the last seconds.
    """

    def __init__(self, folder: Path, bucket: str) -> None:
        self._bucket = bucket
        self._folder = folder / bucket
        self._unfinished = self._folder / _UNFINISHED

    @property
    def bucket(self) -> str:
        """See `ObjectStore.bucket`."""
        return self._bucket

    def ensure_bucket(self) -> None:
        """Create the bucket unless it exists; remove what killed processes have left."""
        with self._translated(""):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._unfinished.mkdir(exist_ok=True)
            for path in self._unfinished.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < time.time() - _UNFINISHED_SECONDS:
                        path.unlink()

    def check(self) -> None:
        """Raise StorageUnavailable unless objects can be put; BucketMissing without a bucket."""
        with self._translated(""):
            draft = self._draft()
            draft.touch(exist_ok=False)
            draft.unlink()

    def put(self, key: str, content: BinaryIO | bytes, *, length: int, media_type: str) -> None:  # noqa: ARG002 - files have no type
        """See `ObjectStore.put`."""
        path = self._path(key)
        with self._translated(key):
            draft = self._draft()
            try:
                with draft.open("xb") as file:
                    _write(file, content, length)
                self._rename(draft, path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise

    def get_tagged(self, key: str) -> TaggedObject:
        """See `ObjectStore.get_tagged`."""
        with self._translated(key), self._open(key) as file:
            return TaggedObject(file.read(), _etag(os.fstat(file.fileno())))

    def part(self, key: str, *, start: int, length: int) -> bytes:
        """See `ObjectStore.part`."""
        with self._translated(key), self._open(key) as file:
            return os.pread(file.fileno(), length, start)

    def look(self, key: str) -> StoredObject:
        """See `ObjectStore.look`."""
        with self._translated(key), self._open(key) as file:
            return _describe(key, os.fstat(file.fileno()))

    def stream(self, key: str, *, length: int | None = None) -> Generator[bytes, None, None]:
        """See `ObjectStore.stream`."""
        with self._translated(key):
            file = self._open(key)
        if length not in {None, os.fstat(file.fileno()).st_size}:
            file.close()
            raise ObjectMissing(key)
        return _pieces(file)

    def remove(self, key: str) -> None:
        """Remove the object under a key, if there is one, and folders that become empty."""
        path = self._path(key)
        self._require_bucket()
        with self._translated(key):
            try:
                path.unlink(missing_ok=True)
            except _ABSENT:
                return
            for folder in path.parents[: key.count("/")]:
                try:
                    folder.rmdir()
                except OSError:  # it is not empty, or another process has removed it
                    return

    def remove_many(self, keys: Collection[str]) -> dict[str, str]:
        """See `ObjectStore.remove_many`."""
        self._require_bucket()
        refused = {}
        for key in keys:
            try:
                self.remove(key)
            except StorageUnavailable as error:
                cause = error.__cause__
                code = cause.errno if isinstance(cause, OSError) else None
                refused[key] = errno.errorcode.get(code or 0, "unknown")
        return refused

    def folders(self) -> list[str]:
        """See `ObjectStore.folders`."""
        self._require_bucket()
        with self._translated(""), os.scandir(self._folder) as entries:
            names = {entry.name for entry in entries if entry.is_dir()}
        return [f"{name}/" for name in sorted(names - {_UNFINISHED})]

    def stored(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `ObjectStore.stored`."""
        self._require_bucket()
        above = prefix.rpartition("/")[0]
        start = self._folder / above if above else self._folder
        with self._translated(prefix):
            for folder, names, files in os.walk(start, onerror=_raise_unless_gone):
                if folder == str(self._folder) and _UNFINISHED in names:
                    names.remove(_UNFINISHED)
                for path in (Path(folder, name) for name in files):
                    key = path.relative_to(self._folder).as_posix()
                    if key.startswith(prefix):
                        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                            yield _describe(key, path.stat())

    def presigned_get(self, key: str, *, seconds: int, disposition: str | None = None) -> None:
        """Return None: clients cannot reach a folder."""

    def presigned_put(self, key: str, *, headers: Mapping[str, str], seconds: int) -> None:
        """Return None: clients cannot reach a folder."""

    def _draft(self) -> Path:
        """Return the path of a new file that has no key yet.  Raises OSError without a bucket."""
        self._unfinished.mkdir(exist_ok=True)
        return self._unfinished / secrets.token_hex(16)

    def _path(self, key: str) -> Path:
        """Return the file of a key.  Raises ValueError for a key that leads out of the bucket."""
        if not {"", ".", "..", _UNFINISHED}.isdisjoint(key.split("/")):
            raise ValueError(f"{key!r} is not a key of an object")
        return self._folder / key

    def _open(self, key: str) -> io.FileIO:
        try:
            return self._path(key).open("rb", buffering=0)
        except _ABSENT as error:
            self._require_bucket()
            raise ObjectMissing(key) from error

    def _rename(self, draft: Path, path: Path) -> None:
        """Give a file its key; create the folders above it."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                draft.replace(path)
                return
            self._require_bucket()
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                path.parent.mkdir(parents=True, exist_ok=True)
        raise StorageUnavailable(f"the object store in {self._folder} removes folders in use")

    def _require_bucket(self) -> None:
        """Raise BucketMissing when there is no bucket, as when its volume is not mounted."""
        if not self._folder.is_dir():
            raise BucketMissing(
                f"the object store in {self._folder.parent} has no bucket {self._bucket}; run "
                "`smart-filter prepare`, or correct SMART_FILTER_STORAGE_URL"
            )

    @contextlib.contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._require_bucket()
            what = f"fails for {key}" if key else "fails"
            raise StorageUnavailable(
                f"the object store in {self._folder} {what} ({error.strerror}); make room on its "
                "volume if that is full, and let this user write there"
            ) from error


def _write(file: BinaryIO, content: BinaryIO | bytes, length: int) -> None:
    """Write content to a file.  Raises OSError when it does not have `length` bytes."""
    if isinstance(content, bytes):
        file.write(content)
    else:
        shutil.copyfileobj(content, file, PIECE_BYTES)
    if (written := file.tell()) != length:
        raise OSError(errno.EIO, f"{written} bytes in place of {length}")


def _raise_unless_gone(error: OSError) -> None:
    """Raise the error of a folder that cannot be listed; one that is gone, or a file, is empty."""
    if not isinstance(error, _ABSENT):
        raise error


def _pieces(file: io.FileIO) -> Generator[bytes, None, None]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _describe(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(
        key,
        dt.datetime.fromtimestamp(found.st_mtime, dt.UTC),
        length=found.st_size,
        etag=_etag(found),
    )


def _etag(found: os.stat_result) -> str:
    """Return the ETag of a file: each put makes a new one, with a number of its own."""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
