"""Draw photos with exactly known mattes and colors: drawn cutouts on busy backgrounds.

Scenes are drawn four times as large and shrunk, so coverage is exact. The matte is softened before
it is mixed, and noise is added after, as real edges are soft and cameras add noise.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face
from smart_filter_workers.backgrounds import library
from smart_filter_workers.results import Matte8, Srgb8

WIDTH, HEIGHT = 3, 4  # aspect ratio of every scene
FINER: Final = 4  # coverage is drawn this many times larger than the scene
SHIFT: Final = 4  # cv2 draws at fractions of 1/16 pixel
NOISE_LEVELS: Final = 2.0
# Colors as red, green, blue.
SKIN: Final = (206, 158, 132)
DARK, FAIR, RED = (38, 28, 24), (206, 176, 122), (122, 58, 30)
NAVY, WOOL, SHIRT = (34, 42, 74), (226, 218, 204), (178, 52, 60)

Points = NDArray[np.float64]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """A photo and the truth about it.

    photo_srgb: (H, W, 3) uint8; matte: (H, W) uint8, true coverage; people_srgb: (H, W, 3)
    uint8, the people's colors, known under every pixel that they touch.  faces: faces in the
    form that a detector returns.
    """

    name: str
    photo_srgb: Srgb8
    matte: Matte8
    people_srgb: Srgb8
    faces: tuple[Face, ...] = ()


@dataclass(slots=True)
class Sheet:
    """A canvas of coverage at FINER times the scene's size, and of colors at its size."""

    coverage: Matte8
    colors: Srgb8
    unit: float  # a hundredth of the scene's width, in pixels of the coverage

    def fill(self, points: Points, level: int = 255) -> None:
        """Fill a polygon; points: (n, 2), x and y in hundredths of the width."""
        at = np.round(points * self.unit * 2**SHIFT).astype(np.int32)
        cv2.fillPoly(self.coverage, [at], level, cv2.LINE_8, SHIFT)

    def stroke(self, points: Points, width: float, level: int = 255) -> None:
        """Draw a line; width: in hundredths of the scene's width."""
        at = np.round(points * self.unit * 2**SHIFT).astype(np.int32)
        thick = max(1, round(width * self.unit))
        cv2.polylines(
            self.coverage, [at], isClosed=False, color=level, thickness=thick, shift=SHIFT
        )

    def paint(self, points: Points, color: tuple[int, int, int]) -> None:
        """Fill a polygon of the people's colors."""
        at = np.round(points * self.unit / FINER).astype(np.int32)
        cv2.fillPoly(self.colors, [at], color)


def scene(name: str, width: int) -> Scene:
    """Return the scene of a name, the same each time."""
    draw, old, seed, head = DRAWN[name]
    height = width * HEIGHT // WIDTH
    random = np.random.default_rng(seed)
    sheet = Sheet(
        np.zeros((height * FINER, width * FINER), np.uint8),
        np.zeros((height, width, 3), np.uint8),
        width * FINER / 100,
    )
    draw(sheet, random)
    matte = np.asarray(
        cv2.resize(sheet.coverage, (width, height), interpolation=cv2.INTER_AREA), np.uint8
    )
    matte = np.asarray(cv2.GaussianBlur(matte, (0, 0), 0.6), np.uint8)
    colors = _textured(sheet.colors, random)
    behind = ground(old, width=width, height=height, seed=seed)
    composed = compose_scene(name, colors, matte, behind, seed=seed)
    return replace(composed, faces=() if head is None else (_face(head, width / 100),))


def _face(head: Box, unit: float) -> Face:
    """Return the face of a head; its landmarks are all in the middle, as they are not used."""
    x, y, across, down = (side * unit for side in head)
    middle = (x + across / 2, y + down / 2)
    return Face((x, y, across, down), 1.0, (middle,) * 5)


def compose_scene(
    name: str, people_srgb: Srgb8, matte: Matte8, behind: Srgb8, *, seed: int
) -> Scene:
    """Return a cutout on a background with camera noise, which is no part of the truth."""
    alpha = np.divide(matte, 255, dtype=np.float32)[..., np.newaxis]
    mixed = people_srgb * alpha + behind * (1 - alpha)
    random = np.random.default_rng(seed)
    mixed += random.normal(0, NOISE_LEVELS, mixed.shape).astype(np.float32)
    return Scene(name, np.clip(mixed + 0.5, 0, 255).astype(np.uint8), matte, people_srgb)


