"""Pictures beside generated designs: found by words, drawn, and what happens when one is gone."""

from smart_filter_shared.presets import PICTURE, PRESETS, Mood, Preset
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import feeling, some_sitters
from smart_filter_workers.backgrounds import keywords
from smart_filter_workers.results import Chosen

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


def test_picture_is_found_by_a_tag_that_no_design_has() -> None:
    assert by_words("sylt").name == BEACH.name


def test_picture_is_found_by_its_name() -> None:
    assert by_words("nordic beach").name == BEACH.name


def test_misspelt_tag_of_a_picture_is_read() -> None:
    choice = by_words("boradwalk")

    assert (choice.name, choice.keywords) == (BEACH.name, ("boardwalk",))


def test_words_of_pictures_that_are_not_ones_own_mean_nothing() -> None:
    assert 'unknown: "sylt"' in by_words("sylt", PRESETS).reason
