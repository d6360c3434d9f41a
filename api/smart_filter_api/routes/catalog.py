"""Endpoints that describe the service: models, filters, problems, the OpenAPI document."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from smart_filter_api.http import documents
from smart_filter_api.presenters import job
from smart_filter_api.problems import problem
from smart_filter_api.problems.catalog import PAGES
from smart_filter_api.problems.problem import PAGES_PATH, describe_responses
from smart_filter_api.services.callers import Reader
from smart_filter_api.services.container import OpenServices
from smart_filter_api.submission import recipe_parser
from smart_filter_shared.catalog.filters import FILTERS
from smart_filter_shared.errors import NotFound
from smart_filter_shared.model_registry import published_models, weight_versions
from smart_filter_shared.queue import worker_registry
from smart_filter_wire.catalog import FilterPage, ModelPage

router = APIRouter()


@router.get(
    "/v1/models",
    tags=["models"],
    summary="List the models",
    responses=describe_responses("malformed_request"),
)
async def list_models(
    services: OpenServices,
    caller: Reader,
    *,
    every: Annotated[
        bool, Query(alias="all", description="Include models that no worker pool offers")
    ] = False,
) -> ModelPage:
    """Return the card of every model that a recipe can name."""
    silent_seconds = services.silent_seconds
    query = services.database.query
    published = await query(published_models.list_models, pools=services.settings.engine.pools)
    trained = await query(weight_versions.list_versions)
    failed = await query(worker_registry.list_failed, silent_seconds=silent_seconds)
    served = await query(worker_registry.list_served, silent_seconds=silent_seconds)
    off = recipe_parser.why_emotions_off(services, caller)
    if off is not None:
        published = published_models.without_emotions(published, why=off)
    nowhere = {capability: why for capability, why in failed.items() if capability not in served}
    shown = [model for model in published if model.offered or every]
    return ModelPage(items=tuple(job.render_model(model, nowhere, trained) for model in shown))


@router.get(
    "/v1/filters",
    tags=["filters"],
    summary="List the filters",
    responses=describe_responses(),
)
async def list_filters(
    caller: Reader,  # noqa: ARG001 - the dependency checks the key
) -> FilterPage:
    """Return every filter that a recipe can name, with its parameters."""
    return FilterPage(items=tuple(map(job.render_filter, FILTERS)))


@router.get(
    f"{PAGES_PATH}/{{code}}",
    tags=["problems"],
    summary="Explain a problem",
    description="`code` is the `code` of a problem document. Needs no key.",
    response_class=HTMLResponse,
    responses={
        200: {"description": "The page", "content": {"text/html": {}}},
        **describe_responses("not_found", needs_key=False),
    },
)
async def explain_problem(code: str) -> HTMLResponse:
    """Return the page of a problem code."""
    if code not in PAGES:
        raise NotFound(f"no problem has the code {code}; the codes are {', '.join(sorted(PAGES))}")
    return HTMLResponse(problem.render_html(code))


@router.get("/openapi.json", include_in_schema=False)
async def describe(request: Request) -> Response:
    """Return the OpenAPI document, which does not change while the process runs."""
    return documents.serve_file(request, request.app.state.description())
