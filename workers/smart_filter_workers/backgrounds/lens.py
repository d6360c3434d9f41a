"""A lens: depth of field, glow, film response and falloff to the corners, all in linear light."""

import functools
from typing import Final

import numpy as np

from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Doubles, Floats

# Light lost in the corners, chosen by looking: a fast portrait lens loses two to three times this.
VIGNETTE: Final = 0.16
# Linear light up to which film responds evenly, and the width of its shoulder.
_SHOULDER_FROM: Final = 0.6
# From this radius on, a layer is put out of focus at half its size: it differs by 7 levels at most,
# and a room takes half the time. Small bright lights would show it.
_COARSE_FROM_PX: Final = 16
# Brighter light than the first is as bright on film; a step is a tenth of a level at most.
_FILM_LIGHT, _FILM_STEPS = 4.0, 1 << 16


def disc(radius: float) -> Floats:
    """Return a disc with a soft edge that sums to 1; radius in pixels."""
    reach = int(radius) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    shape = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(shape / shape.sum(), np.float32)


def defocus(light: Colors, radius: float) -> Colors:
    """Return linear light, (h, w[, N]), out of focus: a bright point becomes a disc."""
    blurred = cv2.filter2D(light, -1, disc(radius), borderType=cv2.BORDER_REFLECT_101)
    return blurred.astype(np.float32, copy=False)


def lay_over(ground: Colors, layer: Colors, radius: float) -> Colors:
    """Return a layer, out of focus, over a ground, (h, w, 3) linear light.

    layer: (h, w, 4) linear light multiplied by coverage, and coverage 0..1.
    """
    if radius < _COARSE_FROM_PX:
        soft = defocus(layer, radius)
    else:
        height, width = layer.shape[:2]
        half = -(-width // 2), -(-height // 2)
        coarse = np.asarray(cv2.resize(layer, half, interpolation=cv2.INTER_AREA), np.float32)
        enlarged = cv2.resize(defocus(coarse, radius / 2), (width, height))
        soft = np.asarray(enlarged, np.float32)
    return np.asarray(ground * (1 - soft[..., 3:]) + soft[..., :3], np.float32)


def develop(light: Colors, x: Floats, y: Floats) -> Colors:
    """Return gamma-coded 0..255 of linear light, with the lens's falloff and film's soft shoulder.

    light: (h, w, 3), 0 or more.  x, y: places of its pixels (`Sheet.places`).
    """
    # A picture one pixel wide has no corners.
    away = (x / max(float(x.max()), 1e-3)) ** 2 + (y / max(float(y.max()), 1e-3)) ** 2
    step = np.float32((_FILM_STEPS - 1) / _FILM_LIGHT)
    steps = cv2.multiply(light, cv2.merge([step * (1 - np.float32(VIGNETTE / 2) * away)] * 3))
    return _film_levels()[np.minimum(steps, _FILM_STEPS - 1).astype(np.uint16)]


@functools.cache
def _film_levels() -> Floats:
    """Return the gamma-coded levels, 0..255, of evenly spaced light on film."""
    light = np.linspace(0, _FILM_LIGHT, _FILM_STEPS, dtype=np.float32)
    room = 1 - _SHOULDER_FROM
    bent = room * (1 - np.exp((_SHOULDER_FROM - light) / room))
    return colors.linear_to_srgb(np.where(light < _SHOULDER_FROM, light, _SHOULDER_FROM + bent))


def empty_layer(shape: tuple[int, ...]) -> Colors:
    """Return a transparent layer of a small sheet, (h, w, 4) float32."""
    return np.zeros((*shape[:2], 4), np.float32)


def fill(layer: Colors, points: Doubles, light: Colors) -> None:
    """Fill a polygon, (N, 2) x and y in pixels, with linear light, in place."""
    color = (*map(float, light), 1.0)
    cv2.fillPoly(layer, [np.round(points * 16).astype(np.int32)], color, shift=4)


def fill_box(layer: Colors, box: tuple[float, float, float, float], light: Colors) -> None:
    """Fill left, top, right, bottom, in pixels, with linear light, in place."""
    left, top, right, bottom = box
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    fill(layer, corners, light)


def fill_ellipse(
    layer: Colors, middle: tuple[float, float], axes: tuple[float, float], light: Colors
) -> None:
    """Fill an upright ellipse, in pixels, with linear light, in place."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    fill(
        layer, np.array(middle) + np.array(axes) * np.stack([np.cos(turn), np.sin(turn)], -1), light
    )
