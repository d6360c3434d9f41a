"""A wall above a floor, in the light of a window or through leaves.

palette: the wall in the light, its tint in the shade, and the floor.
light: 0 for daylight from the side, 1 for a window, 2 for the sun through leaves, 3 for blinds.
relief: roughness of the wall.  stains: strength of its broad marks.
bricks: height of the wall's painted bricks, panels: width of its molded panels, skirting: height of
the board at its foot, boards: width of the floor's, all in meters.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.shapes import hillshade, smoothstep
from smart_filter_workers.backgrounds.sheet import Field, Sheet, resize_field
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 520
WINDOW, LEAVES, BLINDS = 1, 2, 3
# Light in the shade, as a share of the wall's light in the sun.
SKY_SHARE = 0.5
LEAVES_PER_LAYER = 60
# Share of the wall's light that its foot mirrors in the floor.
SHEEN = 0.16
# Above the floor, and from the wall: eye level, some steps away.
CAMERA_HEIGHT_M, CAMERA_AWAY_M = 1.5, 3.9
JOINT_M = 0.009


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    wall, shade, floor = colors.parse_hex(preset.palette)
    x, y = sheet.places(SMALL_SIDE_PX)
    reach_x, reach_y = sheet.reach
    side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    parameters = preset.parameters
    # A window to the side, beyond the picture: the light falls by the inverse square.
    to_x, to_y = side * (reach_x + 0.9) - x, -0.35 * reach_y - y
    near = 1 / (to_x**2 + to_y**2 + (1.2 + 1.2 * reach_x) ** 2)
    sky = SKY_SHARE * (0.55 + 0.6 * near / near.max())
    match int(parameters.get("light", 0)):
        case 1:
            sun = _window(sheet, x, y, side)
        case 2:
            sun = _leaves(sheet, x, y, side)
        case 3:
            sun = _window(sheet, x, y, side, blinds=True)
        case _:
            sun = near / near.max()
    marks = sheet.clouds(SMALL_SIDE_PX, cells=3, octaves=5)
    line = reach_y * (2 * sheet.camera.floor - 1)
    lying = smoothstep((y - line) / 0.02 + 0.5)
    # A corner is darker than the open wall and floor, and the floor gets light from above.
    corner = 1 - 0.22 * np.exp(-np.abs(y - line) / 0.16)
    meter = max(2 * reach_y * (sheet.camera.floor - sheet.camera.horizon), 0.3) / CAMERA_HEIGHT_M
    across, down = x / meter, (y - line) / meter
    standing = _wall(preset, sheet, across, down) * (1 + parameters.get("stains", 0.05) * marks)
    surface = standing + lying * (_floor(preset, sheet, across, down) - standing)
    surface = surface * corner * np.float32(1.25)
    upright = surface * (1 - lying)
    lain = surface * lying
    # The flatter the view, the more a floor mirrors the wall.
    sheen = lying * SHEEN * np.exp(-np.maximum(y - line, 0) / 0.4) * sky
    sunny = (1 - SKY_SHARE) * sun
    # One product of fields by colors: numpy is slow where the last axis is a color's.
    fields = cv2.merge([upright * sky, upright * sunny + sheen, lain * sky, 0.85 * lain * sunny])
    tints = np.stack([shade, wall, floor * shade / np.maximum(wall, 0.01), floor])
    light = cv2.transform(fields, tints.T).astype(np.float32, copy=False)
    return sheet.finish(lens.develop(light, x, y))


def _wall(preset: Preset, sheet: Sheet, x: Field, y: Field) -> Field:
    """Return the factor, about 1, of a wall's relief on its light.

    x, y: in meters at the wall, y above the floor negative.
    """
    parameters = preset.parameters
    rough = hillshade(sheet.clouds(SMALL_SIDE_PX, cells=90, octaves=2))
    light = 1 + parameters.get("relief", 0.03) * rough
    if high := parameters.get("bricks"):
        course = np.floor(y / high)
        along = x / (3 * high) + 0.5 * (course % 2)
        tone = sheet.random.normal(0, 0.022, (64, 64)).astype(np.float32)
        light = light + tone[course.astype(int) % 64, np.floor(along).astype(int) % 64]
        light = light * _bevel(y / high, 0.1) * _bevel(along, 0.035)
    board = parameters.get("skirting", 0.0)
    if wide := parameters.get("panels"):
        along = wide * np.abs((x / wide + sheet.random.uniform(0, 1)) % 1 - 0.5)
        inside = np.minimum(0.38 * wide - along, -y - board - 0.12)
        for middle, strength in ((0.0, 0.16), (0.017, -0.2), (0.045, 0.12), (0.057, -0.14)):
            light = light * (1 + strength * _line(inside, middle))
    if board:
        light = light * (1 + 0.05 * smoothstep((y + board) / 0.01 + 0.5))
        light = light * (1 + 0.16 * _line(y + board, 0.006) - 0.14 * _line(y + board, -0.009))
        light = light * (1 - 0.35 * _line(y, 0.0))
    return np.asarray(light, np.float32)


def _floor(preset: Preset, sheet: Sheet, x: Field, y: Field) -> Field:
    """Return the factor, about 1, of a floor's structure on its light.

    x, y: in meters at the wall, y below its foot positive.
    """
    # Perspective: a row of the floor is nearer by the ratio of its height below the camera.
    nearer = CAMERA_HEIGHT_M / (CAMERA_HEIGHT_M + np.maximum(y, 0))
    across, out = x * nearer, CAMERA_AWAY_M * (1 - nearer)
    wide = preset.parameters.get("boards")
    if wide is None:
        mottled = sheet.clouds(SMALL_SIDE_PX, cells=7, octaves=4)
        pitch = mottled.shape[1] / 4  # pixels of a meter
        laid = cv2.remap(
            mottled,
            ((across + 2) * pitch).astype(np.float32),
            (out * pitch).astype(np.float32),
            interpolation=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return np.asarray(1 + 0.05 * laid, np.float32)
    place = across / wide + sheet.random.uniform(0, 1)
    number = np.floor(place).astype(int) % 64
    start = sheet.random.uniform(0, 1, 64).astype(np.float32)[number]
    piece = np.floor(out / 1.4 + start).astype(int) % 8
    tone = sheet.random.normal(0, 0.075, (64, 8)).astype(np.float32)[number, piece]
    joint = np.abs(place - np.round(place)) * wide * nearer / JOINT_M
    grain = 0.03 * np.sin(40 * (place + 0.15 * np.sin(1.3 * out + 9 * start)) + 30 * start)
    # Far boards are too narrow to be seen apart.
    seen = np.clip(1.3 * (1 - nearer) + 0.35, 0, 1)
    return np.asarray(1 + seen * (tone + grain - 0.3 * np.exp(-(joint**2))), np.float32)


def _bevel(place: Field, joint: float) -> Field:
    """Return the factor on light of bricks that are 1 apart: a dark joint and a bright edge."""
    within = place - np.floor(place)
    edge = np.minimum(within, 1 - within)
    bright = 0.08 * np.exp(-(((within - 2.2 * joint) / (1.2 * joint)) ** 2))
    return np.asarray(1 - 0.2 * np.exp(-((edge / joint) ** 2)) + bright, np.float32)


def _line(place: Field, middle: float) -> Field:
    """Return a soft line, 0..1, where a place is `middle`, in meters."""
    return np.asarray(np.exp(-(((place - middle) / 0.007) ** 2)), np.float32)


def _window(sheet: Sheet, x: Field, y: Field, side: int, *, blinds: bool = False) -> Field:
    """Return the sun through a window's panes or its blinds, 0..1, slanting down the wall."""
    reach_x, reach_y = sheet.reach
    slope = sheet.random.uniform(0.28, 0.42)
    across = side * x / reach_x**0.5 + 0.2 * y - sheet.random.uniform(-0.1, 0.25)
    down = y / reach_y**0.5 + slope * side * x + sheet.random.uniform(0.0, 0.25)
    # The farther from the frame, the softer the edge of its shadow.
    soft = 0.055 + 0.03 * (1 - side * x / reach_x)
    lit = _open(across, 0.62, soft) * _open(down, 0.95, soft)
    if blinds:
        slats = 0.5 + 0.5 * np.cos(2 * np.pi * down / 0.17)
        return np.asarray(lit * smoothstep(0.5 + (slats - 0.45) / (1.2 + 4 * soft)), np.float32)
    for place, middle, half in ((across, 0.0, 0.028), (down, -0.32, 0.03), (down, 0.32, 0.03)):
        lit = lit * (1 - _open(place - middle, half, soft))
    return np.asarray(lit * 0.95, np.float32)


