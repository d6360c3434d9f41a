"""The backgrounds that can be asked for by name."""

from fastapi import APIRouter

from smart_filter_api import answers
from smart_filter_api.deps import Reader
from smart_filter_api.problems import documented
from smart_filter_api.schemas import PresetPage
from smart_filter_shared.presets import PRESETS

router = APIRouter(prefix="/v1/backgrounds", tags=["backgrounds"])


@router.get(
    "",
    summary="List the backgrounds",
    responses=documented("unauthorized", "scope", "unavailable"),
)
async def list_backgrounds(caller: Reader) -> PresetPage:
    """Answer every background that a recipe may ask for as `preset:NAME`."""
    del caller
    return PresetPage(items=[answers.preset(preset) for preset in PRESETS])
