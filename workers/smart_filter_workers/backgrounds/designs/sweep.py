"""Seamless paper that sweeps from the wall onto the floor, lit by a softbox from one side.

palette: the paper, and its tint in the shade.
key: strength of the softbox.  fill: light from everywhere.  spot: a light on the paper of the wall.
pool: a light on the floor.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.shapes import smoothstep
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 320
# Lengths in the picture's shorter half at the wall: the bend's height, and the way to the camera in
# heights of the camera.
BEND = 0.3
# Light from the flash that lands on the paper by itself, elsewhere in each picture.
SPOT = 0.16
CAMERA_AWAY = 2.6
# The light on the floor, in the same lengths: to the sides, and from the wall to the camera.
POOL_WIDTH, POOL_DEPTH = 1.1, 2.0


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    paper, shade = colors.parse_hex(preset.palette)
    x, y = sheet.places(SMALL_SIDE_PX)
    reach_x, reach_y = sheet.reach
    floor, horizon = (reach_y * (2 * row - 1) for row in (sheet.camera.floor, sheet.camera.horizon))
    camera = max(floor - horizon, 0.3)
    below = np.maximum(y - floor, 0)
    # Perspective: a row of the floor is nearer by the ratio of its height below the camera.
    nearer = camera / (camera + below)
    out = CAMERA_AWAY * camera * (1 - nearer)
    lying = smoothstep((y - floor + BEND) / (2 * BEND))
    across, up = x * nearer, floor - np.minimum(y, floor)
    side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    lamp_x = side * reach_x * sheet.random.uniform(0.6, 1.5)
    lamp_up, lamp_out = floor + reach_y * sheet.random.uniform(0.3, 1.0), 2.1
    to_x, to_up, to_out = lamp_x - across, lamp_up - up, lamp_out - out
    squared = to_x**2 + to_up**2 + to_out**2
    # Lambert's cosine on a surface that turns from the wall to the floor, and the inverse square.
    facing = np.maximum(to_out * np.cos(lying * np.pi / 2) + to_up * np.sin(lying * np.pi / 2), 0)
    lit = facing / squared**1.5
    lit /= lit[: max(1, len(lit) // 2)].max()
    glow_x, glow_y = (
        -side * sheet.random.uniform(0.15, 0.6) * reach_x,
        horizon * 0.5 - sheet.random.uniform(0.0, 0.3),
    )
    spot = np.exp(-(((x - glow_x) / (0.9 + 0.2 * reach_x)) ** 2 + ((y - glow_y) / 1.05) ** 2))
    exposure = sheet.random.uniform(0.88, 1.12)
    wear = exposure * (1 + 0.012 * sheet.clouds(SMALL_SIDE_PX, cells=4, octaves=3))
    parameters = preset.parameters
    strong = parameters.get("key", 0.68) * lit + parameters.get("spot", SPOT) * spot * (1 - lying)
    # A dark floor without light shows no shadow, and people seem to hover.
    pool = np.exp(-((across / POOL_WIDTH) ** 2) - (out / POOL_DEPTH) ** 2)
    strong += parameters.get("pool", 0.0) * lying * pool
    bent = 1 - 0.16 * np.exp(-(((y - floor) / BEND) ** 2))  # the bend sees less of the room
    light = (
        parameters.get("fill", 0.35) * bent * shade.reshape(3, 1, 1)
        + strong * paper.reshape(3, 1, 1)
    ) * wear
    return sheet.finish(lens.develop(np.moveaxis(light, 0, -1).astype(np.float32), x, y))
