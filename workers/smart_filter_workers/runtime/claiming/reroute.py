"""Plan how another model takes a photo, when the first is unsure or finds no people in it."""

from sqlalchemy import Connection

from smart_filter_shared.config.settings import EngineSettings
from smart_filter_shared.model_registry import published_models, stage_plan
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import LEADING_TASK
from smart_filter_shared.queue import worker_registry
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.recipe import PersonSelection, Recipe
from smart_filter_workers.results import Segmentation


def plan_reroute(
    connection: Connection,
    lease: Lease,
    recipe: Recipe,
    weak: Segmentation,
    *,
    settings: EngineSettings,
) -> StagePlan | None:
    """Return how the other model runs the leased stage.

    None when no worker would claim it, because the result at hand is better than none: a pool
    counts if it has a live worker or the configuration declares it. None also when the model
    cannot tell apart the persons that the recipe wants.
    """
    task = LEADING_TASK[lease.stage]
    served = worker_registry.list_served(connection, silent_seconds=settings.lease_seconds)
    for model in published_models.list_models(connection, pools=settings.pools):
        card = model.card
        wanted = card.without_people if weak.stronger is None else card.name == weak.stronger
        if card.task != task or not wanted or stage_plan.is_ensemble(card):
            continue
        comes = card.capability in served or card.capability in settings.pools
        if model.offered and comes and (card.instances or recipe.persons == PersonSelection.ALL):
            given = stage_plan.with_entry(card, {})
            parameters = {**lease.parameters, task: given}
            digests = {**lease.digests, task: model.live}
            return StagePlan(
                card.capability,
                {**lease.models, task: card.name},
                {name: values for name, values in parameters.items() if values},
                {name: digest for name, digest in digests.items() if digest is not None},
            )
    return None
