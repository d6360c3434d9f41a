"""Put one wearable on each selected head, in the picture's light."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.filters import tiles
from smart_filter_workers.stages.composite.filters.base import FilterVerdict
from smart_filter_workers.stages.composite.filters.scene import Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement
from smart_filter_workers.stages.composite.models.base import Srgba8

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
