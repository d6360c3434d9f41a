from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.errors import InputsExpired, StorageUnavailable
from smart_filter_shared.presets import PICTURE, PRESETS, Mood, Preset, named, words
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import feeling, feeling_of, some_sitters
from smart_filter_workers.backgrounds import (
    keywords,
    library,
    misfits,
    scoring,
    side_light,
    vocabulary,
)
from smart_filter_workers.backgrounds.choose import choose
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.backgrounds.sources.generated import Generated
from smart_filter_workers.backgrounds.sources.stock import Stock
from smart_filter_workers.results import Chosen, Srgb8

BY_NAME = {preset.name: preset for preset in PRESETS}
SOME_CLOTHES = ["#15151a", "#f2f2f0", "#7d7f83", "#a3182c", "#2f4f9a", "#4f8f4a", "#d8b13a"]


def chosen(mood: Mood, *, clothes: str = "#5b5d61", seed: int = 0) -> Chosen:
    return choose(feeling_of(mood), some_sitters(clothes=clothes), seed=seed)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("clothes", SOME_CLOTHES)
def test_choice_goes_with_the_mood_and_stands_out(mood: Mood, clothes: str) -> None:
    apart = scoring.beside(PRESETS, some_sitters(clothes=clothes)).apart
    by_name = dict(zip(BY_NAME, apart, strict=True))
    names = [str(chosen(mood, clothes=clothes, seed=seed).name) for seed in range(5)]

    wanted = feeling_of(mood).wanted
    assert all(scoring.suits(BY_NAME[name], wanted) > 0 for name in names)
    assert sum(wanted in BY_NAME[name].moods for name in names) >= 4
    # Variety never costs contrast.
    assert min(by_name[name] for name in names) > np.median(apart)


@pytest.mark.parametrize(
    ("sitters", "mood", "name", "end"),
    [
        # Neither hair nor clothes have a colour that is sure.
        (
            some_sitters(hair="#f0f0f0", clothes="#9a7a5a"),
            Mood.CALM,
            "midnight",
            ": calm, so Midnight",
        ),
        (
            some_sitters(hair=None, clothes="#e08a3a"),
            Mood.SERIOUS,
            "indigo-wall",
            "darker than the orange clothes, its blue opposite their orange",
        ),
        (some_sitters(light=-0.8), Mood.SERIOUS, "studio", "with light from the left as on them"),
    ],
    ids=["unsure colours", "opposite hues", "light from the left"],
)
def test_reason_ends_with_sure_colours_and_light(
    sitters: Sitters, mood: Mood, name: str, end: str
) -> None:
    assert choose(feeling_of(mood), sitters, seed=0, among=[BY_NAME[name]]).reason.endswith(end)


IN_DAYLIGHT = some_sitters()
IN_THE_DARK = replace(IN_DAYLIGHT, in_the_dark=True)
IN_BLACK_AND_WHITE = replace(some_sitters(hair="#202020", clothes="#707070"), monochrome=True)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("sitters", [IN_DAYLIGHT, IN_THE_DARK, IN_BLACK_AND_WHITE])
def test_no_unfit_design_is_among_the_best(mood: Mood, sitters: Sitters) -> None:
    for seed in range(5):
        best = choose(feeling_of(mood), sitters, seed=seed).candidates

        assert all(misfits.suits(named(one.name)[0], sitters) for one in best)


def right_over_left(drawing: Srgb8) -> float:
    half = drawing.shape[1] // 2
    return float(drawing[:, -half:].mean() - drawing[:, :half].mean())


@pytest.mark.parametrize("light", [-0.9, 0.9])
@pytest.mark.parametrize("name", ["studio", "studio-green", "moonrise"])
def test_light_is_brought_to_the_side_of_the_peoples(name: str, light: float) -> None:
    drawing = library.draw(name, seed=4, width=80, height=100)
    assert abs(right_over_left(drawing)) > 2

    assert light * right_over_left(side_light.agreeing(drawing, light=light)) > 0


def test_a_narrow_picture_is_left_as_it_is() -> None:
    line = np.zeros((5, 1, 3), np.uint8)

    assert side_light.agreeing(line, light=1.0) is line


