"""Uploads: photos that clients put into storage, straight or through here, for jobs to name."""

import uuid
from contextlib import ExitStack

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api import documents, idempotency, intake, photo_header, submission
from smart_filter_api.deps import OpenServices, Services, Submitter
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.intake import Spooled
from smart_filter_api.multipart import MAX_PHOTO_BYTES, PHOTO, PICTURES, too_large
from smart_filter_api.openapi import bodies
from smart_filter_api.photo_header import PhotoFormat
from smart_filter_api.problems import documented
from smart_filter_api.schemas.uploads import UploadAnswer, UploadWish
from smart_filter_shared.errors import FieldError, InvalidRequest, NotFound, UnsupportedMedia
from smart_filter_shared.ids import Tenant, UploadId, new_upload_id
from smart_filter_shared.jobs import uploads
from smart_filter_shared.jobs.uploads import Upload

router = APIRouter(prefix="/v1/uploads", tags=["jobs"])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Prepare to put a photo straight into storage",
    description="PUT the photo to `put_url` with `headers`, then name `upload_id` in "
    "`POST /v1/jobs`. The link takes exactly as many bytes as were announced, of that type.",
    response_model=UploadAnswer,
    openapi_extra=documents.described(UploadWish),
    responses=documented(
        *("malformed_request", "idempotency_in_progress", "idempotency_mismatch"),
        *("invalid_request", "photo_too_large", "unsupported_media"),
        *("unauthorized", "scope", "unavailable"),
    ),
)
async def create(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer a link to put a photo with, valid for an hour."""
    body = await documents.read(request)
    wish = documents.parse(UploadWish, body)

    def write(connection: Connection) -> Response:
        upload = uploads.write(
            connection,
            caller.tenant,
            new_upload_id(),
            media_type=wish.content_type,
            length=wish.bytes,
        )
        answer = _answer(services, upload)
        # Whoever has the link may put what they want.
        once.remember(connection, answer, secret=services.seal is not None)
        return answer

    async with idempotency.once(services, request, caller.tenant, idempotency_key, body) as once:
        if once.replayed is not None:
            return once.replayed
        _refuse(wish)
        async with services.transaction() as connection:
            return await connection.run_sync(write)


@router.put(
    "/{upload_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Put the photo through this service",
    description="Instead of to `put_url`, for whoever reaches no other address, as a page that "
    "this service has sent. The body is the photo, of the length and type that were announced, "
    "and is judged at once. It may be put again until the upload expires.",
    openapi_extra={"requestBody": bodies.RAW_PHOTO},
    responses=documented(
        *("malformed_request", "photo_too_large", "unsupported_media", "invalid_request"),
        *("unauthorized", "scope", "not_found", "unavailable"),
    ),
)
async def put(upload_id: str, request: Request, services: OpenServices, caller: Submitter) -> None:
    """Take a photo on its way to storage."""
    upload = await _found(services, caller.tenant, upload_id)
    intake.refuse_coded(request)
    intake.refuse_announced(request, MAX_PHOTO_BYTES)
    with ExitStack() as open_files:
        arrived = intake.spool(open_files)
        async for piece in intake.arriving(request):
            if arrived.length + len(piece) > upload.length:
                raise _another_length(upload, f"more than {upload.length}")
            await arrived.take(piece)
        if arrived.length < upload.length:
            raise _another_length(upload, str(arrived.length))
        photo = await arrived.judged(PICTURES[PHOTO])
        _refuse_other_type(upload, photo)
        await submission.store(services, upload.key, photo)


async def _found(services: Services, tenant: Tenant, upload_id: str) -> Upload:
    """Return a tenant's upload.

    Raises NotFound, the same for what is no id, nobody's, somebody else's and expired.
    """
    unknown = NotFound(f"upload {upload_id}, or it has expired: make one with POST /v1/uploads")
    try:
        known = UploadId(uuid.UUID(upload_id))
    except ValueError:
        raise unknown from None
    async with services.reading() as connection:
        upload = await connection.run_sync(uploads.find, known, tenant)
    if upload is None:
        raise unknown
    return upload


def _another_length(upload: Upload, come: str) -> InvalidRequest:
    told = f"has {come} bytes, {upload.length} were announced; make an upload for as many"
    return InvalidRequest([FieldError(f"/{PHOTO}", told)])


def _refuse_other_type(upload: Upload, photo: Spooled) -> None:
    """Raise UnsupportedMedia for what no job could name."""
    if photo.header.format != upload.media_type:
        raise UnsupportedMedia(
            f"the photo is {photo.header.format}, {upload.media_type} was announced; make an "
            f"upload with the content_type {photo.header.format}",
            pointer=f"/{PHOTO}",
        )


def _refuse(wish: UploadWish) -> None:
    """Raise PhotoTooLarge, UnsupportedMedia for what no job could name."""
    if wish.bytes > MAX_PHOTO_BYTES:
        raise too_large(part="bytes")
    heic = photo_header.reads_heic()
    if wish.content_type not in {one for one in PhotoFormat if heic or one != PhotoFormat.HEIC}:
        told = photo_header.ACCEPTED_WITH_HEIC if heic else photo_header.ACCEPTED
        raise UnsupportedMedia(
            f"{wish.content_type!r} is not accepted; {told}", pointer="/content_type"
        )


def _answer(services: Services, upload: Upload) -> Response:
    signed = {"content-type": upload.media_type, "content-length": str(upload.length)}
    answer = UploadAnswer(
        upload_id=upload.id,
        put_url=services.storage.presigned_put(
            upload.key, headers=signed, seconds=uploads.LIFETIME_SECONDS
        ),
        headers=_headers(upload),
        expires_at=upload.expires_at,
    )
    return Response(
        answer.model_dump_json(),
        status_code=status.HTTP_201_CREATED,
        media_type="application/json",
    )


def _headers(upload: Upload) -> dict[str, str]:
    """Return what whoever puts it has to say; its length every program says by itself."""
    return {"Content-Type": upload.media_type}
