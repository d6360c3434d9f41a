"""Trees and a lawn far out of focus, with the sky glittering between the leaves.

palette: the haze of the far trees, the lit leaves, the leaves in the shade, the ground, the sky,
and blossoms if any.
glints: number of gaps with sky.  blossom: share of the leaves that are blossoms.
"""

from dataclasses import dataclass

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.backgrounds.shapes import smoothstep
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 360
FAR_RADIUS, NEAR_RADIUS = 0.036, 0.075  # of the shorter side


@dataclass(frozen=True, slots=True)
class Leaves:
    """The linear light of leaves in the sun and in the shade, and of a share of blossoms."""

    random: np.random.Generator
    lit: Colors
    shaded: Colors
    blossom: Colors
    blossom_share: float

    def choose_light(self) -> Colors:
        """Return the light of a random cluster."""
        if self.random.random() < self.blossom_share:
            return np.asarray(self.blossom * self.random.uniform(0.6, 1.2), np.float32)
        share = self.random.random() ** 1.5
        return np.asarray(self.shaded * (1 - share) + self.lit * share, np.float32)

    def draw_cluster(self, layer: Colors, middle: tuple[float, float], size: float) -> None:
        """Draw a cluster of leaves of about this size, in pixels."""
        long = size * self.random.uniform(0.5, 1.6)
        lens.fill_ellipse(layer, middle, (long, 0.7 * long), self.choose_light())


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    haze, lit, shaded, ground, sky, *blossoms = colors.parse_hex(preset.palette)
    random, parameters = sheet.random, preset.parameters
    leaves = Leaves(random, lit, shaded, [*blossoms, lit][0], parameters.get("blossom", 0.0))
    x, y = sheet.places(SMALL_SIDE_PX)
    height, width = x.shape
    unit = min(height, width)
    line = float(np.clip(sheet.camera.horizon + 0.12, 0.4, 0.8)) * height
    side = 1 if random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    # The sun stands behind the trees on one side, and haze scatters its light.
    sun = np.exp(-((x - side * 0.6 * x.max()) ** 2 + (y + 0.75) ** 2) / 1.1)[..., None]
    mottled = 1 + 0.35 * sheet.clouds(SMALL_SIDE_PX, cells=5, octaves=3)[..., None]
    picture = haze * mottled * (0.75 + 0.5 * sun) + sky * 0.35 * sun
    row = np.arange(height, dtype=np.float32)[:, None]
    lawn = smoothstep((row - line) / (0.1 * unit) + 0.5)[..., None]
    nearer = np.clip((row - line) / max(height - line, 1), 0, 1)[..., None]
    streaks = 1 + 0.3 * sheet.clouds(SMALL_SIDE_PX, cells=4, octaves=3)[..., None]
    grass = ground * (1.15 - 0.45 * nearer) * streaks + lit * 0.25 * sun
    picture = np.asarray(picture * (1 - lawn) + grass * lawn, np.float32)

    far = lens.empty_layer(picture.shape)
    for _ in range(5):
        place, thick = random.uniform(0, width), unit * random.uniform(0.012, 0.035)
        foot = line + random.uniform(-0.02, 0.05) * height
        lens.fill_box(far, (place - thick, 0, place + thick, foot), shaded * np.float32(0.8))
    for _ in range(90):
        middle = random.uniform(-0.1, 1.1) * width, random.uniform(0.0, 0.8 * line)
        leaves.draw_cluster(far, middle, 0.05 * unit)
    for _ in range(int(parameters.get("glints", 30) * width * height / unit**2)):
        # Sky in gaps: small and far brighter than the leaves, so that each becomes a disc.
        middle = random.uniform(0, width), 0.85 * line * random.beta(1.1, 1.9)
        size = unit * random.uniform(0.004, 0.012)
        light = sky * np.float32(2 + 9 * random.random() ** 2.5)
        lens.fill_ellipse(far, middle, (size, size), light)
    picture = lens.lay_over(picture, far, FAR_RADIUS * unit)
    near = lens.empty_layer(picture.shape)
    for edge in (-0.04, 1.04):
        for _ in range(12):
            middle = random.normal(edge, 0.07) * width, random.uniform(-0.1, 0.62) * height
            leaves.draw_cluster(near, middle, 0.1 * unit)
    picture = lens.lay_over(picture, near, NEAR_RADIUS * unit)
    return sheet.finish(lens.develop(picture, x, y))
