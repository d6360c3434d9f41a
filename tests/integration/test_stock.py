"""Background pictures: added, synchronized with a folder or bucket, and drawn."""

import dataclasses
import datetime as dt
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smart_filter_shared import stock
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable, InputsExpired, PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import PRESETS, BackgroundSource, Mood
from smart_filter_shared.recipe import Background, BackgroundKind, Logo, Recipe
from smart_filter_shared.stock import Picture
from smart_filter_shared.stock.descriptions import Description
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests import races
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.maintenance import collector
from smart_filter_tests.pictures import encode, plain
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_workers import images
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.backgrounds.library import Collection
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.stock import ingest, syncing
from smart_filter_workers.stock.ingest import MAX_BYTES, Outcome
from smart_filter_workers.stock.providers import Bucket, Folder, Provider, find_provider
from smart_filter_workers.stock.syncing import SyncReport
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system.lru_cache import LruCache

SIZE = {"seed": 0, "width": 6, "height": 4}
NOW = dt.timedelta(seconds=-60)  # older than objects of this very second
BEACH = Description("beach", "The beach", ("sea",), None)


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
        key=keys.new_background(None),
        digest="ab" * 32,
        width=1200,
        height=800,
        length=1000,
    )


def add(bench: Bench, *pictures: Picture) -> None:
    with bench.transaction() as connection:
        assert all(stock.add(connection, picture) for picture in pictures)


def test_conflicting_concurrent_change_is_dropped(bench: Bench) -> None:
    was = a_picture()
    add(bench, was)
    theirs, ours = a_picture(), dataclasses.replace(a_picture(), title="Ours")

    with bench.transaction() as connection:
        outcomes = [stock.change(connection, one, was=was) for one in (theirs, ours)]

    assert (outcomes, bench.do(stock.find, TENANT, "beach")) == ([True, False], theirs)


@pytest.mark.parametrize("older_than", [NOW, dt.timedelta(hours=1)])
def test_named_picture_is_kept_and_a_stray_one_is_removed_when_it_is_old(
    bench: Bench, older_than: dt.timedelta
) -> None:
    kept, stray = a_picture(), keys.new_background(None)
    add(bench, kept)
    named, unnamed = ({key, keys.thumbnail(key)} for key in (kept.key, stray))
    for key in named | unnamed:
        bench.store.put(key, b"bytes", length=5, media_type="image/png")

    removed = collector(bench).clear_unreferenced(older_than=older_than)

    left = {stored.key for stored in bench.store.stored()}
    assert (removed, left) == ((2, named) if older_than == NOW else (0, named | unnamed))


