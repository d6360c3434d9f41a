"""The photo of a job, however it comes: its bytes, an upload, or an address on the web.

What can be known without reading all of it is asked here: of an address whether it is one, of
an upload whether what was announced is there, and what its header says.
"""

import io
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smart_filter_api import photo_header
from smart_filter_api.deps import Services
from smart_filter_api.intake import Addressed, Put, Source, Spooled
from smart_filter_api.photo_header import PhotoHeader
from smart_filter_shared.errors import (
    FieldError,
    InvalidRequest,
    ObjectMissing,
    UnsupportedMedia,
    UploadMissing,
)
from smart_filter_shared.ids import Tenant, UploadId
from smart_filter_shared.jobs import uploads
from smart_filter_shared.jobs.uploads import Named, Upload
from smart_filter_shared.storage.objects import ObjectStore

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Most headers lie in the first piece; one that does not is looked for in ever larger ones.
_FIRST_BYTES: Final = 64 * 1024
_MOST_BYTES: Final = 1024 * 1024
_MOST_PIECES: Final = 100
_UPLOAD: Final = "/upload_id"
_UNKNOWN: Final = (
    "names no upload of yours that is there: it may have expired; make one with POST /v1/uploads"
)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that may enter, in one of three ways.

    spooled: its bytes.  url: where a worker will fetch it.  upload: what a worker will take.
    header: None for one at an address, which nobody has seen yet.
    """

    spooled: Spooled | None
    url: str | None
    upload: Named | None
    header: PhotoHeader | None

    @property
    def megapixels(self) -> float:
        """By the header; 0 when there is none yet."""
        return 0.0 if self.header is None else self.header.width * self.header.height / 1_000_000


async def accepted(services: Services, tenant: Tenant, source: Source) -> Photo:
    """Return the photo that a tenant's job names, when it may enter.

    Raises InvalidRequest, UploadMissing, PhotoTooLarge, UnsupportedMedia, DatabaseUnavailable,
    StorageUnavailable.
    """
    match source:
        case Spooled():
            return Photo(source, None, None, source.header)
        case Addressed():
            return Photo(None, source.url, None, None)
        case Put():
            return await _put(services, tenant, source)


async def _put(services: Services, tenant: Tenant, source: Put) -> Photo:
    try:
        upload_id = UploadId(uuid.UUID(source.upload_id))
    except ValueError:
        raise InvalidRequest([FieldError(_UPLOAD, _UNKNOWN)]) from None
    async with services.reading() as connection:
        upload = await connection.run_sync(uploads.find, upload_id, tenant)
    if upload is None:
        raise unknown()
    try:
        put = await services.in_thread(services.storage.look, upload.key)
        if put.length != upload.length:
            await _refuse(services, upload, put.length)
        header = await services.in_thread(_header, services.storage, upload)
    except ObjectMissing:
        raise UploadMissing(
            "nothing was put into the upload yet; PUT the photo to its put_url, with its headers, "
            "and send this request again",
            retry_after_seconds=1,
        ) from None
    if header.format != upload.media_type:
        raise UnsupportedMedia(
            f"the upload is {header.format}, {upload.media_type} was announced; make an upload "
            f"with the content_type {header.format}",
            pointer=_UPLOAD,
        )
    return Photo(None, None, Named(upload_id, put.etag), header)


def unknown() -> InvalidRequest:
    """Return the error for an upload that the tenant may not name, whyever."""
    return InvalidRequest([FieldError(_UPLOAD, _UNKNOWN)])


async def _refuse(services: Services, upload: Upload, length: int) -> None:
    """Raise InvalidRequest; what is larger than announced is removed."""
    remedy = "put the photo again"
    if length > upload.length:
        async with services.transaction() as connection:
            await connection.run_sync(uploads.mark, upload.id)
        remedy = "it was removed; make an upload with as many bytes"
    raise InvalidRequest(
        [FieldError(_UPLOAD, f"has {length} bytes, {upload.length} were announced; {remedy}")]
    )


def _header(storage: ObjectStore, upload: Upload) -> PhotoHeader:
    with io.BufferedReader(_Pieces(storage, upload), _FIRST_BYTES) as file:
        return photo_header.read(file, sent_as=_UPLOAD[1:], heic=photo_header.reads_heic())


class _Pieces(io.RawIOBase):
    """An object as a file, of which only what is read is fetched, and little of it is kept."""

    def __init__(self, storage: ObjectStore, upload: Upload) -> None:
        super().__init__()
        self._storage = storage
        self._upload = upload
        self._at = 0
        self._piece = b""
        self._piece_at = 0
        self._fetched = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._upload.length}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        here = self._here()[: len(room)]
        room[: len(here)] = here
        self._at += len(here)
        return len(here)

    def _here(self) -> bytes:
        """Return some of what stands at the place where we are; nothing at the end."""
        if not self._piece_at <= self._at < self._piece_at + len(self._piece):
            if self._at >= self._upload.length:
                return b""
            if self._fetched >= _MOST_PIECES:
                raise UnsupportedMedia(
                    "the upload's header is broken: it leads to and fro", pointer=_UPLOAD
                )
            length = min(_MOST_BYTES, _FIRST_BYTES << self._fetched)
            self._piece = self._storage.part(self._upload.key, start=self._at, length=length)
            self._piece_at = self._at
            self._fetched += 1
        return self._piece[self._at - self._piece_at :]
