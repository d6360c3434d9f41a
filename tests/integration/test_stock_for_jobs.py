"""Which backgrounds a worker hands to the stage, and when it goes for their pixels."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from PIL import Image

from smart_filter_shared.errors import ImageUnreadable, InputsExpired
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import PRESETS
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_shared.stock import Picture
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.stock import keeping
from smart_filter_workers.stock.keeping import Servers
from smart_filter_workers.stock.room import StockRoom
from smart_filter_workers.stock.words import Called

SIZE = {"seed": 0, "width": 6, "height": 4}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stage reads that reads nothing but backgrounds."""

    collection: Collection


class Clock:
    """A clock that a test sets."""

    seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def keep(
    bench: Bench,
    name: str,
    tenant: Tenant | None = TENANT,
    *,
    size: tuple[int, int] = (60, 40),
    level: int = 90,
) -> Picture:
    file = io.BytesIO()
    Image.new("RGB", size, (level,) * 3).save(file, "PNG")
    servers = Servers(bench.engine, bench.store)
    called = Called(name, name, (), None)
    return keeping.keep(servers, file.getvalue(), called, tenant=tenant, may_replace=True).picture


def collection(
    bench: Bench,
    background: str = "auto",
    pictures_of: Callable[[Tenant], Sequence[Picture]] | None = None,
) -> Collection:
    kind, _, value = background.partition(":")
    recipe = Recipe(background=Background(BackgroundKind(kind), value or None))
    job = bench.job(bench.submit(recipe))
    look = pictures_of or StockRoom(bench.engine).seen_by
    artifacts = Artifacts(bench.store, cache_bytes=10_000_000, pictures_of=look)
    return artifacts.load(job, Wanted).collection


def test_job_is_given_designs_everybodys_pictures_and_its_tenants_own(bench: Bench) -> None:
    keep(bench, "lobby", None)
    keep(bench, "beach")
    keep(bench, "cave", Tenant("somebody-else"))

    names = [preset.name for preset in collection(bench).presets]

    assert names == [*(preset.name for preset in PRESETS), "site/lobby", "tenant/beach"]


@pytest.mark.parametrize("background", ["keep", "color:red", "preset:rainbow", "blur:0.5"])
def test_table_is_not_asked_when_no_picture_can_be_wanted(bench: Bench, background: str) -> None:
    asked: list[Tenant] = []

    def note(tenant: Tenant) -> Sequence[Picture]:
        asked.append(tenant)
        return ()

    collection(bench, background, note)
    assert asked == []

    collection(bench, "preset:tenant/beach", note)
    assert asked == [TENANT]


def test_picture_is_fetched_when_it_is_drawn_and_once(bench: Bench) -> None:
    picture = keep(bench, "beach")
    presets = collection(bench)

    first = presets.draw("tenant/beach", **SIZE)
    bench.store.remove(picture.key)
    again = presets.draw("tenant/beach", **SIZE)

    assert (first == 90).all()
    assert (again == first).all()


def test_picture_whose_object_has_gone_is_told(bench: Bench) -> None:
    picture = keep(bench, "beach")
    presets = collection(bench)
    bench.store.remove(picture.key)

    with pytest.raises(InputsExpired, match="tenant/beach is not there any more"):
        presets.draw("tenant/beach", **SIZE)


def test_picture_that_has_decayed_is_told_from_the_photo(bench: Bench) -> None:
    picture = keep(bench, "beach")
    bench.store.put(picture.key, b"decayed", length=7, media_type="image/png")

    with pytest.raises(ImageUnreadable, match="the background tenant/beach"):
        collection(bench).draw("tenant/beach", **SIZE)


def test_huge_picture_is_kept_smaller(bench: Bench) -> None:
    keep(bench, "wide", size=(9000, 90))

    _, stock = collection(bench).sources

    assert stock.load("tenant/wide").shape == (41, 4096, 3)  # type: ignore[attr-defined]  # a Stock


def test_worker_looks_into_the_table_once_a_second(bench: Bench) -> None:
    clock = Clock()
    room = StockRoom(bench.engine, clock=clock)
    assert room.seen_by(TENANT) == ()
    picture = keep(bench, "beach")

    clock.seconds += 0.9
    early = room.seen_by(TENANT)
    clock.seconds += 0.2
    late = room.seen_by(TENANT)

    assert (early, late) == ((), (picture,))


def test_replaced_picture_stays_for_a_job_that_has_its_row(bench: Bench) -> None:
    keep(bench, "beach", level=90)
    presets = collection(bench)

    keep(bench, "beach", level=200)

    assert (presets.draw("tenant/beach", **SIZE) == 90).all()
    assert (collection(bench).draw("tenant/beach", **SIZE) == 200).all()
