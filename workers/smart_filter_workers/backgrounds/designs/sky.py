"""A summer sky with fair-weather clouds.

palette: the sky from top to horizon (three colors), the clouds' light and their shade. cover:
additional cloudiness compared to a fair day, 0 by default.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import hillshade, smoothstep, warp_field
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 520
HEAPED = 9.0


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    palette = colors.parse_hex(preset.palette)
    _, y = sheet.places(SMALL_SIDE_PX)
    down = np.asarray((y / sheet.reach[1] + 1) / 2, np.float32)  # 0 at the top, 1 at the bottom
    sky = colors.ramp(palette[:3], down[:, :1] ** 0.85)  # one column: rows have one color

    # Large soft heaps, frayed by finer noise that also bends them.
    bend = SMALL_SIDE_PX / 16
    heaps = sheet.clouds(SMALL_SIDE_PX, cells=3.2, octaves=6)
    heaps += 0.9 * sheet.clouds(SMALL_SIDE_PX, cells=1.6, octaves=1)
    sideways = bend * sheet.clouds(SMALL_SIDE_PX, cells=5, octaves=4)
    heaps = warp_field(heaps, sideways, 0.6 * sideways)
    # Fair-weather clouds gather toward the horizon.
    density: Field = heaps + 0.9 * (down - 0.55)
    cover = smoothstep((density + 0.12 + preset.parameters.get("cover", 0)) / np.float32(1.15))

    # The sun is above: a cloud's upper edge shines, and the parts below its thick middle are
    # shaded.
    reach_px = 2 * round(SMALL_SIDE_PX / 70) + 1
    thick = cv2.blur(cv2.blur(cover, (reach_px, reach_px)), (reach_px, reach_px))
    shade = smoothstep((np.asarray(thick, np.float32) - 0.3) / 0.9) * 0.5
    # Relief within the cloud: sides that face the sun are lit, the others are not.
    heaped = cv2.GaussianBlur(heaps, (0, 0), SMALL_SIDE_PX / 60).astype(np.float32)
    shade = np.clip(shade - HEAPED * hillshade(heaped), 0, 1)[..., None]
    cloud = (
        colors.linear_to_srgb(palette[3]) * (1 - shade) + colors.linear_to_srgb(palette[4]) * shade
    )
    cover = (0.93 * cover)[..., None]
    return sheet.finish((sky * (1 - cover) + cloud * cover).astype(np.float32))
