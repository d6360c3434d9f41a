"""The sky by the hour, alone or above a sea and a beach out of focus.

palette: the sky from the zenith to the horizon in three colors, the clouds, then the sea and the
sand.
clouds: how much of the sky they cover, 0..1.  sea: 1 for a beach.  sun: strength of the sun's glow.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.shapes import smoothstep
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

# Everything is far out of focus: 320 differs by 3 levels at most, at twice the time.
SMALL_SIDE_PX = 200
RADIUS = 0.022  # of the shorter side


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    *sky, cloud, sea, sand = colors.parse_hex(preset.palette)
    random, parameters = sheet.random, preset.parameters
    x, y = sheet.places(SMALL_SIDE_PX)
    height, width = x.shape
    has_sea = bool(parameters.get("sea"))
    line = float(np.clip(sheet.camera.horizon + 0.1, 0.4, 0.72)) if has_sea else 1.12
    side = 1 if random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    row = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    # The light's path through the air gets longer toward the horizon, faster the lower it is.
    place = np.clip(row / line, 0, 1) ** 1.25 * np.ones((1, width), np.float32)
    picture = colors.srgb_to_linear(colors.ramp(np.array(sky), place.astype(np.float32)))
    glow = np.exp(-(((x - side * 0.75 * x.max()) / 1.1) ** 2 + ((row - 0.85 * line) / 0.4) ** 2))
    picture = picture + parameters.get("sun", 0.25) * glow[..., None] * np.maximum(sky[-1], cloud)
    cover = parameters.get("clouds", 0.3)
    # Clouds lie in banks that get flatter toward the horizon.
    banks = sheet.clouds(SMALL_SIDE_PX, cells=3.5, octaves=5)
    share = smoothstep((banks + 1.6 * cover - 0.85) / 1.3) * min(1.0, 1.6 * cover)
    picture = picture + (share * (0.85 - 0.35 * place))[..., None] * (cloud - picture)
    if has_sea:
        below = np.clip((row - line) / (1 - line), 0, 1)
        waves = sheet.clouds(SMALL_SIDE_PX, cells=2, octaves=3)
        shore = 0.3 + 0.05 * waves
        beach = smoothstep((below - shore) / 0.12 + 0.5)[..., None]
        foam = np.exp(-(((below - shore) / 0.07) ** 2))[..., None]
        water = (
            sea * (0.85 + 0.5 * glow[..., None]) + sky[-1] * 0.4 * np.exp(-below / 0.08)[..., None]
        )
        ground = (
            water * (1 - beach)
            + sand * (1 + 0.06 * waves[..., None]) * beach
            + 0.22 * foam * sky[-1]
        )
        low = smoothstep((row - line) / 0.035 + 0.5)[..., None]
        picture = picture * (1 - low) + ground * low
    picture = lens.defocus(np.asarray(picture, np.float32), RADIUS * min(width, height))
    return sheet.finish(lens.develop(picture, x, y))
