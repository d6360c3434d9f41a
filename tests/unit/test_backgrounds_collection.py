"""Pictures beside generated designs: found by words, drawn, and what happens when one is gone."""

import numpy as np
import pytest

from smart_filter_shared.errors import InputsExpired, StorageUnavailable
from smart_filter_shared.presets import PICTURE, PRESETS, Mood, Preset, named
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import feeling, some_sitters
from smart_filter_workers.backgrounds import keywords, library
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.backgrounds.sources.generated import Generated
from smart_filter_workers.backgrounds.sources.stock import Stock
from smart_filter_workers.results import Chosen, Srgb8

BEACH = Preset(
    name="tenant/nordic-beach",
    title="The beach in May",
    family=PICTURE,
    tags=("boardwalk", "sea", "sylt"),
    moods=(Mood.CALM, Mood.JOYFUL),
    palette=("#7fb0d6", "#e8d9b0", "#f4f1e6"),
    brightness=0.7,
)
ALL = (*PRESETS, BEACH)
SIZE = {"seed": 3, "width": 90, "height": 60}


def by_words(text: str, among: tuple[Preset, ...] = ALL) -> Chosen:
    return keywords.answer(text, feeling(SmileLevel.HUGE), some_sitters(), seed=0, among=among)


@pytest.mark.parametrize(
    ("words", "read_as"),
    [("sylt", ("sylt",)), ("nordic beach", None), ("boradwalk", ("boardwalk",))],
    ids=["tag", "name", "misspelt tag"],
)
def test_picture_is_found_by_its_words(words: str, read_as: tuple[str, ...] | None) -> None:
    choice = by_words(words)

    assert choice.name == BEACH.name
    assert read_as in {None, choice.keywords}


def test_words_of_other_tenants_pictures_mean_nothing() -> None:
    assert 'unknown: "sylt"' in by_words("sylt", PRESETS).reason


# Every pixel tells its place: red how far across, green how far down.
RAMP: Srgb8 = np.dstack(
    [
        np.broadcast_to(np.arange(200, dtype=np.uint8), (100, 200)),
        np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None], (100, 200)),
        np.zeros((100, 200), np.uint8),
    ]
)


def with_ramp(name: str) -> Srgb8:
    assert name == BEACH.name
    return RAMP


def gone(name: str) -> Srgb8:
    raise InputsExpired(f"the background {name} is not there any more")


def collection(load: object = with_ramp) -> Collection:
    return Collection((Generated(), Stock((BEACH,), load)))  # type: ignore[arg-type]  # or raises


def drawn(seed: int, *, width: int = 60, height: int = 90) -> Srgb8:
    return collection().draw(BEACH.name, seed=seed, width=width, height=height)


def test_designs_come_before_pictures() -> None:
    assert collection().presets == ALL


def test_picture_fills_any_frame_and_keeps_its_shape() -> None:
    for width, height in [(200, 100), (100, 200), (60, 20), (500, 400), (1, 1), (999, 3)]:
        assert drawn(0, width=width, height=height).shape == (height, width, 3)

    tall = drawn(0, width=50, height=100).astype(int)
    assert np.ptp(tall[50, :, 0]) == 49
    assert np.ptp(tall[:, 25, 1]) == 99
    assert np.array_equal(drawn(5, width=200, height=100), RAMP)


def test_seed_decides_where_a_picture_is_cut_but_never_far_from_the_middle() -> None:
    lefts = [int(drawn(seed, width=50, height=100)[0, 0, 0]) for seed in range(30)]

    assert len(set(lefts)) > 10
    assert min(lefts) >= 0.3 * 150 - 1
    assert max(lefts) <= 0.7 * 150 + 1
    assert np.array_equal(drawn(7), drawn(7))


def test_drawn_picture_may_be_drawn_on() -> None:
    drawn(0, width=200, height=100)[:] = 255

    assert np.array_equal(drawn(0, width=200, height=100), RAMP)


def test_picture_is_printed_on_a_surface() -> None:
    plain = collection().draw(BEACH.name, **SIZE)

    on_linen = collection().draw(f"{BEACH.name}+linen", **SIZE)

    linen, _ = named("linen")
    assert not np.array_equal(on_linen, plain)
    assert np.array_equal(on_linen, library.printed(plain, linen, seed=3))


@pytest.mark.parametrize("name", ["rainbow", "rainbow+linen"])
def test_design_is_drawn_as_the_library_draws_it(name: str) -> None:
    assert np.array_equal(collection().draw(name, **SIZE), library.draw(name, **SIZE))


@pytest.mark.parametrize("name", ["tenant/none", "none", "rainbow+tenant/nordic-beach"])
def test_unknown_name_has_expired(name: str) -> None:
    with pytest.raises(InputsExpired, match="not there any more"):
        collection().draw(name, seed=0, width=8, height=8)


def test_picture_that_has_gone_is_known_to_be_gone() -> None:
    assert collection().has(BEACH.name)
    assert not collection(gone).has(f"{BEACH.name}+linen")
    assert collection(gone).without(f"{BEACH.name}+linen").presets == PRESETS


def test_storage_that_is_away_is_no_reason_to_take_another() -> None:
    def away(name: str) -> Srgb8:
        raise StorageUnavailable(name)

    with pytest.raises(StorageUnavailable):
        collection(away).has(BEACH.name)