def test_endless_or_too_large_file_is_refused(tmp_path: Path) -> None:
    pipe, large = tmp_path / "pipe.jpg", tmp_path / "large.jpg"
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(3 * MAX_BYTES)

    for path, words in (
        (pipe, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (large, f"it has {3 * MAX_BYTES} bytes"),
    ):
        with pytest.raises(PictureRefused, match=words):
            ingest.read_file(path)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The inputs of a stage that reads only backgrounds."""

    collection: Collection


def keep(
    bench: Bench,
    name: str,
    tenant: Tenant | None = TENANT,
    *,
    size: tuple[int, int] = (60, 40),
    level: int = 90,
) -> Picture:
    servers = Backends(bench.engine, bench.store)
    called = Description(name, name, (), None)
    content = plain(*size, (level,) * 3)
    return ingest.store_picture(servers, content, called, tenant=tenant, may_replace=True).picture


def tenant_backgrounds(bench: Bench) -> TenantBackgrounds:
    """Return backgrounds of tenants with a stopped clock."""
    recent = LruCache(10_000_000)
    return TenantBackgrounds(bench.engine, bench.store, recent, clock=lambda: 50.0)


def collection(
    bench: Bench, background: str = "auto", tenants: TenantBackgrounds | None = None
) -> Collection:
    kind, _, value = background.partition(":")
    recipe = Recipe(background=Background(BackgroundKind(kind), value or None))
    job = bench.job(bench.submit(recipe))
    fetcher = Fetcher(bench.settings.outbound)
    artifacts = ArtifactStore(
        bench.store,
        LruCache(10_000_000),
        tenants or tenant_backgrounds(bench),
        fetcher,
        UnlockedDecoders(),
    )
    return artifacts.load(job, Wanted).collection


def names(found: Collection) -> list[str]:
    return [preset.name for preset in found.presets if preset.source != BackgroundSource.GENERATED]


def test_job_has_designs_shared_pictures_and_those_of_its_tenant(bench: Bench) -> None:
    keep(bench, "lobby", None)
    keep(bench, "beach")
    keep(bench, "cave", Tenant("other-tenant"))

    found = collection(bench)

    assert found.presets[: len(PRESETS)] == PRESETS
    assert names(found) == ["site/lobby", "tenant/beach"]


def test_picture_is_fetched_once_when_it_is_drawn(bench: Bench) -> None:
    picture = keep(bench, "beach")
    presets = collection(bench)

    first = presets.draw("tenant/beach", **SIZE)
    bench.store.remove(picture.key)
    again = presets.draw("tenant/beach", **SIZE)

    assert (first == 90).all()
    assert (again == first).all()


def test_missing_or_damaged_picture_is_named(bench: Bench) -> None:
    picture = keep(bench, "beach")
    presets = collection(bench)

    bench.store.put(picture.key, b"decayed", length=7, media_type="image/png")
    with pytest.raises(ImageUnreadable, match="the background tenant/beach"):
        presets.draw("tenant/beach", **SIZE)
    bench.store.remove(picture.key)
    with pytest.raises(InputsExpired, match="tenant/beach does not exist any more"):
        presets.draw("tenant/beach", **SIZE)


def test_newly_added_picture_is_found_by_a_job_that_names_it(bench: Bench) -> None:
    tenants = tenant_backgrounds(bench)
    collection(bench, tenants=tenants)

    keep(bench, "beach")

    assert names(collection(bench, "preset:tenant/beach+linen", tenants)) == ["tenant/beach"]


def a_file(
    color: tuple[int, ...] = (40, 120, 200), format_: str = "PNG", mode: str = "RGB"
) -> bytes:
    return encode(Image.new(mode, (30, 20), color), format_)


def bomb() -> bytes:
    """Return a small file whose header declares 60,000 × 60,000 pixels."""
    file = a_file()
    header = b"IHDR" + (60_000).to_bytes(4) * 2 + file[24:29]
    return file[:12] + header + zlib.crc32(header).to_bytes(4) + file[33:]


@pytest.fixture
def there(bench: Bench) -> Backends:
    return Backends(bench.engine, bench.store)


def kept(bench: Bench) -> list[Picture]:
    with bench.transaction() as connection:
        return [one.picture for one in stock.list_all(connection)]


def test_one_of_different_pictures_added_at_once_is_kept(bench: Bench, there: Backends) -> None:
    def add(level: int) -> str:
        try:
            file = a_file((level, level, level))
            return ingest.store_picture(there, file, BEACH, tenant=TENANT).outcome
        except PictureRefused:
            return "refused"

    outcomes = races.at_once([lambda level=level: add(level) for level in (10, 20, 30)])  # type: ignore[misc]  # binds the loop's variable

    assert sorted(outcomes) == ["added", "refused", "refused"]
    [one] = kept(bench)
    assert [stored.key for stored in bench.store.stored()] == [one.key, keys.thumbnail(one.key)]


def test_picture_is_kept_with_its_center_as_the_thumbnail(bench: Bench, there: Backends) -> None:
    panorama = Image.new("RGB", (3000, 200), "white")
    panorama.paste("navy", (1200, 0, 1800, 200))

    picture = ingest.store_picture(there, encode(panorama, "PNG"), BEACH, tenant=None).picture

    assert kept(bench) == [picture]
    assert images.decode(bench.read(picture.key)).srgb.shape == (200, 3000, 3)
    thumbnail = images.decode(bench.read(keys.thumbnail(picture.key)))
    assert (thumbnail.format, thumbnail.srgb.shape) == ("webp", (160, 240, 3))
    assert np.abs(thumbnail.srgb.astype(int) - (0, 0, 128)).max() < 8  # WebP's loss


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", ImageUnreadable),
        (b"just some text", ImageUnreadable),
        (a_file()[:60], ImageUnreadable),
        (bytes(ingest.MAX_BYTES + 1), PictureRefused),
        (bomb(), ImageTooLarge),
    ],
    ids=["empty", "text", "cut off", "too long", "too large"],
)
def test_refused_file_leaves_nothing(
    bench: Bench, there: Backends, content: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ingest.store_picture(there, content, BEACH, tenant=None)

    assert (kept(bench), list(bench.store.stored())) == ([], [])


def test_removed_picture_removes_its_object(bench: Bench, there: Backends) -> None:
    ingest.store_picture(there, a_file(), BEACH, tenant=TENANT)

    for tenant in (None, Tenant("other")):
        assert ingest.remove_pictures(there, tenant, ["beach"]) == []
    assert len(ingest.remove_pictures(there, TENANT, ["beach"])) == 1

    assert (kept(bench), list(bench.store.stored())) == ([], [])


@dataclass(frozen=True, slots=True)
class Place:
    provider: Provider
    there: Backends
    filled: Path | ObjectStore

    def put(self, path: str, content: bytes) -> None:
        if isinstance(self.filled, Path):
            (self.filled / path).parent.mkdir(parents=True, exist_ok=True)
            (self.filled / path).write_bytes(content)
        else:
            self.filled.put(f"pictures/{path}", content, length=len(content), media_type="x/y")

    def remove(self, path: str) -> None:
        if isinstance(self.filled, Path):
            (self.filled / path).unlink()
        else:
            self.filled.remove(f"pictures/{path}")

    def sync(self, *, delete: bool = False, may_replace: bool = False) -> SyncReport:
        return syncing.sync_pictures(
            self.there, self.provider, tenant=TENANT, delete=delete, may_replace=may_replace
        )


@pytest.fixture(params=["folder", "bucket"])
def place(
    request: pytest.FixtureRequest, bench: Bench, there: Backends, tmp_path: Path
) -> Iterator[Place]:
    storage = bench.settings.storage
    if request.param == "folder":
        provider = find_provider(str(tmp_path), storage)
        assert isinstance(provider, Folder)
        yield Place(provider, there, tmp_path)
        return
    provider = find_provider("s3://own-pictures/pictures", storage)
    assert isinstance(provider, Bucket)
    provider.store.ensure_bucket()
    yield Place(provider, there, provider.store)
    for stored in list(provider.store.stored()):
        provider.store.remove(stored.key)


def test_sync_adds_pictures_with_the_words_of_their_paths(bench: Bench, place: Place) -> None:
    place.put("winter/alps cabin.png", a_file())
    place.put("sea.jpg", a_file(format_="JPEG"))
    for ignored in ("read me.txt", ".hidden.png", ".git/x.png"):
        place.put(ignored, b"none of ours")

    synced = place.sync()

    assert sorted(synced.done[Outcome.ADDED]) == ["tenant/sea", "tenant/winter-alps-cabin"]
    assert synced.refused == {}
    assert {one.name: one.tags for one in kept(bench)} == {
        "sea": ("sea",),
        "winter-alps-cabin": ("winter", "alps", "cabin"),
    }


def test_repeated_sync_changes_only_changed_pictures(bench: Bench, place: Place) -> None:
    for name in ("a", "b", "c"):
        place.put(f"{name}.png", a_file())
    place.sync()
    before = {one.name: one.key for one in kept(bench)}

    place.put("b.png", a_file((1, 2, 3)))
    place.put("backgrounds.toml", b'["c.png"]\ntitle = "Sea"\nmoods = ["sad"]\n')
    synced = place.sync()

    assert synced.done[Outcome.CHANGED] == ["tenant/b", "tenant/c"]
    assert synced.done[Outcome.UNCHANGED] == ["tenant/a"]
    after = {one.name: one for one in kept(bench)}
    assert {name for name in before if after[name].key != before[name]} == {"b"}
    assert (after["c"].title, after["c"].moods) == ("Sea", ("sad",))


def test_sync_removes_only_on_request_and_only_pictures_of_that_place(
    bench: Bench, place: Place
) -> None:
    ingest.store_picture(place.there, a_file(), BEACH, tenant=TENANT)
    place.put("a.png", a_file())
    place.put("b.png", a_file())
    place.sync()
    place.remove("b.png")

    assert place.sync().removed == []
    assert place.sync(delete=True).removed == ["tenant/b"]

    assert {one.name for one in kept(bench)} == {"a", "beach"}


def test_empty_place_removes_nothing(bench: Bench, place: Place) -> None:
    place.put("a.png", a_file())
    place.sync()
    place.remove("a.png")

    with pytest.raises(PictureRefused, match="nothing was removed"):
        place.sync(delete=True)

    assert len(kept(bench)) == 1


def test_bad_file_neither_blocks_others_nor_loses_its_former_picture(
    bench: Bench, place: Place
) -> None:
    place.put("b.png", a_file())
    place.sync()
    place.put("a.png", b"text")
    place.put("b.png", a_file()[:50])
    place.put("c c.png", a_file())
    place.put("c-c.png", a_file())

    synced = place.sync(delete=True)

    (second,) = synced.refused.keys() - {"a.png", "b.png"}
    assert "is named c-c, too" in synced.refused[second]
    assert {one.name for one in kept(bench)} == {"b", "c-c"}


def test_name_given_by_hand_is_not_overwritten(bench: Bench, place: Place) -> None:
    ingest.store_picture(place.there, a_file(), BEACH, tenant=TENANT)
    place.put("beach.png", a_file((7, 7, 7)))

    assert "another picture is named tenant/beach" in place.sync().refused["beach.png"]
    assert place.sync(may_replace=True).done[Outcome.CHANGED] == ["tenant/beach"]

    assert kept(bench)[0].origin == place.provider.origin


def test_unreadable_notes_change_nothing(bench: Bench, place: Place) -> None:
    place.put("a.png", a_file())
    place.put("backgrounds.toml", b"\xff[")

    with pytest.raises(PictureRefused, match=r"backgrounds\.toml"):
        place.sync()

    assert kept(bench) == []


@pytest.mark.parametrize(
    "address", ["s3://no-such-bucket/x", "s3:///x", "ftp://example.org/x", "/no/such/folder"]
)
def test_absent_place_is_refused(bench: Bench, there: Backends, address: str) -> None:
    with pytest.raises(PictureRefused):
        syncing.sync_pictures(
            there, find_provider(address, bench.settings.storage), tenant=None, delete=True
        )


def a_logo_file() -> bytes:
    """Make a PNG: left half opaque red, right half transparent."""
    picture = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
    picture.paste((9, 200, 30, 0), (20, 0, 40, 20))
    return encode(picture, "PNG")


def keep_logo(bench: Bench, name: str, content: bytes = b"") -> Picture:
    servers = Backends(bench.engine, bench.store)
    called = Description(name, name, (), None)
    content = content or a_logo_file()
    return ingest.store_picture(servers, content, called, tenant=TENANT, is_logo=True).picture


def test_logo_is_no_background_and_a_background_no_logo(bench: Bench) -> None:
    keep_logo(bench, "acme")
    keep(bench, "beach")

    with bench.transaction() as connection:
        pictures = stock.list_usable(connection, TENANT)

    assert names(collection(bench)) == ["tenant/beach"]
    assert [preset.name for preset in stock.presets_of(pictures)] == ["tenant/beach"]
    assert stock.logos_of(pictures) == ["tenant/acme"]


def test_logo_is_loaded_with_its_transparency(bench: Bench) -> None:
    keep_logo(bench, "acme")

    rgba = tenant_backgrounds(bench).logo(TENANT, Logo("tenant/acme"), images)

    assert rgba is not None
    assert (rgba[:, :20] == (255, 0, 0, 255)).all()
    assert (rgba[:, 20:] == 0).all()


def test_large_logo_is_made_smaller(bench: Bench) -> None:
    keep_logo(bench, "wide", encode(Image.new("RGBA", (5000, 100), (0, 0, 255, 128)), "PNG"))

    rgba = tenant_backgrounds(bench).logo(TENANT, Logo("tenant/wide"), images)

    assert rgba is not None
    assert rgba.shape == (41, 2048, 4)
    assert np.abs(rgba.astype(int) - (0, 0, 128, 128)).max() <= 1  # the rounding of the mean


@pytest.mark.parametrize("name", ["tenant/gone", "tenant/cave"])
def test_logo_that_is_gone_or_of_another_tenant_fails_the_job(bench: Bench, name: str) -> None:
    servers = Backends(bench.engine, bench.store)
    called = Description("cave", "cave", (), None)
    other = Tenant("other-tenant")
    ingest.store_picture(servers, a_logo_file(), called, tenant=other, is_logo=True)

    with pytest.raises(InputsExpired, match=f"the logo {name} does not exist any more"):
        tenant_backgrounds(bench).logo(TENANT, Logo(name), images)


@pytest.mark.parametrize("content", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a"])
def test_logo_is_a_picture_of_pixels(bench: Bench, content: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        keep_logo(bench, "acme", content)


def test_picture_stays_a_logo_or_a_background(bench: Bench) -> None:
    keep_logo(bench, "acme")

    with pytest.raises(PictureRefused, match="tenant/acme is a logo"):
        keep(bench, "acme")
