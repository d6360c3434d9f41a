"""Put one wearable on each selected head, in the picture's light."""

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8, Srgba8
from smart_filter_workers.stages.composite.filters import drawings, tiles
from smart_filter_workers.stages.composite.filters.base import FilterVerdict
from smart_filter_workers.stages.composite.filters.scene import Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement

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
        elif tiles.paste(picture, *thing, light=_light(picture, head)):
            got.append(head)
            for border in tiles.borders_crossed(*thing, width=width, height=height):
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
    return tiles.crop_tile(rgba, reach)


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


def _read_picture(name: str) -> NDArray[np.uint8]:
    """Return a picture among the drawings, (1024, 1024, 4) with straight alpha."""
    content = (resources.files(drawings) / f"{name}.webp").read_bytes()
    bgra = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert bgra is not None
    return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), np.uint8)


def _shrink(rgba: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
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
