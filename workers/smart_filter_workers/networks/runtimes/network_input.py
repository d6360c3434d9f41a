"""Prepare a picture as a network's input, and map outputs back to the picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np

from smart_filter_workers.networks.runtimes.handling import (
    Activation,
    ChannelOrder,
    Fit,
    Handling,
    Layout,
)
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, Srgb8

# A map whose highest value is lower shows no person; stretching it would turn noise into one.
SEEN_FROM: Final = 0.2
_MAP_AXES: Final = 2


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """A picture placed in a network's input.

    values: (1, 3, H, W) or (1, H, W, 3) float32, in the network's layout.
    left, top, width, height: place of the picture in the input, in pixels of the input.
    """

    values: Floats
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ConfiguredNetwork:
    """A network with its handling.

    network: takes the values of a NetworkInput, and returns all outputs.
    """

    network: Callable[[Floats], Sequence[Floats]]
    handling: Handling


def prepare(srgb: Srgb8, handling: Handling) -> NetworkInput:
    """Return a picture resized, placed and normalized for a network.

    srgb: (H, W, 3) uint8.
    """
    height, width = srgb.shape[:2]
    across, down = handling.width, handling.height
    left = top = 0
    if handling.fit != Fit.STRETCH:
        scale = min(handling.width / width, handling.height / height)
        across = min(handling.width, max(1, round(width * scale)))
        down = min(handling.height, max(1, round(height * scale)))
    if handling.fit == Fit.CENTERED:
        left, top = (handling.width - across) // 2, (handling.height - down) // 2
    canvas = np.full((handling.height, handling.width, 3), handling.padding, np.uint8)
    canvas[top : top + down, left : left + across] = resize(srgb, width=across, height=down)
    return NetworkInput(_values(canvas, handling), left, top, across, down)


def read_coverage(answer: Floats, handling: Handling) -> Floats:
    """Return the (h, w) float32 coverage, 0..1, of people in a network's input.

    answer: (1, C, h, w), (1, h, w, C), (1, h, w) or (h, w), of any size.
    Raises ValueError for any other shape, or when the channel is missing.
    """
    maps = np.asarray(answer, dtype=np.float32)
    if maps.ndim > _MAP_AXES and maps.shape[0] == 1:
        maps = maps[0]
    if maps.ndim == _MAP_AXES:
        maps = maps[np.newaxis]
    elif maps.ndim == _MAP_AXES + 1 and handling.layout == Layout.NHWC:
        maps = np.moveaxis(maps, -1, 0)
    if maps.ndim != _MAP_AXES + 1 or handling.channel >= len(maps) or 0 in maps.shape:
        raise ValueError(f"an output of shape {np.shape(answer)} has no map {handling.channel}")
    return _activate(maps, handling)


def map_to_picture(map_01: Floats, placed: NetworkInput, handling: Handling, srgb: Srgb8) -> Floats:
    """Return a map of the whole input, mapped back to the picture: (H, W) float32.

    map_01: (h, w) float32, the input at any scale.
    """
    across = map_01.shape[1] / handling.width
    down = map_01.shape[0] / handling.height
    left, top = int(placed.left * across), int(placed.top * down)
    right = max(left + 1, round((placed.left + placed.width) * across))
    bottom = max(top + 1, round((placed.top + placed.height) * down))
    part = np.ascontiguousarray(map_01[top:bottom, left:right])
    return resize(part, width=srgb.shape[1], height=srgb.shape[0])


def _values(canvas: Srgb8, handling: Handling) -> Floats:
    highest = max(1, int(canvas.max())) if handling.brightest else 255
    ordered = canvas if handling.order == ChannelOrder.RGB else canvas[..., ::-1]
    values = np.divide(ordered, highest, dtype=np.float32)
    values = (values - np.array(handling.mean, np.float32)) / np.array(handling.std, np.float32)
    if handling.layout == Layout.NCHW:
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[np.newaxis], dtype=np.float32)


def _activate(maps: Floats, handling: Handling) -> Floats:
    """Return one of (C, h, w) maps as coverage 0..1; NaN counts as 0."""
    coverage = maps[handling.channel]
    match handling.activation:
        case Activation.NONE:
            pass
        case Activation.SIGMOID:
            coverage = sigmoid(coverage)
        case Activation.SOFTMAX:
            powers = np.exp(maps - maps.max(axis=0))
            coverage = powers[handling.channel] / powers.sum(axis=0)
        case Activation.MINMAX:
            lowest, highest = float(coverage.min()), float(coverage.max())
            coverage = (
                (coverage - lowest) / (highest - lowest)
                if highest > lowest + SEEN_FROM
                else coverage
            )
        case _:
            assert_never(handling.activation)
    return np.asarray(np.clip(np.nan_to_num(coverage, posinf=1.0), 0, 1), dtype=np.float32)


def sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) of each value, without overflow."""
    return np.asarray(0.5 * (np.tanh(0.5 * values) + 1), dtype=np.float32)
