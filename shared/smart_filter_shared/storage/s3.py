"""The object store on any S3-compatible server.

Uses only operations that every S3 server has. minio-py's pooled client is several times faster
than boto3 on small objects.
"""

import contextlib
import datetime as dt
import io
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import ObjectMissing, StorageUnavailable
from smart_filter_shared.storage import presigning, troubles
from smart_filter_shared.storage.objects import PART_BYTES, PIECE_BYTES, StoredObject, TaggedObject

_TIMEOUT = urllib3.Timeout(connect=2, read=10)
_GONE = frozenset({"NoSuchKey", "NotFound", "ResourceNotFound"})


class S3Store:
    """A bucket on a server; see `ObjectStore`."""

    def __init__(self, settings: StorageSettings, *, connections: int) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._client = _client(settings, settings.url, connections)
        self._public = _client(settings, settings.public_url or settings.url, 1)

    @property
    def bucket(self) -> str:
        """See `ObjectStore.bucket`."""
        return self._bucket

    def ensure_bucket(self) -> None:
        """See `ObjectStore.ensure_bucket`."""
        with self._translated(self._bucket):
            if self._exists():
                return
            try:
                self._client.make_bucket(bucket_name=self._bucket)
            except S3Error as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

    def check(self) -> None:
        """See `ObjectStore.check`."""
        with self._translated(self._bucket):
            if not self._exists():
                raise troubles.no_bucket(self._settings)

    def put(self, key: str, content: BinaryIO | bytes, *, length: int, media_type: str) -> None:
        """See `ObjectStore.put`."""
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

    def get(self, key: str, *, length: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        content = self.get_tagged(key).content
        if length not in {None, len(content)}:
            raise ObjectMissing(key)
        return content

    def has(self, key: str) -> bool:
        """See `ObjectStore.has`."""
        try:
            self.look(key)
        except ObjectMissing:
            return False
        return True

    def get_tagged(self, key: str) -> TaggedObject:
        """See `ObjectStore.get_tagged`."""
        with self._translated(key):
            response = self._client.get_object(bucket_name=self._bucket, object_name=key)
            try:
                return TaggedObject(response.read(), response.headers.get("etag", "").strip('"'))
            finally:
                response.close()
                response.release_conn()

    def part(self, key: str, *, start: int, length: int) -> bytes:
        """See `ObjectStore.part`."""
        with self._translated(key):
            response = self._client.get_object(
                bucket_name=self._bucket, object_name=key, offset=start, length=length
            )
            try:
                return response.read(length)
            finally:
                response.close()
                response.release_conn()

    def look(self, key: str) -> StoredObject:
        """See `ObjectStore.look`."""
        with self._translated(key):
            status = self._client.stat_object(bucket_name=self._bucket, object_name=key)
        return StoredObject(
            key,
            status.last_modified or dt.datetime.now(dt.UTC),
            length=status.size or 0,
            etag=(status.etag or "").strip('"'),
        )

    def stream(self, key: str, *, length: int | None = None) -> Generator[bytes, None, None]:
        """See `ObjectStore.stream`."""
        with self._translated(key):
            response = self._client.get_object(bucket_name=self._bucket, object_name=key)
        if length is not None and response.headers.get("content-length") != str(length):
            response.close()
            response.release_conn()
            raise ObjectMissing(key)
        return _pieces(response)

    def remove(self, key: str) -> None:
        """See `ObjectStore.remove`."""
        with self._translated(key):
            self._client.remove_object(bucket_name=self._bucket, object_name=key)

    def remove_many(self, keys: Collection[str]) -> dict[str, str]:
        """See `ObjectStore.remove_many`."""
        with self._translated(self._bucket):
            errors = list(
                self._client.remove_objects(
                    bucket_name=self._bucket, delete_object_list=map(DeleteObject, keys)
                )
            )
        for error in errors:
            if error.name is None:  # an error of the whole request
                raise StorageUnavailable(f"the object store answers {error.code} to DeleteObjects")
        return {
            error.name: error.code or "unknown"
            for error in errors
            if error.name is not None and error.code not in _GONE
        }

    def folders(self) -> list[str]:
        """See `ObjectStore.folders`."""
        with self._translated(self._bucket):
            buckets = self._client.list_objects(bucket_name=self._bucket)
            return [entry.object_name for entry in buckets if entry.object_name and entry.is_dir]

    def stored(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `ObjectStore.stored`."""
        with self._translated(prefix):
            for entry in self._client.list_objects(
                bucket_name=self._bucket, prefix=prefix, recursive=True
            ):
                if entry.object_name is not None and entry.last_modified is not None:
                    yield StoredObject(
                        entry.object_name,
                        entry.last_modified,
                        length=entry.size or 0,
                        etag=entry.etag or "",
                    )

    def presigned_get(self, key: str, *, seconds: int, disposition: str) -> str:
        """See `ObjectStore.presigned_get`."""
        return self._public.presigned_get_object(
            bucket_name=self._bucket,
            object_name=key,
            expires=dt.timedelta(seconds=seconds),
            response_headers={
                "response-content-disposition": disposition,
                "response-cache-control": f"private, max-age={seconds}",
            },
        )

    def presigned_put(self, key: str, *, headers: Mapping[str, str], seconds: int) -> str:
        """See `ObjectStore.presigned_put`."""
        now = dt.datetime.now(dt.UTC)
        return presigning.presigned_put(
            self._settings, key, headers=headers, seconds=seconds, now=now
        )

    def _exists(self) -> bool:
        """Return whether the bucket exists."""
        try:
            return self._client.bucket_exists(bucket_name=self._bucket)
        except S3Error as error:
            if error.code == "AccessDenied":
                self._raise_refusal()
            raise

    def _raise_refusal(self) -> None:
        """Raise the error that explains why the server denies access, if it gives one."""
        # The response to a HEAD has no error code, the response to a GET has.
        with contextlib.suppress(ObjectMissing), self._translated(self._bucket):
            self._client.get_object(bucket_name=self._bucket, object_name="doctor").close()

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if error.code in _GONE:
                raise ObjectMissing(key) from error
            raise troubles.translate_error(error, self._settings, about=key) from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise troubles.translate_error(error, self._settings, about=key) from error


class _Pool(urllib3.PoolManager):
    """Connection pool of minio-py that works around three faults of servers.

    A server may close a kept-alive connection just as it is reused, and S3 asks for a retry with
    InternalError (500). Both requests are sent once more; every request of this module is
    idempotent. Some servers send errors as text/xml, which minio-py does not parse.
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
    access_key, secret_key = settings.keys
    return Minio(
        endpoint=address.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=address.scheme == "https",
        region=settings.region,
        http_client=_Pool(
            maxsize=connections, timeout=_TIMEOUT, retries=urllib3.Retry(0, redirect=0)
        ),
    )


def _pieces(response: urllib3.BaseHTTPResponse) -> Generator[bytes, None, None]:
    try:
        yield from response.stream(PIECE_BYTES)
    finally:
        response.close()
        response.release_conn()
