from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.errors import InputsExpired, StorageUnavailable
from smart_filter_shared.presets import PICTURE, PRESETS, Mood, Preset, Style, find_preset, synonyms
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import ChosenBackground
from smart_filter_tests.subjects import a_subject, mood_named, mood_of
from smart_filter_workers.backgrounds import keywords, library
from smart_filter_workers.backgrounds.choice import scoring, selection
from smart_filter_workers.backgrounds.choice.selection import choose_preset
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.library import (
    Collection,
    DesignSource,
    StockSource,
    filter_by_style,
)
from smart_filter_workers.results import Srgb8

BY_NAME = {preset.name: preset for preset in PRESETS}
SOME_CLOTHES = ["#15151a", "#f2f2f0", "#7d7f83", "#a3182c", "#2f4f9a", "#4f8f4a", "#d8b13a"]


def chosen(mood: Mood, *, clothes: str = "#5b5d61", seed: int = 0) -> ChosenBackground:
    return choose_preset(mood_named(mood), a_subject(clothes=clothes), seed=seed)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("clothes", SOME_CLOTHES)
def test_choice_fits_the_mood_and_contrasts_with_the_person(mood: Mood, clothes: str) -> None:
    apart = scoring.measure_match(PRESETS, a_subject(clothes=clothes)).apart
    by_name = dict(zip(BY_NAME, apart, strict=True))
    names = [str(chosen(mood, clothes=clothes, seed=seed).name) for seed in range(5)]

    wanted = mood_named(mood).wanted
    assert all(scoring.score_mood(BY_NAME[name], wanted) > 0 for name in names)
    assert sum(wanted in BY_NAME[name].moods for name in names) >= 4
    # Variety only decides between designs with enough contrast.
    assert min(by_name[name] for name in names) >= np.quantile(apart, selection.MIN_CONTRAST_RANK)


@pytest.mark.parametrize(
    ("hair", "behind", "alike", "unlike"),
    [
        ("#2a211c", "#f0f0f0", "studio-white", "studio"),
        ("#e8dcc0", "#30302e", "studio", "studio-white"),
    ],
)
def test_remains_in_hair_show_least_before_their_own_color(
    hair: str, behind: str, alike: str, unlike: str
) -> None:
    designs = [BY_NAME[alike], BY_NAME[unlike]]

    good, bad = scoring.measure_match(designs, a_subject(hair=hair, behind=behind)).blending
    alone = a_subject(hair=hair, clothes=hair, behind=hair)
    unseen = scoring.measure_match(designs, alone).blending

    assert good > bad + 0.3
    assert unseen == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("sitters", "mood", "name", "end"),
    [
        # Neither hair nor clothes have a reliable color.
        (
            a_subject(hair="#f0f0f0", clothes="#9a7a5a"),
            Mood.CALM,
            "midnight",
            ": calm, so Midnight",
        ),
        (
            a_subject(hair=None, clothes="#e08a3a"),
            Mood.SERIOUS,
            "indigo-wall",
            "darker than the orange clothes, its blue opposite their orange",
        ),
        (a_subject(light=-0.8), Mood.SERIOUS, "studio", "with light from the left as on them"),
    ],
    ids=["unsure colors", "opposite hues", "light from the left"],
)
def test_reason_names_reliable_colors_and_light(
    sitters: SubjectStats, mood: Mood, name: str, end: str
) -> None:
    assert choose_preset(mood_named(mood), sitters, seed=0, among=[BY_NAME[name]]).reason.endswith(
        end
    )


IN_DAYLIGHT = a_subject()
IN_THE_DARK = replace(IN_DAYLIGHT, in_the_dark=True)
IN_BLACK_AND_WHITE = replace(a_subject(hair="#202020", clothes="#707070"), monochrome=True)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("sitters", [IN_DAYLIGHT, IN_THE_DARK, IN_BLACK_AND_WHITE])
def test_unfit_designs_are_not_among_the_best(mood: Mood, sitters: SubjectStats) -> None:
    for seed in range(5):
        best = choose_preset(mood_named(mood), sitters, seed=seed).candidates

        assert all(
            selection.is_suitable(find_preset(candidate.name)[0], sitters) for candidate in best
        )


def right_over_left(drawing: Srgb8) -> float:
    half = drawing.shape[1] // 2
    return float(drawing[:, -half:].mean() - drawing[:, :half].mean())


@pytest.mark.parametrize("light", [-0.9, 0.9])
@pytest.mark.parametrize("name", ["paper-dove", "studio-green", "moonrise"])
def test_light_of_the_background_matches_the_side_of_the_people(name: str, light: float) -> None:
    drawing = library.draw(name, seed=4, width=80, height=100)
    assert abs(right_over_left(drawing)) > 2

    assert light * right_over_left(library.mirror_to_match(drawing, light=light)) > 0


def test_narrow_picture_stays_unchanged() -> None:
    line = np.zeros((5, 1, 3), np.uint8)

    assert library.mirror_to_match(line, light=1.0) is line


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
    ids=["tag", "name", "misspelled tag"],
)
def test_picture_is_found_by_its_words(words: str, read_as: tuple[str, ...] | None) -> None:
    choice = keywords.choose_by_keywords(
        words, mood_of(SmileLevel.HUGE), a_subject(), seed=0, among=(*PRESETS, BEACH)
    )

    assert choice.name == BEACH.name
    assert read_as in {None, choice.keywords}


