"""A room far out of focus: a wall, a tall window, furniture, and lamps.

palette: the wall, the floor, the furniture, its cushions, the window, the lamp.
day: strength of the daylight.  lamps: number of lamps that are on.  shelves: 1 for a wall of books.
"""

from dataclasses import dataclass

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 360
FAR_RADIUS, NEAR_RADIUS = 0.05, 0.075  # of the shorter side
BOOKS_SHARE = 0.84  # of the places on a shelf
_LEAF = np.array([0.035, 0.075, 0.03], np.float32)
_LEAVES_OUTSIDE = np.array([0.62, 0.8, 0.5], np.float32)


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


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    wall, floor, wood, cushion, window, lamp = colors.parse_hex(preset.palette)
    random, parameters = sheet.random, preset.parameters
    x, y = sheet.places(SMALL_SIDE_PX)
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
    ground = lens.lay_over(ground, far, FAR_RADIUS * unit)
    near = lens.empty_layer(ground.shape)
    _draw_furniture(near, room)
    for column, row in lights:
        lens.fill_box(near, (column - 0.006 * unit, row, column + 0.006 * unit, line), wood * 0.25)
        lens.fill_ellipse(near, (column, row), (0.06 * unit, 0.05 * unit), lamp * np.float32(1.7))
    ground = lens.lay_over(ground, near, NEAR_RADIUS * unit)
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
            if random.random() < BOOKS_SHARE:
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
