"""A street far out of focus: houses that recede into the haze, and lights that become discs.

palette: the sky at the end of the street, the houses in the light, those in the shade, the road,
then the lights.
lights: number of lights.  glow: strength of the lights.  trees: number of trees along the street.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.shapes import smoothstep
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 360
FAR_RADIUS, LIGHT_RADIUSES = 0.04, (0.032, 0.055)  # of the shorter side
NEAR_FROM = 0.4  # share of the way to the camera
HOUSES = 7


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    sky, sunny, shady, road, *lamps = colors.parse_hex(preset.palette)
    random, parameters = sheet.random, preset.parameters
    x, y = sheet.places(SMALL_SIDE_PX)
    height, width = x.shape
    unit = min(height, width)
    horizon = float(np.clip(sheet.camera.horizon + 0.08, 0.36, 0.72)) * height
    side = 1 if random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    end = width * (0.5 + side * random.uniform(0.02, 0.2))
    row = np.arange(height, dtype=np.float32)[:, None]
    above = np.clip(1 - row / horizon, 0, 1)[..., None]
    nearer = np.clip((row - horizon) / (height - horizon), 0, 1)[..., None]
    picture = sky * (1.1 - 0.25 * above) * np.ones((1, width, 1), np.float32)
    sheen = np.exp(-(((np.arange(width) - end) / (0.35 * width)) ** 2))[None, :, None]
    ground = (
        sky * 0.75 * (1 - nearer) ** 2
        + road * (0.6 + 0.4 * nearer)
        + 0.25 * sky * sheen * (1 - nearer)
    )
    low = smoothstep((row - horizon) / (0.05 * unit) + 0.5)[..., None]
    picture = np.asarray(picture * (1 - low) + ground * low, np.float32)

    far = lens.empty_layer(picture.shape)
    for edge, tint in ((-0.15 * width, shady), (1.15 * width, sunny))[::side]:
        for number in range(HOUSES):  # far ones first
            first, last = (1 - ((HOUSES - number - part) / HOUSES) ** 0.7 for part in (0, 1))
            haze = np.float32(0.8 * (1 - last) ** 1.2)
            roof = random.uniform(0.75, 1.35)
            color = (tint * random.uniform(0.75, 1.2)) * (1 - haze) + sky * haze
            left, right = (
                end + (edge - end) * (0.12 + 0.95 * first),
                end + (edge - end) * (0.12 + 0.95 * last),
            )
            tall = [roof * horizon * (0.22 + 0.95 * part) for part in (first, last)]
            foot = [0.3 * (height - horizon) * (0.05 + part) for part in (first, last)]
            corners = [
                (left, horizon - tall[0]),
                (right, horizon - tall[1]),
                (right, horizon + foot[1]),
                (left, horizon + foot[0]),
            ]
            lens.fill(far, np.array(corners), color)
            for _ in range(5):  # windows and doors
                share, up = random.random(), random.uniform(0.0, 0.8)
                place = left + share * (right - left)
                middle = horizon - up * (tall[0] + share * (tall[1] - tall[0]))
                half = 0.14 * abs(right - left), 0.07 * tall[1]
                lens.fill_box(
                    far,
                    (place - half[0], middle - half[1], place + half[0], middle + half[1]),
                    color * np.float32(random.choice([0.55, 0.7, 1.35])),
                )
    for _ in range(int(parameters.get("trees", 0))):
        share = random.uniform(0.25, 1.0)
        place = end + random.choice([-1, 1]) * share * 0.52 * width
        leaf = np.array([0.13, 0.16, 0.07], np.float32) * np.float32(random.uniform(0.8, 1.8))
        for _ in range(9):
            middle = (
                place + random.normal(0, 0.09 * unit * share),
                horizon - random.uniform(0.25, 0.9) * share * horizon,
            )
            lens.fill_ellipse(
                far,
                middle,
                (0.09 * unit * share, 0.08 * unit * share),
                leaf * (0.5 + 0.5 * share) + sky * np.float32(0.12 + 0.25 * (1 - share)),
            )
    picture = lens.lay_over(picture, far, FAR_RADIUS * unit)
    layers = [lens.empty_layer(picture.shape) for _ in LIGHT_RADIUSES]
    for _ in range(int(parameters.get("lights", 30) * max(width, height) / unit)):
        share = random.random() ** 1.3
        place = (
            end + random.choice([-1, 1]) * (0.03 + share * random.uniform(0.5, 1.2)) * 0.62 * width
        )
        middle = place, horizon - random.normal(0.12, 0.2 + 0.3 * share) * horizon * 0.75
        size = unit * (0.004 + 0.006 * share)
        lamp = lamps[random.integers(len(lamps))] * np.float32(
            (0.12 + random.random() ** 2.2) * parameters.get("glow", 9)
        )
        lens.fill_ellipse(layers[int(share > NEAR_FROM)], middle, (size, size), lamp)
    # Lights add to the scene: they cover nothing.
    for layer, radius in zip(layers, LIGHT_RADIUSES, strict=True):
        picture = picture + lens.defocus(layer[..., :3], radius * unit)
    return sheet.finish(lens.develop(np.asarray(picture, np.float32), x, y))
