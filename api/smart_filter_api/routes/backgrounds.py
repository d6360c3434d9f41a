"""The backgrounds that can be asked for by name."""

from fastapi import APIRouter

from smart_filter_api import answers
from smart_filter_api.deps import OpenServices, Reader
from smart_filter_api.problems import documented
from smart_filter_api.schemas.choices import PresetPage

router = APIRouter(prefix="/v1/backgrounds", tags=["backgrounds"])


@router.get(
    "",
    summary="List the backgrounds",
    responses=documented("unauthorized", "scope", "unavailable"),
)
async def list_backgrounds(services: OpenServices, caller: Reader) -> PresetPage:
    """Answer every background that a recipe of the caller's may ask for as `preset:NAME`."""
    presets = await services.presets(caller.tenant)
    return PresetPage(items=[answers.preset(preset) for preset in presets])
