from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.recipe import Format, Look, Shadow, ShadowKind
from smart_filter_shared.recipe.look import read_outline
from smart_filter_shared.results import Face
from smart_filter_tests.composite_jobs import a_job, composite
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.results import Matte8, Photo, Srgb8, Srgba8
from smart_filter_workers.stages.composite import look
from smart_filter_workers.stages.composite.look import LookContext, light, shadow
from smart_filter_workers.stages.composite.models import layers
from smart_filter_workers.stages.composite.models.base import CutOut

ALONE = LookContext(drawn=False)
DESIGN = LookContext(drawn=True)
HEIGHT, WIDTH = 240, 200
# All effects at full strength.
ALL = Look(Shadow(ShadowKind.DROP, 1.0), read_outline("3%"), light_wrap=1.0, harmonize=1.0)


def a_cut(matte: Matte8, *, level: int = 120) -> CutOut:
    photo = np.full((*matte.shape, 3), level, np.uint8)
    photo.setflags(write=False)
    colors = np.full((8, 8, 3), level, np.float32)
    return CutOut(photo, matte, colors, colors)


def plain(
    level: int, *, alpha: int | None = None, height: int = HEIGHT, width: int = WIDTH
) -> Srgb8:
    """Return a background of one gray, with alpha if given."""
    ground = np.full((height, width, 3 if alpha is None else 4), level, np.uint8)
    if alpha is not None:
        ground[..., 3] = alpha
    return ground


def standing() -> Matte8:
    """Return a person on two legs: columns 70 to 90 and 110 to 130 down to row 200."""
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[40:140, 70:130] = 255
    matte[140:200, 70:90] = matte[140:200, 110:130] = 255
    return matte


def joined(
    cut: CutOut, ground: Srgb8 | Srgba8, asked: Look, scene: LookContext = ALONE
) -> NDArray[np.int16]:
    picture = look.join_people(layers.load(Path("unused")), cut, ground, asked, scene)
    return picture.astype(np.int16)


def only(**asked: object) -> Look:
    return replace(look.NO_LOOK, **asked)  # type: ignore[arg-type]  # each test passes what Look takes


def outlined(written: str) -> Look:
    return only(outline=read_outline(written))


CONTACT = only(shadow=Shadow(ShadowKind.CONTACT, 1))
WRAPPED = only(light_wrap=1.0)


@pytest.mark.parametrize(
    "background", ["color:#fff", "color:#0008", "transparent", "blur:1", "file"]
)
def test_auto_changes_no_pixel_on_a_supplied_background(background: str) -> None:
    inputs = a_job(background, format=Format.PNG)
    inputs = replace(inputs, background=Photo(inputs.photo.srgb[::-1], "png"))

    auto = composite(inputs)

    without = composite(replace(inputs, recipe=replace(inputs.recipe, look=look.NO_LOOK)))
    assert auto.image == without.image


def test_auto_on_a_design_puts_a_shadow_under_feet() -> None:
    seen = joined(a_cut(standing()), plain(220), Look(), DESIGN)

    # No more on the people than is visible side by side.
    assert seen[202, 80, 0] < 200
    assert 0 < np.abs(seen[80, 100] - 120).max() <= 10


def test_contact_darkens_below_soles_and_nowhere_above_the_ankles() -> None:
    seen = joined(a_cut(standing()), plain(200), CONTACT)

    assert seen[201, 120, 0] < 100
    assert seen[201, 80, 0] < 100
    assert seen[201, 80, 0] < seen[206, 80, 0] < seen[216, 80, 0] <= 200
    assert (seen[:150, :60] == 200).all()


def test_people_who_touch_cast_no_wider_shadow_than_one_of_them() -> None:
    alone = np.zeros((HEIGHT, 3 * WIDTH), np.uint8)
    alone[40:200, 280:320] = 255
    row = alone.copy()
    row[40:100, 120:480] = 255  # their arms
    row[40:200, 120:160] = row[40:200, 440:480] = 255

    single, three = (
        joined(a_cut(matte), plain(200, width=3 * WIDTH), CONTACT)[200:, 300, 0]
        for matte in (alone, row)
    )

    # The root of the box's area is 0.6 of the height of a person, and the height in a row.
    assert np.count_nonzero(three < 190) <= 2 * np.count_nonzero(single < 190)


