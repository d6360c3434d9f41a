"""Handing a photo on to a stronger model, when a weaker one is unsure of what it made."""

from collections.abc import Collection

from sqlalchemy import Connection

from smart_filter_shared.cards import LEADING_TASK
from smart_filter_shared.jobs import models
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.models import Plan
from smart_filter_workers.results import Segmented


def stronger(result: object) -> str | None:
    """Return the model that should do it instead, or None when the result is good enough."""
    return result.stronger if isinstance(result, Segmented) else None


def plan(connection: Connection, lease: Lease, name: str, *, pools: Collection[str]) -> Plan | None:
    """Return how the stronger model runs the leased stage; None when no pool offers it."""
    task = LEADING_TASK[lease.stage]
    for known in models.published(connection, pools=pools):
        card = known.card
        if card.task == task and card.name == name and known.offered and not card.combines:
            beside = {other: given for other, given in lease.parameters.items() if other != task}
            return Plan(card.capability, {**lease.models, task: name}, beside)
    return None
