import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import pytest

from smart_filter_api.caches import (
    ParsedRecipe,
    RecipeCache,
    RecipeCacheKey,
    RecipeLayer,
)
from smart_filter_api.services.eta import EtaEstimator
from smart_filter_api.ttl_cache import KeyedTtlCache, TtlCache
from smart_filter_shared.errors import Contradiction, FieldError
from smart_filter_shared.eta.snapshot import QueueSnapshot
from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.operations.stored_snapshot import StoredSnapshot
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.presets import Style
from smart_filter_shared.recipe import Edge, Recipe
from smart_filter_shared.stock import Picture


@dataclass(slots=True)
class Source:
    """Answers 1, 2, 3, … for requested keys; a test sets its clock."""

    seconds: float = 100.0
    keys: list[str] = field(default_factory=list)

    def clock(self) -> float:
        return self.seconds

    def ask(self, key: str = "") -> Callable[[], Awaitable[int]]:
        async def answer() -> int:
            await anyio.lowlevel.checkpoint()
            self.keys.append(key)
            return len(self.keys)

        return answer

    def got(self, steps: list[tuple[str, float]], *, most: int = 10) -> list[str]:
        """Return the keys that were fetched when the cache was asked at these seconds."""
        remembered: KeyedTtlCache[str, int] = KeyedTtlCache(1, most=most, clock=self.clock)

        async def get_all() -> None:
            for key, self.seconds in steps:
                await remembered.get(key, self.ask(key))

        anyio.run(get_all)
        return self.keys


def test_answer_is_fetched_again_only_when_it_is_old() -> None:
    source = Source()
    remembered: TtlCache[int] = TtlCache(2, clock=source.clock)

    async def look() -> list[int]:
        answers = []
        for passed in (0, 1.9, 0.2, 0):
            source.seconds += passed
            answers.append(await remembered.get(source.ask()))
        return answers

    assert anyio.run(look) == [1, 1, 2, 2]


def test_callers_at_the_same_time_wait_for_one_answer() -> None:
    source = Source()

    async def look() -> None:
        remembered: TtlCache[int] = TtlCache(2, clock=source.clock)
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(remembered.get, source.ask())

    anyio.run(look)

    assert len(source.keys) == 1


def test_value_asked_for_before_it_was_forgotten_is_not_kept() -> None:
    source = Source()

    async def look() -> list[int]:
        remembered: TtlCache[int] = TtlCache(2, clock=source.clock)

        async def forget_meanwhile() -> int:
            remembered.forget()
            return await source.ask()()

        return [await remembered.get(forget_meanwhile), await remembered.get(source.ask())]

    assert anyio.run(look) == [1, 2]


def test_failure_is_not_cached() -> None:
    source = Source()

    async def fail() -> int:
        raise FileNotFoundError

    async def look() -> int:
        remembered: TtlCache[int] = TtlCache(2, clock=source.clock)
        with pytest.raises(FileNotFoundError):
            await remembered.get(fail)
        return await remembered.get(source.ask())

    assert anyio.run(look) == 1


def test_least_recently_used_key_is_dropped_first() -> None:
    steps = [("a", 0.0), ("b", 0.1), ("a", 0.2), ("c", 0.3), ("a", 0.4), ("b", 0.5)]

    assert Source().got(steps, most=2) == ["a", "b", "c", "b"]


def looks(*steps: tuple[float, bool]) -> int:
    """Return the number of reads; each step: its time, and whether a deadline is judged."""
    now = 100.0
    taken = 0

    async def look(_: object) -> StoredSnapshot | None:
        nonlocal taken
        taken += 1
        return None

    async def ask() -> None:
        nonlocal now
        estimator = EtaEstimator(look, clock=lambda: now)
        for at, judges in steps:
            now = at
            await (estimator.refresh_for_deadline() if judges else estimator.refresh())

    anyio.run(ask)
    return taken


