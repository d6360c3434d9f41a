"""Colours of hair, clothes and outline of people, their light, and names of tones."""

import numpy as np
import pytest

from smart_filter_tests.sitting import a_tone
from smart_filter_workers.backgrounds import colours, sitters, tones
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.results import Face, Matte8, Srgb8

# A person of blocks, in pixels of the photo: the face, hair around it, clothes below.
FACE = Face((80, 60, 40, 50), 0.9, ((90, 80), (110, 80), (100, 90), (92, 100), (108, 100)))
GREY = (128, 128, 128)


def a_person(
    *,
    hair: tuple[int, int, int] = (30, 25, 22),
    clothes: tuple[int, int, int] = (160, 24, 40),
    lit: float = 1.0,
) -> tuple[Srgb8, Matte8]:
    """Return a photo, 200 × 240, and its matte; `lit`: the face's right half times this."""
    srgb = np.full((240, 200, 3), GREY, np.uint8)
    matte = np.zeros((240, 200), np.uint8)
    srgb[35:118, 68:132] = hair
    srgb[60:118, 80:120] = (205, 150, 125)
    srgb[60:118, 100:120] = np.array((205, 150, 125)) * lit
    srgb[118:, 40:160] = clothes
    matte[35:118, 68:132] = 255
    matte[118:, 40:160] = 255
    return srgb, matte


def seen(srgb: Srgb8, matte: Matte8, *faces: Face, scale: float = 1.0) -> Sitters:
    return sitters.look_at(srgb, matte, faces, scale=scale)


def test_hair_clothes_and_skin_are_distinguished() -> None:
    found = seen(*a_person(), FACE)

    assert (found.hair.name, [one.name for one in found.clothes]) == ("black", ["red"])
    assert found.skin.hue == pytest.approx(47, abs=12)


def test_faces_are_in_pixels_of_the_photo_and_the_proxy_is_smaller() -> None:
    large = Face(tuple(4 * one for one in FACE.box), 0.9, FACE.landmarks)  # type: ignore[arg-type]  # four of them

    assert seen(*a_person(), large, scale=4.0).hair == seen(*a_person(), FACE).hair


def test_blond_hair_beside_skin_is_still_hair() -> None:
    assert seen(*a_person(hair=(222, 196, 140)), FACE).hair.lightness > 0.75


def test_without_a_face_clothes_are_known_and_hair_is_not() -> None:
    found = seen(*a_person())

    assert (found.hair, found.skin) == (None, None)
    assert "red" in {one.name for one in found.clothes}


def test_the_outlines_colours_are_the_peoples_and_none_of_the_old_backgrounds() -> None:
    found = seen(*a_person(hair=(20, 20, 20), clothes=(20, 20, 20)), FACE)

    # Black throughout: OKLab 0.19; the grey behind is 0.6.
    assert np.quantile(found.outline_lab[:, 0], 0.95) < 0.25


def test_places_of_the_outline_lie_outside_of_the_people_and_within_the_picture() -> None:
    srgb, matte = a_person()

    at = seen(srgb, matte, FACE).outline_at

    assert len(at) > 100
    assert ((at >= 0) & (at < 1)).all()
    columns, rows = (at * matte.shape[::-1]).astype(int).T
    assert (matte[rows, columns] == 0).mean() > 0.9


def test_along_the_outline_a_coat_counts_as_much_as_the_hair() -> None:
    at = seen(*a_person(), FACE).outline_at

    # Of 530 pixels of outline 83 on each side of the head, 64 above it, 28 above each shoulder.
    assert (at[:, 1] < 118 / 240).mean() == pytest.approx(286 / 530, abs=0.03)
    assert np.array_equal(at, seen(*a_person()).outline_at)


@pytest.mark.parametrize(
    ("behind", "by_day", "lit", "in_the_dark"),
    [
        (128, 1.0, 1.0, False),
        (20, 1.0, 1.0, False),  # black canvas, and all the light of a studio
        (20, 0.35, 1.0, True),
        (4, 1.0, 0.5, True),
        (128, 0.35, 1.0, False),
    ],
)
def test_people_are_in_the_dark_when_they_are_dim_or_lit_from_a_side_before_black(
    *, behind: int, by_day: float, lit: float, in_the_dark: bool
) -> None:
    srgb, matte = a_person(lit=lit)
    srgb = (srgb * by_day).astype(np.uint8)
    srgb[matte == 0] = behind

    assert seen(srgb, matte, FACE).in_the_dark == in_the_dark


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.95, 0.9)])
def test_a_photo_in_one_colour_is_monochrome(tint: tuple[float, float, float]) -> None:
    srgb, matte = a_person()
    grey = np.repeat(srgb.mean(axis=-1, keepdims=True), 3, axis=-1)

    assert seen((grey * tint).astype(np.uint8), matte, FACE).monochrome
    assert not seen(srgb, matte, FACE).monochrome


