"""The backgrounds that can be asked for by name, what they look like, and the words for them."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

from smart_filter_api import answers, objects, tags
from smart_filter_api.deps import OpenServices, Reader
from smart_filter_api.objects import File
from smart_filter_api.problems import documented
from smart_filter_api.schemas.choices import PresetPage, WordAnswer, WordPage
from smart_filter_shared.errors import NotFound, ObjectMissing
from smart_filter_shared.presets import PRESETS, thumbnails, words
from smart_filter_shared.recipe.background import MAX_KEYWORD_CHARACTERS
from smart_filter_shared.recipe.words import shown
from smart_filter_shared.storage import keys

router = APIRouter(prefix="/v1/backgrounds", tags=["backgrounds"])

# Designs change with versions of the service. Pictures may be replaced at any time, and on one
# browser another tenant's may have the same name: those are asked for each time.
_FRESH_SECONDS: Final = 86_400


@router.get(
    "",
    summary="List the backgrounds",
    responses=documented("unauthorized", "scope", "unavailable"),
)
async def list_backgrounds(services: OpenServices, caller: Reader) -> PresetPage:
    """Answer every background that a recipe of the caller's may ask for as `preset:NAME`."""
    presets = await services.presets(caller.tenant)
    return PresetPage(items=[answers.preset(preset) for preset in presets])


@router.get(
    "/keywords",
    summary="List the words for backgrounds",
    responses=documented("unauthorized", "scope", "unavailable"),
)
async def list_keywords(services: OpenServices, caller: Reader) -> WordPage:
    """Answer the words that `keywords:` understands, for the backgrounds of the caller."""
    known = words.known(await services.presets(caller.tenant))
    return WordPage(
        items=[
            WordAnswer(word=one.word, kind=one.kind, count=one.count)
            for one in known
            if len(one.word) <= MAX_KEYWORD_CHARACTERS
        ]
    )


@router.get(
    "/{name:path}/thumbnail",
    summary="Fetch the thumbnail of a background",
    description="Of each that is listed, also `site/NAME` and `tenant/NAME`.",
    response_class=Response,
    responses={
        200: {"description": "240 × 160 pixels", "content": {thumbnails.MEDIA_TYPE: {}}},
        304: {"description": "If-None-Match names what it still is"},
        **documented("unauthorized", "scope", "not_found", "unavailable"),
    },
)
async def fetch_thumbnail(
    name: str,
    services: OpenServices,
    caller: Reader,
    *,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Answer what a background looks like, small."""
    design = next((preset for preset in PRESETS if preset.name == name), None)
    if design is not None:
        content = thumbnails.of(design)
        tag = tags.etag(content)
        if tags.is_known(tag, if_none_match):
            return tags.not_modified(tag, fresh_seconds=_FRESH_SECONDS)
        headers = tags.headers(tag, fresh_seconds=_FRESH_SECONDS)
        return Response(content, media_type=thumbnails.MEDIA_TYPE, headers=headers)
    pictures = await services.pictures(caller.tenant)
    picture = next((one for one in pictures if one.preset.name == name), None)
    if picture is None:
        raise NotFound(f"no background of yours is named {shown(name)}")
    file = File(keys.thumbnail(picture.key), thumbnails.MEDIA_TYPE)
    try:
        return await objects.answered(services, file, if_none_match)
    except ObjectMissing:
        raise NotFound(
            f"{name} has no thumbnail: an older version took it in; add its file once more"
        ) from None
