"""Endpoints for uploads: photos that clients store first, directly or here, and then submit."""

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, status
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt
from sqlalchemy import Connection

from smart_filter_api.auth import links
from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.auth.links import UploadGrant
from smart_filter_api.http.documents import json_response
from smart_filter_api.intake import body as intake_body
from smart_filter_api.intake import json_document
from smart_filter_api.intake.body import SpooledPicture
from smart_filter_api.intake.multipart import PHOTO, PICTURES, picture_too_large
from smart_filter_api.limits import BodySender
from smart_filter_api.openapi import bodies
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.services import callers, idempotency
from smart_filter_api.services.callers import Credentials, SessionCookie, Submitter
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_api.submission import commit
from smart_filter_shared.artifacts import uploads
from smart_filter_shared.artifacts.uploads import Upload
from smart_filter_shared.errors import (
    FieldError,
    InvalidRequest,
    LinkInvalid,
    NotFound,
    UnsupportedMedia,
)
from smart_filter_shared.ids import Tenant, UploadId, new_upload_id
from smart_filter_shared.security import photo_header
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES, PhotoFormat
from smart_filter_shared.suggestions import did_you_mean
from smart_filter_shared.tenants import quotas
from smart_filter_wire import catalog

_MAX_TYPE_CHARACTERS = 100
_PREFIX = "image/"
# Common names of JPEG, which IANA lacks, and of HEIC, as browsers call files named .heif.
_OTHER_NAMES = {f"{_PREFIX}jpg": PhotoFormat.JPEG, f"{_PREFIX}heif": PhotoFormat.HEIC}


def _to_registered_type(content_type: str) -> str:
    """Return the registered type of a known one, which may lack its prefix."""
    whole = _PREFIX + content_type.removeprefix(_PREFIX)
    registered = str(_OTHER_NAMES.get(whole, whole))
    return registered if registered in set(PhotoFormat) else content_type


class UploadRequest(BaseModel):
    """An announcement of a photo that the client uploads straight to storage."""

    model_config = ConfigDict(extra="forbid")

    content_type: Annotated[str, AfterValidator(_to_registered_type)] = Field(
        max_length=_MAX_TYPE_CHARACTERS,
        json_schema_extra={"enum": [str(format_) for format_ in PhotoFormat]},
        description="Type of the photo: `image/jpeg`, `image/png`, `image/webp`, `image/avif`, "
        "`image/heic`, `image/gif`, `image/bmp` or `image/tiff`",
    )
    bytes: StrictInt = Field(
        ge=1,
        json_schema_extra={"maximum": MAX_PHOTO_BYTES},
        description=f"Exact size of the photo in bytes; at most {MAX_PHOTO_BYTES}",
    )


