"""Endpoints for a tenant's own pictures, backgrounds and logos: list, get, add and delete them.

The API only reads a picture's header. The bytes wait as a row of stock/incoming.py until a worker
has decoded and described them, because only the locked decoder of workers decodes pictures.
"""

from contextlib import AsyncExitStack, ExitStack
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api.auth import security_log
from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.http.documents import json_response, render_as
from smart_filter_api.intake import body as intake_body
from smart_filter_api.intake.body import SpooledPicture
from smart_filter_api.intake.multipart import picture_too_large
from smart_filter_api.openapi import bodies
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.services.callers import Reader, RecentAdministrator
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_api.submission import commit
from smart_filter_shared import stock
from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.errors import FieldError, InvalidRequest, NotFound, PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import BackgroundSource
from smart_filter_shared.stock import StoredPicture, descriptions, incoming
from smart_filter_shared.stock.descriptions import Description, GivenDescription
from smart_filter_shared.stock.incoming import IncomingPicture, NewPicture
from smart_filter_shared.storage import keys
from smart_filter_shared.tenants import quotas, settings
from smart_filter_shared.tenants.audit_log import AuditEvent
from smart_filter_wire.catalog import PictureError, TenantPicture, TenantPicturePage
from smart_filter_wire.words import PictureState, PictureUse

router = APIRouter(prefix=f"/v1/backgrounds/{BackgroundSource.TENANT}", tags=["backgrounds"])

_PICTURE: Final = "picture"


@router.get("", summary="List your own pictures", responses=describe_responses())
async def list_tenant_pictures(services: OpenServices, caller: Reader) -> TenantPicturePage:
    """Return the backgrounds and logos of the caller's tenant, those too that are not ready."""
    return TenantPicturePage(items=await services.database.query(_list, caller.tenant))


@router.get(
    "/{picture_name}",
    summary="Get one of your own pictures",
    responses=describe_responses("not_found"),
)
async def get_tenant_picture(
    picture_name: str, services: OpenServices, caller: Reader
) -> TenantPicture:
    """Return a picture of the caller's tenant."""
    return await services.database.query(_get, caller.tenant, picture_name)


@router.put(
    "/{picture_name}",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Add a picture of your own",
    description="Adds a background or a logo, or replaces the one of this name. The name may be a "
    "file's: `Lobby wall.jpg` becomes `tenant/lobby-wall`. A worker reads the picture, within "
    "seconds: poll it until its `state` is not `pending`. The same picture again changes nothing.",
    response_model=TenantPicture,
    openapi_extra={"requestBody": bodies.RAW_PICTURE},
    responses={
        status.HTTP_200_OK: {
            "description": "The same picture is there",
            "model": TenantPicture,
        },
        **describe_responses(
            *("malformed_request", "photo_too_large", "unsupported_media", "invalid_request"),
            *("not_found", "queue_full", "sign_in_again"),
        ),
    },
)
async def upload_tenant_picture(
    picture_name: str,
    request: Request,
    services: OpenServices,
    caller: RecentAdministrator,
    *,
    use: Annotated[PictureUse, Query()] = PictureUse.BACKGROUND,
    title: Annotated[
        str | None, Query(description="Without one: from the name, like the tags")
    ] = None,
    tags: Annotated[str | None, Query(description="Keywords, separated by commas")] = None,
) -> Response:
    """Store a picture for a worker to read, and return it."""
    called = _describe(picture_name, title, tags)
    with ExitStack() as open_files:
        picture = await _receive(request, open_files)
        new = NewPicture(
            tenant=caller.tenant,
            name=called.name,
            title=called.title,
            tags=called.tags,
            is_logo=use is PictureUse.LOGO,
            key=keys.new_background(caller.tenant),
            digest=picture.digest,
            length=picture.length,
        )
        is_new = await _add(services, request, caller, new, picture)
    shown = await services.database.query(_get, caller.tenant, called.name)
    is_pending = shown.state is PictureState.PENDING
    return json_response(
        shown, status.HTTP_202_ACCEPTED if is_new or is_pending else status.HTTP_200_OK
    )


