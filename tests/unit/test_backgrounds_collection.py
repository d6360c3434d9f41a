import numpy as np
import pytest

from smart_filter_shared.errors import InputsExpired, StorageUnavailable
from smart_filter_shared.presets import PICTURE, PRESETS, Mood, Preset
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


def test_picture_fills_any_frame_and_keeps_its_shape() -> None:
    for width, height in [(200, 100), (100, 200), (60, 20), (500, 400), (1, 1), (999, 3)]:
        assert drawn(0, width=width, height=height).shape == (height, width, 3)

    tall = drawn(0, width=50, height=100).astype(int)
    assert np.ptp(tall[50, :, 0]) == 49
    assert np.ptp(tall[:, 25, 1]) == 99
    assert np.array_equal(drawn(5, width=200, height=100), RAMP)


def test_drawn_picture_may_be_drawn_on() -> None:
    drawn(0, width=200, height=100)[:] = 255

    assert np.array_equal(drawn(0, width=200, height=100), RAMP)


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


@pytest.mark.parametrize("seed", range(4))
def test_slow_clouds_have_no_ripples_along_their_slopes(seed: int) -> None:
    """Silk folds by them twice a unit: a ripple that nobody sees becomes a woven pattern."""
    empty = library.sheet("clouds", seed=seed, width=900, height=600)
    bends = np.diff(empty.clouds(520, cells=1.6, octaves=1), n=2, axis=1)

    # A row passes two bumps or three, and bends the other way about twice for each. Cubic
    # enlargement made it do so 45 times.
    turns = (np.diff(np.sign(bends[:, 20:-20]), axis=1) != 0).sum(axis=1)
    assert np.median(turns) <= 12
