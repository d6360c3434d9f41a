"""Endpoints for uploads: photos that clients store first, directly or here, and then submit."""

import uuid
from contextlib import ExitStack

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api.http.documents import json_response
from smart_filter_api.intake import body as intake_body
from smart_filter_api.intake import json_document
from smart_filter_api.intake.body import SpooledPicture
from smart_filter_api.intake.multipart import MAX_PHOTO_BYTES, PHOTO, PICTURES, picture_too_large
from smart_filter_api.openapi import bodies
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.schemas import uploads as schemas_uploads
from smart_filter_api.schemas.uploads import UploadRequest
from smart_filter_api.services import idempotency
from smart_filter_api.services.container import OpenServices, Services, Submitter
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_api.submission import commit
from smart_filter_shared.artifacts import uploads
from smart_filter_shared.artifacts.uploads import Upload
from smart_filter_shared.errors import FieldError, InvalidRequest, NotFound, UnsupportedMedia
from smart_filter_shared.ids import Tenant, UploadId, new_upload_id
from smart_filter_shared.security import photo_header
from smart_filter_shared.security.photo_header import PhotoFormat
from smart_filter_shared.suggestions import did_you_mean

router = APIRouter(prefix="/v1/uploads", tags=["jobs"])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Create an upload to storage",
    description="PUT the photo to `put_url` with `headers`, then submit `upload_id` with "
    "`POST /v1/jobs`. The link accepts only the announced type and number of bytes.",
    response_model=schemas_uploads.Upload,
    openapi_extra=json_document.describe_body(UploadRequest),
    responses=describe_responses(
        *("malformed_request", "idempotency_in_progress", "idempotency_mismatch"),
        *("invalid_request", "photo_too_large", "unsupported_media"),
        *("unauthorized", "scope", "unavailable"),
    ),
)
async def create_upload(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Return a link to upload a photo, valid for an hour."""
    body = await json_document.read(request)
    payload = json_document.parse(UploadRequest, body)

    def write(connection: Connection, once: IdempotentRequest) -> Response:
        _validate_announcement(payload)
        upload = uploads.create(
            connection,
            caller.tenant,
            new_upload_id(),
            media_type=payload.content_type,
            length=payload.bytes,
        )
        answer = _upload_response(services, upload)
        # The link itself authorizes the upload, so it is stored as a secret.
        once.remember(connection, answer, secret=services.seal is not None)
        return answer

    return await idempotency.write_once(
        services, request, caller, idempotency_key, write, payload=body
    )


@router.put(
    "/{upload_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Upload the photo through this service",
    description="An alternative to `put_url` for clients that cannot reach the storage, such as "
    "pages of this service. The body is the photo, with the announced length and type, and is "
    "checked at once. It can be replaced until the upload expires.",
    openapi_extra={"requestBody": bodies.RAW_PHOTO},
    responses=describe_responses(
        *("malformed_request", "photo_too_large", "unsupported_media", "invalid_request"),
        *("unauthorized", "scope", "not_found", "unavailable"),
    ),
)
async def upload_photo(
    upload_id: str, request: Request, services: OpenServices, caller: Submitter
) -> None:
    """Store the photo of an upload."""
    upload = await _find_upload(services, caller.tenant, upload_id)
    intake_body.refuse_compressed(request)
    intake_body.refuse_oversized(request, MAX_PHOTO_BYTES)
    with ExitStack() as open_files:
        arrived = intake_body.open_spool(open_files)
        chunks = intake_body.read_chunks(request, open_files, most=MAX_PHOTO_BYTES)
        async for piece in chunks:
            if arrived.length + len(piece) > upload.length:
                raise _wrong_length_error(upload, f"more than {upload.length}")
            await arrived.take(piece)
        if arrived.length < upload.length:
            raise _wrong_length_error(upload, str(arrived.length))
        photo = await arrived.judged(PICTURES[PHOTO])
        _refuse_other_type(upload, photo)
        await commit.store_picture(services, upload.key, photo)


async def _find_upload(services: Services, tenant: Tenant, upload_id: str) -> Upload:
    """Return a tenant's upload.

    Raises the same NotFound for a malformed id, an unknown or expired one and another tenant's.
    """
    unknown = NotFound(
        f"upload {upload_id} does not exist or has expired; create one with POST /v1/uploads"
    )
    try:
        known = UploadId(uuid.UUID(upload_id))
    except ValueError:
        raise unknown from None
    async with services.reading() as connection:
        upload = await connection.run_sync(uploads.find, known, tenant)
    if upload is None:
        raise unknown
    return upload


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
    heic = photo_header.reads_heic()
    if payload.content_type not in {one for one in PhotoFormat if heic or one != PhotoFormat.HEIC}:
        accepted = photo_header.ACCEPTED_WITH_HEIC if heic else photo_header.ACCEPTED
        raise UnsupportedMedia(
            f"{payload.content_type!r} is not accepted; {accepted}"
            f"{did_you_mean(payload.content_type, PhotoFormat)}",
            pointer="/content_type",
        )


def _upload_response(services: Services, upload: Upload) -> Response:
    signed = {"content-type": upload.media_type, "content-length": str(upload.length)}
    shown = schemas_uploads.Upload(
        upload_id=upload.id,
        put_url=services.storage.presigned_put(
            upload.key, headers=signed, seconds=uploads.LIFETIME_SECONDS
        ),
        # HTTP clients add Content-Length themselves.
        headers={"Content-Type": upload.media_type},
        expires_at=upload.expires_at,
    )
    return json_response(shown, status.HTTP_201_CREATED)
