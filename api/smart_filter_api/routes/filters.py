"""The filters that can be asked for by name."""

from fastapi import APIRouter

from smart_filter_api import answers
from smart_filter_api.deps import Reader
from smart_filter_api.problems import documented
from smart_filter_api.schemas.choices import FilterPage
from smart_filter_shared.filters import FILTERS

router = APIRouter(prefix="/v1/filters", tags=["filters"])


@router.get(
    "", summary="List the filters", responses=documented("unauthorized", "scope", "unavailable")
)
async def list_filters(
    caller: Reader,  # noqa: ARG001 - being asked for is what checks the key
) -> FilterPage:
    """Answer every filter that a recipe may ask for, and what each can be told."""
    return FilterPage(items=[answers.filter_(card) for card in FILTERS])
