"""Paste small drawings onto a picture, such as one wearable on each selected head."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final, Self

import numpy as np

from smart_filter_shared.results import Point
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import WHOLE_LEVEL, Bytes, Doubles, Srgb8, Srgba8
from smart_filter_workers.stages.composite.filters import drawings
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Head, Scene

_RGBA: Final = 4
# Points sampled along a side of a tile to find its borders, and the share of them that may be cut
# off unreported.
_SAMPLES_PER_SIDE: Final = 32
_MISSED_FROM: Final = 0.02

# Sides of tiles, powers of two, in pixels: the smallest for heads in a crowd; the largest is scaled
# up where a head fills a large picture.
MIN_TILE_PX: Final = 32
MAX_TILE_PX: Final = 1024
# Tiles cached for each filter; 1 to 2 MB each for the largest heads, far less for others.
MAX_CACHED_TILES: Final = 8
# Light of a wearable where the picture is black, and the picture's mean level, 0..1, from which the
# wearable is fully lit.
_MIN_LIGHT: Final = 0.62
_BRIGHT_FROM: Final = 0.5
Rgb = tuple[int, int, int]
COLORS: Final[Mapping[str, Rgb]] = {
    "black": (28, 27, 30),
    "red": (206, 36, 48),
    "navy": (28, 46, 92),
    "teal": (10, 132, 138),
    "green": (38, 128, 70),
    "purple": (110, 62, 158),
    "pink": (232, 92, 146),
    "gold": (238, 178, 46),
    "white": (240, 238, 234),
    "brown": (112, 66, 38),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A drawing on a square sheet of `size` pixels and twice `reach` units a side.

    rgba: (h, w, 4) uint8 sRGB, premultiplied with alpha: the drawn part of the sheet, with its
    upper left corner at left, top.
    """

    rgba: Bytes
    reach: float
    size: int
    left: int = 0
    top: int = 0


def crop_tile(rgba: Bytes, reach: float) -> Tile:
    """Return the drawn part of a square sheet: empty pixels cost as much to paste as others."""
    left, top, width, height = cv2.boundingRect(rgba[..., 3])
    part = np.ascontiguousarray(rgba[top : top + max(1, height), left : left + max(1, width)])
    return Tile(part, reach, rgba.shape[0], left, top)


@dataclass(frozen=True, slots=True)
class TilePlacement:
    """Position of a drawing: its middle, and the vectors of one unit right and one unit down.

    All in pixels of the canvas.
    """

    middle: Point
    right: Point
    down: Point

    @property
    def scale(self) -> float:
        """The length of the longer unit vector, in pixels."""
        return float(max(np.hypot(*self.right), np.hypot(*self.down)))

    @classmethod
    def leaning(cls, head: Head, middle: Point, radians: float) -> Self:
        """Return the placement of a drawing that leans to one side of a head."""
        cos, sin = head.unit * math.cos(radians), head.unit * math.sin(radians)
        across, above = head.across, head.up
        right = (cos * across[0] - sin * above[0], cos * across[1] - sin * above[1])
        down = (-cos * above[0] - sin * across[0], -cos * above[1] - sin * across[1])
        return cls(middle, right, down)

    @classmethod
    def turning(cls, head: Head, middle: Point) -> Self:
        """Return the placement of a drawing that turns with a head.

        Its width follows the visible distance of the eyes, its height the size of the head.
        """
        right_eye, left_eye = head.face.landmarks[:2]
        right = (left_eye[0] - right_eye[0], left_eye[1] - right_eye[1])
        return cls(middle, right, (-head.unit * head.up[0], -head.unit * head.up[1]))


