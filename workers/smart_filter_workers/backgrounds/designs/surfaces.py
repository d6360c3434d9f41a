"""Surfaces from nearby: cloth, stone, paper and plaster."""

import math

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, shapes
from smart_filter_workers.backgrounds.shapes import hillshade, smoothstep, warp_field
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

FABRIC_SIDE_PX = 860
FABRIC_PITCH_PX = 5.0  # of the threads, on the small sheet
FABRIC_COARSE_PITCH_PX = 8.2
FABRIC_DEPTH = 0.16  # darkening between threads when used as the texture of another design

MARBLE_SIDE_PX = 600

PAPER_SIDE_PX = 640
PAPER_RELIEF = 7.0
PAPER_PRINTED_RELIEF = 0.16

PLASTER_SIDE_PX = 600
PLASTER_RELIEF = 0.16

SILK_SIDE_PX = 520

TERRAZZO_SIDE_PX = 500
TERRAZZO_PITCH = 0.1
TERRAZZO_MAX_CHIPS = 3000
TERRAZZO_MAX_CORNERS = 7  # at least 4


def draw_fabric(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw woven cloth from nearby: threads over and under each other, no two alike.

    palette: between the threads, and on them.  twill: 1 for threads that pass over two, so that the
    weave is diagonal.  coarse: 1 for sackcloth.
    Returns (height, width, 3) uint8 sRGB.
    """
    palette = colors.parse_hex(preset.palette)
    woven = _weave_height(preset, sheet)
    # Cloth hangs in slow folds.
    folds = sheet.clouds(FABRIC_SIDE_PX, cells=2, octaves=2)
    return sheet.finish(
        colors.ramp(palette, np.asarray(0.62 * woven + 0.2 + 0.12 * folds, np.float32))
    )


def texture_fabric(preset: Preset, sheet: Sheet) -> Floats:
    """Return the factor, about 1, of the weave's relief on the light of a print."""
    return np.asarray(1 + FABRIC_DEPTH * (_weave_height(preset, sheet) - 0.62), np.float32)


def _weave_height(preset: Preset, sheet: Sheet) -> Floats:
    """Return the height of the cloth, 0..1."""
    pitch = FABRIC_COARSE_PITCH_PX if preset.parameters.get("coarse") else FABRIC_PITCH_PX
    width, height = sheet.small(FABRIC_SIDE_PX)
    across, warp = _threads(sheet, width, height, pitch)
    down, weft = _threads(sheet, height, width, pitch)
    # Copy to row order: numpy is slow on transposed arrays.
    down, weft = (np.ascontiguousarray(field.T) for field in (down, weft))
    over = np.floor(across).astype(np.int32) + np.floor(down).astype(np.int32)
    warp_is_up = (over % 4 < 2) if preset.parameters.get("twill") else (over % 2 == 0)  # noqa: PLR2004 - over two, under two
    # The lower thread shows at the edges of the upper one.
    high = np.where(warp_is_up, np.maximum(warp, weft - 0.45), np.maximum(weft, warp - 0.45))
    return np.asarray(np.clip(high, 0, 1), np.float32)


def _threads(sheet: Sheet, width: int, height: int, pitch: float) -> tuple[Floats, Floats]:
    """Return for each pixel its position across the threads, in threads, and the thread's height.

    Threads run downward, bend a little, and vary in thickness.
    """
    count = int(width / pitch) + 6
    bends = _stretched_noise(sheet, height, count, every=90)
    knots = _stretched_noise(sheet, height, count, every=26)
    at = np.broadcast_to(
        np.arange(width, dtype=np.float32) / np.float32(pitch) + 2, (height, width)
    )
    columns = np.clip(at[0].astype(np.int32), 0, count - 1)
    at = at + 0.22 * np.take(bends, columns, axis=1)
    round_ = 1 - (2 * (at - np.floor(at)) - 1) ** 2
    thickness = 0.8 + 0.28 * np.take(knots, columns, axis=1)
    return at, np.asarray(smoothstep(round_ * 1.15) * thickness, np.float32)


def _stretched_noise(sheet: Sheet, length: int, count: int, *, every: int) -> Floats:
    """Return noise, -1..1, along each of `count` threads; (length, count)."""
    knots = sheet.random.uniform(-1, 1, (int(length / every) + 3, count)).astype(np.float32)
    at = np.arange(length, dtype=np.float32) / every
    below = at.astype(np.int32)
    share = smoothstep(np.asarray(at - below, np.float32))[:, None]
    return np.asarray(knots[below] * (1 - share) + knots[below + 1] * share, np.float32)


def draw_marble(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw polished marble: clouded stone with veins.

    palette: the stone, its clouds, its veins.
    Returns (height, width, 3) uint8 sRGB.
    """
    stone, cloud, vein = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    x, y = sheet.places(MARBLE_SIDE_PX)
    warp = MARBLE_SIDE_PX / 9
    across, down = (warp * sheet.clouds(MARBLE_SIDE_PX, cells=3, octaves=4) for _ in range(2))
    # Veins run diagonally: along them the stone changes slowly.
    lie = sheet.random.uniform(0.5, 0.9) * (1 if sheet.random.random() < 0.5 else -1)  # noqa: PLR2004 - a coin
    aslant = np.asarray(np.cos(lie) * y - np.sin(lie) * x, np.float32)
    clouds = warp_field(sheet.clouds(MARBLE_SIDE_PX, cells=4, octaves=4), across, down)
    uneven = sheet.clouds(MARBLE_SIDE_PX, cells=5, octaves=3)
    broad = _veins(warp_field(aslant, across, down), sheet, count=1.6, width=0.03 * (1.1 + uneven))
    fine = _veins(warp_field(aslant, -down, across), sheet, count=3.4, width=0.012 * (1.1 - uneven))
    where = smoothstep(0.5 + 0.9 * uneven)
    veined = np.clip(broad * (0.25 + 0.75 * where) + 0.6 * fine * (1 - 0.7 * where), 0, 1)
    # The stone is stained along a vein.
    stained = np.clip(smoothstep(0.42 + 0.75 * clouds) + 0.35 * broad, 0, 1)[..., None]
    picture = stone * (1 - stained) + cloud * stained
    share = (0.85 * veined)[..., None]
    return sheet.finish((picture * (1 - share) + vein * share).astype(np.float32))


def _veins(field: Floats, sheet: Sheet, *, count: float, width: Floats) -> Floats:
    """Return lines where the field crosses evenly spaced values, 0..1; width: half of a line's."""
    place = field * np.float32(count) + np.float32(sheet.random.random())
    place = place + 0.14 * sheet.clouds(MARBLE_SIDE_PX, cells=8, octaves=4)
    away = np.abs(place - np.round(place))
    # Cauchy's bell, squared: a core with slight stains on both sides.
    bell = 1 / (1 + (away / np.maximum(width, 0.006)) ** 2)
    return np.asarray(bell * bell, np.float32)


def draw_paper(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw rough watercolor paper with two pale washes of paint.

    palette: the paper, then the paints.
    Returns (height, width, 3) uint8 sRGB.
    """
    ground, *paints = colors.parse_hex(preset.palette)
    grain = _grain(sheet)
    density = np.zeros((*grain.shape, 3), np.float32)
    for index, paint in enumerate(paints):
        wash = _wash(sheet, grain, side=index % 2)[..., None]
        # Paint filters the light that the paper reflects (Beer-Lambert's law).
        density += wash * np.log(paint / ground)
    light = ground * cv2.exp(density)
    relief = 1 + PAPER_RELIEF * 0.01 * hillshade(grain)
    return sheet.finish(colors.linear_to_srgb(light) * relief[..., None])


def texture_paper(preset: Preset, sheet: Sheet) -> Floats:
    """Return the factor, about 1, of the paper's relief on the light of a print."""
    del preset  # all papers have the same relief
    return np.asarray(1 + PAPER_PRINTED_RELIEF * hillshade(_grain(sheet)), np.float32)


def _grain(sheet: Sheet) -> Floats:
    """Return the height of the paper, about -1..1."""
    return sheet.clouds(PAPER_SIDE_PX, cells=90, octaves=3) + 0.8 * sheet.clouds(
        PAPER_SIDE_PX, cells=7, octaves=2
    )


def _wash(sheet: Sheet, grain: Floats, *, side: int) -> Floats:
    """Return the density of paint, 0..1: pooled at its dried edge, caught in the grain."""
    x, y = sheet.places(PAPER_SIDE_PX)
    reach_x, reach_y = sheet.reach
    turn = 1 if side else -1
    at_x = turn * sheet.random.uniform(0.55, 0.95) * reach_x
    at_y = turn * sheet.random.uniform(0.35, 0.9) * reach_y
    away = np.sqrt(((x - at_x) / (0.85 * reach_x)) ** 2 + ((y - at_y) / (0.75 * reach_y)) ** 2)
    shape = 1 - away + 0.36 * sheet.clouds(PAPER_SIDE_PX, cells=3, octaves=6)
    inside = np.clip(shape / 0.05, 0, 1)
    pooled = np.exp(-(((shape - 0.045) / 0.03) ** 2))
    body = (
        0.38 + 0.3 * np.clip(shape, 0, 1) + 0.12 * sheet.clouds(PAPER_SIDE_PX, cells=5, octaves=3)
    )
    paint = np.clip(inside * (body + 0.22 * pooled + 0.05 * grain), 0, 1)
    return np.asarray(paint, np.float32)


def draw_plaster(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw a wall plastered by hand and limewashed.

    palette: where the wash is thin, and where it is thick.
    Returns (height, width, 3) uint8 sRGB.
    """
    x, y = sheet.places(PLASTER_SIDE_PX)
    daylight = -0.09 * (x / sheet.reach[0] + y / sheet.reach[1])
    blotches = sheet.clouds(PLASTER_SIDE_PX, cells=3, octaves=5)
    tone = 0.5 + 0.34 * blotches + daylight
    picture = colors.ramp(colors.parse_hex(preset.palette), tone.astype(np.float32))
    return sheet.finish(picture * texture_plaster(preset, sheet)[..., None])


def texture_plaster(preset: Preset, sheet: Sheet) -> Floats:
    """Return the factor, about 1, of the wall's relief on the light of a print."""
    del preset  # all walls have the same relief
    grit = sheet.clouds(PLASTER_SIDE_PX, cells=130, octaves=1)
    height = (
        sheet.clouds(PLASTER_SIDE_PX, cells=9, octaves=5) + 0.55 * _strokes(sheet) + 0.12 * grit
    )
    return np.asarray(1 + PLASTER_RELIEF * hillshade(height), np.float32)


def _strokes(sheet: Sheet) -> Floats:
    """Return the trowel's marks, about -1..1, drawn out along slowly turning directions."""
    marks = sheet.clouds(PLASTER_SIDE_PX, cells=26, octaves=3)
    turn = sheet.clouds(PLASTER_SIDE_PX, cells=4, octaves=1)
    reach_px = PLASTER_SIDE_PX / 40
    drawn = [
        warp_field(marks, turn * reach_px * k, (1 - abs(turn)) * reach_px * k) for k in (0, 0.5, 1)
    ]
    return np.asarray(sum(drawn) / len(drawn), np.float32)


def draw_silk(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw silk in loose folds.

    palette: in the folds' shade, half lit, and at the highlights.
    Returns (height, width, 3) uint8 sRGB.
    """
    x, y = sheet.places(SILK_SIDE_PX)
    lie = sheet.random.uniform(0.35, 0.8) * (1 if sheet.random.random() < 0.5 else -1)  # noqa: PLR2004 - a coin
    aslant = math.cos(lie) * x + math.sin(lie) * y
    wide = sheet.clouds(SILK_SIDE_PX, cells=1.6, octaves=2)
    narrow = sheet.clouds(SILK_SIDE_PX, cells=3.5, octaves=2)
    place = 1.2 * aslant + 0.5 * wide + 0.14 * narrow
    # Folds of two widths; a cosine is the shading of a cylinder of cloth.
    folds = 0.62 * np.cos(2 * np.pi * place) + 0.3 * np.cos(2 * np.pi * (2.3 * place + 0.6 * wide))
    tone = 0.46 + 0.4 * folds
    sheen = 0.22 * np.clip(folds - 0.45, 0, 1) ** 2
    light = (tone + sheen).astype(np.float32)
    return sheet.finish(colors.ramp(colors.parse_hex(preset.palette), light))


def draw_terrazzo(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw terrazzo: chips of stone in cement, ground smooth.

    palette: the cement, then the chips.
    Returns (height, width, 3) uint8 sRGB.
    """
    cement, *stones = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    chips = np.array(stones)
    fine = shapes.supersample_sheet(sheet)
    picture = shapes.solid_color(fine, cement)
    random = sheet.random
    places = shapes.scatter_points(sheet, pitch=TERRAZZO_PITCH, most=TERRAZZO_MAX_CHIPS)
    sizes = TERRAZZO_PITCH * (0.17 + 0.45 * random.random(len(places)) ** 3.2)
    corners = random.integers(4, 8, len(places))
    color = chips[random.integers(len(chips), size=len(places))]
    color = np.clip(color * random.uniform(0.93, 1.05, (len(places), 1)), 0, 255)
    # Compute all corners at once: numpy is slow on small arrays.
    turn = np.linspace(0, 2 * np.pi, TERRAZZO_MAX_CORNERS, endpoint=False)
    angles = turn + random.uniform(-0.45, 0.45, (len(places), TERRAZZO_MAX_CORNERS))
    radii = sizes[:, None] * random.uniform(0.7, 1.1, angles.shape)
    outlines = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radii[..., None]
    outlines += places[:, None]
    for outline, count, shade in zip(outlines, corners, color.astype(np.float32), strict=True):
        shapes.fill_shape(picture, fine, outline[:count], shade, apart=True)
    x, y = sheet.places(TERRAZZO_SIDE_PX)
    light = 1 - 0.03 * (x / sheet.reach[0] + y / sheet.reach[1])
    light = light + 0.015 * sheet.clouds(TERRAZZO_SIDE_PX, cells=40, octaves=3)
    return sheet.shade(shapes.downsample(picture, sheet), light.astype(np.float32))
