"""The object store on any S3-compatible server.

Uses only operations that every S3 server has. minio-py's pooled client is several times faster
than boto3 on small objects.
"""

import contextlib
import datetime as dt
import hashlib
import hmac
import html
import io
import re
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree as ET

import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, MinioException, S3Error

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import (
    ObjectMissing,
    ObjectReplaced,
    ObjectTooLarge,
    StorageUnavailable,
)
from smart_filter_shared.storage import troubles
from smart_filter_shared.storage.bounded_transfers import BoundedPool, TransferLimits
from smart_filter_shared.storage.objects import PART_BYTES, PIECE_BYTES, StoredObject, check_length

_LIMITS = TransferLimits()
_GONE = frozenset({"NoSuchKey", "NotFound", "ResourceNotFound"})
# Of an answer that is no object. The longest is a page of a list: 1000 entries, whose keys have up
# to 1024 bytes, each written as three characters, and about 25 tags.
_MAX_ANSWER_BYTES: Final = 8_000_000
_MAX_TAGS: Final = 50_000
_CONTINUES: Final = re.compile(rb"<NextContinuationToken>([^<]*)<")
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_PAYLOAD: Final = "UNSIGNED-PAYLOAD"


class S3Store:
    """A bucket on a server; see `ObjectStore`."""

    def __init__(
        self, settings: StorageSettings, *, connections: int, limits: TransferLimits = _LIMITS
    ) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._pool = _Pool(connections=connections, limits=limits)
        self._client = _client(settings, settings.url, self._pool)
        self._public = _client(settings, settings.public_url or settings.url, self._pool)

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

    def get(
        self, key: str, *, most: int, length: int | None = None, etag: str | None = None
    ) -> bytes:
        """See `ObjectStore.get`."""
        with self._translated(key):
            response = self._open(key, most=most, length=length, etag=etag)
            try:
                content = _read_at_most(response, most)
            finally:
                response.close()
                response.release_conn()
        check_length(key, len(content), most=most, length=length)
        return content

    def has(self, key: str) -> bool:
        """See `ObjectStore.has`."""
        try:
            self.look(key)
        except ObjectMissing:
            return False
        return True

    def part(self, key: str, *, start: int, length: int) -> bytes:
        """See `ObjectStore.part`."""
        with self._translated(key):
            response = self._client.get_object(
                bucket_name=self._bucket, object_name=key, offset=start, length=length
            )
            try:
                return response.read(length, decode_content=False)
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

    def stream(
        self, key: str, *, most: int, length: int | None = None
    ) -> Generator[bytes, None, None]:
        """See `ObjectStore.stream`."""
        with self._translated(key):
            response = self._open(key, most=most, length=length)
        return _pieces(response, key, most)

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
            entries = self._list("", recursive=False)
            return [entry.object_name for entry in entries if entry.object_name and entry.is_dir]

    def stored(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `ObjectStore.stored`."""
        with self._translated(prefix):
            for entry in self._list(prefix, recursive=True):
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
        return presigned_put(self._settings, key, headers=headers, seconds=seconds, now=now)

    def _open(
        self, key: str, *, most: int, length: int | None, etag: str | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Return the open object under a key, after a look at its headers; see `get`."""
        response = self._client.get_object(
            bucket_name=self._bucket,
            object_name=key,
            request_headers={"If-Match": f'"{etag}"'} if etag else None,
        )
        try:
            # Some servers ignore If-Match.
            if etag and response.headers.get("etag", "").strip('"') != etag:
                raise ObjectReplaced(key)
            told = response.headers.get("content-length", "")
            if told.isdecimal():
                check_length(key, int(told), most=most, length=length)
        except ObjectMissing:
            response.close()
            response.release_conn()
            raise
        return response

    def _list(self, prefix: str, *, recursive: bool) -> Iterator[Object]:
        """Yield the entries of a list; the client asks for pages of 1000."""
        try:
            yield from self._client.list_objects(
                bucket_name=self._bucket, prefix=prefix, recursive=recursive
            )
        except ValueError as error:  # an element is missing, or the page is not UTF-8
            raise InvalidResponseError(HTTPStatus.OK, None, None) from error

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
            if error.code == "PreconditionFailed":
                raise ObjectReplaced(key) from error
            raise troubles.translate_error(error, self._settings, about=key) from error
        except (
            *(MinioException, urllib3.exceptions.HTTPError, OSError),
            ET.ParseError,
        ) as error:
            if troubles.is_timeout(error):
                # A network that lost the packets of one connection has lost those of the others.
                self._pool.clear()
            raise troubles.translate_error(error, self._settings, about=key) from error


class _Pool(BoundedPool):
    """Connection pool of minio-py that bounds answers and works around three faults of servers.

    minio-py reads every answer whole, except for objects. Here an answer has a most, and one with
    more counts as none of S3's.

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
        is_object = not options.pop("preload_content", True)
        options["preload_content"] = False
        try:
            response = super().urlopen(method, url, redirect, **options)
        except urllib3.exceptions.MaxRetryError as error:
            if not isinstance(error.reason, urllib3.exceptions.ProtocolError):
                raise
            response = super().urlopen(method, url, redirect, **options)
        if response.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _read_answer(response)
            response = super().urlopen(method, url, redirect, **options)
        if not is_object or response.status >= HTTPStatus.MULTIPLE_CHOICES:
            answer = _read_answer(response)
            _require_progress(url, answer)
            response = urllib3.HTTPResponse(
                answer,
                headers=response.headers,
                status=response.status,
                reason=response.reason,
                preload_content=not is_object,
                decode_content=False,
                request_method=method,
            )
        if response.headers.get("content-type", "").startswith("text/xml"):
            response.headers["content-type"] = "application/xml"
        return response


def _client(settings: StorageSettings, url: str, pool: _Pool) -> Minio:
    address = urlsplit(url)
    access_key, secret_key = settings.keys
    return Minio(
        endpoint=address.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=address.scheme == "https",
        region=settings.region,
        http_client=pool,
    )


def _read_answer(response: urllib3.BaseHTTPResponse) -> io.BytesIO:
    """Read an answer that is no object.  Raises InvalidResponseError when it is none of S3's."""
    content = _read_at_most(response, _MAX_ANSWER_BYTES)
    is_bounded = len(content) <= _MAX_ANSWER_BYTES and content.count(b"<") <= _MAX_TAGS
    # Entities are declared in a document type, and expand without a bound.
    if not is_bounded or b"<!DOCTYPE" in content:
        response.close()
        raise InvalidResponseError(
            response.status, response.headers.get("content-type"), "too long, or with entities"
        )
    response.release_conn()
    return io.BytesIO(content)


def _require_progress(url: str, answer: io.BytesIO) -> None:
    """Raise InvalidResponseError for a page of a list that continues where it began, for ever."""
    began = parse_qs(urlsplit(url).query).get("continuation-token")
    continues = _CONTINUES.search(answer.getbuffer())
    if began and continues and began == [html.unescape(continues[1].decode())]:
        raise InvalidResponseError(HTTPStatus.OK, None, "a list that never ends")


def _read_at_most(response: urllib3.BaseHTTPResponse, most: int) -> bytes:
    """Return the body of an answer, and at most one byte more than `most`.

    It is not decoded: no object of the service is compressed, and a small body can expand a lot.
    """
    content = response.read(most + 1, decode_content=False)
    if len(content) <= most:
        # Raises IncompleteRead when the body is shorter than its Content-Length.
        response.read(1, decode_content=False)
    return content


def _pieces(
    response: urllib3.BaseHTTPResponse, key: str, most: int
) -> Generator[bytes, None, None]:
    sent = 0
    try:
        for piece in response.stream(PIECE_BYTES, decode_content=False):
            sent += len(piece)
            if sent > most:
                raise ObjectTooLarge(f"{key} has more than {most} bytes")
            yield piece
    finally:
        response.close()
        response.release_conn()


def presigned_put(
    settings: StorageSettings,
    key: str,
    *,
    headers: Mapping[str, str],
    seconds: int,
    now: dt.datetime,
) -> str:
    """Return a presigned URL to put an object, valid for `seconds` from `now` (aware, UTC).

    The settings' `upload_keys` sign it.
    headers: the headers that the upload must send, by lower-case name.
    """
    place = urlsplit(settings.public_url or settings.url)
    access_key, secret_key = settings.upload_keys
    path = quote(f"/{settings.bucket}/{key}", safe="/-._~")
    signed = {"host": place.netloc, **headers}
    names = ";".join(sorted(signed))
    scope = f"{now:%Y%m%d}/{settings.region}/s3/aws4_request"
    parameters = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{access_key}/{scope}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": names,
    }
    query = "&".join(
        f"{_percent_encode(name)}={_percent_encode(parameters[name])}"
        for name in sorted(parameters)
    )
    header_lines = [f"{name}:{signed[name]}" for name in sorted(signed)]
    request = "\n".join(["PUT", path, query, *header_lines, "", names, _PAYLOAD])
    digest = hashlib.sha256(request.encode()).hexdigest()
    to_sign = "\n".join([_ALGORITHM, parameters["X-Amz-Date"], scope, digest])
    signature = _sign(_derive_key(secret_key, scope), to_sign).hex()
    return f"{place.scheme}://{place.netloc}{path}?{query}&X-Amz-Signature={signature}"


def _derive_key(secret_key: str, scope: str) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = _sign(key, part)
    return key


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _percent_encode(text: str) -> str:
    return quote(text, safe="-._~")