@pytest.mark.parametrize(
    ("lit", "least", "most"), [(0.75, -1, -0.4), (1, -0.1, 0.1), (1.2, 0.4, 1)]
)
def test_light_comes_from_the_side_on_which_the_face_is_lit(
    lit: float, least: float, most: float
) -> None:
    assert least <= seen(*a_person(lit=lit), FACE).light <= most


def test_clothes_of_two_colours_are_two_tones_and_a_pattern() -> None:
    srgb, matte = a_person(clothes=(240, 240, 240))
    srgb[118::8, 40:160] = srgb[119::8, 40:160] = srgb[120::8, 40:160] = (20, 30, 90)

    plain, striped = seen(*a_person(), FACE), seen(srgb, matte, FACE)

    assert plain.pattern < 0.02
    assert striped.pattern > 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 3)])
@pytest.mark.parametrize("level", [0, 255])
def test_any_picture_can_be_looked_at(size: tuple[int, int], level: int) -> None:
    found = seen(np.zeros((*size, 3), np.uint8), np.full(size, level, np.uint8), FACE)

    assert np.isfinite(found.outline_lab).all()
    assert -1 <= found.light <= 1


def test_people_that_fill_the_photo_have_no_outline() -> None:
    srgb, _ = a_person()

    assert not len(seen(srgb, np.full(srgb.shape[:2], 255, np.uint8), FACE).outline_lab)


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("#e05a30", "orange"),
        ("#5b3a29", "brown"),
        ("#8a4a2a", "brown"),
        ("#b01828", "red"),
        ("#5a1a2e", "red"),
        ("#c9ad82", "beige"),
        ("#d8b131", "yellow"),
        ("#3f8f3f", "green"),
        ("#9be015", "green"),
        ("#2fb3b0", "turquoise"),
        ("#2f4f9a", "blue"),
        ("#1a2a52", "blue"),
        ("#7b3fa0", "purple"),
        ("#f0a0c0", "pink"),
        ("#101014", "black"),
        ("#808080", "grey"),
        ("#f5f5f0", "white"),
    ],
)
def test_colours_have_their_usual_names(colour: str, name: str) -> None:
    assert a_tone(colour).name == name


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("#2f4f9a", "blue"),
        ("#c01828", "red"),
        ("#3f8f3f", "green"),
        ("#808080", "grey"),
        ("#0c0c0e", "black"),
        ("#fbfbfa", "white"),
        ("#e8dcc8", "light"),  # a beige coat, or a white one by lamplight
        ("#6a2420", "dark"),  # a red sari, or a brown one
        ("#1a2030", "dark"),
        ("#9a7a5a", ""),
    ],
)
def test_a_colour_near_the_next_ones_name_is_light_or_dark_or_none(colour: str, name: str) -> None:
    assert a_tone(colour).sure_name == name


@pytest.mark.parametrize(("share", "name"), [(0.7, "blue"), (0.5, "dark"), (0.3, "")])
def test_lesser_part_has_no_colour_of_its_own(share: float, name: str) -> None:
    assert a_tone("#2f3f8a", share=share).sure_name == name


def test_every_colour_of_srgb_has_a_name() -> None:
    levels = ["00", "40", "80", "c0", "ff"]

    names = {a_tone(f"#{r}{g}{b}").name for r in levels for g in levels for b in levels}

    assert len(names) >= 10
    assert all(name.isalpha() for name in names)


def test_a_tone_is_its_colour() -> None:
    lab = colours.oklab(colours.read(["#a3467f"]))[0]

    assert tones.tone(lab, 1.0).lab == pytest.approx(lab.tolist(), abs=1e-5)


def test_dominant_tones_come_by_share_and_scraps_are_left_out() -> None:
    lab = colours.oklab(colours.read(["#b01828", "#f2f2f0", "#2f4f9a"]))

    found = tones.dominant(np.repeat(lab, [30, 65, 5], axis=0))

    assert [(one.name, round(one.share, 2)) for one in found] == [("white", 0.65), ("red", 0.3)]


def test_too_few_pixels_have_no_tone() -> None:
    assert tones.dominant(np.zeros((3, 3), np.float32)) == ()
    assert tones.apart(()) == 0