@router.delete(
    "/{picture_name}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete one of your own pictures",
    responses=describe_responses("not_found", "sign_in_again"),
)
async def delete_tenant_picture(
    picture_name: str, request: Request, services: OpenServices, caller: RecentAdministrator
) -> Response:
    """Delete a picture of the caller's tenant; unfinished jobs that name it fail."""
    _require_name(picture_name)

    def delete(connection: Connection) -> list[str]:
        gone = stock.remove(connection, caller.tenant, [picture_name])
        waiting = incoming.remove(connection, caller.tenant, [picture_name])
        if not gone and not waiting:
            raise _missing(picture_name)
        name = _full_name(picture_name)
        security_log.record(connection, request, caller, AuditEvent.PICTURE_DELETED, name)
        stored = [picture.key for picture in gone]
        return [*waiting, *stored, *map(keys.thumbnail, stored)]

    try:
        removed = await services.database.transact(delete)
    finally:  # also when the outcome is unknown
        services.caches.stock.forget(caller.tenant)
    for key in removed:
        await commit.remove_picture(services, key)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _receive(request: Request, open_files: ExitStack) -> SpooledPicture:
    """Return the picture that is a request's body, after a check of its header.

    Raises MalformedRequest, PhotoTooLarge, UnsupportedMedia.
    """
    intake_body.refuse_compressed(request)
    too_large = picture_too_large(_PICTURE, part=_PICTURE)
    arrived = intake_body.open_spool(open_files)
    async for piece in intake_body.read_chunks(
        request, open_files, max_bytes=stock.MAX_BYTES, refusal=too_large
    ):
        await arrived.take(piece)
    return await arrived.judged(_PICTURE, _PICTURE)


async def _add(
    services: Services,
    request: Request,
    caller: Caller,
    new: NewPicture,
    picture: SpooledPicture,
) -> bool:
    """Store the bytes and write the row; return False, without a change, for the same picture.

    The object is stored first, so that no row lacks its object, and removed when no row is written.
    """

    def write(connection: Connection) -> tuple[bool, str | None]:
        # Locks the tenant's row, so that concurrent requests cannot exceed the limits.
        settings.lock_overrides(connection, caller.tenant)
        before = _check(connection, caller, new, exactly=True)
        if before is not None and _is_same(before, new):
            return False, None
        earlier = incoming.find(connection, caller.tenant, new.name)
        incoming.enqueue(connection, new)
        name = _full_name(new.name)
        security_log.record(connection, request, caller, AuditEvent.PICTURE_ADDED, name)
        return True, None if earlier is None else earlier.key

    before = await services.database.query(_check, caller, new, exactly=False)
    if before is not None and _is_same(before, new):
        return False
    async with AsyncExitStack() as undo:
        undo.push_async_callback(commit.remove_picture, services, new.key)
        await commit.store_picture(services, new.key, picture)
        async with services.database.transaction() as connection:
            is_written, replaced = await connection.run_sync(write)
            if is_written:
                # A commit that seems to fail may have happened: the orphan scan decides.
                undo.pop_all()
    if replaced is not None:
        await commit.remove_picture(services, replaced)
    return is_written


def _check(
    connection: Connection, caller: Caller, new: NewPicture, *, exactly: bool
) -> IncomingPicture | StoredPicture | None:
    """Check the use and the limits of a picture; return the newest of its name, or None.

    Raises InvalidRequest, and QueueFull beyond the quota of stored bytes.
    """
    waiting = incoming.find(connection, caller.tenant, new.name)
    stored = stock.find_stored(connection, caller.tenant, new.name)
    before = waiting or stored
    if before is not None and _is_same(before, new):
        return before
    try:
        stock.check_use(None if stored is None else stored.picture, is_logo=new.is_logo)
    except PictureRefused as error:
        raise InvalidRequest([FieldError("/use", str(error))]) from error
    most = caller.limits.pictures
    if before is None and most and incoming.count_names(connection, caller.tenant) >= most:
        detail = f"would be one more than {most} pictures; delete one that is not used"
        raise InvalidRequest([FieldError("/name", detail)])
    quotas.check_stored_bytes(connection, caller.tenant, caller.limits, new.length, exactly=exactly)
    return before


