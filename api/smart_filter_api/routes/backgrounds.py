"""Endpoints for backgrounds: list them, their keywords and their thumbnails."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

from smart_filter_api.http import documents
from smart_filter_api.presenters import job
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import output
from smart_filter_api.responses.output import Downloader, StoredObject
from smart_filter_api.services.callers import Reader
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.errors import NotFound, ObjectMissing
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import PRESETS, synonyms, thumbnails
from smart_filter_shared.recipe.background import MAX_KEYWORD_CHARACTERS
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage import keys
from smart_filter_wire.catalog import BackgroundPage, KeywordPage

router = APIRouter(prefix="/v1/backgrounds", tags=["backgrounds"])

# Cache lifetime of thumbnails of designs, which change only with versions of the service. Those of
# stored pictures are revalidated each time: a picture may be replaced, and another tenant in the
# same browser may have one with the same name.
_MAX_AGE_SECONDS: Final = 86_400


@router.get(
    "",
    summary="List the backgrounds",
    responses=describe_responses(),
)
async def list_backgrounds(services: OpenServices, caller: Reader) -> BackgroundPage:
    """Return every background that the caller's recipes can name as `preset:NAME`."""
    presets = await services.presets(caller.tenant)
    return BackgroundPage(items=tuple(map(job.render_preset, presets)))


@router.get(
    "/keywords",
    summary="List the background keywords",
    responses=describe_responses(),
)
async def list_keywords(services: OpenServices, caller: Reader) -> KeywordPage:
    """Return the words that `keywords:` understands, for the caller's backgrounds."""
    listed = synonyms.list_words(await services.presets(caller.tenant))
    shown = (word for word in listed if len(word.word) <= MAX_KEYWORD_CHARACTERS)
    return KeywordPage(items=tuple(shown))


@router.get(
    "/{name:path}/thumbnail",
    summary="Get the thumbnail of a background",
    description="For every listed background, including `site/NAME` and `tenant/NAME`.",
    response_class=Response,
    responses={
        200: {"description": "240 × 160 pixels", "content": {thumbnails.MEDIA_TYPE: {}}},
        304: {"description": "Not modified: `If-None-Match` names the current version"},
        **describe_responses("not_found"),
    },
)
async def get_background_thumbnail(
    name: str,
    services: OpenServices,
    caller: Downloader,
    *,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a small picture of a background."""
    design = next((preset for preset in PRESETS if preset.name == name), None)
    if design is not None:
        content = thumbnails.read_thumbnail(design)
        tag = documents.etag(content)
        if documents.is_known(tag, if_none_match):
            return documents.not_modified(tag, fresh_seconds=_MAX_AGE_SECONDS)
        headers = documents.caching_headers(tag, fresh_seconds=_MAX_AGE_SECONDS)
        return Response(content, media_type=thumbnails.MEDIA_TYPE, headers=headers)
    picture = await _find_picture(services, caller.tenant, name)
    file = StoredObject(keys.thumbnail(picture.key), thumbnails.MEDIA_TYPE)
    try:
        return await output.serve_object(services, file, if_none_match)
    except ObjectMissing:  # it was removed meanwhile
        raise _missing_background(name) from None


async def _find_picture(services: Services, tenant: Tenant, name: str) -> Picture:
    """Return a picture that a tenant may use.  Raises NotFound."""
    for _ in range(2):
        for picture in await services.pictures(tenant):
            if picture.preset.name == name:
                return picture
        # It may be newer than the cache.
        services.caches.stock.forget(tenant)
    raise _missing_background(name)


def _missing_background(name: str) -> NotFound:
    return NotFound(f"you have no background named {quote_value(name)}")
