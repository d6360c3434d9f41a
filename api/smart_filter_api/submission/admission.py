"""Admit jobs: check their quotas, reserve their places in the queues, and fit them to deadlines."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches import ParsedRecipe, Plans
from smart_filter_api.intake.body import SpooledPicture
from smart_filter_api.services.container import Services
from smart_filter_api.services.eta import EtaEstimator
from smart_filter_api.submission import deadline_policy
from smart_filter_api.submission.deadline_policy import RunOption
from smart_filter_shared.artifacts import retention as artifact_retention
from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.eta.estimate import CompletionEstimate, PendingJob
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.result_cache import CacheHits
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import fair_queueing
from smart_filter_shared.queue.fair_queueing import Reservation
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.tenants import quotas
from smart_filter_shared.tenants.quotas import DeliveryBacklog

Results = Mapping[StageName, result_cache.Result]


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """A job to admit: its recipe and the facts of its photo.

    charged_megapixels: counts against the tenant's daily limit.
    digest: of the photo; None when its results are not reused.
    pictures: that are stored with it.
    webhook_url: the address that is notified of its end, besides the webhooks.
    parent: the job that it is derived from, whose photo must still be available.
    """

    parsed_recipe: ParsedRecipe
    megapixels: float
    charged_megapixels: float
    digest: str | None
    pictures: Sequence[SpooledPicture]
    webhook_url: str | None
    parent: JobRow | None = None


@dataclass(frozen=True, slots=True)
class AdmittedJob:
    """A job with a reserved place, and how it will run.

    cache_keys: of its stages.  results: of earlier jobs, which those stages reuse.
    equal_photo: key of the same photo in an earlier job, which the job can borrow; None if there is
        none.
    degraded: recipe fields that were reduced to meet its deadline.
    eta: estimated seconds to completion, median and 90th percentile, before correction; None
        for a scheduled or paused job, whose time does not depend on the queues, and for a job that
        reuses every result.
    estimate: the estimate that clients see.
    outstanding: its pending work, which counts for the estimates of other jobs.
    has_room: whether it certainly fits into its tenant's queue; else the write must count again.
    """

    place: Reservation
    recipe: Recipe
    plans: Plans
    cache_keys: Mapping[StageName, str]
    results: Results
    equal_photo: str | None
    degraded: tuple[str, ...]
    eta: tuple[float, float] | None
    estimate: CompletionEstimate
    outstanding: PendingJob
    has_room: bool


async def admit_job(services: Services, caller: Caller, request: AdmissionRequest) -> AdmittedJob:
    """Check quotas and reserve a place for a job of the caller; return the admitted job.

    Its megapixels are charged when it is written, in the same transaction.
    Raises Contradiction, QueueFull, RateLimited, DeadlineInfeasible, InputsExpired when the photo
    of the parent has expired, and DatabaseUnavailable.
    """
    parsed_recipe, estimator = request.parsed_recipe, services.eta
    asked = parsed_recipe.recipe
    starts_in_seconds = estimator.seconds_until(asked.run_at)
    deadline_policy.refuse_contradiction(asked, starts_in_seconds=starts_in_seconds)
    await hold_deliveries(services, caller, jobs=1, webhook_url=request.webhook_url)
    await check_stored_bytes(services, caller, request.pictures)
    if asked.deadline_ms is not None:
        await estimator.refresh_for_deadline()
    has_room = await _has_room(services, caller)
    if not has_room or caller.limits.megapixels_per_day:
        await services.database.query(_check_quotas, services, caller, request, has_room=has_room)
    # A deadline needs one transaction: a rejected job keeps no place.
    is_atomic = asked.deadline_ms is not None
    call = services.database.transact if is_atomic else services.database.query
    place, hits, choice = await call(_place_job, services, caller, request)
    done = hits.results
    cache_keys = parsed_recipe.cache_keys
    if choice.degraded:
        cache_keys = result_cache.cache_keys(
            choice.recipe,
            choice.plans,
            parsed_recipe.published,
            parsed_recipe.pictures,
            parsed_recipe.face_changes,
        )
    results = {
        stage: result
        for stage, result in done.items()
        if cache_keys.get(stage) == parsed_recipe.cache_keys[stage]
    }
    # Estimates must not learn from scheduled times and pauses, which do not depend on the queues,
    # nor from a job that runs nothing.
    is_guess = (
        asked.run_at is not None or choice.estimate.is_held or results.keys() == choice.plans.keys()
    )
    eta = None if is_guess else (choice.estimate.raw_p50, choice.estimate.raw_p90)
    return AdmittedJob(
        place=place,
        recipe=choice.recipe,
        plans=choice.plans,
        cache_keys=cache_keys,
        results=results,
        equal_photo=hits.photo_key,
        degraded=choice.degraded,
        eta=eta,
        estimate=choice.estimate,
        outstanding=_pending_job(
            estimator,
            caller.tenant,
            request,
            place=place,
            recipe=choice.recipe,
            plans=choice.plans,
            done=results,
        ),
        has_room=has_room,
    )


async def admit_batch(
    services: Services, caller: Caller, parsed_recipes: Sequence[ParsedRecipe], *, megapixels: float
) -> list[Reservation]:
    """Check quotas and reserve a place for each job of a batch; return the places in order.

    megapixels: of all its photos, charged when the batch is written.
    Raises QueueFull, RateLimited, DatabaseUnavailable.
    """
    if caller.limits.jobs_waiting or caller.limits.megapixels_per_day:
        await services.database.query(
            _check_batch_quotas, caller, jobs=len(parsed_recipes), megapixels=megapixels
        )
    return await services.database.query(_reserve_places, caller.tenant, parsed_recipes)


async def hold_deliveries(
    services: Services, caller: Caller, *, jobs: int, webhook_url: str | None
) -> None:
    """Hold room for the webhook deliveries of new jobs.

    webhook_url: the address that is notified of one end, besides the webhooks.
    Raises QueueFull, DatabaseUnavailable.
    """

    async def count(most: int) -> DeliveryBacklog:
        return await services.database.query(quotas.count_deliveries, caller.tenant, most=most)

    await services.limits.deliveries.reserve(
        caller.tenant,
        caller.limits.deliveries_waiting,
        count,
        jobs=jobs,
        single=webhook_url is not None,
    )


async def check_stored_bytes(
    services: Services, caller: Caller, pictures: Iterable[SpooledPicture]
) -> None:
    """Check that pictures, which are not stored yet, fit into the caller's quota of bytes.

    Raises QueueFull, DatabaseUnavailable.
    """
    if not caller.limits.stored_bytes:
        return
    new = sum(picture.length for picture in pictures)
    await services.database.query(
        quotas.check_stored_bytes, caller.tenant, caller.limits, new, exactly=False
    )


async def _has_room(services: Services, caller: Caller) -> bool:
    async def count(most: int) -> int:
        return await services.database.query(quotas.count_unfinished, caller.tenant, most=most)

    return await services.limits.queues.admit(caller.tenant, caller.limits.jobs_waiting, count)


def _check_quotas(
    connection: Connection,
    services: Services,
    caller: Caller,
    request: AdmissionRequest,
    *,
    has_room: bool,
) -> None:
    if not has_room:
        full_seconds = services.eta.seconds_until_room(caller.limits.jobs_waiting)
        quotas.check_queue_quota(
            connection, caller.tenant, caller.limits, exactly=False, full_seconds=full_seconds
        )
    quotas.check_megapixels(connection, caller.tenant, request.charged_megapixels, caller.limits)


def _check_batch_quotas(
    connection: Connection, caller: Caller, *, jobs: int, megapixels: float
) -> None:
    quotas.check_queue_quota(connection, caller.tenant, caller.limits, exactly=False, jobs=jobs)
    quotas.check_megapixels(connection, caller.tenant, megapixels, caller.limits)


def _place_job(
    connection: Connection, services: Services, caller: Caller, request: AdmissionRequest
) -> tuple[Reservation, CacheHits, RunOption]:
    """Reserve a job's place; return it with what can be reused and how the job will run.

    Raises DeadlineInfeasible, and the errors of `_reserve_place`.
    """
    place, hits = _reserve_place(connection, services, caller, request)
    options = _estimate_options(services.eta, caller.tenant, request, place, hits.results)
    deadline_ms = request.parsed_recipe.recipe.deadline_ms
    return place, hits, deadline_policy.choose_option(options, deadline_ms=deadline_ms)


def _reserve_place(
    connection: Connection, services: Services, caller: Caller, request: AdmissionRequest
) -> tuple[Reservation, CacheHits]:
    """Reserve a place for the stages that cannot be reused; return it with what can be reused."""
    tenant, plans = caller.tenant, request.parsed_recipe.plans
    retention = caller.retention.within(services.retention)
    if request.parsed_recipe.recipe.run_at is not None:
        later = fair_queueing.provisional_reservation(connection)
        return later, _find_hits(connection, tenant, request, retention)
    if request.digest is not None and request.parent is None:
        # For most photos, which are new, one statement is enough.
        wanted = [plan.capability for plan in plans.values()]
        place = fair_queueing.reserve_for_new_photo(
            connection, tenant, wanted, digest=request.digest
        )
        if place is not None:
            return place, CacheHits()
    hits = _find_hits(connection, tenant, request, retention)
    skipped = result_cache.skipped_stages(hits.results, plans)
    wanted = [plan.capability for stage, plan in plans.items() if stage not in skipped]
    return fair_queueing.reserve(connection, tenant, wanted), hits


def _find_hits(
    connection: Connection, tenant: Tenant, request: AdmissionRequest, retention: RetentionPolicy
) -> CacheHits:
    """Return what can be reused of earlier jobs.  Raises InputsExpired."""
    parent = request.parent
    if parent is not None and not (
        parent.photo_key and artifact_retention.is_available(connection, tenant, parent.photo_key)
    ):
        raise InputsExpired(f"the photo of job {parent.id} has expired")
    hits = result_cache.lookup(
        connection,
        tenant,
        request.digest,
        request.parsed_recipe.cache_keys,
        running=request.parsed_recipe.plans,
        parent=None if parent is None else parent.id,
    )
    running: set[StageName] = set()
    if request.parsed_recipe.recipe.run_at is not None:
        # The last stage, else the job would end before it is due.
        running.add(max(request.parsed_recipe.plans, key=list(StageName).index))
    if retention.nothing:
        running.add(StageName.COMPOSITE)  # a picture of its own is deleted
    left = {stage: result for stage, result in hits.results.items() if stage not in running}
    return replace(hits, results=left)


def _reserve_places(
    connection: Connection, tenant: Tenant, parsed_recipes: Sequence[ParsedRecipe]
) -> list[Reservation]:
    """Reserve a place for each job; scheduled jobs get a provisional one until they are due."""
    later = fair_queueing.provisional_reservation(connection)
    wanted = [
        [plan.capability for plan in parsed_recipe.plans.values()]
        for parsed_recipe in parsed_recipes
        if parsed_recipe.recipe.run_at is None
    ]
    taken = iter(fair_queueing.reserve_many(connection, tenant, wanted) if wanted else ())
    return [
        next(taken) if parsed_recipe.recipe.run_at is None else later
        for parsed_recipe in parsed_recipes
    ]


def _estimate_options(
    estimator: EtaEstimator,
    tenant: Tenant,
    request: AdmissionRequest,
    place: Reservation,
    done: Results,
) -> Iterator[RunOption]:
    """Yield the ways to run a job with their estimates, the requested one first."""
    parsed_recipe = request.parsed_recipe
    variants = deadline_policy.list_variants(
        parsed_recipe.recipe,
        parsed_recipe.plans,
        published=parsed_recipe.published,
        snapshot=estimator.snapshot,
    )
    for recipe, plans, degraded in variants:
        pending = _pending_job(
            estimator, tenant, request, place=place, recipe=recipe, plans=plans, done=done
        )
        yield RunOption(recipe, plans, degraded, estimator.estimate(pending))


def _pending_job(
    estimator: EtaEstimator,
    tenant: Tenant,
    request: AdmissionRequest,
    *,
    place: Reservation,
    recipe: Recipe,
    plans: Plans,
    done: Results,
) -> PendingJob:
    """Return the work of a job without the stages that reuse results."""
    # A new job that reuses all of them ends at once, however long the queue is. A derived one may
    # have corrections, and then runs its last stage.
    ends_at_once = request.parent is None and done.keys() >= plans.keys()
    skipped = set(done) if ends_at_once else result_cache.skipped_stages(done, plans)
    left = {
        stage: plan
        for stage, plan in plans.items()
        if stage not in skipped or plan != request.parsed_recipe.plans[stage]
    }
    rank = fair_queueing.rank(place, recipe.priority)
    return estimator.plan_job(tenant, recipe, left, rank=rank, megapixels=request.megapixels)
