"""Places outdoors: a garden, a street, the sky by day and by night."""

import math
from dataclasses import dataclass

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.backgrounds.shapes import ridge_line, smoothstep
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

GARDEN_SIDE_PX = 360
GARDEN_FAR_RADIUS, GARDEN_NEAR_RADIUS = 0.036, 0.075  # of the shorter side

STREET_SIDE_PX = 360
STREET_FAR_RADIUS, STREET_LIGHT_RADIUSES = 0.04, (0.032, 0.055)  # of the shorter side
STREET_NEAR_FROM = 0.4  # share of the way to the camera
STREET_HOUSES = 7

# Everything is far out of focus: 320 differs by 3 levels at most, at twice the time.
HORIZON_SIDE_PX = 200
HORIZON_RADIUS = 0.022  # of the shorter side

HILLS_SIDE_PX = 640
HILLS_RIDGES = 6

NIGHT_SIDE_PX = 520
NIGHT_STARS_PER_SQUARE = 260
NIGHT_MAX_STARS = 1500
NIGHT_FIXED_POINT_BITS = 4


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


def draw_garden(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw trees and a lawn far out of focus, with the sky glittering between the leaves.

    palette: the haze of the far trees, the lit leaves, the leaves in the shade, the ground, the
    sky, and blossoms if any.
    glints: number of gaps with sky.  blossom: share of the leaves that are blossoms.
    Returns (height, width, 3) uint8 sRGB.
    """
    haze, lit, shaded, ground, sky, *blossoms = colors.parse_hex(preset.palette)
    random, parameters = sheet.random, preset.parameters
    leaves = Leaves(random, lit, shaded, [*blossoms, lit][0], parameters.get("blossom", 0.0))
    x, y = sheet.places(GARDEN_SIDE_PX)
    height, width = x.shape
    unit = min(height, width)
    line = float(np.clip(sheet.camera.horizon + 0.12, 0.4, 0.8)) * height
    side = 1 if random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    # The sun stands behind the trees on one side, and haze scatters its light.
    sun = np.exp(-((x - side * 0.6 * x.max()) ** 2 + (y + 0.75) ** 2) / 1.1)[..., None]
    mottled = 1 + 0.35 * sheet.clouds(GARDEN_SIDE_PX, cells=5, octaves=3)[..., None]
    picture = haze * mottled * (0.75 + 0.5 * sun) + sky * 0.35 * sun
    row = np.arange(height, dtype=np.float32)[:, None]
    lawn = smoothstep((row - line) / (0.1 * unit) + 0.5)[..., None]
    nearer = np.clip((row - line) / max(height - line, 1), 0, 1)[..., None]
    streaks = 1 + 0.3 * sheet.clouds(GARDEN_SIDE_PX, cells=4, octaves=3)[..., None]
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
    picture = lens.lay_over(picture, far, GARDEN_FAR_RADIUS * unit)
    near = lens.empty_layer(picture.shape)
    for edge in (-0.04, 1.04):
        for _ in range(12):
            middle = random.normal(edge, 0.07) * width, random.uniform(-0.1, 0.62) * height
            leaves.draw_cluster(near, middle, 0.1 * unit)
    picture = lens.lay_over(picture, near, GARDEN_NEAR_RADIUS * unit)
    return sheet.finish(lens.develop(picture, x, y))


def draw_street(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw a street far out of focus: houses that recede into the haze, and discs of light.

    palette: the sky at the end of the street, the houses in the light, those in the shade, the
    road, then the lights.
    lights: number of lights.  glow: strength of the lights.  trees: number of trees along the
    street.
    Returns (height, width, 3) uint8 sRGB.
    """
    sky, sunny, shady, road, *lamps = colors.parse_hex(preset.palette)
    random, parameters = sheet.random, preset.parameters
    x, y = sheet.places(STREET_SIDE_PX)
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
        for number in range(STREET_HOUSES):  # far ones first
            first, last = (
                1 - ((STREET_HOUSES - number - part) / STREET_HOUSES) ** 0.7 for part in (0, 1)
            )
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
    picture = lens.lay_over(picture, far, STREET_FAR_RADIUS * unit)
    layers = [lens.empty_layer(picture.shape) for _ in STREET_LIGHT_RADIUSES]
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
        lens.fill_ellipse(layers[int(share > STREET_NEAR_FROM)], middle, (size, size), lamp)
    # Lights add to the scene: they cover nothing.
    for layer, radius in zip(layers, STREET_LIGHT_RADIUSES, strict=True):
        picture = picture + lens.defocus(layer[..., :3], radius * unit)
    return sheet.finish(lens.develop(np.asarray(picture, np.float32), x, y))


def draw_horizon(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the sky by the hour, alone or above a sea and a beach out of focus.

    palette: the sky from the zenith to the horizon in three colors, the clouds, then the sea and
    the sand.
    clouds: how much of the sky they cover, 0..1.  sea: 1 for a beach.  sun: strength of the sun's
    glow.
    Returns (height, width, 3) uint8 sRGB.
    """
    *sky, cloud, sea, sand = colors.parse_hex(preset.palette)
    random, parameters = sheet.random, preset.parameters
    x, y = sheet.places(HORIZON_SIDE_PX)
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
    banks = sheet.clouds(HORIZON_SIDE_PX, cells=3.5, octaves=5)
    share = smoothstep((banks + 1.6 * cover - 0.85) / 1.3) * min(1.0, 1.6 * cover)
    picture = picture + (share * (0.85 - 0.35 * place))[..., None] * (cloud - picture)
    if has_sea:
        below = np.clip((row - line) / (1 - line), 0, 1)
        waves = sheet.clouds(HORIZON_SIDE_PX, cells=2, octaves=3)
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
    picture = lens.defocus(np.asarray(picture, np.float32), HORIZON_RADIUS * min(width, height))
    return sheet.finish(lens.develop(picture, x, y))


def draw_hills(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw ridge behind ridge, paler with distance.

    palette: the sky above, the sky at the horizon (and the mist), the farthest ridge, the nearest.
    rough: 1 for crags and trees, 0 for dunes; 0.5 by default.  sun: 1 for a low sun.
    Returns (height, width, 3) uint8 sRGB.
    """
    rough = preset.parameters.get("rough", 0.5)
    palette = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    x, y = sheet.places(HILLS_SIDE_PX)
    reach_y = sheet.reach[1]
    unit = min(x.shape) / 2
    down = np.asarray((y / reach_y + 1) / 2, np.float32)
    horizon = smoothstep(down / 0.62)
    if preset.parameters.get("sun"):
        horizon = horizon + _sun(sheet, x, y)
    mist, near = np.ones(x.shape, np.float32), np.zeros(x.shape, np.float32)
    land = np.zeros(x.shape, np.float32)
    for index in range(HILLS_RIDGES):
        depth = index / (HILLS_RIDGES - 1)
        wave = ridge_line(
            sheet.random, x[0], length=0.9 + 0.5 * depth, octaves=2 + round(5 * rough)
        )
        line = (-0.12 + 0.85 * depth**1.15) * reach_y + (0.13 + 0.05 * depth) * wave
        below = y - line
        cover = np.clip(below * unit + 0.5, 0, 1)
        # Mist lies in the valleys: each ridge fades downward, the nearest barely.
        faded = (0.78 - 0.5 * depth) * smoothstep(below / (0.42 + 0.1 * depth)) + 0.12 * (1 - depth)
        land += cover * (1 - land)
        mist += cover * (faded - mist)
        near += cover * (np.float32(depth) - near)
    return sheet.finish(_color_layers(palette, horizon, land, mist, near))


def _color_layers(
    palette: colors.Colors, horizon: Floats, land: Floats, mist: Floats, near: Floats
) -> colors.Colors:
    haze = mist * land
    shares = np.stack(
        [
            (1 - horizon) * (1 - land),
            horizon * (1 - land) + haze,
            (1 - near) * (land - haze),
            near * (land - haze),
        ],
        axis=-1,
    )
    return np.clip(shares @ palette, 0, 255).astype(np.float32)


def _sun(sheet: Sheet, x: Floats, y: Floats) -> Floats:
    """Return the glow of a low sun, which brightens the horizon's color."""
    at_x = sheet.random.uniform(-0.55, 0.55) * sheet.reach[0]
    at_y = sheet.random.uniform(-0.42, -0.25) * sheet.reach[1]
    away = np.hypot(x - at_x, y - at_y)
    disc = smoothstep((0.17 - away) / 0.02 + 0.5)
    return np.asarray(0.22 * disc + 0.22 * np.exp(-((away / 0.55) ** 2)), np.float32)


def draw_night(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw a clear night.

    palette: the sky above, midway and at the horizon, the stars; with an aurora its two lights.
    aurora,
    haze, moon: 1 for northern lights, the Milky Way, a full moon.
    Returns (height, width, 3) uint8 sRGB.
    """
    palette = colors.parse_hex(preset.palette)
    x, y = sheet.places(NIGHT_SIDE_PX)
    down = (y / sheet.reach[1] + 1) / 2 + 0.05 * sheet.clouds(NIGHT_SIDE_PX, cells=2, octaves=2)
    sky = colors.srgb_to_linear(colors.ramp(palette[:3], down.astype(np.float32)))
    if preset.parameters.get("haze"):
        sky += 0.85 * palette[2] * _band(sheet, x, y)[..., None]
    if preset.parameters.get("aurora"):
        for hem in (sheet.random.uniform(-0.55, -0.35), sheet.random.uniform(-0.05, 0.15)):
            sky += _curtain(sheet, x, y, hem=hem, lamps=palette[4:6])
    if preset.parameters.get("moon"):
        sky += palette[3] * _moon(sheet, x, y)[..., None]
    picture = sheet.finish(colors.linear_to_srgb(1 - np.exp(-1.15 * sky)))
    _stars(picture, sheet, colors.linear_to_srgb(palette[3]))
    return picture


def _band(sheet: Sheet, x: Floats, y: Floats) -> Floats:
    """Return the light of the Milky Way, with its dark lanes."""
    lie = sheet.random.uniform(0.7, 1.1)
    uneven = 0.16 * sheet.clouds(NIGHT_SIDE_PX, cells=4, octaves=3)
    aslant = math.cos(lie) * x - math.sin(lie) * y + uneven
    glow = np.exp(-((aslant / 0.42) ** 2)) * (
        0.9 + 0.6 * sheet.clouds(NIGHT_SIDE_PX, cells=7, octaves=5)
    )
    lanes = smoothstep(1.3 * sheet.clouds(NIGHT_SIDE_PX, cells=6, octaves=5) + 0.1) * np.exp(
        -((aslant / 0.2) ** 2)
    )
    return np.asarray(np.clip(glow * (1 - 0.75 * lanes), 0, 2), np.float32)


def _curtain(
    sheet: Sheet, x: Floats, y: Floats, *, hem: float, lamps: colors.Colors
) -> colors.Colors:
    """Return a curtain of northern lights: bright along its hem, another color higher up."""
    across = x[0]
    bottom = hem * sheet.reach[1] + 0.24 * ridge_line(sheet.random, across, length=1.0, octaves=2)
    rays = 0.7 + 0.45 * ridge_line(sheet.random, across, length=0.16, octaves=3)
    lit = np.clip(0.45 + 0.75 * ridge_line(sheet.random, across, length=0.9, octaves=1), 0.05, 1)
    length = 0.32 + 0.12 * ridge_line(sheet.random, across, length=0.3, octaves=2)
    above = bottom - y
    faded = np.exp(-np.maximum(above, 0) / length)
    low = smoothstep(np.asarray(above / 0.16 + 1, np.float32)) * np.clip(rays, 0, 2) * lit
    green, violet = low * faded * 0.8, low * np.sqrt(faded) * (1 - faded) * 0.8
    return np.asarray(green[..., None] * lamps[0] + violet[..., None] * lamps[1], np.float32)


def _moon(sheet: Sheet, x: Floats, y: Floats) -> Floats:
    side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    at_x = side * sheet.random.uniform(0.45, 0.7) * sheet.reach[0]
    at_y = sheet.random.uniform(-0.75, -0.5) * sheet.reach[1]
    away = np.hypot(x - at_x, y - at_y)
    seas = 1 + 0.2 * sheet.clouds(NIGHT_SIDE_PX, cells=16, octaves=3)
    disc = 1.6 * smoothstep((0.17 - away) / 0.012 + 0.5) * seas
    return np.asarray(disc + 0.25 * np.exp(-away / 0.22), np.float32)


def _stars(picture: Srgb8, sheet: Sheet, color: colors.Colors) -> None:
    """Scatter stars over a full-size sky, in place: many faint ones, few bright ones."""
    random = sheet.random
    height, width = picture.shape[:2]
    unit = min(width, height) / 2
    count = round(min(NIGHT_STARS_PER_SQUARE * sheet.reach[0] * sheet.reach[1], NIGHT_MAX_STARS))
    at = random.random((count, 2))
    bright = random.random(count) ** 3.5
    for (at_x, at_y), strength in zip(at, bright, strict=True):
        # The air dims stars toward the horizon.
        share = (0.25 + 0.75 * strength) * (1 - 0.75 * at_y)
        place = int(at_x * width), int(at_y * height)
        ground = picture[place[1], place[0]].astype(np.float32)
        shine = ground + (np.maximum(color, ground) - ground) * np.float32(share)
        radius = unit * (0.0016 + 0.0034 * strength)
        center = (
            round(at_x * width * 2**NIGHT_FIXED_POINT_BITS),
            round(at_y * height * 2**NIGHT_FIXED_POINT_BITS),
        )
        level = [float(channel) for channel in shine]
        cv2.circle(
            picture,
            center,
            max(1, round(radius * 2**NIGHT_FIXED_POINT_BITS)),
            level,
            -1,
            cv2.LINE_AA,
            NIGHT_FIXED_POINT_BITS,
        )