def test_outline_of_a_pixel_is_visible_on_a_large_picture() -> None:
    matte = np.zeros((1600, 2400), np.uint8)
    matte[400:1200, 800:1600] = 255

    line = joined(a_cut(matte), plain(0, height=1600, width=2400), outlined("1px"))[800, 1600:, 0]

    assert line[0] > 150
    assert line[:8].sum() == pytest.approx(255, abs=80)


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (40, 7), (10, 4000), (4000, 10), (65, 513)])
@pytest.mark.parametrize("alpha", [None, 0, 77])
def test_all_effects_together_work_at_every_size(size: tuple[int, int], alpha: int | None) -> None:
    height, width = size
    matte = np.zeros(size, np.uint8)
    matte[height // 4 :, width // 4 : width - width // 4] = 255

    seen = joined(a_cut(matte), plain(90, alpha=alpha, height=height, width=width), ALL, DESIGN)

    assert seen.shape == (height, width, 3 if alpha is None else 4)


@pytest.mark.parametrize(("person", "ground"), [(40, 200), (250, 10)])
@pytest.mark.parametrize("radius", [1, 4, 40])
def test_wrapped_light_lies_between_person_and_ground(
    person: int, ground: int, radius: int
) -> None:
    matte = np.zeros((400, 400), np.uint8)
    cv2.circle(matte, (200, 200), radius, 255, -1)
    cut = a_cut(matte, level=person)

    seen = joined(cut, plain(ground, height=400, width=400), WRAPPED)

    assert min(person, ground) <= seen.min() <= seen.max() <= max(person, ground)
    share = (int(seen[200, 200, 0]) ** 2 - person**2) / (ground**2 - person**2)
    assert share <= light.MAX_SHARE + 0.01  # whole levels


def test_faint_traces_of_people_cast_no_shadow() -> None:
    people = np.full((50, 40), 0.3, np.float32)

    assert shadow.split_groups(people, photo_ends=1) == ()
    assert look.shadow.compute_shadow(people, Shadow(), light=0) is None


SIDE = 120
# From pale to deep, as sRGB.
SKINS = ((244, 208, 177), (231, 180, 143), (198, 134, 96), (141, 85, 54), (84, 52, 38))
BLUE, ORANGE, WHITE, NIGHT = (40, 90, 230), (250, 150, 30), (245, 245, 245), (14, 18, 40)
GRAY = (128, 128, 128)


def a_person(skin: tuple[int, int, int]) -> CutOut:
    """Return a face of one color over a gray shirt, in front of a gray wall."""
    photo = np.empty((SIDE, SIDE, 3), np.uint8)
    photo[:] = GRAY
    photo[20:60, 40:80] = skin
    photo[60:, 30:90] = (96, 96, 96)
    photo.setflags(write=False)
    matte = np.zeros((SIDE, SIDE), np.uint8)
    matte[20:60, 40:80] = matte[60:, 30:90] = 255
    maps = np.full((10, 10, 3), 100.5, np.float32)
    return CutOut(photo, matte, maps, maps)


FACE = Face((40, 20, 40, 40), 0.9, ((50, 30), (70, 30), (60, 40), (50, 50), (70, 50)))


def filled(color: tuple[int, ...]) -> Srgb8:
    ground = np.empty((SIDE, SIDE, len(color)), np.uint8)
    ground[:] = color
    return ground


def lit(cut: CutOut, ground: tuple[int, ...]) -> CutOut:
    return light.harmonize_people(cut, filled(ground), strength=1, faces=[FACE])


def lch(srgb: Srgb8) -> tuple[float, float, float]:
    """Return the lightness, chroma and hue in degrees of the mean of (N, 3) levels, in OKLab."""
    lab = colors.linear_to_oklab(
        colors.srgb_to_linear(srgb.reshape(-1, 3).astype(np.float32))
    ).mean(axis=0)
    return float(lab[0]), float(np.hypot(*lab[1:])), float(np.degrees(np.arctan2(lab[2], lab[1])))


@pytest.mark.parametrize("skin", SKINS)
@pytest.mark.parametrize("ground", [BLUE, ORANGE, WHITE, NIGHT])
def test_skin_keeps_a_natural_hue_in_any_light(
    skin: tuple[int, int, int], ground: tuple[int, int, int]
) -> None:
    cut = a_person(skin)
    skin_srgb = cut.photo_srgb[20:60, 40:80]

    before, after = lch(skin_srgb), lch(colors.apply_curves(lit(cut, ground).curves, skin_srgb))

    # At full strength; `auto` applies half of it.
    assert abs(after[0] - before[0]) < 0.09
    assert 0.75 < after[1] / before[1] < 1.4
    assert abs(after[2] - before[2]) < 14


def test_face_outside_the_picture_counts_as_no_face() -> None:
    outside = replace(FACE, box=(500, -90, 40, 40))

    with_face, without = (
        light.harmonize_people(a_person(SKINS[1]), filled(BLUE), strength=1, faces=faces)
        for faces in ([outside], [])
    )

    assert without.curves is not None
    assert np.array_equal(with_face.curves, without.curves)
