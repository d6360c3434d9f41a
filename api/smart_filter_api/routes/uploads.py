"""Uploads: photos that clients put straight into storage, for jobs to name."""

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api import documents, idempotency, photo_header
from smart_filter_api.deps import OpenServices, Services, Submitter
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.multipart import MAX_PHOTO_BYTES, too_large
from smart_filter_api.photo_header import PhotoFormat
from smart_filter_api.problems import documented
from smart_filter_api.schemas.uploads import UploadAnswer, UploadWish
from smart_filter_shared.errors import UnsupportedMedia
from smart_filter_shared.ids import new_upload_id
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
