"""Augment photos and their mattes: random framing, light, and other backgrounds."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_training.models.unet.pairs import Example
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

# The frame is the photo's, scaled (powers of e), stretched, turned and moved.
SCALE: Final = (-0.35, 0.25)
STRETCH: Final = 0.12
TURNED_SHARE, TURN_DEGREES = 0.5, 8.0
ROAM: Final = 1.2
# Outside the photo its border is repeated, which teaches little.
OUTSIDE_WEIGHT: Final = 0.15
# A photo that shrinks by more than this is smoothed first.
SMOOTHED_ABOVE: Final = 1.4
# Light, as powers of e and levels, from normal distributions.
LIT_SHARE, EXPOSURE, BRIGHTNESS, TINT = 0.8, 0.18, 12.0, 0.08
CONTRAST, SATURATION, GRAY_SHARE = 0.15, 0.3, 0.08
GAMMA_SHARE, GAMMA = 0.3, 0.25
BLURRED_SHARE, BLUR_PX = 0.2, (0.4, 1.5)
NOISE_SHARE, NOISE = 0.25, (2.0, 10.0)
JPEG_SHARE, JPEG_QUALITY = 0.25, (25, 85)
# The edge of a cut-out is softened, and half of them are cut a pixel closer: masks include a
# fringe of the old background, and the network must not learn to recognize it.
EDGE_PX: Final = (0.6, 1.5)
CLOSER_SHARE: Final = 0.5
# Photos with a larger share of people show too little of their background.
MAX_PEOPLE_SHARE: Final = 0.6
# From this level of the matte on, a pixel shows a person.
_PERSON_LEVEL: Final = 20
_MARGIN_PX: Final = 9
_FILL_PX: Final = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """An input of the network with its target.

    srgb: (S, S, 3) uint8; matte: (S, S) float32, 0..1; weight: (S, S) float32, 0..1, the weight
    of each pixel in the loss.
    """

    srgb: Srgb8
    matte: Floats
    weight: Floats


def to_sample(example: Example, size_px: int) -> Sample:
    """Return an example stretched to the network's input, as the product stretches photos."""
    return Sample(
        srgb=stretch(example.srgb, size_px),
        matte=_to_shares(stretch(example.matte, size_px)),
        weight=(stretch(example.counted.astype(np.uint8) * 255, size_px) == 255).astype(  # noqa: PLR2004 - all of it
            np.float32
        ),
    )


