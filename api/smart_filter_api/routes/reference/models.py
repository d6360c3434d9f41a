"""Endpoint for models: list their cards."""

from typing import Annotated

from fastapi import APIRouter, Query

from smart_filter_api.presenters import job
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.services.callers import Reader
from smart_filter_api.services.container import OpenServices
from smart_filter_api.submission import recipe_parser
from smart_filter_shared.model_registry import published_models, weight_versions
from smart_filter_shared.queue import worker_registry
from smart_filter_wire.catalog import ModelPage

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get(
    "",
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
