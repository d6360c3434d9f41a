"""Backgrounds that are pictures, in a real table: whose they are, and what is kept of them."""

import dataclasses
import datetime as dt
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from smart_filter_shared import stock
from smart_filter_shared.errors import ImageUnreadable, InputsExpired, PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.presets import PRESETS, Mood, Source
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_shared.servers import Servers
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.recent import Recent
from smart_filter_workers.retention import Retention
from smart_filter_workers.stock import files, keeping
from smart_filter_workers.stock.keeping import MAX_BYTES
from smart_filter_workers.stock.room import StockRoom
from smart_filter_workers.stock.words import Called

OTHER = Tenant("other")
SIZE = {"seed": 0, "width": 6, "height": 4}
NOW = dt.timedelta(seconds=-60)  # older than what is written this very second


def a_picture(name: str = "beach", tenant: Tenant | None = TENANT) -> Picture:
    return Picture(
        tenant=tenant,
        name=name,
        title="The beach",
        tags=("sea", "sand"),
        moods=(Mood.CALM, Mood.JOYFUL),
        palette=("#1f6fb0", "#e8d9b0"),
        brightness=0.6,
        impression="",
        key=keys.stock(),
        digest="ab" * 32,
        width=1200,
        height=800,
    )


def add(bench: Bench, *pictures: Picture) -> None:
    with bench.transaction() as connection:
        assert all(stock.add(connection, picture) for picture in pictures)


def test_change_after_another_change_is_dropped(bench: Bench) -> None:
    was = a_picture()
    add(bench, was)
    theirs, ours = a_picture(), dataclasses.replace(a_picture(), title="Ours")

    with bench.transaction() as connection:
        outcomes = [stock.change(connection, one, was=was) for one in (theirs, ours)]

    assert (outcomes, bench.do(stock.find, TENANT, "beach")) == ([True, False], theirs)


@pytest.mark.parametrize("older_than", [NOW, dt.timedelta(hours=1)])
def test_picture_that_a_row_names_is_kept_and_a_stray_one_goes_when_it_is_old(
    bench: Bench, older_than: dt.timedelta
) -> None:
    kept, stray = a_picture(), keys.stock()
    add(bench, kept)
    named, unnamed = ({key, keys.thumbnail(key)} for key in (kept.key, stray))
    for key in named | unnamed:
        bench.store.put(key, b"bytes", length=5, media_type="image/png")

    removed = Retention(bench.engine, bench.store, cell=CELL).clear_unnamed(older_than=older_than)

    left = {stored.key for stored in bench.store.stored()}
    assert (removed, left) == ((2, named) if older_than == NOW else (0, named | unnamed))


def test_file_that_never_ends_or_is_too_large_is_refused(tmp_path: Path) -> None:
    pipe, large = tmp_path / "pipe.jpg", tmp_path / "large.jpg"
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(3 * MAX_BYTES)

    for path, words in (
        (pipe, "no regular file"),
        (Path("/dev/zero"), "no regular file"),
        (large, f"it has {3 * MAX_BYTES} bytes"),
    ):
        with pytest.raises(PictureRefused, match=words):
            files.read(path)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The inputs of a stage that reads nothing but backgrounds."""

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


def a_room(bench: Bench, clock: Clock | None = None) -> StockRoom:
    return StockRoom(bench.engine, bench.store, Recent(10_000_000), clock=clock or Clock())


def collection(bench: Bench, background: str = "auto", room: StockRoom | None = None) -> Collection:
    kind, _, value = background.partition(":")
    recipe = Recipe(background=Background(BackgroundKind(kind), value or None))
    job = bench.job(bench.submit(recipe))
    fetcher = Fetcher(bench.settings.outbound)
    artifacts = Artifacts(bench.store, Recent(10_000_000), room or a_room(bench), fetcher)
    return artifacts.load(job, Wanted).collection


def names(found: Collection) -> list[str]:
    return [preset.name for preset in found.presets if preset.source != Source.GENERATED]


def test_job_has_designs_shared_pictures_and_those_of_its_tenant(bench: Bench) -> None:
    keep(bench, "lobby", None)
    keep(bench, "beach")
    keep(bench, "cave", Tenant("somebody-else"))

    found = collection(bench)

    assert found.presets[: len(PRESETS)] == PRESETS
    assert names(found) == ["site/lobby", "tenant/beach"]


def test_picture_is_fetched_when_it_is_drawn_and_once(bench: Bench) -> None:
    picture = keep(bench, "beach")
    presets = collection(bench)

    first = presets.draw("tenant/beach", **SIZE)
    bench.store.remove(picture.key)
    again = presets.draw("tenant/beach", **SIZE)

    assert (first == 90).all()
    assert (again == first).all()


def test_picture_that_is_gone_or_damaged_is_named(bench: Bench) -> None:
    picture = keep(bench, "beach")
    presets = collection(bench)

    bench.store.put(picture.key, b"decayed", length=7, media_type="image/png")
    with pytest.raises(ImageUnreadable, match="the background tenant/beach"):
        presets.draw("tenant/beach", **SIZE)
    bench.store.remove(picture.key)
    with pytest.raises(InputsExpired, match="tenant/beach is not there any more"):
        presets.draw("tenant/beach", **SIZE)


def test_worker_looks_into_the_table_once_a_second(bench: Bench) -> None:
    clock = Clock()
    room = a_room(bench, clock)
    assert names(collection(bench, room=room)) == []
    keep(bench, "beach")

    clock.seconds += 0.9
    early = names(collection(bench, room=room))
    clock.seconds += 0.2
    late = names(collection(bench, room=room))

    assert (early, late) == ([], ["tenant/beach"])


def test_picture_just_added_is_found_by_a_job_that_names_it(bench: Bench) -> None:
    room = a_room(bench)
    collection(bench, room=room)

    keep(bench, "beach")

    assert names(collection(bench, "preset:tenant/beach+linen", room)) == ["tenant/beach"]


def test_picture_added_again_replaces_the_old_one(bench: Bench) -> None:
    room = a_room(bench)
    old = keep(bench, "beach", level=90)
    collection(bench, room=room)

    keeping.remove(Servers(bench.engine, bench.store), TENANT, [old.name])
    keep(bench, "beach", level=200)

    drawn = collection(bench, "preset:tenant/beach", room).draw("tenant/beach", **SIZE)
    assert (drawn == 200).all()
