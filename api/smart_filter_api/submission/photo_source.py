"""Resolve the photo of a job: its bytes, an upload, or a URL.

Checks that need only part of the photo happen here: whether an upload has the announced length and
type, and what its header says.
"""

import io
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from smart_filter_api.intake.body import PhotoSource, RemotePhoto, SpooledPicture, UploadedPhoto
from smart_filter_api.services.container import Services
from smart_filter_shared.artifacts import uploads
from smart_filter_shared.artifacts.uploads import Upload, UploadRef
from smart_filter_shared.errors import (
    FieldError,
    InvalidPhotoUrl,
    InvalidRequest,
    ObjectMissing,
    UnsupportedMedia,
    UploadMissing,
)
from smart_filter_shared.ids import Tenant, UploadId
from smart_filter_shared.security import photo_header
from smart_filter_shared.security.photo_header import PhotoHeader
from smart_filter_shared.storage.objects import ObjectStore

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

from smart_filter_shared.errors import (
    InvalidWebhookUrl,
    NotAvailable,
)
from smart_filter_shared.security import urls

# Detail of the problem for a webhook when the operator has set no secrets key.
WEBHOOKS_DISABLED: Final = "webhooks need the setting SMART_FILTER_SECRETS_KEY"


def check_webhook(services: Services, webhook_url: str | None) -> str | None:
    """Return the address for the final event of a job or batch in normalized form, if there is one.

    Raises InvalidWebhookUrl when it is not a URL or can never be reached, NotAvailable when the
    operator has set no secrets key.
    """
    if webhook_url is None:
        return None
    if services.secret_box is None:
        raise NotAvailable([FieldError("/webhook_url", WEBHOOKS_DISABLED)])
    return check(services, "webhook_url", webhook_url, InvalidWebhookUrl)


def check(services: Services, field: str, text: str, kind: type[InvalidRequest]) -> str:
    """Return the URL of a field in normalized form.

    Raises an error of this kind when it is not a URL, or can never be called.
    """
    try:
        url = urls.parse(text)
    except ValueError as error:
        raise kind([FieldError(f"/{field}", str(error))]) from error
    fault = services.outbound.find_fault(url)
    if fault is not None:
        raise kind([FieldError(f"/{field}", fault)])
    return str(url)


# Most headers are in the first piece; later pieces double in size up to the maximum.
_FIRST_PIECE_BYTES: Final = 64 * 1024
_MAX_PIECE_BYTES: Final = 1024 * 1024
_MAX_PIECES: Final = 100
_UPLOAD_POINTER: Final = "/upload_id"
_UNKNOWN_UPLOAD: Final = (
    "is not one of your uploads, or has expired; create one with POST /v1/uploads"
)


@dataclass(frozen=True, slots=True)
class ResolvedPhoto:
    """An acceptable photo from one of three sources.

    spooled: its bytes.  url: from where a worker will fetch it.  upload: which a worker will take.
    header: None for a URL, since the photo was not fetched yet.
    """

    spooled: SpooledPicture | None
    url: str | None
    upload: UploadRef | None
    header: PhotoHeader | None

    @property
    def megapixels(self) -> float:
        """Return the megapixels from the header; 0 without a header."""
        return 0.0 if self.header is None else self.header.width * self.header.height / 1_000_000


async def resolve_photo(services: Services, tenant: Tenant, source: PhotoSource) -> ResolvedPhoto:
    """Resolve and check the photo of a tenant's job, and return it.

    Raises InvalidRequest, InvalidPhotoUrl, UploadMissing, PhotoTooLarge, UnsupportedMedia,
    DatabaseUnavailable, StorageUnavailable.
    """
    match source:
        case SpooledPicture():
            return ResolvedPhoto(source, None, None, source.header)
        case RemotePhoto():
            url = check(services, "photo_url", source.url, InvalidPhotoUrl)
            return ResolvedPhoto(None, url, None, None)
        case UploadedPhoto():
            return await _resolve_upload(services, tenant, source)


async def _resolve_upload(
    services: Services, tenant: Tenant, source: UploadedPhoto
) -> ResolvedPhoto:
    try:
        upload_id = UploadId(uuid.UUID(source.upload_id))
    except ValueError:
        raise InvalidRequest([FieldError(_UPLOAD_POINTER, _UNKNOWN_UPLOAD)]) from None
    upload = await services.database.query(uploads.find, upload_id, tenant)
    if upload is None:
        raise unknown_upload()
    try:
        put = await services.in_thread(services.storage.look, upload.key)
        if put.length != upload.length:
            await _refuse_wrong_length(services, upload, put.length)
        header = await services.in_thread(_read_header, services.storage, upload)
    except ObjectMissing:
        raise UploadMissing(
            "the upload has no photo yet; PUT the photo to its put_url, with its headers, and send "
            "this request again",
            retry_after_seconds=1,
        ) from None
    if header.format != upload.media_type:
        raise UnsupportedMedia(
            f"the upload is {header.format}, but {upload.media_type} was announced; create an "
            f"upload with the content_type {header.format}",
            pointer=_UPLOAD_POINTER,
        )
    return ResolvedPhoto(None, None, UploadRef(upload_id, put.etag), header)


def unknown_upload() -> InvalidRequest:
    """Return the error for an upload that is unknown, expired or another tenant's."""
    return InvalidRequest([FieldError(_UPLOAD_POINTER, _UNKNOWN_UPLOAD)])


async def _refuse_wrong_length(services: Services, upload: Upload, length: int) -> NoReturn:
    """Raise InvalidRequest; mark an upload that is larger than announced for removal."""
    remedy = "upload the photo again"
    if length > upload.length:
        await services.database.transact(uploads.mark, upload.id)
        remedy = "it was removed; create an upload of that size"
    raise InvalidRequest(
        [
            FieldError(
                _UPLOAD_POINTER,
                f"has {length} bytes, but {upload.length} were announced; {remedy}",
            )
        ]
    )


def _read_header(storage: ObjectStore, upload: Upload) -> PhotoHeader:
    with io.BufferedReader(_ObjectReader(storage, upload), _FIRST_PIECE_BYTES) as file:
        return photo_header.read_header(file, sent_as=_UPLOAD_POINTER[1:])


class _ObjectReader(io.RawIOBase):
    """An object as a file; it fetches only the pieces that are read and keeps one of them."""

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
        target = memoryview(buffer).cast("B")
        here = self._read_piece()[: len(target)]
        target[: len(here)] = here
        self._at += len(here)
        return len(here)

    def _read_piece(self) -> bytes:
        """Return bytes at the current position, fetching a piece if needed; empty at the end."""
        if not self._piece_at <= self._at < self._piece_at + len(self._piece):
            if self._at >= self._upload.length:
                return b""
            if self._fetched >= _MAX_PIECES:
                raise UnsupportedMedia(
                    "the upload's header is broken: it needs too many reads",
                    pointer=_UPLOAD_POINTER,
                )
            length = min(_MAX_PIECE_BYTES, _FIRST_PIECE_BYTES << self._fetched)
            self._piece = self._storage.part(self._upload.key, start=self._at, length=length)
            self._piece_at = self._at
            self._fetched += 1
        return self._piece[self._at - self._piece_at :]
