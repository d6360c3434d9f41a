"""All caches of a process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches.job_cache import JobCache
from smart_filter_api.caches.recipe_cache import RecipeCache
from smart_filter_api.caches.shared_reads import SharedReads
from smart_filter_api.ttl_cache import KeyedTtlCache, TtlCache
from smart_filter_shared.ids import Tenant
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.operations.counters import ServiceMetrics
from smart_filter_shared.stock import Picture

# A revoked key, or a changed limit of a tenant, takes effect at most this much later.
_CALLER_TTL_SECONDS: Final = 1.0
_MAX_CALLERS: Final = 10_000
# A new model, picture or saved recipe is listed at most this much later.
_MODELS_TTL_SECONDS: Final = 1.0
_STOCK_TTL_SECONDS: Final = 1.0
# Tenants whose picture lists are cached, a few kB each.
_MAX_STOCK_TENANTS: Final = 1000
# Saved recipes that are cached, at most 16 kB each.
_MAX_SAVED_RECIPES: Final = 1000
# `/metrics` needs no key, so its text and the query behind it are cached.
_METRICS_TTL_SECONDS: Final = 2.0
# The limit of all jobs can be exceeded by the submissions of this time.
_UNFINISHED_TTL_SECONDS: Final = 1.0
_BATCH_READS_BYTES: Final = 16_000_000
_MAX_JOB_READS: Final = 1000


@dataclass(frozen=True, slots=True)
class Caches:
    """The caches of a process. Entries live for a second or two, or until newer ones replace them.

    callers: by the digest of their key.  models: all known ones.
    stock: the pictures that each tenant may use.
    saved_recipes: fields by tenant and name; None: there is none of that name.
    measured: metrics from the database.  exposition: the text of all metrics.
    unfinished: the number of unfinished jobs of all tenants.
    jobs: answers for polled jobs.  recipes: parsed ones.
    batch_reads, job_reads: reads that waiting requests share.
    """

    callers: KeyedTtlCache[bytes, Caller]
    models: TtlCache[list[PublishedModel]]
    stock: KeyedTtlCache[Tenant, list[Picture]]
    saved_recipes: KeyedTtlCache[tuple[Tenant, str], Mapping[str, object] | None]
    measured: TtlCache[ServiceMetrics]
    exposition: TtlCache[str]
    unfinished: TtlCache[int]
    jobs: JobCache
    recipes: RecipeCache
    batch_reads: SharedReads
    job_reads: SharedReads


def open_caches(
    *, count_events: Callable[[], int], emotions: bool, clock: Callable[[], float]
) -> Caches:
    """Return empty caches.

    count_events: the number of times that events have woken waiting requests so far.
    emotions: whether answers show them.  clock: monotonic seconds.
    """
    return Caches(
        callers=KeyedTtlCache(_CALLER_TTL_SECONDS, most=_MAX_CALLERS, clock=clock),
        models=TtlCache(_MODELS_TTL_SECONDS, clock=clock),
        stock=KeyedTtlCache(_STOCK_TTL_SECONDS, most=_MAX_STOCK_TENANTS, clock=clock),
        saved_recipes=KeyedTtlCache(_STOCK_TTL_SECONDS, most=_MAX_SAVED_RECIPES, clock=clock),
        measured=TtlCache(_METRICS_TTL_SECONDS, clock=clock),
        exposition=TtlCache(_METRICS_TTL_SECONDS, clock=clock),
        unfinished=TtlCache(_UNFINISHED_TTL_SECONDS, clock=clock),
        jobs=JobCache(emotions=emotions),
        recipes=RecipeCache(),
        batch_reads=SharedReads(count_events, most=_BATCH_READS_BYTES),
        job_reads=SharedReads(count_events, most=_MAX_JOB_READS),
    )
