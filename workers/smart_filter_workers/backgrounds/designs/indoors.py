"""Places indoors: rooms, walls and a photographer's paper."""

from dataclasses import dataclass

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.backgrounds.shapes import hillshade, smoothstep
from smart_filter_workers.backgrounds.sheet import Sheet, resize_field
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

SWEEP_SIDE_PX = 320
# Lengths in the picture's shorter half at the wall: the bend's height, and the way to the camera in
# heights of the camera.
SWEEP_BEND = 0.3
# Light from the flash that lands on the paper by itself, elsewhere in each picture.
SWEEP_SPOT = 0.16
SWEEP_CAMERA_AWAY = 2.6
# The light on the floor, in the same lengths: to the sides, and from the wall to the camera.
SWEEP_POOL_WIDTH, SWEEP_POOL_DEPTH = 1.1, 2.0

WALL_SIDE_PX = 520
WALL_WINDOW, WALL_LEAVES, WALL_BLINDS = 1, 2, 3
# Light in the shade, as a share of the wall's light in the sun.
WALL_SKY_SHARE = 0.5
WALL_LEAVES_PER_LAYER = 60
# Share of the wall's light that its foot mirrors in the floor.
WALL_SHEEN = 0.16
# Above the floor, and from the wall: eye level, some steps away.
WALL_CAMERA_HEIGHT_M, WALL_CAMERA_AWAY_M = 1.5, 3.9
WALL_JOINT_M = 0.009

INTERIOR_SIDE_PX = 360
INTERIOR_FAR_RADIUS, INTERIOR_NEAR_RADIUS = 0.05, 0.075  # of the shorter side
INTERIOR_BOOKS_SHARE = 0.84  # of the places on a shelf
_LEAF = np.array([0.035, 0.075, 0.03], np.float32)
_LEAVES_OUTSIDE = np.array([0.62, 0.8, 0.5], np.float32)


