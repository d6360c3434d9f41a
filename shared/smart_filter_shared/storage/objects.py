"""The object store: put, get, list, remove and presign on any S3-compatible server.

Only what every S3 has is used. minio-py's pooled client is several times faster than boto3
on small objects (docs/measurements.md).
"""

import contextlib
import datetime as dt
import io
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from smart_filter_shared.errors import ObjectMissing, StorageUnavailable
from smart_filter_shared.settings import StorageSettings
from smart_filter_shared.storage import presigning, troubles

_TIMEOUT = urllib3.Timeout(connect=2, read=10)
# The least that S3 allows: bounds memory while something larger is stored, to two of these.
PART_BYTES = 5 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_GONE = frozenset({"NoSuchKey", "NotFound", "ResourceNotFound"})


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is there: its key, and when it was last written.

    length: in bytes.  etag: what changes with its content, as the server says; "" unless it does.
    """

    key: str
    written_at: dt.datetime
    length: int = 0
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object's bytes, and the ETag that they had."""

    content: bytes
    etag: str


class ObjectStore:
    """One bucket; safe for threads.

    Every method raises StorageUnavailable when the server does not answer or says that it
    cannot, and those that name a key raise ObjectMissing when nothing lies under it.
    """

    def __init__(self, settings: StorageSettings, *, connections: int) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._client = _client(settings, settings.url, connections)
        self._public = _client(settings, settings.public_url or settings.url, 1)

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self._bucket

    def ensure_bucket(self) -> None:
        """Make the bucket unless it exists."""
        with self._translated(self._bucket):
            if self._exists():
                return
            try:
                self._client.make_bucket(bucket_name=self._bucket)
            except S3Error as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

    def check(self) -> None:
        """Raise StorageUnavailable unless the server answers for the bucket.

        StorageRefused when it does, and does not take the keys or has no such bucket.
        """
        with self._translated(self._bucket):
            if not self._exists():
                raise troubles.no_bucket(self._settings)

    def put(self, key: str, content: BinaryIO | bytes, *, length: int, media_type: str) -> None:
        """Store `length` bytes under a key."""
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        with self._translated(key):
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=key,
                data=stream,
                length=length,
                content_type=media_type,
                part_size=PART_BYTES if length > PART_BYTES else 0,
                num_parallel_uploads=1,
            )

    def get(self, key: str) -> bytes:
        """Return the bytes under a key."""
        return self.get_tagged(key).content

    def get_tagged(self, key: str) -> Tagged:
        """Return the bytes under a key that may be written again, and their ETag."""
        with self._translated(key):
            response = self._client.get_object(bucket_name=self._bucket, object_name=key)
            try:
                return Tagged(response.read(), response.headers.get("etag", "").strip('"'))
            finally:
                response.close()
                response.release_conn()

    def part(self, key: str, *, start: int, length: int) -> bytes:
        """Return at most `length` bytes (above 0) of what lies under a key, from `start` on.

        start: less than the object is long.
        """
        with self._translated(key):
            response = self._client.get_object(
                bucket_name=self._bucket, object_name=key, offset=start, length=length
            )
            try:
                return response.read(length)
            finally:
                response.close()
                response.release_conn()

    def look(self, key: str) -> Stored:
        """Return what is known of the object under a key."""
        with self._translated(key):
            found = self._client.stat_object(bucket_name=self._bucket, object_name=key)
        return Stored(
            key,
            found.last_modified or dt.datetime.now(dt.UTC),
            length=found.size or 0,
            etag=(found.etag or "").strip('"'),
        )

    def has(self, key: str) -> bool:
        """Whether something lies under a key."""
        try:
            self.look(key)
        except ObjectMissing:
            return False
        return True

    def stream(self, key: str) -> Generator[bytes, None, None]:
        """Yield the bytes under a key in pieces; raises before the first piece, or never.

        Opening is done at the call, so that a missing object is known before an answer starts.
        """
        with self._translated(key):
            response = self._client.get_object(bucket_name=self._bucket, object_name=key)
        return _pieces(response)

    def remove(self, key: str) -> None:
        """Remove what lies under a key, if anything does."""
        with self._translated(key):
            self._client.remove_object(bucket_name=self._bucket, object_name=key)

    def remove_many(self, keys: Collection[str]) -> dict[str, str]:
        """Remove what lies under keys, 1,000 a request; return those refused, and the S3 code.

        A key under which nothing lies is removed.
        """
        with self._translated(self._bucket):
            errors = list(
                self._client.remove_objects(
                    bucket_name=self._bucket, delete_object_list=map(DeleteObject, keys)
                )
            )
        for error in errors:
            if error.name is None:  # of the whole request
                raise StorageUnavailable(f"the object store answers {error.code} to DeleteObjects")
        return {
            error.name: error.code or "unknown"
            for error in errors
            if error.name is not None and error.code not in _GONE
        }

    def folders(self) -> list[str]:
        """Return the first parts of all keys, such as `2026-11-20/`."""
        with self._translated(self._bucket):
            found = self._client.list_objects(bucket_name=self._bucket)
            return [entry.object_name for entry in found if entry.object_name and entry.is_dir]

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """Yield every object whose key starts with a prefix."""
        with self._translated(prefix):
            for found in self._client.list_objects(
                bucket_name=self._bucket, prefix=prefix, recursive=True
            ):
                if found.object_name is not None and found.last_modified is not None:
                    yield Stored(
                        found.object_name,
                        found.last_modified,
                        length=found.size or 0,
                        etag=found.etag or "",
                    )

    def presigned_get(self, key: str, *, seconds: int) -> str:
        """Return a link to read a key with, valid for so many seconds."""
        return self._public.presigned_get_object(
            bucket_name=self._bucket, object_name=key, expires=dt.timedelta(seconds=seconds)
        )

    def presigned_put(self, key: str, *, headers: Mapping[str, str], seconds: int) -> str:
        """Return a link to put an object under a key with, valid for so many seconds.

        headers: what must be sent with it, by names in lower case.
        """
        now = dt.datetime.now(dt.UTC)
        return presigning.presigned_put(
            self._settings, key, headers=headers, seconds=seconds, now=now
        )

    def _exists(self) -> bool:
        """Whether the bucket does."""
        try:
            return self._client.bucket_exists(bucket_name=self._bucket)
        except S3Error as error:
            if error.code == "AccessDenied":
                self._ask_why()
            raise

    def _ask_why(self) -> None:
        """Raise why the server refuses us, as far as it says."""
        # The answer to a HEAD has no words; that to a GET has.
        with contextlib.suppress(ObjectMissing), self._translated(self._bucket):
            self._client.get_object(bucket_name=self._bucket, object_name="doctor").close()

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if error.code in _GONE:
                raise ObjectMissing(key) from error
            raise troubles.translated(error, self._settings, about=key) from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise troubles.translated(error, self._settings, about=key) from error