@pytest.mark.parametrize(
    ("steps", "taken"),
    [
        ([(100, False), (100.5, False), (100.9, False)], 1),
        ([(100, False), (100.5, True), (100.55, True), (100.7, True)], 3),
        ([(100, False), (100.9, True), (101.5, False)], 2),
    ],
    ids=["once a second", "more often to judge deadlines", "a newer one serves all"],
)
def test_stored_snapshot_is_read_again(steps: list[tuple[float, bool]], taken: int) -> None:
    assert looks(*steps) == taken


def test_known_snapshot_keeps_the_jobs_that_were_accepted_since() -> None:
    made_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    asked: list[dt.datetime | None] = []
    now = 100.0

    async def look(known: dt.datetime | None) -> StoredSnapshot:
        asked.append(known)
        return StoredSnapshot(made_at, 0.5, QueueSnapshot() if known is None else None)

    async def positions() -> list[int]:
        nonlocal now
        estimator = EtaEstimator(look, clock=lambda: now)
        estimated = []
        for number in range(3):
            now += 2
            await estimator.refresh()
            job = estimator.plan_job(
                Tenant("tests"),
                Recipe(),
                {StageName.PREPARE: StagePlan(Capability("prepare.x"), {}, {})},
                rank=float(number),
                megapixels=1.0,
            )
            estimated.append(estimator.estimate(job).position)
            estimator.accept(job)
        return estimated

    assert anyio.run(positions) == [1, 2, 3]
    assert asked == [None, made_at, made_at]


@pytest.mark.parametrize(
    ("edge", "model", "share"),
    [("fast", "people", 0.3), ("fast", "selfie", None), ("balanced", "people", None)],
)
def test_fast_edge_saves_the_second_network_of_people(
    edge: str, model: str, share: float | None
) -> None:
    async def look(_: object) -> StoredSnapshot | None:
        return None

    models = {TaskName.SEGMENTATION: model}
    plans = {StageName.SEGMENTATION: StagePlan(Capability("segmentation.x"), models, {})}

    job = EtaEstimator(look).plan_job(
        Tenant("tests"), Recipe(edge=Edge(edge)), plans, rank=0.0, megapixels=1.0
    )

    assert (job.stretched or {}).get(StageName.SEGMENTATION) == share


PUBLISHED: list[PublishedModel] = []
PICTURES: list[Picture] = []


def asked(
    tenant: str = "acme",
    *,
    edge: str = "best",
    defaults: dict[str, object] | None = None,
    published: list[PublishedModel] = PUBLISHED,
    pictures: list[Picture] = PICTURES,
    with_file: bool = False,
    emotions_off: str | None = None,
    season: Style = Style.WINTER,
) -> RecipeCacheKey:
    return RecipeCacheKey(
        Tenant(tenant),
        {"edge": edge},
        [RecipeLayer(defaults or {})],
        with_file,
        published,
        pictures,
        emotions_off,
        season,
    )


def an_order(asked: RecipeCacheKey) -> ParsedRecipe:
    del asked
    return ParsedRecipe(Recipe(), {}, {}, PUBLISHED, PICTURES)


@pytest.mark.parametrize(
    ("other", "is_read_again"),
    [
        (asked(), False),
        (asked("other"), True),
        (asked(season=Style.SPRING), True),
        (asked(edge="fast"), True),
        (asked(defaults={"edge": "fast"}), True),
        (asked(published=[]), True),
        (asked(pictures=[]), True),
        (asked(with_file=True), True),
        (asked(emotions_off="off"), True),
    ],
)
def test_only_identical_requests_are_parsed_once(
    other: RecipeCacheKey, *, is_read_again: bool
) -> None:
    orders = RecipeCache()

    first, second = orders.get(asked(), an_order), orders.get(other, an_order)

    assert (first is not second) == is_read_again


def test_invalid_recipe_is_parsed_once() -> None:
    orders = RecipeCache()
    parsed: list[RecipeCacheKey] = []

    def refuse(key: RecipeCacheKey) -> ParsedRecipe:
        parsed.append(key)
        raise Contradiction([FieldError("/edge", "is wrong")])

    for _ in range(2):
        with pytest.raises(Contradiction, match="is wrong"):
            orders.get(asked(), refuse)

    assert len(parsed) == 1