def draw_sweep(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw seamless paper that sweeps from the wall onto the floor, lit by a softbox from one side.

    palette: the paper, and its tint in the shade.
    key: strength of the softbox.  fill: light from everywhere.  spot: a light on the paper of the
    wall.
    pool: a light on the floor.
    Returns (height, width, 3) uint8 sRGB.
    """
    paper, shade = colors.parse_hex(preset.palette)
    x, y = sheet.places(SWEEP_SIDE_PX)
    reach_x, reach_y = sheet.reach
    floor, horizon = (reach_y * (2 * row - 1) for row in (sheet.camera.floor, sheet.camera.horizon))
    camera = max(floor - horizon, 0.3)
    below = np.maximum(y - floor, 0)
    # Perspective: a row of the floor is nearer by the ratio of its height below the camera.
    nearer = camera / (camera + below)
    out = SWEEP_CAMERA_AWAY * camera * (1 - nearer)
    lying = smoothstep((y - floor + SWEEP_BEND) / (2 * SWEEP_BEND))
    across, up = x * nearer, floor - np.minimum(y, floor)
    side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    lamp_x = side * reach_x * sheet.random.uniform(0.6, 1.5)
    lamp_up, lamp_out = floor + reach_y * sheet.random.uniform(0.3, 1.0), 2.1
    to_x, to_up, to_out = lamp_x - across, lamp_up - up, lamp_out - out
    squared = to_x**2 + to_up**2 + to_out**2
    # Lambert's cosine on a surface that turns from the wall to the floor, and the inverse square.
    facing = np.maximum(to_out * np.cos(lying * np.pi / 2) + to_up * np.sin(lying * np.pi / 2), 0)
    lit = facing / squared**1.5
    lit /= lit[: max(1, len(lit) // 2)].max()
    glow_x, glow_y = (
        -side * sheet.random.uniform(0.15, 0.6) * reach_x,
        horizon * 0.5 - sheet.random.uniform(0.0, 0.3),
    )
    spot = np.exp(-(((x - glow_x) / (0.9 + 0.2 * reach_x)) ** 2 + ((y - glow_y) / 1.05) ** 2))
    exposure = sheet.random.uniform(0.88, 1.12)
    wear = exposure * (1 + 0.012 * sheet.clouds(SWEEP_SIDE_PX, cells=4, octaves=3))
    parameters = preset.parameters
    strong = parameters.get("key", 0.68) * lit + parameters.get("spot", SWEEP_SPOT) * spot * (
        1 - lying
    )
    # A dark floor without light shows no shadow, and people seem to hover.
    pool = np.exp(-((across / SWEEP_POOL_WIDTH) ** 2) - (out / SWEEP_POOL_DEPTH) ** 2)
    strong += parameters.get("pool", 0.0) * lying * pool
    bent = 1 - 0.16 * np.exp(-(((y - floor) / SWEEP_BEND) ** 2))  # the bend sees less of the room
    light = (
        parameters.get("fill", 0.35) * bent * shade.reshape(3, 1, 1)
        + strong * paper.reshape(3, 1, 1)
    ) * wear
    return sheet.finish(lens.develop(np.moveaxis(light, 0, -1).astype(np.float32), x, y))


def draw_wall(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw a wall above a floor, in the light of a window or through leaves.

    palette: the wall in the light, its tint in the shade, and the floor.
    light: 0 for daylight from the side, 1 for a window, 2 for the sun through leaves, 3 for blinds.
    relief: roughness of the wall.  stains: strength of its broad marks.
    bricks: height of the wall's painted bricks, panels: width of its molded panels, skirting:
    height of
    the board at its foot, boards: width of the floor's, all in meters.
    Returns (height, width, 3) uint8 sRGB.
    """
    wall, shade, floor = colors.parse_hex(preset.palette)
    x, y = sheet.places(WALL_SIDE_PX)
    reach_x, reach_y = sheet.reach
    side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    parameters = preset.parameters
    # A window to the side, beyond the picture: the light falls by the inverse square.
    to_x, to_y = side * (reach_x + 0.9) - x, -0.35 * reach_y - y
    near = 1 / (to_x**2 + to_y**2 + (1.2 + 1.2 * reach_x) ** 2)
    sky = WALL_SKY_SHARE * (0.55 + 0.6 * near / near.max())
    match int(parameters.get("light", 0)):
        case 1:
            sun = _window(sheet, x, y, side)
        case 2:
            sun = _leaves(sheet, x, y, side)
        case 3:
            sun = _window(sheet, x, y, side, blinds=True)
        case _:
            sun = near / near.max()
    marks = sheet.clouds(WALL_SIDE_PX, cells=3, octaves=5)
    line = reach_y * (2 * sheet.camera.floor - 1)
    lying = smoothstep((y - line) / 0.02 + 0.5)
    # A corner is darker than the open wall and floor, and the floor gets light from above.
    corner = 1 - 0.22 * np.exp(-np.abs(y - line) / 0.16)
    meter = (
        max(2 * reach_y * (sheet.camera.floor - sheet.camera.horizon), 0.3) / WALL_CAMERA_HEIGHT_M
    )
    across, down = x / meter, (y - line) / meter
    standing = _wall(preset, sheet, across, down) * (1 + parameters.get("stains", 0.05) * marks)
    surface = standing + lying * (_floor(preset, sheet, across, down) - standing)
    surface = surface * corner * np.float32(1.25)
    upright = surface * (1 - lying)
    lain = surface * lying
    # The flatter the view, the more a floor mirrors the wall.
    sheen = lying * WALL_SHEEN * np.exp(-np.maximum(y - line, 0) / 0.4) * sky
    sunny = (1 - WALL_SKY_SHARE) * sun
    # One product of fields by colors: numpy is slow where the last axis is a color's.
    fields = cv2.merge([upright * sky, upright * sunny + sheen, lain * sky, 0.85 * lain * sunny])
    tints = np.stack([shade, wall, floor * shade / np.maximum(wall, 0.01), floor])
    light = cv2.transform(fields, tints.T).astype(np.float32, copy=False)
    return sheet.finish(lens.develop(light, x, y))


def _wall(preset: Preset, sheet: Sheet, x: Floats, y: Floats) -> Floats:
    """Return the factor, about 1, of a wall's relief on its light.

    x, y: in meters at the wall, y above the floor negative.
    """
    parameters = preset.parameters
    rough = hillshade(sheet.clouds(WALL_SIDE_PX, cells=90, octaves=2))
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


def _floor(preset: Preset, sheet: Sheet, x: Floats, y: Floats) -> Floats:
    """Return the factor, about 1, of a floor's structure on its light.

    x, y: in meters at the wall, y below its foot positive.
    """
    # Perspective: a row of the floor is nearer by the ratio of its height below the camera.
    nearer = WALL_CAMERA_HEIGHT_M / (WALL_CAMERA_HEIGHT_M + np.maximum(y, 0))
    across, out = x * nearer, WALL_CAMERA_AWAY_M * (1 - nearer)
    wide = preset.parameters.get("boards")
    if wide is None:
        mottled = sheet.clouds(WALL_SIDE_PX, cells=7, octaves=4)
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
    joint = np.abs(place - np.round(place)) * wide * nearer / WALL_JOINT_M
    grain = 0.03 * np.sin(40 * (place + 0.15 * np.sin(1.3 * out + 9 * start)) + 30 * start)
    # Far boards are too narrow to be seen apart.
    seen = np.clip(1.3 * (1 - nearer) + 0.35, 0, 1)
    return np.asarray(1 + seen * (tone + grain - 0.3 * np.exp(-(joint**2))), np.float32)


def _bevel(place: Floats, joint: float) -> Floats:
    """Return the factor on light of bricks that are 1 apart: a dark joint and a bright edge."""
    within = place - np.floor(place)
    edge = np.minimum(within, 1 - within)
    bright = 0.08 * np.exp(-(((within - 2.2 * joint) / (1.2 * joint)) ** 2))
    return np.asarray(1 - 0.2 * np.exp(-((edge / joint) ** 2)) + bright, np.float32)


def _line(place: Floats, middle: float) -> Floats:
    """Return a soft line, 0..1, where a place is `middle`, in meters."""
    return np.asarray(np.exp(-(((place - middle) / 0.007) ** 2)), np.float32)


def _window(sheet: Sheet, x: Floats, y: Floats, side: int, *, blinds: bool = False) -> Floats:
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


def _open(place: Floats, half: float, soft: Floats) -> Floats:
    """Return the share of the sun's disc seen through a slit, 0..1."""
    first, last = ((edge + soft / 2) / soft for edge in (half + place, half - place))
    return np.asarray(smoothstep(np.clip(first, 0, 1)) + smoothstep(np.clip(last, 0, 1)) - 1)


def _leaves(sheet: Sheet, x: Floats, y: Floats, side: int) -> Floats:
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
            for step in range(WALL_LEAVES_PER_LAYER // 5):
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


@dataclass(frozen=True, slots=True)
class Room:
    """The room on a small sheet, in pixels, and the linear light of its materials.

    line: row where the wall meets the floor.  side: 1 with the window on the right, else -1.
    """

    random: np.random.Generator
    width: int
    height: int
    line: float
    side: int
    wall: Colors
    wood: Colors
    cushion: Colors

    @property
    def unit(self) -> int:
        """The shorter side."""
        return min(self.width, self.height)

    def column(self, place: float) -> float:
        """Return a column: -1 is the side of the window, 1 the other side."""
        return self.width * (0.5 - 0.5 * self.side * place)


def draw_interior(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw a room far out of focus: a wall, a tall window, furniture, and lamps.

    palette: the wall, the floor, the furniture, its cushions, the window, the lamp.
    day: strength of the daylight.  lamps: number of lamps that are on.  shelves: 1 for a wall of
    books.
    Returns (height, width, 3) uint8 sRGB.
    """
    wall, floor, wood, cushion, window, lamp = colors.parse_hex(preset.palette)
    random, parameters = sheet.random, preset.parameters
    x, y = sheet.places(INTERIOR_SIDE_PX)
    height, width = x.shape
    line = float(np.clip(sheet.camera.floor, 0.62, 1.4)) * height
    side = 1 if random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    day = parameters.get("day", 1.0)
    shown = np.float32(0.45 + 0.4 * day)
    room = Room(random, width, height, line, -side, wall, wood * shown, cushion * shown)
    unit = room.unit
    # Daylight falls on the wall from the window, and each lamp lights a pool around it.
    from_window = np.hypot(x - x.max() * side * 0.75, (y + 0.1) / 1.3)
    picture = wall * (0.3 + 0.75 * day / (1 + (from_window / 0.9) ** 2))[..., None]
    lights = [
        (room.column(random.uniform(0.1, 0.95)), height * random.uniform(0.24, 0.46))
        for _ in range(int(parameters.get("lamps", 1)))
    ]
    for column, row in lights:
        away = np.hypot(np.arange(width) - column, (np.arange(height) - row)[:, None])
        picture = picture + 0.5 * lamp * wall / (1 + (away / (0.24 * unit)) ** 2)[..., None]
    ground = np.asarray(picture, np.float32)
    far = lens.empty_layer(ground.shape)
    lens.fill_box(far, (-width, line, 2 * width, 3 * height), floor * shown)
    _draw_window(far, room, window * np.float32(day))
    if parameters.get("shelves"):
        _draw_shelves(far, room)
    else:
        _draw_pictures(far, room)
    ground = lens.lay_over(ground, far, INTERIOR_FAR_RADIUS * unit)
    near = lens.empty_layer(ground.shape)
    _draw_furniture(near, room)
    for column, row in lights:
        lens.fill_box(near, (column - 0.006 * unit, row, column + 0.006 * unit, line), wood * 0.25)
        lens.fill_ellipse(near, (column, row), (0.06 * unit, 0.05 * unit), lamp * np.float32(1.7))
    ground = lens.lay_over(ground, near, INTERIOR_NEAR_RADIUS * unit)
    return sheet.finish(lens.develop(ground, x, y))


def _draw_window(far: Colors, room: Room, light: Colors) -> None:
    """Draw a tall window with bars, trees outside, and curtains at both sides."""
    random, height = room.random, room.height
    left, right = sorted((room.column(-0.98), room.column(random.uniform(-0.5, -0.38))))
    top, sill = 0.04 * height, room.line - 0.1 * height
    lens.fill_box(far, (left, top, right, sill), light * np.float32(1.9))
    for _ in range(7):
        middle = random.uniform(left, right), random.uniform(0.45, 0.95) * sill
        axes = (right - left) * 0.24, 0.09 * height
        lens.fill_ellipse(far, middle, axes, light * _LEAVES_OUTSIDE)
    bar, frame = 0.05 * (right - left), room.wall * np.float32(0.8)
    for column in (left, (left + right) / 2, right):
        lens.fill_box(far, (column - bar, top, column + bar, sill), frame)
    lens.fill_box(far, (left, 0.42 * sill, right, 0.42 * sill + 1.4 * bar), frame)
    fold = 0.2 * (right - left)
    for column in (left, right):
        lens.fill_box(far, (column - fold, 0, column + fold, room.line), room.wall * 1.15)


def _draw_pictures(far: Colors, room: Room) -> None:
    """Draw two framed pictures on the wall."""
    for _ in range(2):
        column = room.column(room.random.uniform(0.0, 0.8))
        half = room.unit * room.random.uniform(0.07, 0.13)
        top = room.height * room.random.uniform(0.12, 0.3)
        lens.fill_box(far, (column - half, top, column + half, top + 2.6 * half), room.wood)
        inner = column - 0.8 * half, top + 0.2 * half, column + 0.8 * half, top + 2.4 * half
        lens.fill_box(far, inner, room.cushion * 1.4)


def _draw_shelves(far: Colors, room: Room) -> None:
    """Draw shelves with books of many muted colors."""
    random, width, height = room.random, room.width, room.height
    for row in np.arange(0.12, room.line / height + 0.14, 0.16) * height:
        column = -0.1 * width
        while column < 1.1 * width:
            thick = room.unit * random.uniform(0.015, 0.05)
            tall = height * random.uniform(0.09, 0.135)
            share = random.random()
            tint = room.wood * (1 - share) + room.cushion * share
            tint = tint * random.uniform(0.35, 1.5, 3).astype(np.float32) ** 0.5
            if random.random() < INTERIOR_BOOKS_SHARE:
                lens.fill_box(far, (column, row - tall, column + thick, row), tint)
            column += thick
        lens.fill_box(far, (-width, row, 2 * width, row + 0.018 * height), room.wood)


def _draw_furniture(near: Colors, room: Room) -> None:
    """Draw a sofa with cushions in front of the wall, and a plant in a pot."""
    random, unit, line = room.random, room.unit, room.line
    middle = room.column(random.uniform(0.25, 0.75))
    half, tall = unit * random.uniform(0.38, 0.55), unit * random.uniform(0.22, 0.3)
    left, right = middle - half, middle + half
    lens.fill_box(near, (left, line - tall, right, line + 0.12 * unit), room.cushion)
    seat = room.cushion * np.float32(0.75)
    lens.fill_box(near, (left, line - 0.45 * tall, right, line + 0.08 * unit), seat)
    for _ in range(2):
        place = middle + random.uniform(-0.7, 0.7) * half, line - 0.55 * tall
        lens.fill_ellipse(near, place, (0.1 * unit, 0.08 * unit), room.wood * np.float32(1.3))
    root = room.column(random.uniform(-0.25, 0.1))
    for _ in range(26):
        turn, long = random.uniform(-2.6, -0.5), unit * random.uniform(0.08, 0.34)
        tip = root + long * np.cos(turn), line - 0.2 * unit + long * np.sin(turn)
        leaf = _LEAF * np.float32(random.uniform(0.7, 2.4))
        lens.fill_ellipse(near, tip, (0.045 * unit, 0.03 * unit), leaf)
    pot = root - 0.07 * unit, line - 0.14 * unit, root + 0.07 * unit, line + 0.03 * unit
    lens.fill_box(near, pot, room.wood)
