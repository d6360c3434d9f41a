"""The object store in a folder, for processes of one machine.

A bucket is a folder, an object a file at its key. The files of an S3 server that stores them in the
same way, such as `rclone serve s3`, can be taken over as they are.
"""

import contextlib
import datetime as dt
import errno
import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Collection, Generator, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from smart_filter_shared.errors import (
    BucketMissing,
    ObjectMissing,
    ObjectReplaced,
    StorageMisconfigured,
    StorageUnavailable,
)
from smart_filter_shared.storage.objects import PIECE_BYTES, StoredObject, check_length

# A removal may delete an empty folder just before an object is put there.
_ATTEMPTS: Final = 100
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_TAG_BYTES: Final = 16
_ROOM_BYTES: Final = 1_000_000
# Bytes of one write; a photo that the API holds in memory is shorter, and is written uncopied.
_WRITE_BYTES: Final = 1024 * 1024


class FolderStore:
    """A bucket in a folder; see `ObjectStore`.

    An object is written under a name with a dot in front and then renamed, so no process reads a
    part of it. What a killed process leaves is listed, and removed with other objects of jobs that
    no row names. `put` returns when the object is on the disk, so that no row outlives its object
    in a power cut.
    """

    def __init__(self, folder: Path, bucket: str) -> None:
        self._bucket = bucket
        self._folder = folder / bucket

    @property
    def bucket(self) -> str:
        """See `ObjectStore.bucket`."""
        return self._bucket

    def ensure_bucket(self) -> None:
        """See `ObjectStore.ensure_bucket`; the folder is for its owner only."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._refusal_error(f"cannot be created ({error.strerror})") from error

    def check(self) -> None:
        """See `ObjectStore.check`."""
        with self._translated(""):
            self._require_bucket()
            if not has_room(self._folder):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
            raise self._refusal_error("cannot be read and written")

    def put(self, key: str, content: BinaryIO | bytes, *, length: int, media_type: str) -> None:  # noqa: ARG002 - files have no type
        """See `ObjectStore.put`."""
        path = self._path(key)
        draft = path.with_name(f".{secrets.token_hex(8)}")
        with self._translated(key):
            try:
                with self._create(draft) as file:
                    _write(file, content, length)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
                _flush_folder(path.parent)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise

    def get(
        self, key: str, *, most: int, length: int | None = None, etag: str | None = None
    ) -> bytes:
        """See `ObjectStore.get`."""
        with self._translated(key), self._open(key) as file:
            told = os.fstat(file.fileno()).st_size
            check_length(key, told, most=most, length=length)
            content = file.read(told)
        if etag is not None and _tag(io.BytesIO(content)) != etag:
            raise ObjectReplaced(key)
        return content

    def has(self, key: str) -> bool:
        """See `ObjectStore.has`."""
        try:
            with self._translated(key), self._open(key):
                return True
        except ObjectMissing:
            return False

    def part(self, key: str, *, start: int, length: int) -> bytes:
        """See `ObjectStore.part`."""
        with self._translated(key), self._open(key) as file:
            return os.pread(file.fileno(), length, start)

    def look(self, key: str) -> StoredObject:
        """See `ObjectStore.look`; the ETag is a hash, for which the whole object is read."""
        with self._translated(key), self._open(key) as file:
            return _describe(key, os.fstat(file.fileno()), _tag(file))

    def stream(
        self, key: str, *, most: int, length: int | None = None
    ) -> Generator[bytes, None, None]:
        """See `ObjectStore.stream`."""
        with self._translated(key):
            file = self._open(key)
        try:
            check_length(key, os.fstat(file.fileno()).st_size, most=most, length=length)
        except ObjectMissing:
            file.close()
            raise
        return _pieces(file)

    def remove(self, key: str) -> None:
        """See `ObjectStore.remove`; folders that become empty are removed too."""
        path = self._path(key)
        with self._translated(key):
            self._require_bucket()
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
        refused = {}
        for key in keys:
            try:
                self.remove(key)
            except BucketMissing:
                raise
            except StorageUnavailable as error:
                cause = error.__cause__
                code = cause.errno if isinstance(cause, OSError) else None
                refused[key] = errno.errorcode.get(code or 0, "unknown")
        return refused

    def folders(self) -> list[str]:
        """See `ObjectStore.folders`."""
        with self._translated(""):
            self._require_bucket()
            with os.scandir(self._folder) as entries:
                return sorted(f"{entry.name}/" for entry in entries if entry.is_dir())

    def stored(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `ObjectStore.stored`; the ETag is made of a file's time and length."""
        above = prefix.rpartition("/")[0]
        start = self._path(above) if above else self._folder
        with self._translated(prefix):
            self._require_bucket()
            for entry in _files(start):
                key = Path(entry.path).relative_to(self._folder).as_posix()
                if key.startswith(prefix):
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        status = entry.stat()
                        etag = f"{status.st_mtime_ns:x}-{status.st_size:x}"
                        yield _describe(key, status, etag)

    def presigned_get(self, key: str, *, seconds: int, disposition: str) -> None:
        """Return None: clients cannot reach a folder."""

    def presigned_put(self, key: str, *, headers: Mapping[str, str], seconds: int) -> None:
        """Return None: clients cannot reach a folder."""

    def _path(self, key: str) -> Path:
        """Return the file of a key.  Raises ValueError for a key that leads out of the bucket."""
        if "\0" in key or not {"", ".", ".."}.isdisjoint(key.split("/")):
            raise ValueError(f"{key!r} is not a key of an object")
        return self._folder / key

    def _open(self, key: str) -> io.FileIO:
        try:
            file = self._path(key).open("rb", buffering=0)
        except _ABSENT as error:
            self._require_bucket()
            raise ObjectMissing(key) from error
        return file

    def _create(self, path: Path) -> BinaryIO:
        """Return a new, open file; create the folders above it."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                return path.open("xb")
            self._require_bucket()
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                path.parent.mkdir(parents=True, exist_ok=True)
        raise StorageUnavailable(f"other processes remove {path.parent} while it is used")

    def _require_bucket(self) -> None:
        """Raise BucketMissing when there is no bucket, as when its volume is not mounted.

        Raises OSError when that cannot be told.
        """
        try:
            self._folder.stat()
        except _ABSENT as error:
            raise BucketMissing(
                f"the object store in {self._folder.parent} has no bucket {self._bucket}; run "
                "`smart-filter prepare`, or correct SMART_FILTER_STORAGE_URL"
            ) from error

    def _refusal_error(self, what: str) -> StorageMisconfigured:
        return StorageMisconfigured(
            f"the object store in {self._folder} {what}; let this user write there, or correct "
            "SMART_FILTER_STORAGE_URL"
        )

    @contextlib.contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"fails for {key}" if key else "fails"
            remedy = "make room on its volume" if error.errno in _FULL else "see that it is whole"
            raise StorageUnavailable(
                f"the object store in {self._folder} {what} ({error.strerror}); {remedy}, and that "
                "this user can read and write there"
            ) from error


def has_room(folder: Path) -> bool:
    """Return whether the volume of a folder takes another file of a megabyte.

    Raises OSError when the folder is missing.
    """
    volume = os.statvfs(folder)
    has_inodes = volume.f_favail > 0 or volume.f_files == 0  # 0: the file system has no limit
    has_bytes = volume.f_bavail * volume.f_frsize >= _ROOM_BYTES
    return has_inodes and has_bytes and not volume.f_flag & os.ST_RDONLY


def _write(file: BinaryIO, content: BinaryIO | bytes, length: int) -> None:
    """Write content to a file.  Raises OSError when it does not have `length` bytes."""
    if isinstance(content, bytes):
        file.write(content)
    else:
        shutil.copyfileobj(content, file, _WRITE_BYTES)
    if (written := file.tell()) != length:
        raise OSError(errno.EIO, f"{written} bytes in place of {length}")


def _flush_folder(folder: Path) -> None:
    """Flush the name of a file in a folder; a journal flushes the folders above with it."""
    with contextlib.suppress(FileNotFoundError):  # the file was removed meanwhile, and the folder
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yield the files of a folder and the folders below; one that is gone, or a file, is empty.

    Entries are read as they are used: a folder may have millions.
    """
    try:
        listing = os.scandir(folder)
    except _ABSENT:
        return
    with listing:
        for entry in listing:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif not entry.is_dir():
                yield entry


def _pieces(file: io.FileIO) -> Generator[bytes, None, None]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _describe(key: str, status: os.stat_result, etag: str) -> StoredObject:
    written_at = dt.datetime.fromtimestamp(status.st_mtime, dt.UTC)
    return StoredObject(key, written_at, length=status.st_size, etag=etag)


def _tag(file: BinaryIO | io.FileIO) -> str:
    """Return a hash of a file's bytes, from its position on."""
    digest = hashlib.blake2b(digest_size=_TAG_BYTES)
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