def _is_same(before: IncomingPicture | StoredPicture, new: NewPicture) -> bool:
    """Whether a picture was sent before with the same description, and was not refused."""
    if isinstance(before, IncomingPicture):
        if before.code is not None:
            return False
        picture: IncomingPicture | stock.Picture = before
    else:
        picture = before.picture
    return (picture.digest, picture.title, picture.tags, picture.is_logo) == (
        new.digest,
        new.title,
        new.tags,
        new.is_logo,
    )


def _describe(name: str, title: str | None, tags: str | None) -> Description:
    """Return the description of a picture, as the command line does.  Raises InvalidRequest."""
    given = GivenDescription(
        title=title, tags=None if tags is None else descriptions.split_tags(tags)
    )
    try:
        return descriptions.describe(name, given)
    except PictureRefused as error:
        raise InvalidRequest([FieldError(f"/{error.field}", str(error))]) from error


def _list(connection: Connection, tenant: Tenant) -> tuple[TenantPicture, ...]:
    # The queue first: a picture that moves to the stock between the two is in both, not in neither.
    waiting = {entry.name: entry for entry in incoming.list_owned(connection, tenant)}
    stored = {entry.picture.name: entry for entry in stock.list_owned(connection, tenant)}
    names = sorted({*stored, *waiting})
    return tuple(_render(stored.get(name), waiting.get(name)) for name in names)


def _get(connection: Connection, tenant: Tenant, name: str) -> TenantPicture:
    _require_name(name)
    waiting = incoming.find(connection, tenant, name)
    stored = stock.find_stored(connection, tenant, name)
    if stored is None and waiting is None:
        raise _missing(name)
    return _render(stored, waiting)


def _render(stored: StoredPicture | None, waiting: IncomingPicture | None) -> TenantPicture:
    """Return the answer for a picture, in the stock, in the queue, or in both."""
    thumbnail = None
    if stored is not None:
        thumbnail = f"/v1/backgrounds/{stored.picture.preset.name}/thumbnail"
    if stored is not None and waiting is None:
        picture = stored.picture
        return _render_newest(
            picture,
            PictureState.READY,
            thumbnail,
            width=picture.width,
            height=picture.height,
            created_at=stored.created_at,
        )
    assert waiting is not None, "one of the two is there"
    if waiting.code is None:
        return _render_newest(waiting, PictureState.PENDING, thumbnail)
    error = PictureError(code=waiting.code, detail=waiting.detail or "")
    return _render_newest(waiting, PictureState.REFUSED, thumbnail, error=error)


def _render_newest(
    newest: stock.Picture | IncomingPicture,
    state: PictureState,
    thumbnail: str | None,
    **more: object,
) -> TenantPicture:
    """Return the answer for the bytes that were sent last; more: fields that it has besides."""
    return render_as(
        TenantPicture,
        newest,
        name=_full_name(newest.name),
        use=PictureUse.LOGO if newest.is_logo else PictureUse.BACKGROUND,
        state=state,
        bytes=newest.length,
        sha256=newest.digest,
        thumbnail=thumbnail,
        **{"width": None, "height": None, "error": None, **more},
    )


def _require_name(name: str) -> None:
    """Raise NotFound for a text that no picture can be named."""
    try:
        descriptions.check_name(name)
    except PictureRefused:
        raise _missing(name) from None


def _full_name(name: str) -> str:
    return f"{BackgroundSource.TENANT}/{name}"


def _missing(name: str) -> NotFound:
    return NotFound(f"you have no picture named {quote_value(name)}")
