"""Patterns of flat color: gradients, and what is cut out of them."""

import math

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, shapes
from smart_filter_workers.backgrounds.shapes import ridge_line
from smart_filter_workers.backgrounds.sheet import Sheet, resize_field
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

GRADIENT_SIDE_PX = 256

FRAMED_FRAME_SHARE = 0.07  # share of the shorter side
FRAMED_SHADOW_SHARE = 0.035  # width of the frame's shadow, as a share of the shorter side
FRAMED_SHADOW_DEPTH = 0.09
FRAMED_SIDE_PX = 640

FACETS_PITCH = 0.34
FACETS_MAX_FACETS = 900
FACETS_SIDE_PX = 300
# Corners of a square, row by row, in its two halves: for both diagonals.
_HALVES = (([0, 1, 2], [1, 2, 3]), ([0, 1, 3], [0, 2, 3]))

DOTS_PITCH = 0.15
DOTS_MAX_DOTS = 2500
DOTS_SIDE_PX = 400
DOTS_CORNERS = 32  # of a dot

RAYS_SIDE_PX = 500

STRIPES_SIDE_PX = 640
# cv2 takes fixed-point coordinates: sixteenths of a pixel, for smooth edges.
STRIPES_FIXED_POINT_BITS = 4

WAVES_SIDE_PX = 660
WAVES_SHADOW = 0.26
WAVES_SHADOW_LENGTH = 0.085