def _textured(srgb: Srgb8, random: np.random.Generator) -> Srgb8:
    """Return colors with folds and streaks as of cloth and hair, a few percent strong."""
    height, width = srgb.shape[:2]
    srgb = np.asarray(cv2.GaussianBlur(srgb, (0, 0), width / 1000), np.uint8)
    folds = random.normal(0, 1, (height // 60 + 2, width // 20 + 2)).astype(np.float32)
    light = cv2.resize(folds, (width, height), interpolation=cv2.INTER_CUBIC)[..., np.newaxis]
    return np.asarray(np.clip(srgb * (1 + 0.08 * light) + 2 * light, 0, 255), np.uint8)


def ground(name: str, *, width: int, height: int, seed: int) -> Srgb8:
    """Return a design, pavement, or leaves (blots of green, brown and sky of several sizes)."""
    if name == "pavement":
        return _pavement(width, height, np.random.default_rng(seed))
    if name != "leaves":
        return library.draw(name, seed=seed, width=width, height=height)
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cell, strength in ((200, 50), (60, 40), (20, 30), (6, 20)):
        blots = random.normal(0, 1, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        blots[..., 1:] = 0.7 * blots[..., :1] + 0.3 * blots[..., 1:]
        total += strength * cv2.resize(blots, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(total + np.array([104, 124, 76], np.float32), 0, 255), np.uint8)


def _pavement(width: int, height: int, random: np.random.Generator) -> Srgb8:
    """Return slabs of many browns with dark joints, seen from above; some are close to skin."""
    slab, joint = (width // 14, width // 26), max(2, width // 200)
    down, across = height // slab[1] + 2, width // slab[0] + 3
    tones = np.array([150, 118, 98]) + random.normal(0, 34, (down, across, 1))
    tones = tones + random.normal(0, 10, (down, across, 3))
    srgb = np.empty((height, width, 3), np.float32)
    srgb[:] = (62, 54, 50)
    for row in range(down):
        for column in range(across):
            x = column * slab[0] - (row % 2) * slab[0] // 2 - slab[0] // 2
            y = row * slab[1]
            end = (x + slab[0] - joint, y + slab[1] - joint)
            color = [float(level) for level in tones[row, column]]
            cv2.rectangle(srgb, (x, y), end, color, cv2.FILLED)
    grain = random.normal(0, 12, (height // 3 + 1, width // 3 + 1)).astype(np.float32)
    srgb += cv2.resize(grain, (width, height))[..., np.newaxis]
    return np.asarray(np.clip(cv2.GaussianBlur(srgb, (0, 0), 1.5), 0, 255), np.uint8)


def oval(x: float, y: float, across: float, down: float) -> Points:
    """Return the outline of an oval around (x, y), (n, 2)."""
    turn = np.linspace(0, 2 * np.pi, 240)
    return np.stack([x + across * np.cos(turn), y + down * np.sin(turn)], axis=1)


def _bust(sheet: Sheet, color: tuple[int, int, int]) -> None:
    """Draw head, neck and shoulders, with the middle of the head at (50, 48)."""
    for shape, paint in (
        (np.array([[42, 55], [58, 55], [60, 90], [40, 90]], float), SKIN),
        (oval(50, 134, 38, 54), color),
        (oval(50, 48, 13, 17), SKIN),
    ):
        sheet.fill(shape)
        sheet.paint(shape, paint)


def _hair(
    sheet: Sheet,
    random: np.random.Generator,
    *,
    color: tuple[int, int, int],
    strands: int,
    length: float,
    curl: float,
) -> None:
    """Draw hair around the head: a mass, and loose strands thinner than a pixel."""
    sheet.paint(oval(50, 45, 17 + length, 21 + length), color)
    sheet.paint(oval(50, 52, 11, 14), SKIN)
    sheet.fill(oval(50, 43, 15.5, 17))
    for _ in range(strands):
        turn = random.uniform(np.pi * 0.95, np.pi * 2.05)
        start = np.array([50 + 15 * np.cos(turn), 43 + 16.5 * np.sin(turn)])
        along = turn + random.normal(0, 0.45)
        steps = np.linspace(0, 1, 24)
        reach = length * random.beta(1.3, 3)
        wave = curl * np.sin(steps * random.uniform(3, 9) + random.uniform(0, 6))
        bend = along + wave * steps + random.normal(0, 0.5) * steps
        points = start + np.cumsum(
            np.stack([np.cos(bend), np.sin(bend)], axis=1) * reach / len(steps), axis=0
        )
        sheet.stroke(points, random.uniform(0.02, 0.11), int(random.uniform(150, 255)))


def _dark_hair(sheet: Sheet, random: np.random.Generator) -> None:
    _bust(sheet, NAVY)
    _hair(sheet, random, color=DARK, strands=700, length=14, curl=0.6)


def _fair_curls(sheet: Sheet, random: np.random.Generator) -> None:
    _bust(sheet, SHIRT)
    _hair(sheet, random, color=FAIR, strands=1600, length=11, curl=2.2)


def _red_hair(sheet: Sheet, random: np.random.Generator) -> None:
    _bust(sheet, WOOL)
    _hair(sheet, random, color=RED, strands=900, length=18, curl=0.3)


def _fur(sheet: Sheet, random: np.random.Generator) -> None:
    """Draw a fluffy coat: short hair all around the shoulders."""
    _bust(sheet, WOOL)
    sheet.paint(oval(50, 134, 45, 62), WOOL)
    sheet.paint(oval(50, 48, 14, 18), SKIN)
    for _ in range(5000):
        turn = random.uniform(np.pi, 2 * np.pi)
        start = np.array([50 + 38 * np.cos(turn), 134 + 54 * np.sin(turn)])
        along = turn + random.normal(0, 0.5)
        end = start + random.gamma(3, 0.6) * np.array([np.cos(along), np.sin(along)])
        sheet.stroke(np.stack([start, end]), random.uniform(0.04, 0.12), 230)
    sheet.fill(oval(50, 48, 13, 17))


def _hands(sheet: Sheet, random: np.random.Generator) -> None:
    """Draw open hands and an arm on the hip: gaps between fingers, and a hole to keep."""
    _bust(sheet, NAVY)
    _hair(sheet, random, color=DARK, strands=60, length=5, curl=0.3)
    arm = np.array([[22, 96], [8, 118], [22, 130]], float)
    sheet.stroke(arm, 6)
    sheet.paint(oval(14, 116, 12, 22), NAVY)
    for x, lean in ((13, -0.12), (87, 0.12)):
        sheet.paint(oval(x, 72, 15, 44), SKIN)
        sheet.fill(oval(x, 68, 5.5, 7))
        sheet.stroke(np.array([[x, 70], [x + 60 * lean, 100]]), 5)
        for finger in range(5):
            turn = lean - 0.75 + 0.36 * finger
            start = np.array([x + 4.5 * np.sin(turn), 66 - 4 * np.cos(turn)])
            end = start + (8, 12, 13, 12, 9)[finger] * np.array([np.sin(turn), -np.cos(turn)])
            sheet.stroke(np.stack([start, end]), 1.9)


def _thin(sheet: Sheet, random: np.random.Generator) -> None:
    """Draw thin, attached things: glasses, earrings, and a balloon on its string."""
    _bust(sheet, SHIRT)
    _hair(sheet, random, color=DARK, strands=120, length=4, curl=0.5)
    sheet.paint(oval(50, 50, 11, 15), SKIN)
    for side in (-1, 1):
        rim = oval(50 + side * 9.5, 47, 6.5, 5)
        sheet.paint(oval(50 + side * 13, 47, 6, 6), (24, 24, 28))
        sheet.stroke(np.concatenate([rim, rim[:1]]), 0.5)
        drop = np.array([[50 + side * 14, 56], [50 + side * 14.5, 63]], float)
        sheet.paint(oval(50 + side * 14.5, 62, 2.5, 6), (200, 160, 60))
        sheet.stroke(drop, 0.2)
        sheet.fill(oval(50 + side * 14.5, 64, 1.1, 1.6))
    string = np.array([[84, 118], [88, 84], [85, 60], [86, 44]], float)
    sheet.paint(np.array([[80, 40], [94, 40], [94, 130], [80, 130]], float), (230, 226, 220))
    sheet.stroke(string, 0.16)
    sheet.paint(oval(86, 30, 11, 14), (214, 40, 92))
    sheet.fill(oval(86, 32, 9, 11.5))


def _standing(sheet: Sheet, random: np.random.Generator) -> None:
    """Draw a small person from head to foot, legs apart, with floor between the feet."""
    sheet.paint(np.array([[0, 0], [100, 0], [100, 66], [0, 66]], float), SHIRT)
    sheet.paint(np.array([[0, 66], [100, 66], [100, 134], [0, 134]], float), NAVY)
    sheet.paint(oval(50, 25, 9, 10), SKIN)
    sheet.fill(oval(50, 25, 5.5, 7))
    sheet.fill(np.array([[47, 30], [53, 30], [54, 36], [46, 36]], float))
    sheet.fill(np.array([[40, 36], [60, 36], [57, 68], [43, 68]], float))
    for side in (-1, 1):
        sheet.stroke(np.array([[50 + side * 4, 66], [50 + side * 9, 118]], float), 5)
        sheet.stroke(np.array([[50 + side * 9, 119], [50 + side * 14, 121]], float), 3)
        sheet.stroke(np.array([[50 + side * 9, 39], [50 + side * 17, 54]], float), 3)
        sheet.stroke(np.array([[50 + side * 17, 54], [50 + side * 8, 66]], float), 2.6)
    for _ in range(120):
        turn = random.uniform(np.pi, 2 * np.pi)
        start = np.array([50 + 5.3 * np.cos(turn), 24 + 6.6 * np.sin(turn)])
        end = start + random.gamma(2, 0.5) * np.array([np.cos(turn), np.sin(turn)])
        sheet.stroke(np.stack([start, end]), 0.06)


def _limbs(sheet: Sheet, random: np.random.Generator) -> None:
    """Draw two bare legs and a bare arm, larger than the picture: smooth skin on pavement."""
    sheet.paint(np.array([[0, 0], [100, 0], [100, 134], [0, 134]], float), SKIN)
    for lean in random.uniform(-6, 6, 2):
        middle = 30 if lean == min(lean, 0) else 62
        thigh, knee, calf, ankle = (
            middle + share * lean + bulge
            for share, bulge in ((0, 0), (1, 1.5), (1.6, 0.5), (2.4, 1))
        )
        outline = [[thigh - 9, -2], [knee - 6, 48], [calf - 6.5, 76], [ankle - 3.4, 116]]
        back = [[ankle + 3.4, 116], [calf + 6.5, 76], [knee + 6, 48], [thigh + 9, -2]]
        sheet.fill(np.array(outline + back, float))
        sheet.fill(oval(ankle + 2, 117, 6.5, 4))
    sheet.stroke(np.array([[92, -2], [84, 40], [88, 84]], float), 5)
    sheet.fill(oval(88, 88, 3.2, 5.5))


Draw = Callable[[Sheet, np.random.Generator], None]
# x, y, width and height of the face of a bust, and of a small person.
BUST, SMALL = (37.0, 33.0, 26.0, 30.0), (45.0, 19.0, 10.0, 12.0)
# Name: drawing function, original background, seed, face.
DRAWN: Final[dict[str, tuple[Draw, str, int, Box | None]]] = {
    "dark hair": (_dark_hair, "leaves", 1, BUST),
    "fair curls": (_fair_curls, "city-night", 2, BUST),
    "red hair": (_red_hair, "studio", 3, BUST),
    "fur": (_fur, "leaves", 4, BUST),
    "hands": (_hands, "green-marble", 5, BUST),
    "thin things": (_thin, "meadow-layers", 6, BUST),
    "standing": (_standing, "leaves", 7, SMALL),
    "limbs": (_limbs, "pavement", 8, None),
}
# The groups of the printed table.
GROUPS: Final = {
    "hair": ("dark hair", "fair curls", "red hair", "fur"),
    "limbs": ("limbs",),
    "others": ("hands", "thin things", "standing"),
}
