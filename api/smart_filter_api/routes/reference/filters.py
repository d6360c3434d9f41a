"""Endpoint for filters: list them."""

from fastapi import APIRouter

from smart_filter_api.presenters import job
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.services.callers import Reader
from smart_filter_shared.catalog.filters import FILTERS
from smart_filter_wire.catalog import FilterPage

router = APIRouter(prefix="/v1/filters", tags=["filters"])


@router.get(
    "",
    summary="List the filters",
    responses=describe_responses(),
)
async def list_filters(
    caller: Reader,  # noqa: ARG001 - the dependency checks the key
) -> FilterPage:
    """Return every filter that a recipe can name, with its parameters."""
    return FilterPage(items=tuple(map(job.render_filter, FILTERS)))
