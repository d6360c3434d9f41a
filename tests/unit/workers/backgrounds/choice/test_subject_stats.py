from collections.abc import Sequence

import numpy as np
import pytest

from smart_filter_shared.presets import PICTURE, Mood, Preset
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Face
from smart_filter_tests.subjects import OPEN, SHUT, Shares, faces_showing, mood_of, smiles_of
from smart_filter_wire.findings import Eyes
from smart_filter_workers.backgrounds import appearance
from smart_filter_workers.backgrounds.choice import color_layout, moods, subject_stats
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.results import Matte8, Srgb8

# A person of blocks, in pixels of the photo: the face, hair around it, clothes below.
FACE = Face((80, 60, 40, 50), 0.9, ((90, 80), (110, 80), (100, 90), (92, 100), (108, 100)))
GRAY = (128, 128, 128)


def a_person(*, lit: float = 1.0) -> tuple[Srgb8, Matte8]:
    """Return a photo, 200 × 240, and its matte; `lit`: factor of the face's right half."""
    srgb = np.full((240, 200, 3), GRAY, np.uint8)
    matte = np.zeros((240, 200), np.uint8)
    srgb[35:118, 68:132] = (30, 25, 22)
    srgb[60:118, 80:120] = (205, 150, 125)
    srgb[60:118, 100:120] = np.array((205, 150, 125)) * lit
    srgb[118:, 40:160] = (160, 24, 40)
    matte[35:118, 68:132] = 255
    matte[118:, 40:160] = 255
    return srgb, matte


def seen(srgb: Srgb8, matte: Matte8) -> SubjectStats:
    return subject_stats.measure_subjects(srgb, matte, (FACE,), scale=1.0)


def test_hair_clothes_and_skin_are_distinguished() -> None:
    stats = seen(*a_person())

    assert (stats.hair.name, [color.name for color in stats.clothes]) == ("black", ["red"])
    assert stats.skin.hue == pytest.approx(47, abs=12)


@pytest.mark.parametrize(("lamp", "colored"), [((1, 1, 1), False), ((1, 0.62, 0.2), True)])
def test_light_is_colored_where_nothing_is_gray(lamp: Sequence[float], *, colored: bool) -> None:
    srgb, matte = a_person()

    assert seen((srgb * np.array(lamp)).astype(np.uint8), matte).colored_light == colored


@pytest.mark.parametrize(
    ("behind", "by_day", "lit", "in_the_dark"),
    [
        (128, 1.0, 1.0, False),
        (20, 1.0, 1.0, False),  # black canvas with full studio light
        (20, 0.35, 1.0, True),
        (4, 1.0, 0.5, True),
        (128, 0.35, 1.0, False),
    ],
)
def test_dim_people_and_those_lit_from_a_side_before_black_are_dark(
    *, behind: int, by_day: float, lit: float, in_the_dark: bool
) -> None:
    srgb, matte = a_person(lit=lit)
    srgb = (srgb * by_day).astype(np.uint8)
    srgb[matte == 0] = behind

    assert seen(srgb, matte).in_the_dark == in_the_dark


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 3)])
@pytest.mark.parametrize("level", [0, 255])
def test_pictures_of_any_size_are_accepted(size: tuple[int, int], level: int) -> None:
    stats = seen(np.zeros((*size, 3), np.uint8), np.full(size, level, np.uint8))

    assert np.isfinite(stats.outline_lab).all()
    assert -1 <= stats.light <= 1


def plain(*color: int) -> Srgb8:
    return np.full((60, 90, 3), color, np.uint8)


def test_noise_gives_at_most_five_colors_and_always_the_same() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (80, 80, 3), np.uint8)

    first, again = appearance.describe(noise), appearance.describe(noise.copy())

    assert len(first.palette) == appearance.PALETTE_SIZE
    assert first == again


def test_place_of_colors_is_kept() -> None:
    picture = np.concatenate([plain(10, 20, 60), plain(240, 230, 200)])
    seen = appearance.describe(picture)
    preset = Preset(
        *("site/x", "X", PICTURE, (), (), seen.palette, seen.brightness), impression=seen.impression
    )

    lightness = color_layout.for_preset(preset).lab[..., 0]

    assert lightness[0].max() < 0.3
    assert lightness[-1].min() > 0.9


