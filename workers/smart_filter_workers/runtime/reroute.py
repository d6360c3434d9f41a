"""Hand a photo on to a stronger model when a weaker one is unsure of its result."""

from sqlalchemy import Connection

from smart_filter_shared.config.settings import EngineSettings
from smart_filter_shared.model_registry import ensembles, registry
from smart_filter_shared.model_registry.registry import StagePlan
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
    for known in registry.list_models(connection, pools=settings.pools):
        card = known.card
        if card.task != task or card.name != name or ensembles.is_ensemble(card):
            continue
        comes = card.capability in served or card.capability in settings.pools
        if known.offered and comes and (card.instances or recipe.persons == PersonSelection.ALL):
            given = registry.with_entry(card, {})
            other_parameters = {
                other: values for other, values in lease.parameters.items() if other != task
            }
            parameters = {**other_parameters, **({task: given} if given else {})}
            others = {other: digest for other, digest in lease.digests.items() if other != task}
            digests = {**others, **registry.trained_digests(known)}
            return StagePlan(card.capability, {**lease.models, task: name}, parameters, digests)
    return None