router = APIRouter(prefix="/v1/uploads", tags=["jobs"])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Create an upload to storage",
    description="PUT the photo to `put_url` with `headers`, then submit `upload_id` with "
    "`POST /v1/jobs`. The link accepts only the announced type and number of bytes.",
    response_model=catalog.Upload,
    openapi_extra=json_document.describe_body(UploadRequest),
    responses=describe_responses(
        *idempotency.PROBLEMS,
        *("invalid_request", "photo_too_large", "unsupported_media", "queue_full"),
    ),
)
async def create_upload(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Return a link to upload a photo, valid for an hour."""
    body = await json_document.read_body(request)
    payload = json_document.parse_document(UploadRequest, body)

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        _validate_announcement(payload)
        quotas.check_stored_bytes(
            connection, caller.tenant, caller.limits, payload.bytes, exactly=True
        )
        upload = uploads.create(
            connection,
            caller.tenant,
            new_upload_id(),
            media_type=payload.content_type,
            length=payload.bytes,
        )
        answer = _upload_response(services, services.links.base_url(request), upload)
        # The link itself authorizes the upload, so it is stored as a secret.
        once.remember(connection, answer, secret=services.secret_box is not None)
        return answer

    return await idempotency.write_once(
        services, request, caller, idempotency_key, write, payload=body
    )


@dataclass(frozen=True, slots=True)
class _Access:
    """The upload that a request may put; by_link: by its signed link instead of a key."""

    upload: Upload
    by_link: bool


async def _authorize(
    upload_id: str,
    request: Request,
    services: OpenServices,
    credentials: Credentials,
    _: SessionCookie,
    *,
    signature: Annotated[
        str | None, Query(description="Of `put_url`, which needs no key, if it leads here")
    ] = None,
    expires: Annotated[
        str | None, Query(description="When `put_url` ends, in seconds of Unix time")
    ] = None,
) -> _Access:
    """Return the upload that a request may put, by its signed link or by its key.

    A link is not counted against the tenant's requests per minute.
    """
    if signature is None and expires is None:
        caller = await callers.authorize(
            request, services, credentials, Scope.SUBMIT, also_devices=False
        )
        return _Access(await _find_upload(services, upload_id, caller.tenant), by_link=False)
    ends = links.parse_expiry(expires, signature)
    grant = None if (id_ := _parse_id(upload_id)) is None else UploadGrant(id_, ends)
    links.verify(services.links.signer, grant, signature)
    upload = await _find_upload(services, upload_id)
    # As a store does, by the headers that its link signs.
    if request.headers.get("content-type") != upload.media_type or request.headers.get(
        "content-length"
    ) != str(upload.length):
        raise LinkInvalid(
            f"the link accepts {upload.length} bytes of {upload.media_type}; send them with the "
            "headers that came with it, and with Content-Length"
        )
    return _Access(upload, by_link=True)


@router.put(
    "/{upload_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Upload the photo through this service",
    description="An alternative to `put_url` for clients that cannot reach the storage, such as "
    "pages of this service. The body is the photo, with the announced length and type, and is "
    "checked at once. It can be replaced until the upload expires. Where no client can reach the "
    "storage, `put_url` leads here, with `expires` and `signature` in place of a key.",
    # The link replaces the key.
    openapi_extra={"requestBody": bodies.RAW_PHOTO, "security": [{}]},
    responses={
        status.HTTP_200_OK: {"description": "Stored, by a signed link"},
        **describe_responses(
            *("malformed_request", "photo_too_large", "unsupported_media", "invalid_request"),
            *("link_invalid", "link_expired", "not_found"),
        ),
    },
)
async def upload_photo(
    request: Request, services: OpenServices, access: Annotated[_Access, Depends(_authorize)]
) -> Response:
    """Store the photo of an upload; a link is answered with 200, as stores answer."""
    upload = access.upload
    sender = BodySender(upload.tenant, upload.id) if access.by_link else None
    intake_body.refuse_compressed(request)
    with ExitStack() as open_files:
        arrived = intake_body.open_spool(open_files)
        async for piece in intake_body.read_chunks(
            request, open_files, max_bytes=MAX_PHOTO_BYTES, sender=sender
        ):
            if arrived.length + len(piece) > upload.length:
                raise _wrong_length_error(upload, f"more than {upload.length}")
            await arrived.take(piece)
        if arrived.length < upload.length:
            raise _wrong_length_error(upload, str(arrived.length))
        photo = await arrived.judged(PICTURES[PHOTO])
        _refuse_other_type(upload, photo)
        await commit.store_picture(services, upload.key, photo)
    return Response(
        status_code=status.HTTP_200_OK if access.by_link else status.HTTP_204_NO_CONTENT
    )


async def _find_upload(services: Services, upload_id: str, tenant: Tenant | None = None) -> Upload:
    """Return an upload.  tenant: whose it must be; None: anyone's, for a signed link.

    Raises the same NotFound for a malformed id, an unknown or expired one and another tenant's.
    """
    unknown = NotFound(
        f"upload {upload_id} does not exist or has expired; create one with POST /v1/uploads"
    )
    if (id_ := _parse_id(upload_id)) is None:
        raise unknown
    upload = await services.database.query(uploads.find, id_, tenant)
    if upload is None:
        raise unknown
    return upload


def _parse_id(upload_id: str) -> UploadId | None:
    try:
        return UploadId(uuid.UUID(upload_id))
    except ValueError:
        return None


def _wrong_length_error(upload: Upload, received: str) -> InvalidRequest:
    detail = (
        f"has {received} bytes, but {upload.length} were announced; create an upload of that size"
    )
    return InvalidRequest([FieldError(f"/{PHOTO}", detail)])


def _refuse_other_type(upload: Upload, photo: SpooledPicture) -> None:
    """Raise UnsupportedMedia when the photo's type differs from the announced one."""
    if photo.header.format != upload.media_type:
        raise UnsupportedMedia(
            f"the photo is {photo.header.format}, but {upload.media_type} was announced; create "
            f"an upload with the content_type {photo.header.format}",
            pointer=f"/{PHOTO}",
        )


def _validate_announcement(payload: UploadRequest) -> None:
    """Raise PhotoTooLarge or UnsupportedMedia for a photo that jobs would not accept."""
    if payload.bytes > MAX_PHOTO_BYTES:
        raise picture_too_large(part="bytes")
    if payload.content_type not in set(PhotoFormat):
        raise UnsupportedMedia(
            f"{payload.content_type!r} is not accepted; {photo_header.ACCEPTED}"
            f"{did_you_mean(payload.content_type, PhotoFormat)}",
            pointer="/content_type",
        )


def _upload_response(services: Services, base_url: str, upload: Upload) -> Response:
    signed = {"content-type": upload.media_type, "content-length": str(upload.length)}
    link = services.storage.presigned_put(
        upload.key, headers=signed, seconds=uploads.LIFETIME_SECONDS
    )
    shown = catalog.Upload(
        upload_id=str(upload.id),
        put_url=link or links.upload_url(services.links.required_signer, base_url, upload),
        # HTTP clients add Content-Length themselves.
        headers={"Content-Type": upload.media_type},
        expires_at=upload.expires_at,
    )
    return json_response(shown, status.HTTP_201_CREATED)
