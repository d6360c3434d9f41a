from dataclasses import replace

import numpy as np
import pytest

from smart_filter_workers.backgrounds import colours
from smart_filter_workers.results import Face, Srgb8
from smart_filter_workers.stages.composite.look import harmonise
from smart_filter_workers.stages.composite.models.base import CutOut

SIDE = 120
# From pale to deep, as sRGB.
SKINS = ((244, 208, 177), (231, 180, 143), (198, 134, 96), (141, 85, 54), (84, 52, 38))
BLUE, ORANGE, WHITE, NIGHT = (40, 90, 230), (250, 150, 30), (245, 245, 245), (14, 18, 40)
GREY = (128, 128, 128)


def somebody(skin: tuple[int, int, int]) -> CutOut:
    """Return a face of one colour over a grey shirt, before a grey wall."""
    photo = np.empty((SIDE, SIDE, 3), np.uint8)
    photo[:] = GREY
    photo[20:60, 40:80] = skin
    photo[60:, 30:90] = (96, 96, 96)
    photo.setflags(write=False)
    matte = np.zeros((SIDE, SIDE), np.uint8)
    matte[20:60, 40:80] = matte[60:, 30:90] = 255
    maps = np.full((10, 10, 3), 100.5, np.float32)
    return CutOut(photo, matte, maps, maps)


FACE = Face((40, 20, 40, 40), 0.9, ((50, 30), (70, 30), (60, 40), (50, 50), (70, 50)))


def plain(colour: tuple[int, ...]) -> Srgb8:
    ground = np.empty((SIDE, SIDE, len(colour)), np.uint8)
    ground[:] = colour
    return ground


def lit(cut: CutOut, ground: tuple[int, ...]) -> CutOut:
    return harmonise.toward(cut, plain(ground), strength=1, faces=[FACE])


def lch(srgb: Srgb8) -> tuple[float, float, float]:
    """Return the lightness, chroma and hue in degrees of the mean of (N, 3) levels, in OKLab."""
    lab = colours.oklab(colours.linear(srgb.reshape(-1, 3).astype(np.float32))).mean(axis=0)
    return float(lab[0]), float(np.hypot(*lab[1:])), float(np.degrees(np.arctan2(lab[2], lab[1])))


@pytest.mark.parametrize("skin", SKINS)
@pytest.mark.parametrize("ground", [BLUE, ORANGE, WHITE, NIGHT])
def test_skin_stays_skin_in_any_light(
    skin: tuple[int, int, int], ground: tuple[int, int, int]
) -> None:
    cut = somebody(skin)
    face = (slice(20, 60), slice(40, 80))

    before, after = lch(cut.pixels(face)), lch(lit(cut, ground).pixels(face))

    # At full strength; what `auto` does is half of it.
    assert abs(after[0] - before[0]) < 0.09
    assert 0.75 < after[1] / before[1] < 1.4
    assert abs(after[2] - before[2]) < 14


def at_shirt(cut: CutOut) -> Srgb8:
    return cut.pixels((slice(90, 91), slice(60, 61)))[0, 0]


def test_shirt_takes_tint_and_brightness_of_the_light() -> None:
    blue, orange, night, studio = (
        at_shirt(lit(somebody(SKINS[1]), ground)).astype(int)
        for ground in (BLUE, ORANGE, NIGHT, WHITE)
    )

    assert orange[0] - orange[2] > blue[0] - blue[2] + 5
    assert night.max() < 96 < studio.min()


@pytest.mark.parametrize("faces", [[], [replace(FACE, box=(500, -90, 40, 40))]])
def test_face_beyond_the_picture_and_no_face_are_served(faces: list[Face]) -> None:
    assert harmonise.toward(somebody(SKINS[1]), plain(BLUE), strength=1, faces=faces)