def _open(place: Field, half: float, soft: Field) -> Field:
    """Return the share of the sun's disc seen through a slit, 0..1."""
    first, last = ((edge + soft / 2) / soft for edge in (half + place, half - place))
    return np.asarray(smoothstep(np.clip(first, 0, 1)) + smoothstep(np.clip(last, 0, 1)) - 1)


def _leaves(sheet: Sheet, x: Field, y: Field, side: int) -> Field:
    """Return the sun between twigs at three distances from the wall, 0..1."""
    # Drawn at half the size: all are out of focus.
    height, width = (side // 2 + 1 for side in x.shape)
    unit = min(width, height) / 2
    lit = np.ones((height, width), np.float32)
    for away in (1.0, 0.55, 0.25):
        mask = np.zeros((height, width), np.float32)
        for _ in range(9):
            root = np.array(
                [side * sheet.random.uniform(0.0, 1.3), -1.1 + sheet.random.uniform(0, 1.2)]
            )
            root = (root * sheet.reach + sheet.reach) * unit
            aim = np.pi / 2 + side * sheet.random.uniform(0.1, 1.2)
            for step in range(LEAVES_PER_LAYER // 5):
                aim += sheet.random.normal(0, 0.12)
                root = root + unit * 0.085 * np.array([np.cos(aim), np.sin(aim)])
                turn = aim + (1 if step % 2 else -1) * sheet.random.uniform(0.5, 1.1)
                long = unit * sheet.random.uniform(0.07, 0.12) * (0.7 + 0.5 * away)
                middle = root + long * np.array([np.cos(turn), np.sin(turn)])
                axes = round(long), max(1, round(0.36 * long))
                cv2.ellipse(
                    mask,
                    np.round(middle).astype(int).tolist(),
                    axes,
                    np.rad2deg(turn),
                    0,
                    360,
                    1.0,
                    -1,
                )
        lit *= 1 - (0.9 - 0.35 * away) * lens.defocus(mask, unit * (0.012 + 0.07 * away))
    patch = smoothstep(
        np.clip(1.35 - 0.6 * np.hypot(x / sheet.reach[0] - 0.25 * side, y / sheet.reach[1]), 0, 1)
    )
    return np.asarray(patch * resize_field(lit, x.shape[::-1]), np.float32)