BEACH = Preset(
    name="tenant/nordic-beach",
    title="The beach in May",
    family=PICTURE,
    tags=("boardwalk", "sea", "sylt"),
    moods=(Mood.CALM, Mood.JOYFUL),
    palette=("#7fb0d6", "#e8d9b0", "#f4f1e6"),
    brightness=0.7,
)


@pytest.mark.parametrize(
    ("words", "read_as"),
    [("sylt", ("sylt",)), ("nordic beach", None), ("boradwalk", ("boardwalk",))],
    ids=["tag", "name", "misspelt tag"],
)
def test_picture_is_found_by_its_words(words: str, read_as: tuple[str, ...] | None) -> None:
    choice = keywords.answer(
        words, feeling(SmileLevel.HUGE), some_sitters(), seed=0, among=(*PRESETS, BEACH)
    )

    assert choice.name == BEACH.name
    assert read_as in {None, choice.keywords}


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


SEEDS = range(12)


def answered(text: str, *, seed: int = 0) -> Chosen:
    return keywords.answer(text, feeling(SmileLevel.HUGE), some_sitters(), seed=seed)


def answers(text: str) -> list[Chosen]:
    return [answered(text, seed=seed) for seed in SEEDS]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("hearts", {"hearts"}),
        ("terrazzo,pink", {"blush-terrazzo"}),
        ("pink marble", {"rose-marble"}),
        ("blue,paper", {"indigo-wash"}),
        ("sky blue paper", {"indigo-wash"}),
        ("rainbow,denim", {"rainbow+denim"}),
        ("a rainbow on the denim", {"rainbow+denim"}),
        ("halloween", {"ember", "after-sunset", "last-light"}),
        ("sunset at the beach", {"sunset-layers"}),
        ("summer", {"sky", "garden", "terracotta-noon"}),
        ("pink frame", {"love-letter"}),
        ("#2f4f9a", {"indigo-wall"}),
        ("#d98a60", {"terracotta-wall", "terracotta-noon"}),
        ("#A5E6CB", {"mint", "mint-dots"}),
    ],
)
def test_words_and_codes_of_colours_choose_these_designs(text: str, names: set[str]) -> None:
    assert {choice.name for choice in answers(text)} <= names


@pytest.mark.parametrize(
    ("text", "same"),
    [
        *((text, "rainbow") for text in ("RAINBOW", " rainbow ", "rainbow,rainbow", "rainbows")),
        ("#A00", "#aa0000"),
    ],
)
def test_case_blanks_plurals_repetition_and_short_codes_do_not_matter(text: str, same: str) -> None:
    assert [choice.name for choice in answers(text)] == [choice.name for choice in answers(same)]


@pytest.mark.parametrize(
    ("text", "framed"),
    [
        *((text, False) for text in ("yellow", "fresh", "holiday", "summer", "seaside", "pink")),
        *((text, True) for text in ("frame", "border", "lemonade", "blue,border")),
    ],
)
def test_frame_is_drawn_only_on_request(text: str, *, framed: bool) -> None:
    families = {named(str(choice.name))[0].family for choice in answers(text)}

    assert families == {"framed"} if framed else "framed" not in families


def test_unknown_words_are_named_and_the_known_ones_decide() -> None:
    choice = answered("hearts,xyzzy,Ωmega")

    assert (choice.name, choice.keywords) == ("hearts", ("hearts",))
    assert 'unknown: "xyzzy", "ωmega"' in choice.reason


@pytest.mark.parametrize(
    ("tone", "least", "most"), [("dark", 0.0, 0.35), ("light", 0.7, 1), ("pastel", 0.65, 1)]
)
def test_tones_are_judged_by_the_brightness_drawn(tone: str, least: float, most: float) -> None:
    for choice in answers(tone):
        assert least <= named(str(choice.name))[0].brightness <= most


def test_every_listed_word_is_understood_by_its_name() -> None:
    listed = words.known(PRESETS)

    for one in listed:
        (meaning,), unknown = vocabulary.understand(one.word)
        assert (meaning.read_as.replace("-", " "), unknown) == (one.word, []), one
        if one.count is not None:
            answering = sum(meaning.fits(preset) > 0 for preset in PRESETS)
            assert one.count == answering, one
    assert len({one.word for one in listed}) == len(listed) > 400
