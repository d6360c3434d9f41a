"""Handing a photo on to a stronger model, when a weaker one is unsure of what it made."""

from sqlalchemy import Connection

from smart_filter_shared.cards import LEADING_TASK
from smart_filter_shared.jobs import ensembles, models, presence
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.recipe import Recipe, Whom
from smart_filter_shared.settings import EngineSettings
from smart_filter_workers.results import Segmented


def stronger(result: object) -> str | None:
    """Return the model that should do it instead, or None when the result is good enough."""
    return result.stronger if isinstance(result, Segmented) else None


def plan(
    connection: Connection, lease: Lease, recipe: Recipe, name: str, *, settings: EngineSettings
) -> Plan | None:
    """Return how the stronger model runs the leased stage.

    None when nobody would come for it, so that the result at hand is better than none: a pool
    counts that has a live worker, or that the configuration declares; and when it cannot tell
    apart the persons that the recipe wants.
    """
    task = LEADING_TASK[lease.stage]
    served = presence.served(connection, silent_seconds=settings.lease_seconds)
    for known in models.published(connection, pools=settings.pools):
        card = known.card
        if card.task != task or card.name != name or ensembles.is_ensemble(card):
            continue
        comes = card.capability in served or card.capability in settings.pools
        if known.offered and comes and (card.instances or recipe.persons == Whom.ALL):
            given = models.with_entry(card, {})
            beside = {other: set_ for other, set_ in lease.parameters.items() if other != task}
            parameters = {**beside, **({task: given} if given else {})}
            others = {other: digest for other, digest in lease.digests.items() if other != task}
            digests = {**others, **models.digests_of(known)}
            return Plan(card.capability, {**lease.models, task: name}, parameters, digests)
    return None