def stretch(values: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Return a picture stretched to a square; areas are averaged when it shrinks."""
    method = cv2.INTER_AREA if min(values.shape[:2]) >= size_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (size_px, size_px), interpolation=method), dtype=np.uint8)


def reframe(rng: np.random.Generator, example: Example, size_px: int) -> Sample:
    """Return an example in a random frame: mirrored, scaled, stretched, turned and moved."""
    height, width = example.matte.shape
    matrix = _draw_frame(rng, width, height, size_px)
    inside = _warp(np.full((height, width), 255, np.uint8), matrix, size_px, cv2.BORDER_CONSTANT)
    counted = _warp(example.counted.astype(np.uint8) * 255, matrix, size_px, cv2.BORDER_REPLICATE)
    matte = _warp(example.matte, matrix, size_px, cv2.BORDER_REPLICATE)
    weight = np.where(inside > 127, np.float32(1), np.float32(OUTSIDE_WEIGHT))  # noqa: PLR2004 - half
    return Sample(
        srgb=_warp(example.srgb, matrix, size_px, cv2.BORDER_REPLICATE),
        matte=_to_shares(matte),
        weight=np.where(counted == 255, weight, np.float32(0)),  # noqa: PLR2004 - all of it
    )


def remove_people(example: Example) -> Srgb8 | None:
    """Return the background of a photo at half its size, with its people filled in.

    None when too little of the background is visible.

    Source: Telea 2004, "An image inpainting technique based on the fast marching method".
    """
    half = (max(1, example.matte.shape[1] // 2), max(1, example.matte.shape[0] // 2))
    people = cv2.dilate(
        (example.matte > _PERSON_LEVEL).astype(np.uint8),
        np.ones((_MARGIN_PX, _MARGIN_PX), np.uint8),
    )
    if people.mean() > MAX_PEOPLE_SHARE:
        return None
    hole = cv2.resize(people, half, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(example.srgb, half, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.inpaint(small, hole, _FILL_PX, cv2.INPAINT_TELEA), dtype=np.uint8)


def replace_background(rng: np.random.Generator, sample: Sample, background: Srgb8) -> Sample:
    """Return the people of a sample in front of a background, (h, w, 3) uint8, randomly framed."""
    size_px = sample.matte.shape[0]
    matrix = _draw_frame(rng, background.shape[1], background.shape[0], size_px)
    other = relight(rng, _warp(background, matrix, size_px, cv2.BORDER_REFLECT_101))
    cut = sample.matte
    if rng.random() < CLOSER_SHARE:
        cut = np.asarray(cv2.erode(cut, np.ones((3, 3), np.uint8)), dtype=np.float32)
    cover = cv2.GaussianBlur(cut, (0, 0), rng.uniform(*EDGE_PX))[..., np.newaxis]
    joined = sample.srgb * cover + other * (1 - cover)
    return Sample(np.rint(joined).astype(np.uint8), sample.matte, sample.weight)


def relight(rng: np.random.Generator, srgb: Srgb8) -> Srgb8:
    """Return a picture with random light, blur, noise and compression."""
    seen = srgb.astype(np.float32)
    if rng.random() < LIT_SHARE:
        factors = np.exp(rng.normal(0, EXPOSURE) + rng.normal(0, TINT, 3)).astype(np.float32)
        seen = seen * factors + np.float32(rng.normal(0, BRIGHTNESS))
        middle = seen.mean()
        seen = (seen - middle) * np.float32(np.exp(rng.normal(0, CONTRAST))) + middle
        gray = seen.mean(axis=2, keepdims=True)
        color = 0.0 if rng.random() < GRAY_SHARE else np.exp(rng.normal(0, SATURATION))
        seen = gray + (seen - gray) * np.float32(color)
    if rng.random() < GAMMA_SHARE:
        power = np.exp(rng.normal(0, GAMMA))
        seen = np.float32(255) * (np.clip(seen, 0, 255) / np.float32(255)) ** np.float32(power)
    if rng.random() < BLURRED_SHARE:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), rng.uniform(*BLUR_PX)), dtype=np.float32)
    if rng.random() < NOISE_SHARE:
        seen = seen + rng.normal(0, rng.uniform(*NOISE), seen.shape).astype(np.float32)
    relit = np.clip(seen, 0, 255).astype(np.uint8)
    return _compress(rng, relit) if rng.random() < JPEG_SHARE else relit


def _draw_frame(rng: np.random.Generator, width: int, height: int, size_px: int) -> Floats:
    """Return the (2, 3) float32 transform from pixels of the input to those of the photo."""
    scale, stretch = np.exp(rng.uniform(*SCALE)), np.exp(rng.uniform(-STRETCH, STRETCH))
    across, down = scale * stretch * width, scale / stretch * height
    turn = np.radians(rng.normal(0, TURN_DEGREES)) if rng.random() < TURNED_SHARE else 0.0
    mirror = -1.0 if rng.random() < 1 / 2 else 1.0
    roam = ROAM * np.abs([width - across, height - down]) + 0.05 * np.array([width, height])
    center = np.array([width / 2, height / 2]) + rng.uniform(-0.5, 0.5, 2) * roam
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    along = turned @ np.diag([mirror * across / size_px, down / size_px])
    start = center - along @ np.full(2, size_px / 2)
    return np.column_stack([along, start]).astype(np.float32)


def _to_shares(matte: NDArray[np.uint8]) -> Floats:
    return matte.astype(np.float32) / np.float32(255)


def _warp(
    values: NDArray[np.uint8], matrix: Floats, size_px: int, border: int
) -> NDArray[np.uint8]:
    shrinks = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrinks > SMOOTHED_ABOVE:
        values = np.asarray(cv2.blur(values, (round(shrinks),) * 2), dtype=np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(values, matrix, (size_px, size_px), flags=flags, borderMode=border)
    return np.asarray(warped, dtype=np.uint8)


def _compress(rng: np.random.Generator, srgb: Srgb8) -> Srgb8:
    quality = int(rng.integers(*JPEG_QUALITY))
    _, content = cv2.imencode(".jpg", srgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])