def paste(picture: Srgb8 | Srgba8, tile: Tile, place: TilePlacement, *, light: float = 1.0) -> bool:
    """Paste a tile on a picture, in place; return whether any of it is inside.

    picture: (H, W, 3), or (H, W, 4) with straight alpha.  light: factor of the tile's colors, at
    most 1.
    Source: Porter & Duff 1984, "Compositing digital images", over.
    """
    matrix = _matrix(tile, place)
    rows, columns = tile.rgba.shape[:2]
    corners = matrix[:, :2] @ np.array([[-1, columns, -1, columns], [-1, -1, rows, rows]])
    corners += matrix[:, 2:]
    if not np.isfinite(corners).all():
        return False
    height, width = picture.shape[:2]
    left, top = (int(max(0, np.floor(axis.min()))) for axis in corners)
    right = int(min(width, np.ceil(corners[0].max()) + 1))
    bottom = int(min(height, np.ceil(corners[1].max()) + 1))
    if right <= left or bottom <= top:
        return False
    matrix[:, 2] -= (left, top)
    laid = np.empty((bottom - top, right - left, _RGBA), np.uint8)
    cv2.warpAffine(
        tile.rgba,
        matrix,
        (right - left, bottom - top),
        dst=laid,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    composite_over(picture[top:bottom, left:right], laid, light=light)
    return True


def borders_crossed(
    tile: Tile, place: TilePlacement, *, width: int, height: int
) -> tuple[str, ...]:
    """Return the borders of a picture that cut off part of a tile: left, right, upper, lower."""
    # A cut fringe of shadow does not count, and a few hundred sampled points are enough.
    step = max(1, max(tile.rgba.shape[:2]) // _SAMPLES_PER_SIDE)
    rows, columns = np.nonzero(tile.rgba[::step, ::step, 3] > WHOLE_LEVEL // 2)
    if not rows.size:
        return ()
    matrix = _matrix(tile, place)
    x, y = matrix[:, :2] @ np.stack([step * columns, step * rows]) + matrix[:, 2:]
    outside = {"left": x < 0, "right": x >= width, "upper": y < 0, "lower": y >= height}
    return tuple(name for name, is_out in outside.items() if is_out.mean() > _MISSED_FROM)


def _matrix(tile: Tile, place: TilePlacement) -> Doubles:
    """Return the (2, 3) matrix from pixels of a tile to those of the canvas."""
    unit = 2 * tile.reach / tile.size  # units per pixel of the tile
    # Pixel centers: the sheet's middle is between its two middle pixels.
    matrix = np.array(
        [
            [place.right[0] * unit, place.down[0] * unit, place.middle[0] - 0.5],
            [place.right[1] * unit, place.down[1] * unit, place.middle[1] - 0.5],
        ]
    )
    middle = (tile.size - 1) / 2
    matrix[:, 2] += matrix[:, :2] @ np.array([tile.left - middle, tile.top - middle])
    return matrix


def composite_over(ground: Srgb8 | Srgba8, laid: Srgba8, *, light: float = 1.0) -> None:
    """Composite premultiplied pixels over a part of a picture of the same size, in place.

    ground: (h, w, 3), or (h, w, 4) with straight alpha; laid: (h, w, 4), premultiplied.
    """
    if ground.shape[2] == _RGBA:
        _composite_over_transparent(ground, laid, light)
        return
    alpha = laid[..., 3]
    through = cv2.merge([cv2.bitwise_not(alpha)] * 3)
    colors = _apply_light(laid, light)
    ground[...] = cv2.add(colors, cv2.multiply(ground, through, scale=1 / WHOLE_LEVEL))


def _composite_over_transparent(ground: Srgba8, laid: Srgba8, light: float) -> None:
    # Whole levels throughout: ten times as fast as floats. Colors are off by one level where pixels
    # are visible, and by more only where they are almost transparent.
    alpha = laid[..., 3]
    through = cv2.bitwise_not(alpha)
    below = cv2.multiply(ground[..., 3], through, scale=1 / WHOLE_LEVEL)
    covered = cv2.add(alpha, below)
    colors = cv2.multiply(
        cv2.cvtColor(ground, cv2.COLOR_RGBA2RGB), cv2.merge([below] * 3), scale=1 / WHOLE_LEVEL
    )
    colors = cv2.add(_apply_light(laid, light), colors)
    straight = cv2.divide(colors, cv2.merge([covered] * 3), scale=WHOLE_LEVEL)
    mixed = cv2.merge([*cv2.split(straight), covered])
    cv2.copyTo(mixed, alpha, ground)


def _apply_light(laid: Srgba8, light: float) -> Srgb8:
    """Return premultiplied colors multiplied by a light level."""
    colors = cv2.cvtColor(laid, cv2.COLOR_RGBA2RGB)
    if light < 1:
        colors = cv2.convertScaleAbs(colors, alpha=light)
    return np.asarray(colors, np.uint8)


def paste_on_heads(
    picture: Srgb8 | Srgba8,
    scene: Scene,
    who: str,
    worn: Callable[[Head], tuple[Tile, TilePlacement] | None],
    *,
    what: str,
) -> FilterVerdict:
    """Paste the tile that `worn` returns for each selected head; None leaves a head as it is."""
    if not scene.heads:
        return FilterVerdict(applied=False, reason="no face was found")
    meant = scene.chosen(who)
    if not meant:
        return FilterVerdict(
            applied=False, reason=f"{_count_faces(len(scene.heads))}, and none is {who}"
        )
    height, width = picture.shape[:2]
    got: list[Head] = []
    turned_away: list[Head] = []
    cut_off: dict[str, list[Head]] = {}
    for head in sorted(meant, key=lambda head: head.unit):
        thing = worn(head)
        if thing is None:
            turned_away.append(head)
        elif paste(picture, *thing, light=_light(picture, head)):
            got.append(head)
            for border in borders_crossed(*thing, width=width, height=height):
                cut_off.setdefault(border, []).append(head)
    nowhere = "no face can wear it" if turned_away else "it would be outside the picture"
    reason = f"{what} on {name_faces(got, of=len(scene.heads))}" if got else nowhere
    if turned_away:
        reason += f"; {name_faces(turned_away, of=0)} turned away"
    for border, heads in cut_off.items():
        whose = "" if len(heads) == len(got) else f"on {name_faces(heads, of=0)} "
        reason += f"; {whose}cut off at the {border} border"
    return FilterVerdict(applied=bool(got), reason=reason)


@functools.lru_cache(maxsize=MAX_CACHED_TILES)
def load_tile(name: str, reach: float, size: int, color: str | None = None) -> Tile:
    """Return a drawing, its part of the class `tint` in a color; None: it has no such part.

    reach: distance from the drawing's middle to its sides, in distances of the eyes.
    """
    rgba = _shrink(_read_picture(name), size)
    if color is not None:
        tint = _read_picture(f"{name}.tint")
        # Mid gray becomes the color; darker and lighter grays its shades.
        shades = [
            np.interp(np.arange(256), (0, 128, 255), (0, level, 255)) for level in COLORS[color]
        ]
        table = np.stack([*shades, np.arange(256)], axis=-1).astype(np.uint8)
        worn = _shrink(np.asarray(cv2.LUT(tint, table[None]), np.uint8), size)
        through = cv2.merge([cv2.bitwise_not(worn[..., 3])] * 4)
        rgba = np.asarray(cv2.add(worn, cv2.multiply(rgba, through, scale=1 / 255)), np.uint8)
    return crop_tile(rgba, reach)


def choose_tile_px(place: TilePlacement, reach: float) -> int:
    """Return the side of a tile that is sharp at this scale, a power of two."""
    wanted = max(1.0, 2 * reach * place.scale)
    return int(min(MAX_TILE_PX, max(MIN_TILE_PX, 2 ** np.ceil(np.log2(wanted)))))


def name_faces(heads: Sequence[Head], *, of: int) -> str:
    """Return the name of these faces: `the face`, `face 2`, `faces 1 and 3`, `all 4 faces`."""
    if len(heads) == of:
        return {1: "the face", 2: "both faces"}.get(of, f"all {of} faces")
    numbers = sorted(head.number for head in heads)
    if len(numbers) == 1:
        return f"face {numbers[0]}"
    return f"faces {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _read_picture(name: str) -> Bytes:
    """Return a picture among the drawings, (1024, 1024, 4) with straight alpha."""
    content = (resources.files(drawings) / f"{name}.webp").read_bytes()
    bgra = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert bgra is not None
    return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), np.uint8)


def _shrink(rgba: Bytes, size: int) -> Bytes:
    """Return a square picture premultiplied with its alpha, `size` pixels wide."""
    alpha = cv2.merge([rgba[..., 3]] * 3 + [np.full(rgba.shape[:2], 255, np.uint8)])
    premultiplied = cv2.multiply(rgba, alpha, scale=1 / 255)
    return np.asarray(
        cv2.resize(premultiplied, (size, size), interpolation=cv2.INTER_AREA), np.uint8
    )


def _light(picture: Srgb8 | Srgba8, head: Head) -> float:
    """Return the light around a head, as a share of full light."""
    height, width = picture.shape[:2]
    x, y, wide, high = head.face.box
    columns = slice(max(0, int(x - wide / 2)), max(0, min(width, int(x + 1.5 * wide))))
    rows = slice(max(0, int(y - high)), max(0, min(height, int(y + high))))
    around = picture[rows, columns]
    if not around.size:
        return 1.0
    # A few hundred pixels are enough for a mean.
    step = max(1, int((around.shape[0] * around.shape[1] / 400) ** 0.5))
    around = around[::step, ::step]
    if around.shape[2] > 3:  # noqa: PLR2004 - skip transparent pixels
        around = around[around[..., 3] > 0]
    if not around.size:
        return 1.0
    level = float(around[..., :3].mean()) / 255
    return min(1.0, _MIN_LIGHT + (1 - _MIN_LIGHT) * level / _BRIGHT_FROM)


def _count_faces(count: int) -> str:
    return "1 face was found" if count == 1 else f"{count} faces were found"
