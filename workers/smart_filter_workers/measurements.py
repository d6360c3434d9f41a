"""Measure one face: its blur, its brightness, its noise and its turn.

A face is measured at most FACE_PX wide, about its size in a print of the whole picture. So a face
of 1,500 pixels may be softer per pixel than one of 150.

Levels: how bright a picture is, and how much of it is clipped.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Floats, Srgb8

FACE_PX: Final = 160
# Narrower faces have too few edges to measure blur.
MIN_FACE_PX: Final = 24
# In a narrower face every block contains an eye, the nose or the mouth, which look like noise.
MIN_SKIN_PX: Final = 64
# Scales of the two compared gradients, in pixels.
FINE, COARSE = 1.0, 2.0
# Share of pixels with the strongest edges: eyes, brows, nostrils and lips.
EDGE_SHARE: Final = 0.08
# Upper limit: edges this wide count as no edges.
MAX_BLUR_PX: Final = 9.0
NOISE_BLOCK_PX: Final = 8
# Quantile of blocks used for noise. Most blocks of a face are skin, whose own texture is finer than
# the noise of the quietest quarter.
QUIET_SHARE: Final = 0.25
# Part of a detector's box that shows skin, without hair and background.
SKIN_ROWS, SKIN_COLUMNS = (0.2, 0.9), (0.2, 0.8)
# Source: Immerkær 1996, "Fast noise variance estimation", eq. 3 and 5: an operator that ignores
# planes and edges; its mean magnitude on noise of deviation 1 is 6 · sqrt(2 / pi).
NOISE_OPERATOR: Final = ((1, -2, 1), (-2, 4, -2), (1, -2, 1))
NOISE_GAIN: Final = 6 * math.sqrt(2 / math.pi)

# Levels of 255 at and beyond which a camera or an editor has clipped the picture.
BLACK, WHITE = 5, 250
BRIGHTEST_SHARE: Final = 0.05
# Of one block of a JPEG; and the step of levels across a line that counts as an edge of the photo.
_BLOCK_PX: Final = 8
_MAX_STEP: Final = 20
# Side of the middle that is looked at for blocks: they are everywhere, and a large photo is slow.
_MIDDLE_PX: Final = 1024
# Windows whose spectrum is taken, in each direction, and their side.
_WINDOWS, _WINDOW_PX = 5, 128
# Bands of the spectrum in cycles a pixel.  Enlarging by 1.4 leaves a third of the fine one, by 2 a
# sixth; measured by benchmarks/best_copy.py.
_FINE, _COARSE = (0.33, 0.42), (0.15, 0.21)


@dataclass(frozen=True, slots=True)
class Levels:
    """The brightness of a picture.

    brightness: mean luma (Rec. 601), 0..1; brightest: the level that a twentieth of the pixels
    reaches.
    dark, bright: the shares of pixels that are black, and burnt out.
    clipped: the share of pixels with a clipped red, green or blue: skin loses its color.
    """

    brightness: float
    brightest: float
    dark: float
    bright: float
    clipped: float


@dataclass(frozen=True, slots=True)
class FaceMeasurements:
    """Measurements of a face.

    blur_px: deviation of the Gaussian that blurs its edges, in the worse direction, in pixels of
        the face at most FACE_PX wide; None when the face is too small.
    levels: of its middle: skin, eyes and mouth.
    noise: standard deviation in levels of 255; None when the face is too small.
    grain: the noise also of a small face, whose features count as noise: it compares photos of one
        scene only.
    """

    blur_px: float | None
    levels: Levels
    noise: float | None
    grain: float


def measure_face(photo_srgb: Srgb8, proxy_srgb: Srgb8, face: Face) -> FaceMeasurements | None:
    """Return the measurements of one face; None when it is outside the photo.

    photo_srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same photo, no larger.
    """
    shown = _resize_face(photo_srgb, proxy_srgb, face)
    if shown is None:
        return None
    gray = np.asarray(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), np.uint8)
    height, width = gray.shape
    skin = (
        slice(int(SKIN_ROWS[0] * height), max(1, int(SKIN_ROWS[1] * height))),
        slice(int(SKIN_COLUMNS[0] * width), max(1, int(SKIN_COLUMNS[1] * width))),
    )
    noise, narrow = measure_noise(gray), min(height, width)
    return FaceMeasurements(
        blur_px=None if narrow < MIN_FACE_PX else measure_blur(gray, noise=noise),
        levels=measure_levels(gray[skin], shown[skin]),
        noise=None if narrow < MIN_SKIN_PX else noise,
        grain=noise,
    )


def measure_blur(gray: Bytes, *, noise: float) -> float:
    """Return the blur of a picture's edges in pixels, in the worse direction.

    gray: (h, w) uint8, luma; noise: its deviation in levels.  The worse direction counts because
    camera shake blurs one direction only.
    Source: Zhuo & Sim 2011, "Defocus map estimation from a single image", eq. 4: on an edge
    blurred by d, gradients at scales a and b have the ratio sqrt((d² + b²) / (d² + a²)),
    for any contrast. Squared gradients are summed over the crests of the strongest edges,
    minus those of the noise, σ² / (8 π s⁴) for a Gaussian derivative of scale s.
    """
    luma = gray.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(luma, (0, 0), scale) for scale in (FINE, COARSE))
    return max(
        _blur_along(axis, np.asarray(fine, np.float32), np.asarray(coarse, np.float32), noise)
        for axis in (0, 1)
    )


def measure_noise(gray: Bytes, *, block_px: int = NOISE_BLOCK_PX) -> float:
    """Return the noise's deviation in levels of 255, by the quietest quarter of its blocks.

    gray: (h, w) uint8, luma.  Fully black or white blocks show no noise and count only when
    there are no others.
    """
    operator = np.array(NOISE_OPERATOR, np.float32)
    seen = np.abs(cv2.filter2D(gray, cv2.CV_16S, operator))[1:-1, 1:-1]
    height, width = seen.shape[0] // block_px, seen.shape[1] // block_px
    if not height or not width:
        return 0.0
    part = slice(0, height * block_px), slice(0, width * block_px)
    sizes = (width, height)
    means = _block_means(seen[part].astype(np.float32), sizes)
    levels = _block_means(gray[1:-1, 1:-1][part].astype(np.float32), sizes)
    lit = np.asarray((levels > BLACK) & (levels < WHITE))
    quiet = np.quantile(means[lit] if lit.any() else means, QUIET_SHARE)
    return float(quiet / NOISE_GAIN)


def measure_blocks(gray: Bytes) -> float:
    """Return how far every eighth step of levels exceeds the others, 0 and up; about 1 is visible.

    gray: (h, w) uint8, luma.  The phase of the blocks is unknown in a cropped copy.
    """
    height, width = gray.shape
    top, left = max(0, height - _MIDDLE_PX) // 2, max(0, width - _MIDDLE_PX) // 2
    middle = gray[top : top + _MIDDLE_PX, left : left + _MIDDLE_PX]
    return max(0.0, (_blocks_along(middle) + _blocks_along(middle.T)) / 2)


def measure_crispness(gray: Bytes) -> float:
    """Return the fine detail of a picture by its coarse detail; about 0.3, less if enlarged.

    gray: (h, w) uint8, luma.  0 below five pixels.
    """
    side = min(_WINDOW_PX, *gray.shape)
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    frequency = np.fft.fftfreq(side)
    cycles = np.hypot(*np.meshgrid(frequency, frequency))
    fine, coarse = ((cycles >= low) & (cycles < high) for low, high in (_FINE, _COARSE))
    if not fine.any() or not coarse.any():
        return 0.0
    power = np.zeros((side, side, 2), np.float32)
    for top in np.linspace(0, gray.shape[0] - side, _WINDOWS).astype(int):
        for left in np.linspace(0, gray.shape[1] - side, _WINDOWS).astype(int):
            part = gray[top : top + side, left : left + side]
            waves = cv2.dft((part - np.float32(part.mean())) * window, flags=cv2.DFT_COMPLEX_OUTPUT)
            cv2.accumulateSquare(waves, power)
    return math.sqrt(float(power[fine].mean()) / max(float(power[coarse].mean()), 1e-6))


def measure_turn(face: Face) -> float:
    """Return the turn of a head: 0 straight ahead, the tangent of its yaw times about 0.6.

    The nose sticks out of the plane of eyes and mouth. When the head turns, the nose moves sideways
    with the sine of the angle, and the distances of the eyes and of the mouth's corners shrink with
    its cosine.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = (
        np.array(point) for point in face.landmarks
    )
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    down = mouth - eyes
    aside = np.array([-down[1], down[0]])
    span = abs((left_eye - right_eye) @ aside) + abs((left_mouth - right_mouth) @ aside)
    off = abs((nose - eyes) @ aside)
    return float(2 * off / span) if span > 0 else float("inf")