class _Pool(urllib3.PoolManager):
    """The connections of minio-py, with three faults of servers made good.

    A kept connection may be closed by its server at the moment it is used again, and S3 answers
    InternalError (500) where a request should be sent again: it is sent once more, which every
    request of ours may be. Errors may come as text/xml, which minio-py does not parse.
    """

    def urlopen(  # type: ignore[override]  # narrower than urllib3's overloads on purpose
        self,
        method: str,
        url: str,
        redirect: bool = True,  # noqa: FBT001, FBT002 - urllib3's own signature
        **options: Any,  # noqa: ANN401 - passed through untouched
    ) -> urllib3.BaseHTTPResponse:
        try:
            response = super().urlopen(method, url, redirect, **options)
        except urllib3.exceptions.MaxRetryError as error:
            if not isinstance(error.reason, urllib3.exceptions.ProtocolError):
                raise
            response = super().urlopen(method, url, redirect, **options)
        if response.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            response.drain_conn()
            response = super().urlopen(method, url, redirect, **options)
        if response.headers.get("content-type", "").startswith("text/xml"):
            response.headers["content-type"] = "application/xml"
        return response


def _client(settings: StorageSettings, url: str, connections: int) -> Minio:
    address = urlsplit(url)
    return Minio(
        endpoint=address.netloc,
        access_key=settings.access_key.get_secret_value(),
        secret_key=settings.secret_key.get_secret_value(),
        secure=address.scheme == "https",
        region=settings.region,
        http_client=_Pool(
            maxsize=connections, timeout=_TIMEOUT, retries=urllib3.Retry(0, redirect=0)
        ),
    )


def _pieces(response: urllib3.BaseHTTPResponse) -> Generator[bytes, None, None]:
    try:
        yield from response.stream(_CHUNK_BYTES)
    finally:
        response.close()
        response.release_conn()