UNKNOWN = Eyes(left_open=None, right_open=None)
NONE, MILD = SmileLevel.NONE, SmileLevel.MILD
MODERATE, HUGE = SmileLevel.MODERATE, SmileLevel.HUGE


@pytest.mark.parametrize(
    ("levels", "eyes", "mood"),
    [
        ([HUGE, MILD], OPEN, Mood.JOYFUL),
        ([MODERATE], SHUT, Mood.JOYFUL),
        ([MODERATE] * 3 + [NONE], OPEN, Mood.JOYFUL),
        ([MODERATE] * 2 + [NONE], OPEN, Mood.TENDER),
        ([MILD], OPEN, Mood.TENDER),
        ([NONE], OPEN, Mood.SERIOUS),
        ([NONE], SHUT, Mood.CALM),
        ([NONE], UNKNOWN, Mood.CALM),
        ([], OPEN, Mood.CALM),
    ],
)
def test_smiles_and_eyes_make_the_mood(levels: list[SmileLevel], eyes: Eyes, mood: Mood) -> None:
    read = moods.infer_mood(smiles_of(*levels, eyes=eyes), people=max(1, len(levels)))

    assert read.mood == mood


@pytest.mark.parametrize(
    ("shares", "mood"),
    [
        ({"happiness": 0.3, "neutral": 0.7}, Mood.TENDER),
        ({"surprise": 0.6, "neutral": 0.4}, Mood.SURPRISED),
        ({"sadness": 0.5, "neutral": 0.5}, Mood.SAD),
        # The kind of negative feeling does not matter; they add up.
        ({"anger": 0.2, "fear": 0.1, "contempt": 0.1, "neutral": 0.6}, Mood.TENSE),
        # A laugh looks surprised, too.
        ({"surprise": 0.4, "happiness": 0.6}, Mood.JOYFUL),
        # A trace of sadness is a thoughtful face.
        ({"sadness": 0.2, "neutral": 0.8}, Mood.SERIOUS),
    ],
)
def test_known_emotions_make_the_mood(shares: Shares, mood: Mood) -> None:
    assert moods.infer_mood(faces_showing(shares), people=1).mood == mood


@pytest.mark.parametrize("emotion", ["sadness", "anger", "disgust", "fear", "contempt"])
def test_negative_feelings_get_a_calm_background_and_are_not_named(emotion: str) -> None:
    read = moods.infer_mood(faces_showing({emotion: 1.0}), people=1)

    assert (read.wanted, read.wish) == (Mood.CALM, "something calm")
    unkind = {emotion, "sad", "tense", "angry", "disgust", "afraid", "contempt"}
    assert not [word for word in unkind if word in read.read_from]


@pytest.mark.parametrize(
    ("levels", "people", "text"),
    [
        ([HUGE] * 2, 2, "2 people, both smiling broadly, eyes open"),
        ([NONE] * 3, 3, "3 people, all not smiling, eyes open"),
        (
            [NONE, HUGE],
            1,
            "2 people, 1 smiling broadly, 1 not smiling, eyes open",
        ),
        (
            [MODERATE],
            3,
            "3 people, 1 with a visible face, smiling, eyes open",
        ),
        ([], 2, "2 people, no visible face"),
    ],
)
def test_reason_describes_the_faces_in_words(
    levels: list[SmileLevel], people: int, text: str
) -> None:
    assert mood_of(*levels, people=people).read_from == text


@pytest.mark.parametrize(
    ("eyes", "text"),
    [
        (Eyes(left_open=True, right_open=None), "eyes open"),
        (Eyes(left_open=None, right_open=None), "eyes not seen"),
        (Eyes(left_open=True, right_open=False), "2 of 4 eyes closed"),
        (Eyes(left_open=False, right_open=False), "all eyes closed"),
    ],
)
def test_unseen_eyes_are_not_called_closed(eyes: Eyes, text: str) -> None:
    read = moods.infer_mood(smiles_of(NONE, NONE, eyes=eyes), people=2)

    assert read.read_from == f"2 people, both not smiling, {text}"