def test_brand_has_own_pictures_alone() -> None:
    own = filter_by_style((*PRESETS, BEACH), Style.BRAND)

    assert own == (BEACH,)
    assert choose_preset(mood_named(Mood.SAD), a_subject(), seed=0, among=own).name == BEACH.name
    gone = filter_by_style(PRESETS, Style.BRAND)
    assert gone == filter_by_style(PRESETS, Style.CLEAN)


# Every pixel encodes its place: red across, green down.
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


def missing(name: str) -> Srgb8:
    raise InputsExpired(f"the background {name} does not exist any more")


def collection(load: object = with_ramp) -> Collection:
    return Collection((DesignSource(), StockSource((BEACH,), load)))  # type: ignore[arg-type]  # or raises


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
    with pytest.raises(InputsExpired, match="does not exist any more"):
        collection().draw(name, seed=0, width=8, height=8)


def test_missing_picture_is_reported_as_missing() -> None:
    assert collection().has(BEACH.name)
    assert not collection(missing).has(f"{BEACH.name}+linen")
    assert collection(missing).excluding(f"{BEACH.name}+linen").presets == PRESETS


def test_unavailable_storage_does_not_select_another_picture() -> None:
    def away(name: str) -> Srgb8:
        raise StorageUnavailable(name)

    with pytest.raises(StorageUnavailable):
        collection(away).has(BEACH.name)


@pytest.mark.parametrize("seed", range(4))
def test_slow_clouds_have_no_ripples_along_their_slopes(seed: int) -> None:
    """Silk folds along them twice a unit: an invisible ripple becomes a woven pattern."""
    empty = library.new_sheet("clouds", seed=seed, width=900, height=600)
    bends = np.diff(empty.clouds(520, cells=1.6, octaves=1), n=2, axis=1)

    # A row passes two or three bumps and changes direction about twice for each. With cubic
    # enlargement it changed 45 times.
    turns = (np.diff(np.sign(bends[:, 20:-20]), axis=1) != 0).sum(axis=1)
    assert np.median(turns) <= 12


SEEDS = range(12)


def choose_by_words(text: str, *, seed: int = 0) -> ChosenBackground:
    return keywords.choose_by_keywords(text, mood_of(SmileLevel.HUGE), a_subject(), seed=seed)


def answers(text: str) -> list[ChosenBackground]:
    return [choose_by_words(text, seed=seed) for seed in SEEDS]


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
        ("sunset at the beach", {"evening-beach"}),
        ("summer", {"summer-sky", "summer-meadow", "quiet-beach"}),
        ("pink frame", {"love-letter", "postcard"}),
        ("#2f4f9a", {"indigo-wall"}),
        ("#d98a60", {"terracotta-wall", "kraft"}),
        ("#A5E6CB", {"mint", "mint-dots"}),
    ],
)
def test_words_and_color_codes_choose_these_designs(text: str, names: set[str]) -> None:
    assert {choice.name for choice in answers(text)} <= names


@pytest.mark.parametrize(
    ("text", "same"),
    [
        *((text, "rainbow") for text in ("RAINBOW", " rainbow ", "rainbow,rainbow", "rainbows")),
        ("#A00", "#aa0000"),
    ],
)
def test_spelling_variants_of_words_and_codes_are_equal(text: str, same: str) -> None:
    assert [choice.name for choice in answers(text)] == [choice.name for choice in answers(same)]


@pytest.mark.parametrize(
    ("text", "framed"),
    [
        *((text, False) for text in ("yellow", "fresh", "holiday", "summer", "seaside", "pink")),
        *((text, True) for text in ("frame", "border", "lemonade", "blue,border")),
    ],
)
def test_frame_is_drawn_only_on_request(text: str, *, framed: bool) -> None:
    families = {find_preset(str(choice.name))[0].family for choice in answers(text)}

    assert families == {"framed"} if framed else "framed" not in families


def test_unknown_words_are_named_and_the_known_ones_decide() -> None:
    choice = choose_by_words("hearts,xyzzy,Ωmega")

    assert (choice.name, choice.keywords) == ("hearts", ("hearts",))
    assert 'unknown: "xyzzy", "ωmega"' in choice.reason


@pytest.mark.parametrize(
    ("tone", "least", "most"), [("dark", 0.0, 0.35), ("light", 0.7, 1), ("pastel", 0.65, 1)]
)
def test_tones_are_judged_by_the_drawn_brightness(tone: str, least: float, most: float) -> None:
    for choice in answers(tone):
        assert least <= find_preset(str(choice.name))[0].brightness <= most


def test_every_listed_word_is_understood() -> None:
    listed = synonyms.list_words(PRESETS)

    for one in listed:
        (meaning,), unknown = keywords.parse_words(one.word)
        assert (meaning.read_as.replace("-", " "), unknown) == (one.word, []), one
        if one.count is not None:
            answering = sum(meaning.fits(preset) > 0 for preset in PRESETS)
            assert one.count == answering, one
    assert len({word.word for word in listed}) == len(listed) > 400


@pytest.mark.parametrize(
    ("changes", "preset", "suits"),
    [
        ({}, "cream-room", True),
        ({"lightest": 0.5}, "cream-room", False),
        ({"lightest": 0.5}, "studio-blue", True),
        ({"lightest": 0.5}, "forest-shade", False),
        ({"lightest": 0.65}, "forest-shade", True),
        ({"cut_off": True}, "sky", False),
        ({"cut_off": True}, "cream-room", True),
    ],
)
def test_background_suits_the_light_and_the_lower_end_of_people(
    changes: dict[str, float], preset: str, *, suits: bool
) -> None:
    sitters = replace(a_subject(), **changes)

    assert selection.is_suitable(find_preset(preset)[0], sitters) == suits
