"""Caches of one process: callers, models, pictures, parsed recipes, polled jobs, shared reads."""

import dataclasses
import itertools
import json
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import anyio
from cachetools import LRUCache

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.http import documents
from smart_filter_api.presenters import job
from smart_filter_api.ttl_cache import KeyedTtlCache, TtlCache
from smart_filter_shared.errors import InvalidRecipe
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.feedback.face_changes import FaceChanges
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.operations.counters import ServiceMetrics
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.presets import Style
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.stock import Picture
from smart_filter_wire.jobs import Job

Value = TypeVar("Value")


def _weigh_as_one(_: object) -> int:
    return 1


@dataclass(slots=True)
class _SharedRead:
    """The last value of one thing, and how many events were known when its read began."""

    reading: anyio.Lock = field(default_factory=anyio.Lock)
    count_before: int = -1
    value: Any = None  # of the type that its key's readers return
    weight: int = 1


class SharedReads:
    """The last values that the followers of this process have read; for one event loop.

    count_events: the number of times that events have woken followers so far.
    most: what the remembered values weigh in all; the weight of each is up to its readers.
    """

    def __init__(self, count_events: Callable[[], int], *, most: int) -> None:
        self._count_events = count_events
        self._requests = itertools.count()
        self._reads: LRUCache[Hashable, _SharedRead] = LRUCache(
            most, getsizeof=lambda shared: min(shared.weight, most)
        )

    async def get(
        self,
        key: Hashable,
        read: Callable[[], Awaitable[Value]],
        *,
        weigh: Callable[[Value], int] = _weigh_as_one,
    ) -> Value:
        """Return what a read returned that knew every event known now.

        Raises the errors of `read`, which are not shared.
        """
        return await self._get(key, read, self._count_events, weigh)

    async def get_now(self, key: Hashable, read: Callable[[], Awaitable[Value]]) -> Value:
        """Return what a read returned that began after this call, which no events need to announce.

        Of the callers that wait for a read to end, one reads for all. The value is not remembered
        for later callers.  Raises the errors of `read`, which are not shared.
        """
        key = key, "now"
        value = await self._get(key, read, self._requests.__next__, _weigh_as_one)
        shared = self._reads.get(key)
        if shared is not None and not shared.reading.locked():
            self._reads.pop(key, None)
        return value

    async def _get(
        self,
        key: Hashable,
        read: Callable[[], Awaitable[Value]],
        count: Callable[[], int],
        weigh: Callable[[Value], int],
    ) -> Value:
        needed = count()
        shared = self._reads.get(key)
        if shared is None:
            shared = _SharedRead()
            self._reads[key] = shared
        async with shared.reading:
            if shared.count_before < needed:
                started = count()
                shared.value = await read()
                shared.count_before = started
                shared.weight = weigh(shared.value)
                self._reads[key] = shared
            value: Value = shared.value
            return value


_MAX_JOBS: Final = 512


@dataclass(slots=True)
class _Rendered:
    """A job's answer without a queue, its tag, and its last content with a queue.

    eta: the estimate in `content`.
    """

    row: JobRow
    answer: Job
    tag: str
    eta: CompletionEstimate | None
    content: bytes


class JobCache:
    """ETags and answers of the unfinished jobs that were requested last.

    emotions: as in `render_job`.
    """

    def __init__(self, *, emotions: bool) -> None:
        self._emotions = emotions
        self._kept: LRUCache[JobId, _Rendered] = LRUCache(_MAX_JOBS)

    def tag(self, row: JobRow, links: LinkTerms | None) -> str:
        """Return a job's ETag; the estimate, which changes every second, is no part of it.

        links: how its outputs' links are signed; only ended jobs, which are not cached, have any.
        """
        return self._render(row, links).tag

    def content(
        self, row: JobRow, links: LinkTerms | None, eta: CompletionEstimate | None
    ) -> tuple[str, bytes]:
        """Return a job's ETag and its answer as JSON.

        links: as in `tag`.  eta: its estimate; None for an ended job.
        """
        rendered = self._render(row, links)
        if rendered.eta is not eta:
            queue = job.render_queue_position(eta)
            answer = dataclasses.replace(rendered.answer, queue=queue)
            rendered.eta, rendered.content = eta, documents.encode(answer)
        return rendered.tag, rendered.content

    def _render(self, row: JobRow, links: LinkTerms | None) -> _Rendered:
        rendered = self._kept.get(row.id)
        if rendered is None or rendered.row is not row:
            answer = job.render_job(row, links=links, emotions=self._emotions)
            content = documents.encode(answer)
            tag = documents.etag(content) if row.finished_at else documents.weak_etag(content)
            rendered = _Rendered(row, answer, tag, None, content)
        if row.finished_at is None:
            self._kept[row.id] = rendered
        else:
            self._kept.pop(row.id, None)
        return rendered


