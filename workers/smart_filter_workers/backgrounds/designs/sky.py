"""A summer sky with fair-weather clouds.

palette: the sky from top to horizon (three colours), the clouds' light and their shade.
cover: how much cloudier than a fair day it is, 0 by default.
"""

import cv2
import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.shapes import bent, slope, step
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL = 520
HEAPED = 9.0


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    palette = colours.read(preset.palette)
    _, y = sheet.places(SMALL)
    down = np.asarray((y / sheet.reach[1] + 1) / 2, np.float32)  # 0 at the top, 1 at the bottom
    sky = colours.ramp(palette[:3], down[:, :1] ** 0.85)  # one column: rows are of one colour

    # Large soft heaps, frayed by finer noise that also bends them.
    bend = SMALL / 16
    heaps = sheet.clouds(SMALL, cells=3.2, octaves=6)
    heaps += 0.9 * sheet.clouds(SMALL, cells=1.6, octaves=1)
    sideways = bend * sheet.clouds(SMALL, cells=5, octaves=4)
    heaps = bent(heaps, sideways, 0.6 * sideways)
    # Fair-weather clouds gather towards the horizon.
    density: Field = heaps + 0.9 * (down - 0.55)
    cover = step((density + 0.12 + preset.parameters.get("cover", 0)) / np.float32(1.15))

    # The sun stands above: a cloud's upper edge shines, what lies under much of it is shaded.
    reach_px = 2 * round(SMALL / 70) + 1
    thick = cv2.blur(cv2.blur(cover, (reach_px, reach_px)), (reach_px, reach_px))
    shade = step((np.asarray(thick, np.float32) - 0.3) / 0.9) * 0.5
    # Heaps within the cloud: what faces the sun is lit, what lies behind is not.
    heaped = cv2.GaussianBlur(heaps, (0, 0), SMALL / 60).astype(np.float32)
    shade = np.clip(shade - HEAPED * slope(heaped), 0, 1)[..., None]
    cloud = colours.coded(palette[3]) * (1 - shade) + colours.coded(palette[4]) * shade
    cover = (0.93 * cover)[..., None]
    return sheet.finish((sky * (1 - cover) + cloud * cover).astype(np.float32))
