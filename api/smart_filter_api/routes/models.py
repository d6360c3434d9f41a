"""The models that are served."""

from typing import Annotated

from fastapi import APIRouter, Query

from smart_filter_api import answers
from smart_filter_api.deps import OpenServices, Reader
from smart_filter_api.problems import documented
from smart_filter_api.schemas.choices import ModelPage
from smart_filter_shared.jobs import models, presence, versions

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get(
    "",
    summary="List the models",
    responses=documented("malformed_request", "unauthorized", "scope", "unavailable"),
)
async def list_models(
    services: OpenServices,
    caller: Reader,
    *,
    every: Annotated[
        bool, Query(alias="all", description="also those that no pool of workers offers")
    ] = False,
) -> ModelPage:
    """Answer the card of every model that a recipe may name."""
    del caller
    silent_seconds = services.silent_seconds
    async with services.reading() as connection:
        known = await connection.run_sync(models.published, pools=services.pools)
        trained = await connection.run_sync(versions.listed)
        failed = await connection.run_sync(presence.failed, silent_seconds=silent_seconds)
        served = await connection.run_sync(presence.served, silent_seconds=silent_seconds)
    nowhere = {one: why for one, why in failed.items() if one not in served}
    shown = [one for one in known if one.offered or every]
    return ModelPage(items=[answers.model(one, nowhere, trained) for one in shown])
