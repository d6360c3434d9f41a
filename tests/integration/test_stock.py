"""Backgrounds that are pictures, in a real table: whose they are, and what is kept of them."""

import dataclasses
import datetime as dt
import os
from pathlib import Path

import pytest

from smart_filter_shared import stock
from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.presets import Mood
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_workers.retention import Retention
from smart_filter_workers.stock import files
from smart_filter_workers.stock.keeping import MAX_BYTES

OTHER = Tenant("other")
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


def test_tenant_sees_shared_pictures_and_its_own(bench: Bench) -> None:
    site, own = a_picture("lobby", None), a_picture()
    add(bench, own, a_picture(tenant=OTHER), site)

    seen = bench.do(stock.seen_by, TENANT)

    assert seen == [site, own]
    assert [picture.preset.name for picture in seen] == ["site/lobby", "tenant/beach"]


def test_change_after_another_change_is_dropped(bench: Bench) -> None:
    was = a_picture()
    add(bench, was)
    theirs, ours = a_picture(), dataclasses.replace(a_picture(), title="Ours")

    with bench.transaction() as connection:
        outcomes = [stock.change(connection, one, was=was) for one in (theirs, ours)]

    assert (outcomes, bench.do(stock.find, TENANT, "beach")) == ([True, False], theirs)


def test_removal_takes_only_the_tenants_own(bench: Bench) -> None:
    own, others = a_picture(), a_picture(tenant=OTHER)
    add(bench, own, others, a_picture(tenant=None))

    removed = bench.do(stock.remove, TENANT, ["beach", "nosuch"])

    assert removed == [own]
    with bench.transaction() as connection:
        assert [one.picture.tenant for one in stock.everything(connection)] == [None, OTHER]


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