def draw_gradient(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw a mesh gradient: patches of color that blend into each other.

    palette: any number of colors; the first is at the top, the last in the middle.
    Returns (height, width, 3) uint8 sRGB.
    """
    return sheet.finish(mesh(preset.palette, sheet))


def mesh(palette: tuple[str, ...], sheet: Sheet) -> colors.Colors:
    """Return a small mesh gradient, gamma-coded 0..255.

    Each color has a point, on a ring or, for the last one, in the middle. Every pixel mixes the
    colors by distance, warped by slow noise so that no circle shows.
    """
    x, y = sheet.places(GRADIENT_SIDE_PX)
    bent_x = x + 0.35 * sheet.clouds(GRADIENT_SIDE_PX, cells=2, octaves=2)
    bent_y = y + 0.35 * sheet.clouds(GRADIENT_SIDE_PX, cells=2, octaves=2)
    ring = len(palette) - 1
    # Points move by up to a third of a step: each seed looks different, the first color stays on
    # top.
    angles = -np.pi / 2 + (np.arange(ring) + sheet.random.uniform(-0.33, 0.33, ring)) * (
        2 * np.pi / ring
    )
    reach_x, reach_y = sheet.reach
    at = [(0.95 * math.cos(angle), 0.95 * math.sin(angle)) for angle in angles]
    at.append((sheet.random.uniform(-0.4, 0.4), sheet.random.uniform(-0.3, 0.3)))
    near = np.stack(
        [
            np.exp(-((bent_x / reach_x - at_x) ** 2 + (bent_y / reach_y - at_y) ** 2) / 0.45)
            for at_x, at_y in at
        ],
        axis=-1,
    )
    near /= near.sum(axis=-1, keepdims=True)
    return colors.mix(colors.parse_hex(palette), near.astype(np.float32))


def draw_framed(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw a mesh gradient in a white frame, like a picture postcard.

    palette: the gradient's colors, then the frame's.
    Returns (height, width, 3) uint8 sRGB.
    """
    *inside, frame = preset.palette
    small = mesh(tuple(inside), sheet)
    finer = resize_field(small, sheet.small(FRAMED_SIDE_PX))  # the shadow needs a finer grid
    picture = sheet.finish(finer * _shadow(sheet)[..., None])

    white = colors.linear_to_srgb(colors.parse_hex([frame]))[0].tolist()
    edge = round(FRAMED_FRAME_SHARE * min(sheet.width, sheet.height))
    if edge:
        picture[:edge] = picture[-edge:] = white
        picture[:, :edge] = picture[:, -edge:] = white
    return picture


def _shadow(sheet: Sheet) -> colors.Colors:
    """Return the factor of the frame's shadow on the gradient: smaller near its inner edge."""
    x, y = sheet.places(FRAMED_SIDE_PX)
    light = np.ones(x.shape, np.float32)
    # Each pair of sides has its own factor: the nearer side alone would show mitered corners.
    for place, reach in zip((x, y), sheet.reach, strict=True):
        inward = np.maximum(reach - np.abs(place) - 2 * FRAMED_FRAME_SHARE, 0)
        light *= 1 - FRAMED_SHADOW_DEPTH * np.exp(-inward / (2 * FRAMED_SHADOW_SHARE))
    return light


def draw_facets(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw a gradient cut into triangles, each tilted slightly toward the light.

    palette: as for a gradient.
    Returns (height, width, 3) uint8 sRGB.
    """
    small = mesh(preset.palette, sheet)
    # It only shows through the soft edges of the facets, and needs no grain.
    coarse = np.clip(small, 0, 255).astype(np.uint8)
    size = sheet.width, sheet.height
    picture = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    reach = np.array(sheet.reach)
    pitch = max(FACETS_PITCH, (8 * reach[0] * reach[1] / FACETS_MAX_FACETS) ** 0.5)
    columns, rows = (int(2 * side / pitch) + 4 for side in reach)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) - 1.5
    corners = grid * pitch - reach + sheet.random.uniform(-0.36, 0.36, grid.shape) * pitch
    cells = np.array(small.shape[1::-1])
    for row in range(rows - 1):
        for column in range(columns - 1):
            square = corners[row : row + 2, column : column + 2].reshape(4, 2)
            for half in _HALVES[sheet.random.integers(len(_HALVES))]:
                triangle = square[half]
                middle = (triangle.mean(axis=0) / reach + 1) / 2
                at_x, at_y = np.clip((middle * cells).astype(int), 0, cells - 1)
                color = small[at_y, at_x]
                # Less contrast for bright colors: white shaded like blue looks dirty.
                contrast = 0.14 - 0.1 * float(color.mean()) / 255
                lit = 1 + sheet.random.uniform(-contrast, contrast)
                shapes.fill_shape(picture, sheet, triangle, np.clip(color * lit, 0, 255))
    x, y = sheet.places(FACETS_SIDE_PX)
    light = 1 - 0.03 * (x / sheet.reach[0] + y / sheet.reach[1])
    return sheet.shade(picture, light.astype(np.float32))


def draw_dots(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw halftone dots that grow toward one corner.

    palette: the ground and the dots, which are in diagonal rows and never touch.
    Returns (height, width, 3) uint8 sRGB.
    """
    ground, ink = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    fine = shapes.supersample_sheet(sheet)
    picture = shapes.solid_color(fine, ground)
    reach_x, reach_y = sheet.reach
    pitch = max(DOTS_PITCH, (8 * reach_x * reach_y / DOTS_MAX_DOTS) ** 0.5)
    toward = np.array([sheet.random.choice([-1, 1]), sheet.random.choice([-1, 1])])
    lean = sheet.random.uniform(0.35, 0.65)
    angles = np.linspace(0, 2 * np.pi, DOTS_CORNERS, endpoint=False)
    disc = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    half = pitch / 2
    rows, columns = int(2 * reach_y / half) + 3, int(2 * reach_x / pitch) + 3
    row, column = np.divmod(np.arange(rows * columns), columns)
    at_x = (column - 1 + row % 2 / 2) * pitch - reach_x
    at_y = (row - 1) * half - reach_y
    share = (at_x / reach_x * toward[0] * lean + at_y / reach_y * toward[1] * (1 - lean) + 1) / 2
    radius = 0.33 * pitch * np.clip((share - 0.22) / 0.78, 0, 1) ** 0.75
    shown = radius > 0.02 * pitch
    outlines = disc * radius[shown, None, None] + np.stack([at_x, at_y], axis=-1)[shown, None]
    for outline in outlines:
        shapes.fill_shape(picture, fine, outline, ink, apart=True)
    x, y = sheet.places(DOTS_SIDE_PX)
    light = (
        1
        - 0.02 * (x / reach_x + y / reach_y)
        + 0.012 * sheet.clouds(DOTS_SIDE_PX, cells=90, octaves=2)
    )
    return sheet.shade(shapes.downsample(picture, sheet), light.astype(np.float32))


def draw_rays(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw rays from behind the people, as on posters.

    palette: the ground, and every other ray.
    Returns (height, width, 3) uint8 sRGB.
    """
    ground, ray = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    picture = shapes.solid_color(sheet, ground)
    reach_x, reach_y = sheet.reach
    center_x = sheet.random.uniform(-0.2, 0.2) * reach_x
    center_y = sheet.random.uniform(-0.05, 0.35) * reach_y
    center = np.array([center_x, center_y])
    count = int(sheet.random.integers(13, 20))
    first = sheet.random.uniform(0, 2 * np.pi)
    far = 3 * float(np.hypot(reach_x, reach_y))
    for index in range(count):
        edges = first + (index + np.array([0.0, 0.5])) * (2 * np.pi / count)
        tips = center + far * np.stack([np.cos(edges), np.sin(edges)], axis=-1)
        shapes.fill_shape(picture, sheet, np.concatenate([[center], tips]), ray)
    x, y = sheet.places(RAYS_SIDE_PX)
    away = np.hypot((x - center_x) / reach_x, (y - center_y) / reach_y)
    light = 1.04 - 0.06 * away**1.5 + 0.008 * sheet.clouds(RAYS_SIDE_PX, cells=150, octaves=2)
    return sheet.shade(picture, light.astype(np.float32))


def draw_stripes(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw wide arcs of color around a corner, as on record sleeves of the seventies.

    palette: the ground, then the stripes from the outermost inward.
    Returns (height, width, 3) uint8 sRGB.
    """
    ground, *stripes = colors.linear_to_srgb(colors.parse_hex(preset.palette)).round()
    picture = shapes.solid_color(sheet, ground)

    left = sheet.random.random() < 0.5  # noqa: PLR2004 - a coin
    overhang = sheet.random.uniform(0.02, 0.14)
    center_x = (-overhang if left else 1 + overhang) * sheet.width
    center_y = (1 + sheet.random.uniform(0.0, 0.1)) * sheet.height
    diagonal = float(np.hypot(sheet.width, sheet.height))
    outermost = sheet.random.uniform(0.88, 0.96) * diagonal
    inmost = 0.22 * diagonal
    step = (outermost - inmost) / len(stripes)
    for index, color in enumerate([*stripes, ground]):
        _fill_disc(picture, color.tolist(), (center_x, center_y), outermost - index * step)

    x, y = sheet.places(STRIPES_SIDE_PX)
    toward = (x if left else -x) / sheet.reach[0] - y / sheet.reach[1]
    light = 1.0 - 0.055 * toward + 0.012 * sheet.clouds(STRIPES_SIDE_PX, cells=160, octaves=2)
    return sheet.shade(picture, np.clip(light, 0, 1.04).astype(np.float32))


def _fill_disc(
    picture: Srgb8, color: list[float], center: tuple[float, float], radius: float
) -> None:
    """Fill a disc as a polygon, because cv2.circle draws corners every five degrees."""
    # A chord of 1/720 turn deviates from its arc by 4e-6 radii: invisible at any size.
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radius + center
    fixed = np.round(points * 2**STRIPES_FIXED_POINT_BITS).astype(np.int32)
    cv2.fillConvexPoly(picture, fixed, color, lineType=cv2.LINE_AA, shift=STRIPES_FIXED_POINT_BITS)


def draw_waves(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw sheets of colored paper cut into waves and laid over each other, with their shadows.

    palette: from the rear sheet to the front one.
    Returns (height, width, 3) uint8 sRGB.
    """
    palette = colors.parse_hex(preset.palette)
    x, y = sheet.places(WAVES_SIDE_PX)
    reach_x, reach_y = sheet.reach
    unit = min(x.shape) / 2
    sheets = len(palette)
    # All waves lean the same way.
    lean = sheet.random.uniform(-0.3, 0.3) / reach_x
    tone, light = np.zeros(x.shape, np.float32), np.ones(x.shape, np.float32)
    for index in range(1, sheets):
        depth = index / sheets
        wave = ridge_line(sheet.random, x[0], length=0.95, octaves=1)
        line = (-0.72 + 1.7 * depth) * reach_y + 0.3 * wave + lean * x[0]
        below = y - line
        light *= 1 - WAVES_SHADOW * np.exp(-((np.maximum(-below, 0) / WAVES_SHADOW_LENGTH) ** 1.2))
        cover = np.clip(below * unit + 0.5, 0, 1)
        # Paper is cut with a bevel: a bright rim, then slightly darker downward.
        shade = 1.0 - 0.05 * np.clip(below / (0.8 * reach_y), 0, 1)
        light += cover * (shade - light)
        tone += cover * (np.float32(index / (sheets - 1)) - tone)
    light *= 1 + 0.011 * sheet.clouds(WAVES_SIDE_PX, cells=200, octaves=2)
    return sheet.finish(colors.ramp(palette, tone) * light[..., None])
