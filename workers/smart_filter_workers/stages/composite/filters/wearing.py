"""Putting one thing on each head that is meant, in the light that is there."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.filters import pasting
from smart_filter_workers.stages.composite.filters.base import Verdict
from smart_filter_workers.stages.composite.filters.pasting import Place, Tile
from smart_filter_workers.stages.composite.filters.scene import Head, Scene
from smart_filter_workers.stages.composite.models.base import Srgba8

# Of the side of a tile, which is a power of two: smaller ones serve heads in a crowd, the
# largest is scaled up where a head fills a large picture.
LEAST_TILE_PX: Final = 32
MOST_TILE_PX: Final = 1024
# Tiles of one filter that are kept, 1 to 2 MB each where heads are largest, else far less.
KEPT_TILES: Final = 8
# A thing's own light where the picture is black, and how bright the picture is where the
# thing gets all of its light (mean level, 0..1).
_DARKEST: Final = 0.62
_BRIGHT_FROM: Final = 0.5


def put_on(
    picture: Srgb8 | Srgba8,
    scene: Scene,
    who: str,
    worn: Callable[[Head], tuple[Tile, Place] | None],
    *,
    what: str,
) -> Verdict:
    """Paste what `worn` returns for each head that is meant; None leaves a head as it is."""
    if not scene.heads:
        return Verdict(applied=False, reason="no face was found")
    meant = scene.chosen(who)
    if not meant:
        return Verdict(applied=False, reason=f"{_faces(len(scene.heads))}, and none is {who}")
    height, width = picture.shape[:2]
    got: list[Head] = []
    turned_away: list[Head] = []
    cut_off: dict[str, list[Head]] = {}
    for head in sorted(meant, key=lambda one: one.unit):
        thing = worn(head)
        if thing is None:
            turned_away.append(head)
        elif pasting.paste(picture, *thing, light=_light(picture, head)):
            got.append(head)
            for border in pasting.borders_crossed(*thing, width=width, height=height):
                cut_off.setdefault(border, []).append(head)
    nowhere = "nobody can wear it" if turned_away else "it would lie outside of the picture"
    told = f"{what} on {_numbered(got, of=len(scene.heads))}" if got else nowhere
    if turned_away:
        told += f"; {_numbered(turned_away, of=0)} turned away"
    for border, heads in cut_off.items():
        whose = "" if len(heads) == len(got) else f"on {_numbered(heads, of=0)} "
        told += f"; {whose}cut off at the {border} border"
    return Verdict(applied=bool(got), reason=told)


def tile_px(place: Place, reach: float) -> int:
    """Return the side of a tile that is sharp at a place, a power of two."""
    wanted = max(1.0, 2 * reach * place.scale)
    return int(min(MOST_TILE_PX, max(LEAST_TILE_PX, 2 ** np.ceil(np.log2(wanted)))))


def _light(picture: Srgb8 | Srgba8, head: Head) -> float:
    """Return how bright it is around a head, as a share of full light."""
    height, width = picture.shape[:2]
    x, y, wide, high = head.face.box
    columns = slice(max(0, int(x - wide / 2)), max(0, min(width, int(x + 1.5 * wide))))
    rows = slice(max(0, int(y - high)), max(0, min(height, int(y + high))))
    around = picture[rows, columns]
    if not around.size:
        return 1.0
    # Some hundreds of pixels say as much as all.
    step = max(1, int((around.shape[0] * around.shape[1] / 400) ** 0.5))
    around = around[::step, ::step]
    if around.shape[2] > 3:  # noqa: PLR2004 - what is transparent tells nothing
        around = around[around[..., 3] > 0]
    if not around.size:
        return 1.0
    level = float(around[..., :3].mean()) / 255
    return min(1.0, _DARKEST + (1 - _DARKEST) * level / _BRIGHT_FROM)


def _numbered(heads: Sequence[Head], *, of: int) -> str:
    """Return which faces these are: `the face`, `face 2`, `faces 1 and 3`, `all 4 faces`."""
    if len(heads) == of:
        return {1: "the face", 2: "both faces"}.get(of, f"all {of} faces")
    numbers = sorted(head.number for head in heads)
    if len(numbers) == 1:
        return f"face {numbers[0]}"
    return f"faces {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _faces(count: int) -> str:
    return "1 face was found" if count == 1 else f"{count} faces were found"