def _resize_face(photo_srgb: Srgb8, proxy_srgb: Srgb8, face: Face) -> Srgb8 | None:
    """Return the face at most FACE_PX wide, (h, w, 3) uint8, from the smaller source if enough."""
    x, y, width, height = face.box
    scale = proxy_srgb.shape[1] / photo_srgb.shape[1]
    source = photo_srgb
    if width * scale >= FACE_PX:
        source = proxy_srgb
        x, y, width, height = (side * scale for side in face.box)
    rows = slice(max(0, int(y)), max(0, int(y + height)))
    columns = slice(max(0, int(x)), max(0, int(x + width)))
    cut = source[rows, columns]
    if not cut.size:
        return None
    across = min(cut.shape[1], FACE_PX)
    down = max(1, round(cut.shape[0] * across / cut.shape[1]))
    small = cv2.resize(cut, (across, down), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _blur_along(axis: int, fine: Floats, coarse: Floats, noise: float) -> float:
    fine, coarse = _squared_slope(fine, axis), _squared_slope(coarse, axis)
    reach = np.ones((1, 3) if axis == 0 else (3, 1), np.uint8)
    crest = coarse >= cv2.dilate(coarse, reach)
    weaker = int((1 - EDGE_SHARE) * (coarse.size - 1))
    strongest = crest & (coarse >= np.partition(coarse.ravel(), weaker)[weaker])
    at_fine = float(fine[strongest].mean()) - noise**2 / (8 * math.pi * FINE**4)
    at_coarse = float(coarse[strongest].mean()) - noise**2 / (8 * math.pi * COARSE**4)
    ratio = at_fine / max(at_coarse, 1e-6)
    if ratio <= 1:
        return MAX_BLUR_PX
    squared = (COARSE**2 - ratio * FINE**2) / (ratio - 1)
    return min(MAX_BLUR_PX, math.sqrt(max(0.0, squared)))


def _blocks_along(gray: Bytes) -> float:
    if gray.shape[1] < _BLOCK_PX + 3:
        return 0.0
    steps = cv2.absdiff(gray[:, 1:], gray[:, :-1])
    excess = cv2.filter2D(steps, cv2.CV_32F, np.array([[-0.5, 1, -0.5]], np.float32))[:, 1:-1]
    whole = excess.shape[1] // _BLOCK_PX * _BLOCK_PX
    clipped = np.clip(excess[:, :whole], -_MAX_STEP, _MAX_STEP)
    columns = cv2.reduce(clipped, 0, cv2.REDUCE_AVG)
    by_phase = np.sort(columns.reshape(-1, _BLOCK_PX).mean(axis=0))
    mean = cv2.norm(excess, cv2.NORM_L1) / excess.size
    return float((by_phase[-1] - by_phase[-2]) / (mean + 0.3))


def _block_means(values: Floats, sizes: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(values, sizes, interpolation=cv2.INTER_AREA), np.float32)


def _squared_slope(luma: Floats, axis: int) -> Floats:
    across, down = 1 - axis, axis
    slope = np.asarray(cv2.Sobel(luma, cv2.CV_32F, across, down, ksize=1, scale=0.5), np.float32)
    return slope * slope


def measure_levels(gray: Bytes, srgb: Srgb8 | None = None) -> Levels:
    """Return the levels of a picture of at least one pixel.

    gray: (h, w) uint8, luma; srgb: (h, w, 3) uint8, the same picture; None if only gray is known.
    """
    highest = gray if srgb is None else srgb.max(axis=2)
    # calcHist takes a twentieth of the time of NumPy's bincount.
    shares = cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel() / gray.size
    above = np.cumsum(shares[::-1])[::-1]
    return Levels(
        brightness=float(shares @ np.arange(256)) / 255,
        brightest=int(np.flatnonzero(above >= BRIGHTEST_SHARE)[-1]) / 255,
        dark=float(shares[: BLACK + 1].sum()),
        bright=float(shares[WHITE:].sum()),
        clipped=float((highest >= WHITE).mean()),
    )