Plans = Mapping[StageName, StagePlan]

_MAX_RECIPES: Final = 256
# Larger forms rarely repeat; do not cache them.
_MAX_KEY_BYTES: Final = 2000


@dataclass(frozen=True, slots=True)
class ParsedRecipe:
    """A recipe, its stage plans, and the cache keys of its stages (jobs/result_cache.py).

    published: the models to choose from.  pictures: the tenant's choices.
    face_changes: by users, of the job's faces; only a derived job has them.
    """

    recipe: Recipe
    plans: Plans
    cache_keys: Mapping[StageName, str]
    published: Sequence[PublishedModel]
    pictures: Sequence[Picture]
    face_changes: FaceChanges | None = None


@dataclass(frozen=True, slots=True)
class RecipeLayer:
    """Fields that apply where a request or a stronger layer gives none, as in a JSON body.

    hint: where they are from, for the end of an error's sentence.
    """

    fields: Mapping[str, object]
    hint: str = " (this is one of your tenant's defaults; `GET /v1/tenants/NAME` lists them)"


@dataclass(frozen=True, slots=True)
class RecipeCacheKey:
    """All inputs of a parsed recipe: the submitted fields, the models and the pictures.

    layers: the weakest first.
    published: every published model.  pictures: the tenant's choices.
    emotions_off: why models that read emotions are turned off; None: they are not.
    season: today's.
    """

    tenant: Tenant
    fields: Fields
    layers: Sequence[RecipeLayer]
    with_background_file: bool
    published: Sequence[PublishedModel]
    pictures: Sequence[Picture]
    emotions_off: str | None
    season: Style

    @property
    def sent(self) -> str:
        """Return the submitted fields as one text."""
        return json.dumps(
            [
                *(self.tenant, self.with_background_file, self.emotions_off, self.season),
                *(dict(self.fields), [[layer.hint, dict(layer.fields)] for layer in self.layers]),
            ]
        )

    def shares_snapshot_with(self, other: "RecipeCacheKey") -> bool:
        """Whether both use the same snapshot of models and pictures."""
        return self.published is other.published and self.pictures is other.pictures


class RecipeCache:
    """The recipes that were parsed last, and the errors of invalid ones."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, tuple[RecipeCacheKey, ParsedRecipe | InvalidRecipe]] = LRUCache(
            _MAX_RECIPES
        )

    def get(
        self, asked: RecipeCacheKey, read: Callable[[RecipeCacheKey], ParsedRecipe]
    ) -> ParsedRecipe:
        """Return the cached recipe of a key, or call `read` and cache it.

        Raises the InvalidRecipe that `read` raises, which is cached as well.
        """
        sent = asked.sent
        cached = self._kept.get(sent)
        if cached is None or not asked.shares_snapshot_with(cached[0]):
            cached = asked, _outcome(asked, read)
        if len(sent) <= _MAX_KEY_BYTES:
            self._kept[sent] = cached
        if isinstance(cached[1], InvalidRecipe):
            raise type(cached[1]).of_fields(cached[1].errors)
        return cached[1]


def _outcome(
    asked: RecipeCacheKey, read: Callable[[RecipeCacheKey], ParsedRecipe]
) -> ParsedRecipe | InvalidRecipe:
    try:
        return read(asked)
    except InvalidRecipe as error:
        return error.with_traceback(None)  # whose frames hold the request


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
