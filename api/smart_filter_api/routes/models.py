"""The models that are served."""

from fastapi import APIRouter

from smart_filter_api import answers
from smart_filter_api.deps import OpenServices, Reader
from smart_filter_api.problems import documented
from smart_filter_api.schemas import ModelPage
from smart_filter_shared.jobs import models

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get(
    "",
    summary="List the models",
    responses=documented("unauthorized", "scope", "unavailable"),
)
async def list_models(services: OpenServices, caller: Reader) -> ModelPage:
    """Answer the card of every model that a recipe may name, and of those it may not."""
    del caller
    async with services.reading() as connection:
        cards = await connection.run_sync(models.published)
    return ModelPage(items=[answers.model(card) for card in cards])
