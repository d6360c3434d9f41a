"""Hand a photo on to a stronger model when a weaker one is unsure of its result."""

from sqlalchemy import Connection

from smart_filter_shared.config.settings import EngineSettings
from smart_filter_shared.model_registry import published_models, stage_plan
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import LEADING_TASK
from smart_filter_shared.queue import worker_registry
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.recipe import PersonSelection, Recipe
from smart_filter_workers.results import Segmentation


def stronger_model(result: object) -> str | None:
    """Return the model that should run instead, or None when the result is good enough."""
    return result.stronger if isinstance(result, Segmentation) else None


def plan_reroute(
    connection: Connection, lease: Lease, recipe: Recipe, name: str, *, settings: EngineSettings
) -> StagePlan | None:
    """Return how the stronger model runs the leased stage.

    None when no worker would claim it, because the result at hand is better than none: a pool
    counts if it has a live worker or the configuration declares it. None also when the model
    cannot tell apart the persons that the recipe wants.
    """
    task = LEADING_TASK[lease.stage]
    served = worker_registry.list_served(connection, silent_seconds=settings.lease_seconds)
    for known in published_models.list_models(connection, pools=settings.pools):
        card = known.card
        if card.task != task or card.name != name or stage_plan.is_ensemble(card):
            continue
        comes = card.capability in served or card.capability in settings.pools
        if known.offered and comes and (card.instances or recipe.persons == PersonSelection.ALL):
            given = stage_plan.with_entry(card, {})
            parameters = {**lease.parameters, task: given}
            digests = {**lease.digests, task: known.live}
            return StagePlan(
                card.capability,
                {**lease.models, task: name},
                {one: values for one, values in parameters.items() if values},
                {one: digest for one, digest in digests.items() if digest is not None},
            )
    return None
