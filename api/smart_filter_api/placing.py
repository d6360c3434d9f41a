"""A job's place in the queues: whether there is one, and how its deadline can be met."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from smart_filter_api import deadlines
from smart_filter_api.deadlines import Choice
from smart_filter_api.deps import Services
from smart_filter_api.keys import Caller
from smart_filter_api.orders import Order, Plans
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import fairness, limits, memory
from smart_filter_shared.jobs.fairness import Place
from smart_filter_shared.jobs.forecast import Forecast, Outstanding
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe

Sources = Mapping[StageName, JobId]


@dataclass(frozen=True, slots=True)
class Placed:
    """A job that has its place, and how it will be run.

    works, sources: what its stages are asked, and which earlier jobs have done so.
    degraded: what it was given up for its deadline.
    foreseen: in how many seconds half and nine tenths of such jobs end; None where a time that
        was asked for says more than the queues.
    forecast: the same as it is told.
    outstanding: what is ahead of others because of it.
    has_room: whether it surely fits into its tenant's queue; else writing it has to count.
    """

    place: Place
    recipe: Recipe
    plans: Plans
    works: Mapping[StageName, str]
    sources: Sources
    degraded: tuple[str, ...]
    foreseen: tuple[float, float] | None
    forecast: Forecast
    outstanding: Outstanding
    has_room: bool


async def take(
    services: Services,
    caller: Caller,
    order: Order,
    *,
    megapixels: float,
    charged_megapixels: float,
    look: Callable[[Connection], Sources],
    digest: str | None = None,
) -> Placed:
    """Take a place for a job of the caller.

    charged_megapixels: what counts against today's.  look: which earlier jobs have done some of
    its stages.  digest: of a photo; there are none if no job of the caller's has had it.
    Raises Contradiction, QueueFull, RateLimited, Overdue, and what `look` does.
    """
    asked, forecasts = order.recipe, services.forecasts
    starts_in_seconds = forecasts.seconds_until(asked.run_at)
    deadlines.refuse_contradiction(asked, starts_in_seconds=starts_in_seconds)
    if asked.deadline_ms is not None:
        await forecasts.refresh_to_judge()

    def planned(place: Place, recipe: Recipe, plans: Plans, done: Sources) -> Outstanding:
        left = {
            stage: plan
            for stage, plan in plans.items()
            if stage not in done or plan != order.plans[stage]
        }
        rank = fairness.rank(place, recipe.priority)
        return forecasts.planned(caller.tenant, recipe, left, rank=rank, megapixels=megapixels)

    def reserve(connection: Connection) -> tuple[Place, Sources, Choice]:
        since = memory.kept_since(caller.keeping.within(services.keeping))
        place, done = _reserved(connection, caller.tenant, order, look, digest=digest, since=since)
        choice = deadlines.choose(
            asked,
            order.plans,
            known=order.known,
            outlook=forecasts.outlook,
            foresee=lambda recipe, plans: forecasts.of(planned(place, recipe, plans, done)),
        )
        return place, done, choice

    has_room = await _has_room(services, caller)

    def admit(connection: Connection) -> None:
        if not has_room:
            full_seconds = forecasts.room_in_seconds(caller.limits.jobs_waiting)
            limits.refuse_when_full(
                connection, caller.tenant, caller.limits, exactly=False, full_seconds=full_seconds
            )
        limits.spend(connection, caller.tenant, charged_megapixels, caller.limits)

    is_bounded = bool(not has_room or caller.limits.megapixels_per_day)
    if asked.deadline_ms is None:
        if is_bounded:
            async with services.transaction() as connection:
                await connection.run_sync(admit)
        async with services.stating() as connection:
            place, done, choice = await connection.run_sync(reserve)
    else:
        # What is refused has spent nothing and takes no place: all of it is undone then.
        async with services.transaction() as connection:
            if is_bounded:
                await connection.run_sync(admit)
            place, done, choice = await connection.run_sync(reserve)
    works = order.works
    if choice.degraded:
        works = memory.works(choice.recipe, choice.plans, order.known)
    sources = {stage: job for stage, job in done.items() if works[stage] == order.works[stage]}
    # How long a pause lasts is nothing that forecasts could learn from.
    is_guess = asked.run_at is not None or choice.forecast.is_held
    foreseen = None if is_guess else (choice.forecast.raw_p50, choice.forecast.raw_p90)
    return Placed(
        place=place,
        recipe=choice.recipe,
        plans=choice.plans,
        works=works,
        sources=sources,
        degraded=choice.degraded,
        foreseen=foreseen,
        forecast=choice.forecast,
        outstanding=planned(place, choice.recipe, choice.plans, sources),
        has_room=has_room,
    )


async def _has_room(services: Services, caller: Caller) -> bool:
    async def count(most: int) -> int:
        async with services.reading() as connection:
            return await connection.run_sync(limits.unfinished, caller.tenant, most=most)

    return await services.room.admit(caller.tenant, caller.limits.jobs_waiting, count)


def _reserved(
    connection: Connection,
    tenant: Tenant,
    order: Order,
    look: Callable[[Connection], Sources],
    *,
    digest: str | None,
    since: uuid.UUID,
) -> tuple[Place, Sources]:
    """Take a place for what earlier jobs have not done, and return what they have."""
    if order.recipe.run_at is not None:
        return fairness.place_later(connection, cell=CELL), look(connection)
    plans = order.plans
    if digest is not None:  # for most photos that come one statement is enough
        wanted = [plan.capability for plan in plans.values()]
        place = fairness.reserve_for_new(
            connection, tenant, wanted, cell=CELL, digest=digest, since=since
        )
        if place is not None:
            return place, {}
    done = look(connection)
    wanted = [plan.capability for stage, plan in plans.items() if stage not in done]
    return fairness.reserve(connection, tenant, wanted, cell=CELL), done
