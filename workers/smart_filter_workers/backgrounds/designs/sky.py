"""A summer sky with fair-weather clouds.

palette: the sky from top to horizon (three colours), the clouds' light and their shade.
"""

import cv2
import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL = 560


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
    heaps = _bent(heaps, bend * sheet.clouds(SMALL, cells=5, octaves=4))
    # Fair-weather clouds gather towards the horizon.
    density: Field = heaps + 0.9 * (down - 0.55)
    cover = _smooth((density + 0.12) / np.float32(1.15))

    # The sun stands above: a cloud's upper edge shines, what lies under much of it is shaded.
    reach_px = 2 * round(SMALL / 70) + 1
    thick = cv2.blur(cv2.blur(cover, (reach_px, reach_px)), (reach_px, reach_px))
    shade = (_smooth((np.asarray(thick, np.float32) - 0.3) / 0.9) * 0.5)[..., None]
    cloud = colours.coded(palette[3]) * (1 - shade) + colours.coded(palette[4]) * shade
    cover = (0.93 * cover)[..., None]
    return sheet.finish((sky * (1 - cover) + cloud * cover).astype(np.float32))


def _bent(field: Field, by: Field) -> Field:
    """Return the field looked up beside each place, `by` pixels off."""
    height, width = field.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    bent = cv2.remap(field, x + by, y + 0.6 * by, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return bent.astype(np.float32, copy=False)


def _smooth(share: Field) -> Field:
    """Return 0 below 0, 1 above 1, and a smooth step between."""
    share = np.clip(share, 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)
