"""Videos made of the photos in tests/data: a smile that comes and goes, a moving camera."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from smart_filter_workers.backgrounds import library
from smart_filter_workers.results import Floats, Matte8, Srgb8

WIDTH_PX, HEIGHT_PX = 640, 360

FPS: Final = 15
# Standard deviation of a camera's noise indoors, in levels of 255.
_NOISE: Final = 6.0
_DATA: Final = Path(__file__).parents[1] / "data"
# Eyes, nose and corners of the mouth as a detector sees them, and their places in the frame.
_SMILING = ("astronaut.png", ((203, 102), (247, 105), (223, 125), (203, 142), (241, 144)))
_SERIOUS = ("grace_hopper.jpg", ((221, 200), (303, 192), (265, 238), (237, 279), (305, 272)))
_PLACED = ((285, 130), (355, 130), (320, 165), (292, 195), (348, 195))


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, (HEIGHT_PX, WIDTH_PX, 3) uint8 sRGB, and its time in seconds."""

    at: float
    srgb: Srgb8


@dataclass(frozen=True, slots=True)
class FrameWithMatte(Frame):
    """A frame with its known matte: (HEIGHT_PX, WIDTH_PX) uint8."""

    matte: Matte8


def film_smiles(*peaks: float, seconds: float, width: float = 0.6) -> Iterator[Frame]:
    """Yield a serious face that smiles most at each of the given times.

    The serious photo fades into the smiling one and back, for `width` seconds either way.
    """
    serious, smiling = _align_face(*_SERIOUS), _align_face(*_SMILING)
    for number in range(round(seconds * FPS)):
        at = number / FPS
        share = max(max(0.0, 1 - abs(at - peak) / width) for peak in peaks)
        yield Frame(at, cv2.addWeighted(smiling, share, serious, 1 - share, 0).astype(np.uint8))


def film_moving_camera(*, seconds: float, fps: float = FPS) -> Iterator[Frame]:
    """Yield a person filmed by a noisy camera that pans and zooms."""
    random, photo = np.random.default_rng(1), _read(_SMILING[0])
    for number in range(round(seconds * fps)):
        at = number / fps
        scale = 1.35 + 0.15 * math.sin(at)
        left = WIDTH_PX / 2 - 276 * scale + 60 * math.sin(1.3 * at)
        top = HEIGHT_PX / 2 - 190 * scale + 12 * math.sin(0.7 * at)
        drawn = _warp(photo, ((scale, 0, left), (0, scale, top)))
        yield Frame(at, add_noise(drawn, random, deviation=_NOISE))


def film_walking_person(*, seconds: float, speed: float = 1) -> Iterator[FrameWithMatte]:
    """Yield a person who walks to and fro in front of a garden, filmed by a still, noisy camera.

    speed: 0 stands still.
    """
    random, person = np.random.default_rng(1), _read(_SMILING[0])
    mask = _read("astronaut-matte.png")[..., 0]
    garden = library.draw("garden", seed=1, width=WIDTH_PX, height=HEIGHT_PX)
    for number in range(round(seconds * FPS)):
        at = number / FPS
        left = WIDTH_PX / 2 - 168 + 120 * speed * math.sin(1.2 * at)
        matrix = ((0.8, 0, left), (0, 0.8, 20))
        matte = _warp(mask, matrix, beyond=cv2.BORDER_CONSTANT)
        share = (matte / np.float32(255))[..., np.newaxis]
        drawn = _warp(person, matrix) * share + garden * (1 - share)
        yield FrameWithMatte(at, add_noise(drawn, random, deviation=_NOISE), matte)


def add_noise(srgb: Srgb8 | Floats, random: np.random.Generator, *, deviation: float) -> Srgb8:
    """Add a camera's noise to a picture."""
    noisy = srgb + random.normal(0, deviation, srgb.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _align_face(name: str, landmarks: Sequence[tuple[float, float]]) -> Srgb8:
    """Return a photo moved so that its face has the common place and size."""
    matrix, _ = cv2.estimateAffinePartial2D(
        np.array(landmarks), np.array(_PLACED), method=cv2.LMEDS
    )
    return _warp(_read(name), matrix)


def _warp(srgb: Srgb8, matrix: object, *, beyond: int = cv2.BORDER_REFLECT) -> Srgb8:
    return cv2.warpAffine(
        srgb,
        np.asarray(matrix, np.float64),
        (WIDTH_PX, HEIGHT_PX),
        borderMode=beyond,
    ).astype(np.uint8)


def _read(name: str) -> Srgb8:
    bgr = cv2.imread(str(_DATA / name))
    if bgr is None:
        raise FileNotFoundError(_DATA / name)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8)
